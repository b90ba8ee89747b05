import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

@Suite struct `Damage at rest` {
  /// A store with a checkpoint behind it and a journal to replay, at rest: the last group is
  /// vouched for by an idle one if `idle`.
  private func store(idle: Bool) throws -> StoreHarness {
    let harness = try StoreHarness(seed: 3)
    let a = try harness.create("a")
    let b = try harness.create("b")
    for index in 0..<6 {
      try harness.append(a, ["a\(index)", String(repeating: "x", count: 60)], timestamp: 1)
      try harness.append(b, ["b\(index)"])
      harness.settle()
    }
    harness.store.startCheckpoint()
    harness.settle()
    for index in 0..<4 {
      try harness.append(a, ["later a\(index)"])
      harness.settle()
      if index % 2 == 0 { try harness.append(b, ["later b\(index)", "and more"]) }
      harness.settle()
    }
    try harness.vote(b, Vote(epoch: LeaderEpoch(4), candidate: 1))
    harness.settle()
    if idle {
      harness.store.tick(now: harness.now)
      harness.settle()
    }
    return harness
  }

  /// What a reader of the damaged store is given, and whether the store owns up to the damage.
  private enum Outcome: Equatable {
    /// Everything is there.
    case whole
    /// Everything but the last group.
    case lastGroupCut
    /// A log, or the whole store, says that it is damaged, and gives nothing that is wrong.
    case fenced
    case wrong(String)
  }

  private func outcome(_ disk: VirtualDisk, _ harness: StoreHarness) -> Outcome {
    guard let store = try? StoreHarness.open(disk) else { return .fenced }
    var fenced = false
    var found: StoreHarness.State = [:]
    for id in store.logIDs {
      do {
        guard let truth = harness.state[id] else { return .wrong("a log that never was") }
        let log = try StoreHarness.readable(store, id)
        if log.batches != Array(truth.batches.prefix(log.batches.count)) {
          return .wrong("records of \(truth.name) that never were")
        }
        if try store.failure(of: id) != nil { fenced = true }
        found[id] = log
      } catch LogError.logFailed {
        fenced = true
      } catch {
        return .wrong("\(error)")
      }
    }
    if fenced { return .fenced }
    if found == harness.state { return .whole }
    let before = harness.history[harness.history.count - 2]
    return found == before ? .lastGroupCut : .wrong("\(found)")
  }

  @Test(arguments: [true, false])
  func `any byte changed is healed or owned up to, and costs nobody else a record`(idle: Bool)
    throws
  {
    let harness = try store(idle: idle)
    var outcomes: [String: Int] = [:]
    for path in harness.disk.files where !path.hasPrefix("reserve") {
      let size = harness.disk.contents(of: path)?.count ?? 0
      for byte in 0..<size {
        for mask in [0x01, 0x80] as [UInt8] {
          let disk = harness.disk.afterKill { _ in true }
          disk.flip(path, byte: byte, mask: mask)
          let outcome = outcome(disk, harness)
          if case .wrong(let what) = outcome {
            Issue.record("byte \(byte) of \(path), mask \(mask): \(what)")
            return
          }
          if outcome == .lastGroupCut {
            // Only in the last group, and only if nothing came after it.
            #expect(!idle && path.hasPrefix("journal"), "byte \(byte) of \(path)")
          }
          outcomes["\(outcome)", default: 0] += 1
        }
      }
    }
    #expect(outcomes["whole", default: 0] > 1000)
    #expect(outcomes["fenced", default: 0] > 1000)
    #expect((outcomes["lastGroupCut", default: 0] > 50) == !idle)
  }

  @Test
  func `any file cut at any byte is healed or owned up to`() throws {
    let harness = try store(idle: true)
    for path in harness.disk.files where !path.hasPrefix("reserve") {
      let size = harness.disk.contents(of: path)?.count ?? 0
      for byte in 0..<size {
        let disk = harness.disk.afterKill { _ in true }
        disk.cut(path, to: byte)
        let outcome = outcome(disk, harness)
        guard outcome != .lastGroupCut else { continue }
        if case .wrong(let what) = outcome {
          Issue.record("\(path) cut at byte \(byte): \(what)")
          return
        }
      }
    }
  }

  @Test
  func `a journal whose power failed at any byte of its last write keeps all before`() throws {
    let harness = try store(idle: false)
    let before = harness.disk.afterKill { _ in true }
    guard let log = harness.state.keys.min() else { return }
    try harness.append(log, ["the last", "one"])
    harness.settle()
    for path in harness.disk.files where path.hasPrefix("journal") {
      guard let old = before.contents(of: path), let new = harness.disk.contents(of: path),
        let first = zip(old, new).enumerated().first(where: { $1.0 != $1.1 })?.offset,
        let last = zip(old, new).enumerated().reversed().first(where: { $1.0 != $1.1 })?.offset
      else { continue }
      for cut in first...last {
        // Everything from the cut on is what was there before the write.
        let disk = harness.disk.afterKill { _ in true }
        for byte in cut...last { disk.flip(path, byte: byte, mask: old[byte] ^ new[byte]) }
        let found = try StoreHarness.state(of: StoreHarness.open(disk))
        #expect(found == harness.history[harness.history.count - 2], "cut at \(cut)")
      }
    }
  }
}
