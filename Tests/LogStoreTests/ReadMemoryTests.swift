import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

/// What is read of old records into memory, a block at a time, for all readers.
@Suite struct `Old records in memory` {
  private let disk = VirtualDisk()
  private let harness: StoreHarness
  private let log: LogID
  private let other: LogID

  init() throws {
    harness = try StoreHarness(disk: disk, seed: 31)
    log = try harness.create("a")
    other = try harness.create("b")
  }

  /// Appends so much to another log that tails are of it alone.
  private func pushOut() throws {
    for number in 0..<100 {
      do {
        try harness.append(other, ["other \(number)", String(repeating: "x", count: 300)])
      } catch LogError.busy {
        harness.tick(1)
      }
      harness.turn()
    }
    harness.settle()
  }

  private func append(_ values: [String]) throws {
    try harness.append(log, values)
    harness.settle()
    try harness.store.commit(log, through: try harness.store.bounds(of: log).end)
  }

  private func readAhead(_ offset: Int64 = 0, blocks: Int = 8) throws -> [ReadAheadID]? {
    try harness.store.readAhead(of: log, from: Offset(offset), bytesMax: 400, blocksMax: blocks)
  }

  private func slice(_ offset: Int64 = 0, bytesMax: Int = 400) throws -> LogSlice {
    try #require(try harness.store.slice(of: log, from: Offset(offset), bytesMax: bytesMax))
  }

  private func isInFile(_ slice: LogSlice) throws -> Bool {
    try slice.pieces.contains { piece in
      if case .file = try piece.bytes(disk) { true } else { false }
    }
  }

  @Test func `are found there by whoever reads them`() throws {
    for number in 0..<6 { try append(["value \(number)"]) }
    #expect(try readAhead() == nil)
    try pushOut()
    #expect(try isInFile(slice()))
    let reads = try #require(try readAhead())
    #expect(!reads.isEmpty)
    let begun = harness.store.readsAheadBegun
    #expect(try readAhead() == reads)
    harness.settle()
    for read in reads { #expect(harness.events.contains(.readAhead(read))) }
    #expect(try readAhead() == nil)
    #expect(harness.store.readsAheadBegun == begun)
    let found = try slice()
    #expect(try !isInFile(found))
    #expect(
      try harness.store.bytes(of: found)
        == Array(try #require(harness.state[log]).batches.joined().prefix(found.count)))
    #expect(harness.failures.isEmpty)
  }

  @Test func `are not what was truncated`() throws {
    try append(["first"])
    try harness.append(log, ["what is truncated"])
    harness.settle()
    try pushOut()
    #expect(try readAhead() != nil)
    harness.settle()
    #expect(try !isInFile(slice()))
    try harness.truncate(log, to: LogPosition(epoch: LeaderEpoch(0), offset: Offset(1)))
    try append(["what comes after!"])
    try pushOut()
    let found = try slice(1)
    #expect(try harness.store.bytes(of: found) == harness.state[log]?.batches[1])
  }

  @Test func `are what was truncated for nobody whose read was under way`() throws {
    try append(["first"])
    try harness.append(log, ["what is truncated"])
    harness.settle()
    try pushOut()
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    #expect(try readAhead() != nil)
    try harness.truncate(log, to: LogPosition(epoch: LeaderEpoch(0), offset: Offset(1)))
    harness.settle()
    harness.holdsBack = { _ in false }
    harness.settle()
    try append(["what comes after!"])
    try pushOut()
    #expect(try harness.store.bytes(of: slice(1)) == harness.state[log]?.batches[1])
  }

  @Test func `are more when the file has more`() throws {
    try append(["first"])
    try pushOut()
    #expect(try readAhead() != nil)
    harness.settle()
    try append(["second, in the same block"])
    try pushOut()
    #expect(try isInFile(slice(1)))
    #expect(try readAhead(1) != nil)
    harness.settle()
    let found = try slice(1)
    #expect(try !isInFile(found))
    #expect(try harness.store.bytes(of: found) == harness.state[log]?.batches[1])
  }

  @Test func `are in the file for one who holds them when their memory goes to others`() throws {
    for number in 0..<60 { try append(["value \(number), and some more of it"]) }
    try pushOut()
    #expect(try readAhead(blocks: 1) != nil)
    harness.settle()
    let held = try slice(bytesMax: 200)
    #expect(try !isInFile(held))
    let bytes = try harness.store.bytes(of: held)
    for offset in stride(from: 10, to: 50, by: 5) {
      _ = try readAhead(Int64(offset))
      harness.settle()
    }
    #expect(try isInFile(held))
    #expect(try harness.store.bytes(of: held) == bytes)
    #expect(harness.store.readBytes <= harness.store.options.reads.bytesMax)
  }

  @Test func `that there is no memory for are waited for until there is some`() throws {
    for number in 0..<60 { try append(["value \(number), and some more of it"]) }
    try pushOut()
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    var waits: Set<ReadAheadID> = []
    for offset in stride(from: 0, to: 50, by: 10) {
      let reads = try #require(try readAhead(Int64(offset)))
      #expect(!reads.isEmpty)
      waits.formUnion(reads)
    }
    #expect(harness.store.readsAheadBegun == 3)
    harness.holdsBack = { _ in false }
    harness.settle()
    for read in waits { #expect(harness.events.contains(.readAhead(read))) }
    #expect(try readAhead(50) != nil)
  }

  @Test func `whose file cannot be opened are for the reader to find out, and not waited for`()
    throws
  {
    try append(["first"])
    try pushOut()
    harness.store.startCheckpoint()
    harness.settle()
    let reopened = disk.afterKill { _ in true }
    let after = try StoreHarness.open(reopened)
    try after.commit(log, through: Offset(1))
    reopened.fault = {
      if case .open(_, .existing, direct: true) = $0 { .noSpace("too many files") } else { nil }
    }
    #expect(try after.readAhead(of: log, from: .zero, bytesMax: 400, blocksMax: 8) == nil)
    #expect(try after.slice(of: log, from: .zero, bytesMax: 400) != nil)
  }

  @Test func `that cannot be read are for the reader to find out`() throws {
    try append(["first"])
    try pushOut()
    disk.fault = { if case .load = $0 { .failed("reading", errno: 5) } else { nil } }
    let reads = try #require(try readAhead())
    harness.settle()
    #expect(harness.events.contains(.readAhead(try #require(reads.first))))
    disk.fault = nil
    #expect(try isInFile(slice()))
    #expect(try readAhead() != nil)
  }
}
