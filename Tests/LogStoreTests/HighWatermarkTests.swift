import Bytes
import LogStore
import Platform
import Simulation
import Testing

/// Where the high watermark is when a store is opened again: nowhere above what was committed.
@Suite struct `The high watermark` {
  private func afterStart(_ disk: VirtualDisk, _ log: LogID) throws -> Offset {
    try StoreHarness.open(disk).bounds(of: log).highWatermark
  }

  @Test
  func `is where it was after a stop with a checkpoint, though nothing was appended since`() throws
  {
    let harness = try StoreHarness(seed: 1)
    let log = try harness.create("a")
    for index in 0..<4 { try harness.append(log, ["value \(index)"]) }
    harness.store.startCheckpoint()
    harness.settle()
    try harness.store.commit(log, through: Offset(3))
    harness.store.startCheckpoint()
    harness.settle()
    var syncs = 0
    harness.disk.fault = { operation in
      if case .sync = operation { syncs += 1 }
      return nil
    }
    #expect(try afterStart(harness.disk.afterPowerCut { _ in false }, log) == Offset(3))
    try harness.store.commit(log, through: Offset(4))
    harness.store.startCheckpoint()
    harness.settle()
    // The checkpoint's file and no other.
    #expect(syncs == 1)
    #expect(try afterStart(harness.disk.afterPowerCut { _ in false }, log) == Offset(4))
  }

  @Test func `is below batches whose ends are known by what is inside of them`() throws {
    let harness = try StoreHarness(seed: 2)
    let log = try harness.create("a")
    for values in [["0"], ["1", "2", "3"], ["4", "5"]] { try harness.append(log, values) }
    try harness.store.commit(log, through: Offset(1))
    let ends = try (0...8).map { try harness.store.endOfBatch(of: log, around: Offset($0)) }
    #expect(ends == [0, 1, 4, 4, 4, 6, 6, 7, 8].map { Offset($0) })
  }

  @Test
  func `is not behind a start whose segment a later start has taken away`() throws {
    let harness = try StoreHarness(seed: 3)
    let log = try harness.create("a")
    let big = String(repeating: "v", count: 200)
    for _ in 0..<3 { try harness.append(log, [big, big, big]) }
    harness.store.startCheckpoint()
    harness.settle()
    try harness.commit(log, through: 3)
    for start in [1, 3] as [Int64] {
      try harness.advanceStart(log, to: start)
      harness.settle()
    }
    #expect(!harness.disk.files.contains { $0.hasSuffix("00000000000000000000.log") })
    #expect(try afterStart(harness.disk.afterKill { _ in true }, log) == Offset(3))
  }

  @Test
  func `is where it was at the log's last frame after a kill without a checkpoint`() throws {
    let harness = try StoreHarness(seed: 2)
    let log = try harness.create("a")
    for index in 0..<8 {
      try harness.append(log, ["value \(index)"])
      harness.settle()
      try harness.store.commit(log, through: Offset(Int64(index + 1)))
    }
    #expect(try afterStart(harness.disk.afterKill { _ in true }, log) == Offset(7))
    try harness.vote(log, Vote(epoch: LeaderEpoch(3), candidate: 1))
    harness.settle()
    #expect(try afterStart(harness.disk.afterKill { _ in true }, log) == Offset(8))
    // Said by the frame after which it is not the end any more.
    try harness.append(log, ["one", "two"], epoch: 3)
    try harness.truncate(log, to: LogPosition(epoch: LeaderEpoch(0), offset: Offset(8)))
    harness.settle()
    #expect(try afterStart(harness.disk.afterKill { _ in true }, log) == Offset(8))
  }
}
