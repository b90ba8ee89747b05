import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

/// What is read into memory before a slice is asked for, of a log that an earlier process wrote:
/// its batches are checked when they are read for the first time, a mebibyte at a time, and from
/// the batch that reaches into the first to the end of the one that begins in the last.
@Suite struct `What is read ahead` {
  private static let mebibyte = 1 << 20

  /// Sizes of records of which some reach from one mebibyte into the next and one ends just there.
  private static let sizes = [
    900_000, 300_000, 500_000, 397_000, 999_000, 70_000, 1_000_000, 20_000, 800_000, 1_000_000,
    150_000, 600_000,
  ]

  private static var options: LogStoreOptions {
    var options = LogStoreOptions()
    options.journal.fileBytes = 16 << 20
    options.journal.groupBytesMax = 2 << 20
    options.freeSpaceMin = 0
    options.reserveBytes = 4096
    return options
  }

  private let disk: VirtualDisk
  private let log: LogID
  private let batches: [[UInt8]]

  init() throws {
    let harness = try StoreHarness(seed: 41, options: Self.options)
    log = try harness.create("a")
    var options = StoreHarness.logOptions()
    options.segmentBytes = 1 << 30
    options.indexIntervalBytes = 4096
    try harness.store.configure(log, options)
    harness.history.append(harness.state)
    for size in Self.sizes {
      try harness.append(log, [String(repeating: "x", count: size)])
      harness.settle()
    }
    harness.store.startCheckpoint()
    harness.settle()
    disk = harness.disk.afterKill { _ in true }
    batches = try #require(harness.state[log]).batches
  }

  private func reopened() throws -> StoreHarness {
    let harness = try StoreHarness(
      disk: disk.afterKill { _ in true }, seed: 43, options: Self.options)
    try harness.store.commit(log, through: Offset(Int64(batches.count)))
    return harness
  }

  /// Slices as a node would: reads ahead until nothing is to be waited for, and then looks.
  /// Returns how many batches it was given as a whole, and how often it read the disk meanwhile.
  private func look(
    _ harness: StoreHarness, at offset: Int, bytesMax: Int, of log: LogID, _ batches: [[UInt8]]
  ) throws -> (batches: Int, diskReads: Int) {
    // Nothing beyond what must be there.
    var rounds = 0
    while rounds < 4,
      try harness.store.readAhead(
        of: log, from: Offset(Int64(offset)), bytesMax: bytesMax, blocksMax: 24, ahead: 0) != nil
    {
      harness.settle()
      rounds += 1
    }
    var diskReads = 0
    harness.disk.fault = { operation in
      if case .read = operation { diskReads += 1 }
      return nil
    }
    let slice = try harness.store.slice(
      of: log, from: Offset(Int64(offset)), bytesMax: bytesMax)
    harness.disk.fault = nil
    let found = try harness.store.bytes(of: #require(slice))
    var whole = 0
    var end = 0
    while offset + whole < batches.count, end + batches[offset + whole].count <= found.count {
      #expect(found[end..<end + batches[offset + whole].count] == batches[offset + whole][...])
      end += batches[offset + whole].count
      whole += 1
    }
    return (whole, diskReads)
  }

  @Test(arguments: [10_000, 100_000, 700_000, 1_048_576, 3_000_000])
  func `is all that a slice looks at, wherever a reader begins`(bytesMax: Int) throws {
    for offset in batches.indices {
      let harness = try reopened()
      let found = try look(harness, at: offset, bytesMax: bytesMax, of: log, batches)
      #expect(found.batches > 0)
      #expect(found.diskReads == 0, "from offset \(offset)")
      #expect(harness.store.readsAheadBegun > 0)
      #expect(try harness.store.failure(of: log) == nil)
    }
  }

  @Test(arguments: [10_000, 100_000, 700_000, 1_048_576, 3_000_000])
  func `is all that a slice looks at, on the way through a log`(bytesMax: Int) throws {
    let harness = try reopened()
    var offset = 0
    while offset < batches.count {
      let found = try look(harness, at: offset, bytesMax: bytesMax, of: log, batches)
      #expect(found.diskReads == 0, "from offset \(offset)")
      offset += try #require(found.batches > 0 ? found.batches : nil)
    }
    let bytes = batches.reduce(0) { $0 + $1.count }
    // Each part once, and not more than the log has.
    #expect(Int(harness.store.readsAheadBegun) == (bytes + Self.mebibyte - 1) / Self.mebibyte)
  }

  /// An entry of the index leads to a few batches before the one that is asked for, and what comes
  /// after it is looked at as well, a chunk at a time.
  @Test(arguments: [1, 1000, 20_000, 100_000])
  func `is what a slice looks at on its way to a small batch`(bytesMax: Int) throws {
    var options = Self.options
    options.reads.blockBytes = 16 << 10
    options.reads.bytesMax = 192 << 10
    options.tails.bytesMax = 1 << 20
    options.journal.groupBytesMax = 256 << 10
    let harness = try StoreHarness(seed: 47, options: options)
    let small = try harness.create("small")
    let other = try harness.create("other")
    var logOptions = StoreHarness.logOptions()
    logOptions.segmentBytes = 1 << 30
    logOptions.indexIntervalBytes = 4096
    for log in [small, other] {
      try harness.store.configure(log, logOptions)
      harness.history.append(harness.state)
    }
    for number in 0..<300 {
      try harness.append(small, [String(repeating: "x", count: 1500 + number * 37 % 1000)])
      harness.settle()
    }
    let batches = try #require(harness.state[small]).batches
    try harness.store.commit(small, through: Offset(Int64(batches.count)))
    // Memory has nothing of it any more.
    for _ in 0..<20 {
      try harness.append(other, [String(repeating: "o", count: 200_000)])
      harness.settle()
    }
    for index in stride(from: 0, to: batches.count, by: 7) {
      // Nor of what was read of what is near.
      for far in [100, 200] {
        let offset = (index + far) % batches.count
        _ = try look(harness, at: offset, bytesMax: 100_000, of: small, batches)
      }
      let found = try look(harness, at: index, bytesMax: bytesMax, of: small, batches)
      #expect(found.batches > 0)
      #expect(found.diskReads == 0, "from offset \(index)")
    }
  }
}
