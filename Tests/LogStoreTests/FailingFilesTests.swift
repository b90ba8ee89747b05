import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

/// What a failed operation must not lead to, step by step.
@Suite struct `Behind a failure` {
  private static let error = DiskError.failed("the test", errno: 5)

  private func problems(_ harness: StoreHarness, seed: UInt64) -> [String] {
    var random = SeededGenerator(seed: seed &+ 7)
    return (0..<20).compactMap { round in
      let after = harness.disk.afterPowerCut { _ in round == 0 || random.oneIn(2) }
      return harness.verdict(on: after).map { "crash \(round): \($0)" }
    }
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func `nothing is written to a file behind a write that failed`(seed: UInt64) throws {
    let disk = VirtualDisk()
    var options = StoreHarness.options()
    options.tails.bytesMax = 64 << 10
    let harness = try StoreHarness(disk: disk, seed: seed, options: options)
    let log = try harness.create("a")
    // Each fills a segment, so that the one before it is written.
    let filling = String(repeating: "x", count: 600)
    try harness.append(log, ["before", filling])
    harness.settle()
    func isData(_ operation: DiskOperation) -> Bool {
      guard case .write(_, _, _, durable: false) = operation else { return false }
      return disk.path(of: operation)?.hasSuffix(".log") == true
    }
    // Some wait behind the one that fails, some are still in the journal's open group.
    harness.holdsBack = isData
    for index in 0..<Int(1 + seed % 4) { try harness.append(log, ["group one \(index)", filling]) }
    harness.settle()
    for index in 0..<Int(1 + seed / 4) { try harness.append(log, ["group two \(index)", filling]) }
    harness.settle()
    try harness.append(log, ["open group", filling])
    var failed = 0
    var later = 0
    disk.fault = { operation in
      guard isData(operation) else { return nil }
      if failed == 0 {
        failed += 1
        return Self.error
      }
      later += 1
      return nil
    }
    harness.holdsBack = { _ in false }
    harness.settle()
    harness.tick()
    #expect(failed == 1)
    #expect(later == 0, "what is behind a hole")
    #expect(try harness.store.failure(of: log) != nil)
    #expect(problems(harness, seed: seed) == [])
  }

  @Test func `a reader that meets damage fails its log, and is given nothing of it`() throws {
    let harness = try StoreHarness(seed: 1)
    let bad = try harness.create("bad")
    let good = try harness.create("good")
    // Two checkpoints: what is in the first segment is closed and on the disk at the second.
    for _ in 0..<2 {
      for index in 0..<20 {
        try harness.append(bad, ["bad \(index)"])
        try harness.append(good, ["good \(index)"])
        harness.settle()
      }
      for log in [bad, good] {
        try harness.store.commit(log, through: harness.store.bounds(of: log).end)
      }
      harness.store.startCheckpoint()
      harness.settle()
    }
    let disk = harness.disk.afterKill { _ in true }
    let path = try #require(
      disk.files.first { $0.hasPrefix("logs/\(bad)/") && $0.hasSuffix(".log") })
    disk.flip(path, byte: 80, mask: 1)
    let store = try StoreHarness.open(disk)
    for log in [bad, good] { try store.commit(log, through: store.bounds(of: log).end) }
    #expect(try store.failure(of: bad) == nil, "old bytes are not read before somebody wants them")
    _ = store.takeEvents()
    #expect(throws: LogError.self) { try store.slice(of: bad, from: .zero, bytesMax: 1000) }
    #expect(try store.failure(of: bad)?.contains("damaged") == true)
    let isTold = store.takeEvents().contains {
      if case .logFailed(let log, _) = $0 { log == bad } else { false }
    }
    #expect(isTold)
    #expect(throws: LogError.self) { try store.slice(of: bad, from: Offset(1), bytesMax: 1000) }
    let batch = try StoreHarness.batch(["more"])
    #expect(throws: LogError.self) { try store.append(bad, batch[...], epoch: LeaderEpoch(0)) }
    #expect(try store.slice(of: good, from: .zero, bytesMax: 1000)?.count ?? 0 > 0)
    _ = try store.append(good, batch[...], epoch: LeaderEpoch(0))
  }

