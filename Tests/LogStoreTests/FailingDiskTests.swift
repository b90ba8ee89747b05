import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

/// A disk that answers EIO. The journal's failure is the store's, a segment's only its log's; in
/// either case what was acknowledged is there when the store is opened again.
@Suite struct `A failing disk` {
  private static let error = DiskError.failed("the test", errno: 5)

  private static func isJournalWrite(_ operation: DiskOperation) -> Bool {
    if case .write(_, _, _, durable: true) = operation { true } else { false }
  }

  /// Opens what many different crashes leave, and says what is wrong with it.
  private func problems(_ harness: StoreHarness, seed: UInt64) -> [String] {
    var random = SeededGenerator(seed: seed &+ 99)
    return (0..<30).compactMap { round in
      let after =
        round == 0
        ? harness.disk.afterKill { _ in true }
        : harness.disk.afterPowerCut { _ in random.oneIn(2) }
      return harness.verdict(on: after).map { "crash \(round): \($0)" }
    }
  }

  @Test(arguments: 0..<24 as Range<UInt64>)
  func `a journal write that fails fences the store, and what was durable is recovered`(
    seed: UInt64
  ) throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: seed)
    var writes = 0
    let failing = 2 + Int(seed) * 4
    disk.fault = { operation in
      guard Self.isJournalWrite(operation) else { return nil }
      writes += 1
      return writes == failing ? Self.error : nil
    }
    #expect(throws: LogError.self) { try RandomScript(harness, seed: seed).run(steps: 2000) }
    harness.settle()
    #expect(harness.store.failureText != nil)
    let durable = harness.durable
    let log = harness.state.keys.min() ?? LogID(rawValue: 1)
    for attempt in 0..<3 {
      let batch = try StoreHarness.batch(["after \(attempt)"])
      #expect(throws: LogError.self) {
        try harness.store.append(log, batch[...], epoch: LeaderEpoch(99))
      }
      #expect(throws: LogError.self) { try harness.store.createLog(named: "late \(attempt)") }
      #expect(throws: LogError.self) { try harness.store.recordVote(log, Vote()) }
      harness.tick()
    }
    let failed = try #require(
      harness.events.firstIndex { if case .storeFailed = $0 { true } else { false } })
    for event in harness.events[failed...] {
      if case .durable(let log, _) = event { Issue.record("\(log) acknowledged after the failure") }
    }
    #expect(harness.durable == durable)
    #expect(writes == failing, "nothing is written to a journal in doubt")
    #expect(problems(harness, seed: seed) == [])
  }

  @Test
  func `a fenced store goes on serving what is committed`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 1)
    let log = try harness.create("a")
    for index in 0..<8 { try harness.append(log, ["value \(index)", "and more"]) }
    harness.settle()
    try harness.store.commit(log, through: Offset(16))
    disk.fault = { Self.isJournalWrite($0) ? Self.error : nil }
    try harness.append(log, ["never acknowledged"])
    harness.settle()
    #expect(harness.store.failureText != nil)
    var next = Offset.zero
    while let slice = try harness.store.slice(of: log, from: next, bytesMax: 200) {
      var batches = RecordBatches(try harness.store.bytes(of: slice)[...])
      while let batch = try batches.next() {
        try batch.checkCRC()
        next = batch.header.nextOffset
      }
    }
    #expect(next == Offset(16))
    #expect(try harness.store.find(Timestamp(5), in: log)?.offset == .zero)
  }

  enum Failing: CaseIterable {
    case create, write, sync
  }

  private func fails(_ kind: Failing, _ operation: DiskOperation) -> Bool {
    switch (kind, operation) {
    case (.create, .open(_, .create, _)), (.write, .write), (.sync, .sync): true
    default: false
    }
  }

  @Test(arguments: Failing.allCases, 0..<6 as Range<UInt64>)
  func `a segment that fails costs its log appends, and nobody a record`(
    kind: Failing, seed: UInt64
  ) throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: seed)
    let bad = try harness.create("bad")
    let good = try harness.create("good")
    for index in 0..<Int(2 + seed) {
      try harness.append(bad, ["early \(index)"])
      harness.settle()
    }
    if seed % 2 == 0 { harness.store.startCheckpoint() }
    harness.settle()
    let directory = "logs/\(bad)/"
    disk.fault = { operation in
      guard fails(kind, operation), let path = disk.path(of: operation), path.hasSuffix(".log")
      else { return nil }
      return path.hasPrefix(directory) ? Self.error : nil
    }
    // Large enough that a segment is full and the next one is made.
    for index in 0..<3 {
      try harness.append(bad, ["lost \(index)", String(repeating: "x", count: 300)])
    }
    harness.turn()
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    #expect(try harness.store.failure(of: bad) != nil)
    let batch = try StoreHarness.batch(["more"])
    #expect(throws: LogError.self) {
      try harness.store.append(bad, batch[...], epoch: LeaderEpoch(0))
    }
    for index in 0..<10 {
      try harness.append(good, ["good \(index)"])
      harness.settle()
    }
    harness.store.startCheckpoint()
    harness.tick()
    #expect(try harness.store.bounds(of: good).durable.offset == Offset(10))
    #expect(harness.store.failureText == nil)
    #expect(problems(harness, seed: seed) == [])
  }

  @Test
  func `what a failed log has lost stays in the journal until it is opened again`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 4)
    let bad = try harness.create("bad")
    let good = try harness.create("good")
    harness.settle()
    disk.fault = { operation in
      guard case .sync = operation, let path = disk.path(of: operation) else { return nil }
      return path.hasPrefix("logs/\(bad)/") ? Self.error : nil
    }
    try harness.append(bad, ["only in the journal"])
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    disk.fault = nil
    // Far more than the journal holds: there must be an end, and not a wait for ever.
    var appended = 0
    #expect(throws: LogError.self) {
      while appended < 10_000 {
        do {
          try harness.append(good, ["good \(appended)"])
          appended += 1
        } catch LogError.busy {
          harness.tick(1)
        }
        harness.turn()
      }
    }
    harness.settle()
    #expect(appended > 20)
    #expect(harness.store.failureText?.contains("bad") == true)
    #expect(problems(harness, seed: 4) == [])
    let next = try StoreHarness.open(disk.afterKill { _ in true })
    #expect(try next.failure(of: bad) == nil)
    #expect(
      try next.append(bad, StoreHarness.batch(["again"])[...], epoch: LeaderEpoch(0)).first
        == Offset(1))
  }

  @Test
  func `a checkpoint that fails leaves the one before, and the next one succeeds`() throws {
    for step in ["open", "write", "sync", "rename", "directory"] {
      let disk = VirtualDisk()
      let harness = try StoreHarness(disk: disk, seed: 5)
      let log = try harness.create("a")
      try harness.append(log, ["one"])
      harness.settle()
      var failed = 0
      disk.fault = { operation in
        let path = disk.path(of: operation)
        let isStep =
          switch (step, operation) {
          case ("open", .open), ("write", .write), ("sync", .sync), ("rename", .rename):
            path == "checkpoint.new"
          case ("directory", .syncDirectory): path == "."
          default: false
          }
        guard isStep, failed == 0 else { return nil }
        failed += 1
        return Self.error
      }
      harness.store.startCheckpoint()
      harness.settle()
      #expect(failed == 1, "\(step)")
      #expect(!harness.events.contains(.checkpointed))
      #expect(problems(harness, seed: 5) == [], "\(step)")
      harness.store.startCheckpoint()
      harness.settle()
      #expect(harness.events.contains(.checkpointed), "\(step)")
      #expect(problems(harness, seed: 6) == [], "\(step)")
    }
  }
}
