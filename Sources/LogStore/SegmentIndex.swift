internal import Bytes
internal import Platform

/// The sparse index of one segment, by offset and by time.
///
/// One entry per `indexIntervalBytes` of record batches, each at the beginning of a batch:
///
///     0  u32 offset of the batch, relative to the segment's base
///     4  u32 position of the batch in the segment's file
///     8  i64 largest timestamp of all batches before it, in ms since 1970
///
/// (1) Offsets, positions and timestamps never decrease, so one table is searched for all three.
/// (2) The index may lag behind the segment, never lead it.
/// (3) It can be made again from the segment. How many entries of the file are good, and their
///     CRC, is in the checkpoint; if that does not match, it is made again.
struct SegmentIndex {
  struct Entry: Equatable {
    var relativeOffset: UInt32
    var position: UInt32
    var maxTimestampBefore: Int64

    static let size = 16
  }

  private(set) var entries: [Entry] = []

  var count: Int { entries.count }

  mutating func append(_ entry: Entry) { entries.append(entry) }

  /// Removes the entries of batches at or after `position`.
  mutating func truncate(to position: Int64) {
    while let last = entries.last, Int64(last.position) >= position { entries.removeLast() }
  }

  /// The entries from `first` on as they are in the file.
  func encoded(from first: Int) -> [UInt8] {
    unsafe ByteWriter.array((count - first) * Entry.size) { writer in
      for entry in entries[first...] {
        unsafe writer.integer(entry.relativeOffset)
        unsafe writer.integer(entry.position)
        unsafe writer.integer(entry.maxTimestampBefore)
      }
    }
  }

  init() {}

  /// Nil if the bytes are not `count` entries with this CRC.
  init?(decoding bytes: [UInt8], count: Int, crc: UInt32) {
    guard bytes.count == count * Entry.size, CRC32C.of(bytes[...]) == crc else { return nil }
    var reader = ByteReader(bytes)
    entries.reserveCapacity(count)
    for _ in 0..<count {
      guard
        let offset = try? reader.uint32(), let position = try? reader.uint32(),
        let timestamp = try? reader.int64()
      else { return nil }
      entries.append(
        Entry(relativeOffset: offset, position: position, maxTimestampBefore: timestamp))
    }
  }
}

/// Where to begin reading, looked up in an index in memory or in a mapped file.
enum IndexLookup {
  /// The position of the last entry at or before `relativeOffset`, or zero.
  static func position(
    ofOffset relativeOffset: Int64, in table: some IndexTable
  ) -> Int64 {
    let after = firstIndex(in: table) { Int64($0.relativeOffset) > relativeOffset }
    return after == 0 ? 0 : Int64(table.entry(after - 1).position)
  }

  /// The position of the last entry before which every timestamp is below `timestamp`, or zero:
  /// the first batch that reaches `timestamp` is there or later.
  static func position(ofTimestamp timestamp: Int64, in table: some IndexTable) -> Int64 {
    let after = firstIndex(in: table) { $0.maxTimestampBefore >= timestamp }
    return after == 0 ? 0 : Int64(table.entry(after - 1).position)
  }

  /// The last entry at or before a position in the segment's file.
  static func entry(
    atOrBefore position: Int64, in table: any IndexTable
  ) -> SegmentIndex.Entry? {
    let after = firstIndex(in: table) { Int64($0.position) > position }
    return after == 0 ? nil : table.entry(after - 1)
  }

  private static func firstIndex(
    in table: some IndexTable, where isAfter: (SegmentIndex.Entry) -> Bool
  ) -> Int {
    var low = 0
    var high = table.count
    while low < high {
      let middle = (low + high) / 2
      if isAfter(table.entry(middle)) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

protocol IndexTable {
  var count: Int { get }
  func entry(_ index: Int) -> SegmentIndex.Entry
}

extension SegmentIndex: IndexTable {
  func entry(_ index: Int) -> Entry { entries[index] }
}

/// The index of a closed segment, mapped from its file and checked against its CRC.
struct MappedIndex: IndexTable {
  let mapping: Mapping
  let count: Int

  /// Nil if the file is not what the checkpoint says it is.
  init?(_ mapping: Mapping, count: Int, crc: UInt32) {
    guard mapping.count >= count * SegmentIndex.Entry.size else { return nil }
    let found = unsafe mapping.withBytes { bytes in
      unsafe CRC32C.of(
        UnsafeRawBufferPointer(rebasing: bytes[..<(count * SegmentIndex.Entry.size)]))
    }
    guard found == crc else { return nil }
    self.mapping = mapping
    self.count = count
  }

  func entry(_ index: Int) -> SegmentIndex.Entry {
    require(index >= 0 && index < count, "entry \(index) of an index of \(count)")
    return unsafe mapping.withBytes { bytes in
      let at = index * SegmentIndex.Entry.size
      return unsafe SegmentIndex.Entry(
        relativeOffset: UInt32(
          bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)),
        position: UInt32(
          bigEndian: bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)),
        maxTimestampBefore: Int64(
          bigEndian: bytes.loadUnaligned(fromByteOffset: at + 8, as: Int64.self)))
    }
  }
}