  @Test func `the rename of a checkpoint that was given up does not meet the next one`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 2)
    let bad = try harness.create("bad")
    let good = try harness.create("good")
    try harness.append(bad, ["one"])
    try harness.append(good, ["one"])
    harness.settle()
    var opened = 0
    disk.willPerform = { _, _ in }
    func isRename(_ operation: DiskOperation) -> Bool {
      if case .rename = operation { true } else { false }
    }
    harness.holdsBack = isRename
    harness.store.startCheckpoint()
    harness.settle()
    #expect(disk.inFlight.contains { isRename($0.operation) })
    // A write that fails gives the checkpoint up; with its log gone, another one could begin.
    let directory = "logs/\(bad)/"
    disk.fault = { operation in
      if case .open("checkpoint.new", _, _) = operation { opened += 1 }
      guard case .write = operation, let path = disk.path(of: operation) else { return nil }
      return path.hasPrefix(directory) ? Self.error : nil
    }
    // More than a segment: what is in it must be written.
    for text in ["two", "three"] {
      try harness.append(bad, [text, String(repeating: "x", count: 600)])
    }
    harness.settle()
    #expect(try harness.store.failure(of: bad) != nil)
    try harness.delete(bad)
    try harness.append(good, ["two"])
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    #expect(opened == 0, "the next checkpoint waits for the rename")
    #expect(!harness.events.contains(.checkpointed))
    #expect(problems(harness, seed: 2) == [])
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(problems(harness, seed: 3) == [])
    harness.store.startCheckpoint()
    harness.settle()
    #expect(opened == 1)
    #expect(harness.events.contains(.checkpointed))
    #expect(problems(harness, seed: 4) == [])
  }

  @Test func `of a log that is deleted meanwhile, the others go on and have its memory`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 5)
    let good = try harness.create("good")
    let bad = try harness.create("bad")
    try harness.append(good, ["one"])
    harness.settle()
    let before = harness.store.tailBytes
    let directory = "logs/\(bad)/"
    func isData(_ operation: DiskOperation) -> Bool {
      guard case .write(_, _, _, durable: false) = operation else { return false }
      return disk.path(of: operation)?.hasPrefix(directory) == true
    }
    func isRemoval(_ operation: DiskOperation) -> Bool {
      if case .rename = operation { disk.path(of: operation) == "logs/\(bad)" } else { false }
    }
    // What its first segment has is on the way to the file, and more waits behind it.
    harness.holdsBack = { isData($0) || isRemoval($0) }
    for text in ["one", "two", "three"] {
      try harness.append(bad, [text, String(repeating: "x", count: 600)])
      harness.settle()
    }
    #expect(disk.inFlight.contains { isData($0.operation) })
    #expect(harness.store.tailBytes > before)
    try harness.delete(bad)
    harness.settle()
    disk.fault = { isData($0) ? Self.error : nil }
    harness.holdsBack = isRemoval
    harness.settle()
    #expect(!disk.inFlight.contains { isData($0.operation) })
    #expect(disk.inFlight.contains { isRemoval($0.operation) })
    // Its directory is still there; nobody waits for that with his memory, or with the journal.
    #expect(harness.store.tailBytes == before)
    #expect(throws: LogError.busy) {
      for number in 0..<200 {
        try harness.append(good, ["\(number)", String(repeating: "y", count: 600)])
        harness.settle()
      }
    }
    #expect(harness.store.failureText == nil)
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(harness.events.contains(.deleted(bad)))
    #expect(!disk.files.contains { $0.hasPrefix("logs/\(bad)") })
    for number in 0..<100 {
      try harness.append(good, ["\(number)", String(repeating: "z", count: 600)])
      harness.settle()
    }
    #expect(harness.events.contains(.checkpointed))
    #expect(harness.store.failureText == nil)
    #expect(problems(harness, seed: 5) == [])
  }
}
