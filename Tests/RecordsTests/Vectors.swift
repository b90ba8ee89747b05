import Bytes
import Foundation
import Records
import Testing

/// The batches in Data/batches.txt, by name.
enum Vectors {
  static let all: [String: [UInt8]] = {
    var all: [String: [UInt8]] = [:]
    for words in lines("batches") { all[words[0]] = bytes(words[1]) }
    return all
  }()

  /// The words of each line of a data file.
  static func lines(_ name: String) -> [[String]] {
    guard
      let url = Bundle.module.url(forResource: name, withExtension: "txt", subdirectory: "Data"),
      let text = try? String(contentsOf: url, encoding: .utf8)
    else { preconditionFailure("Data/\(name).txt is missing") }
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map { $0.split(separator: " ").map(String.init) }
  }

  static func named(_ name: String) throws -> [UInt8] { try #require(all[name]) }

  /// Format v2.
  static let batches = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]
  /// The two records of a, b and d to g.
  static let records = [
    Record(
      offset: Offset(100), timestamp: Timestamp(1_700_000_000_000), key: slice("k1"),
      value: slice("hello"),
      headers: [RecordHeader(key: "h1", value: slice("v1")), RecordHeader(key: "h2", value: nil)]),
    Record(
      offset: Offset(101), timestamp: Timestamp(1_700_000_000_123), key: nil,
      value: slice("world world world world")),
  ]
}

func bytes(_ hex: String) -> [UInt8] {
  var digits = hex.utf8.makeIterator()
  var bytes: [UInt8] = []
  while let high = digits.next(), let low = digits.next() {
    bytes.append(UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16) ?? 0)
  }
  return bytes
}

func slice(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

/// The same numbers in every run (SplitMix64).
struct Dice: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}

/// Whatever can be asked of bytes from outside. Throws what is thrown, and must never trap.
func readEverything(_ input: [UInt8]) throws {
  var decompressor = Decompressor()
  let batch = try RecordBatch(input)
  try batch.checkCRC()
  try readRecords(batch, &decompressor)
}

/// The same, for bytes whose CRC is not to save the reader.
func readRecords(_ batch: RecordBatch, _ decompressor: inout Decompressor) throws {
  var visited = 0
  var fault: RecordError?
  do {
    try batch.forEachRecord(&decompressor, bytesMax: 1 << 20) { record, section in
      if let key = record.key { precondition(key.upperBound <= section.byteCount) }
      if let value = record.value { precondition(value.upperBound <= section.byteCount) }
      _ = batch.header.offset(of: record)
      _ = batch.header.timestamp(of: record)
      visited += 1
      return .next
    }
  } catch { fault = error }
  do {
    let records = try batch.records(&decompressor, bytesMax: 1 << 20)
    #expect(records.count == visited)
    #expect(fault == nil)
  } catch {
    #expect(fault == error)
    throw error
  }
  _ = try batch.controlRecord(&decompressor)
}

/// A batch of these header fields around these record bytes, with a good length and CRC.
func batch(
  _ section: [UInt8], count: Int32, lastOffsetDelta: Int32? = nil, attributes: UInt16 = 0
) -> [UInt8] {
  let header = RecordBatchHeader(
    baseOffset: .zero, batchLength: Int32(49 + section.count), partitionLeaderEpoch: .none, crc: 0,
    attributes: BatchAttributes(rawValue: attributes),
    lastOffsetDelta: lastOffsetDelta ?? (count &- 1), baseTimestamp: .none, maxTimestamp: .none,
    producerID: .none, producerEpoch: .none, baseSequence: -1, recordsCount: count)
  return resealed(header, section)
}

func resealed(_ header: RecordBatchHeader, _ section: [UInt8]) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: 61) + section
  bytes.withUnsafeMutableBytes {
    header.write(to: $0)
    RecordBatchHeader.sealCRC($0)
  }
  return bytes
}
