import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

@Suite struct `What followers are sent` {
  private func position(_ epoch: Int32, _ offset: Int64) -> LogPosition {
    LogPosition(epoch: LeaderEpoch(epoch), offset: Offset(offset))
  }

  /// As text: `s3@5` is the start of epoch 3 at offset 5, `b3@5..7` batches of it up to 7.
  private func text(_ entries: ReplicaEntries, after: LogPosition) throws -> String {
    guard case .entries(let entries) = entries else { return "waiting" }
    var at = after.offset.rawValue
    return entries.map { entry in
      defer { at = entry.end.rawValue }
      let epoch = entry.epoch.rawValue
      let end = entry.end.rawValue
      return entry.bytes.isEmpty ? "s\(epoch)@\(end)" : "b\(epoch)@\(at)..\(end)"
    }.joined(separator: " ")
  }

  private func sent(
    _ harness: StoreHarness, _ log: LogID, _ epoch: Int32, _ offset: Int64, bytesMax: Int = 10_000
  ) throws -> String {
    let after = position(epoch, offset)
    return try text(
      harness.store.entries(of: log, after: after, bytesMax: bytesMax), after: after)
  }

  /// Epochs 1 to 6; 2 and 3 begin at one offset, and so do 5 and 6, at the end.
  private func log(_ harness: StoreHarness) throws -> LogID {
    let log = try harness.create("a")
    try harness.beginEpoch(log, 1)
    try harness.append(log, ["one"], epoch: 1)
    try harness.append(log, ["two"], epoch: 1)
    try harness.beginEpoch(log, 2)
    try harness.beginEpoch(log, 3)
    try harness.append(log, ["three", "four"], epoch: 3)
    try harness.append(log, ["five"], epoch: 4)
    try harness.beginEpoch(log, 5)
    try harness.beginEpoch(log, 6)
    return log
  }

  @Test
  func `are the starts of epochs and batches in their order, from any position`() throws {
    let harness = try StoreHarness(seed: 1)
    let log = try log(harness)
    let all = "s1@0 b1@0..2 s2@2 s3@2 b3@2..4 s4@4 b4@4..5 s5@5 s6@5"
    #expect(try sent(harness, log, -1, 0) == all)
    #expect(try sent(harness, log, 1, 0) == all.dropFirst(5))
    #expect(try sent(harness, log, 1, 1) == "b1@1..2 s2@2 s3@2 b3@2..4 s4@4 b4@4..5 s5@5 s6@5")
    #expect(try sent(harness, log, 1, 2) == "s2@2 s3@2 b3@2..4 s4@4 b4@4..5 s5@5 s6@5")
    #expect(try sent(harness, log, 2, 2) == "s3@2 b3@2..4 s4@4 b4@4..5 s5@5 s6@5")
    #expect(try sent(harness, log, 3, 2) == "b3@2..4 s4@4 b4@4..5 s5@5 s6@5")
    #expect(try sent(harness, log, 4, 5) == "s5@5 s6@5")
    #expect(try sent(harness, log, 6, 5) == "")
    // Nothing of it is durable or committed, and the disk has been asked for nothing.
    #expect(try harness.store.bounds(of: log).readable == .zero)
    #expect(harness.store.readsAheadBegun == 0)
  }

  @Test
  func `are cut to what there is room for, at least one batch`() throws {
    let harness = try StoreHarness(seed: 2)
    let log = try log(harness)
    #expect(try sent(harness, log, 1, 0, bytesMax: 1) == "b1@0..1")
    let sizes = try #require(harness.state[log]).batches.map(\.count)
    #expect(try sent(harness, log, 1, 0, bytesMax: sizes[0] + sizes[1] - 1) == "b1@0..1")
    #expect(try sent(harness, log, 1, 0, bytesMax: sizes[0] + sizes[1]) == "b1@0..2 s2@2 s3@2")
    #expect(try sent(harness, log, 1, 2, bytesMax: 1) == "s2@2 s3@2 b3@2..4 s4@4")
  }

  @Test(arguments: [(1, 3), (0, 0), (1, 5), (2, 3), (3, 3), (3, 1), (6, 6), (7, 5), (4, 3)])
  func `are refused after a position that the log does not have`(epoch: Int32, offset: Int64) throws
  {
    let harness = try StoreHarness(seed: 3)
    let log = try log(harness)
    #expect(throws: LogError.noSuchPrefix) { try sent(harness, log, epoch, offset) }
  }

  @Test
  func `are refused after a position inside of a batch, and below the start of the log`() throws {
    let harness = try StoreHarness(seed: 4)
    let log = try log(harness)
    harness.settle()
    #expect(throws: LogError.noSuchPrefix) { try sent(harness, log, 3, 3) }
    try harness.store.commit(log, through: Offset(5))
    try harness.advanceStart(log, to: 3)
    #expect(throws: LogError.noSuchPrefix) { try sent(harness, log, 3, 2) }
    // Who was reset to the start is sent the batch that it is in.
    #expect(try sent(harness, log, 3, 3) == "b3@3..4 s4@4 b4@4..5 s5@5 s6@5")
    try harness.advanceStart(log, to: 4)
    #expect(try sent(harness, log, 3, 4) == "s4@4 b4@4..5 s5@5 s6@5")
    #expect(throws: LogError.noSuchPrefix) { try sent(harness, log, 2, 4) }
  }

  @Test
  func `what an earlier process wrote is read by the disk's threads, and checked`() throws {
    let first = try StoreHarness(seed: 5)
    let log = try log(first)
    first.settle()
    let disk = first.disk.afterKill { _ in true }
    let harness = try StoreHarness(disk: disk, seed: 6)
    var onCaller = 0
    disk.fault = { operation in
      if case .read = operation { onCaller += 1 }
      return nil
    }
    #expect(try sent(harness, log, 1, 0) == "waiting")
    #expect(try sent(harness, log, 1, 0) == "waiting")
    harness.settle()
    #expect(harness.events.contains { if case .readAhead = $0 { true } else { false } })
    #expect(
      try sent(harness, log, 1, 0) == "b1@0..2 s2@2 s3@2 b3@2..4 s4@4 b4@4..5 s5@5 s6@5")
    #expect(onCaller == 0)
  }

  @Test
  func `of a damaged segment nothing is sent, and the log has failed`() throws {
    let first = try StoreHarness(seed: 7)
    let log = try log(first)
    first.settle()
    first.store.startCheckpoint()
    first.settle()
    let disk = first.disk.afterKill { _ in true }
    let harness = try StoreHarness(disk: disk, seed: 8)
    disk.flip("logs/\(log)/00000000000000000000.log", byte: 150, mask: 4)
    #expect(try sent(harness, log, 1, 0) == "waiting")
    harness.settle()
    #expect(throws: LogError.self) { try sent(harness, log, 1, 0) }
    #expect(try harness.store.failure(of: log) != nil)
    #expect(throws: LogError.self) { try sent(harness, log, 6, 5) }
  }

  @Test
  func `a disk that gives nothing into memory is waited for a few times`() throws {
    let first = try StoreHarness(seed: 9)
    let log = try log(first)
    first.settle()
    let disk = first.disk.afterKill { _ in true }
    let harness = try StoreHarness(disk: disk, seed: 10)
    disk.fault = { operation in
      if case .load = operation { .failed("loading", errno: 5) } else { nil }
    }
    var rounds = 0
    while try sent(harness, log, 1, 0) == "waiting" {
      rounds += 1
      harness.settle()
    }
    #expect(rounds == 4)
  }
}
