internal import Bytes

// A producer table on disk and on the wire: u32 count, and by ascending id
//
//   i64 producer   i16 epoch   i64 last appended   u32 batches   and for each of those
//   i32 first sequence   i32 last sequence   i64 first offset   i64 last offset   i64 timestamp
//
// The last of them may be none, but have no batches: it is the highest that was forgotten.
//
// In a checkpoint, behind it, what is not committed: u32 count, and in order of offset
//
//   i64 producer   i16 epoch   i64 appended   and a batch as above
//
// It is not read from the segments again: by the time of the next opening they may be gone, and
// what was in them is committed.

extension ProducerStates {
  /// Of a table with nothing but one who was forgotten.
  static let emptyBytesMax = 26

  private static func encodedBytes(_ entry: Entry) -> Int { 22 + 32 * entry.batches.count }

  /// The committed state. Of one that is larger than `bytesMax`, which is at least `emptyBytesMax`,
  /// the producers that wrote last.
  func encoded(bytesMax: Int = .max) -> (bytes: [UInt8], leftOut: Int) {
    var entries = sorted
    let count = entries.count
    var forgotten = forgottenThrough
    var bytes: [UInt8] = []
    let all = entries.reduce(Self.emptyBytesMax) { $0 + Self.encodedBytes($1.1) }
    if all > bytesMax {
      entries.sort { ($1.1.lastAppended, $0.0) < ($0.1.lastAppended, $1.0) }
      var left = bytesMax - Self.emptyBytesMax
      let kept = entries.prefix { _, entry in
        left -= Self.encodedBytes(entry)
        return left >= 0
      }
      for (producer, _) in entries[kept.count...] { forgotten = max(forgotten, producer) }
      entries = kept.sorted { $0.0 < $1.0 }
    }
    let leftOut = count - entries.count
    if forgotten >= ProducerID(0) {
      entries.append((forgotten, Entry(epoch: ProducerEpoch(-1), batches: [], lastAppended: 0)))
    }
    bytes.reserveCapacity(min(all, max(Self.emptyBytesMax, bytesMax)))
    bytes.put(UInt32(entries.count))
    for (producer, entry) in entries {
      bytes.put(producer.rawValue)
      bytes.put(entry.epoch.rawValue)
      bytes.put(entry.lastAppended)
      bytes.put(UInt32(entry.batches.count))
      for batch in entry.batches { bytes.put(batch) }
    }
    return (bytes, leftOut)
  }

  func encodedUncommitted() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.put(UInt32(uncommitted.count - uncommittedFirst))
    for next in uncommitted[uncommittedFirst...] {
      bytes.put(next.producer.rawValue)
      bytes.put(next.epoch.rawValue)
      bytes.put(next.appended)
      bytes.put(next.batch)
    }
    return bytes
  }

  mutating func addUncommitted(from reader: inout ByteReader) throws(ByteError) {
    for _ in 0..<(try reader.uint32()) {
      let producer = ProducerID(try reader.int64())
      let epoch = ProducerEpoch(try reader.int16())
      let appended = try reader.int64()
      append(producer, epoch, try reader.producerBatch(), now: appended)
    }
  }

  /// The state with everything below `through` in it.
  init(from reader: inout ByteReader, through: Offset) throws(ByteError) {
    self.init()
    foldedThrough = through
    for _ in 0..<(try reader.uint32()) {
      let producer = ProducerID(try reader.int64())
      var entry = Entry(
        epoch: ProducerEpoch(try reader.int16()), batches: [], lastAppended: try reader.int64())
      for _ in 0..<(try reader.uint32()) {
        entry.batches.append(try reader.producerBatch())
      }
      if entry.batches.isEmpty { forget(producer) } else { restore(producer, entry) }
    }
  }
}

extension [UInt8] {
  mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    append(contentsOf: value.bigEndianBytes)
  }

  mutating func put(_ bytes: [UInt8]) {
    put(UInt32(bytes.count))
    append(contentsOf: bytes)
  }

  mutating func put(_ string: String) {
    put(UInt32(string.utf8.count))
    append(contentsOf: string.utf8)
  }

  fileprivate mutating func put(_ batch: ProducerStates.Batch) {
    put(batch.firstSequence)
    put(batch.lastSequence)
    put(batch.firstOffset.rawValue)
    put(batch.lastOffset.rawValue)
    put(batch.timestamp)
  }

  mutating func put(_ history: EpochHistory) {
    put(UInt32(history.entries.count))
    for entry in history.entries {
      put(entry.epoch.rawValue)
      put(entry.start.rawValue)
    }
  }
}

extension ByteReader {
  mutating func string() throws(ByteError) -> String { try string(Int(try uint32())) }

  fileprivate mutating func producerBatch() throws(ByteError) -> ProducerStates.Batch {
    ProducerStates.Batch(
      firstSequence: try int32(), lastSequence: try int32(), firstOffset: Offset(try int64()),
      lastOffset: Offset(try int64()), timestamp: try int64())
  }

  /// Throws if epochs or offsets go back.
  mutating func epochHistory() throws(ByteError) -> EpochHistory {
    var history = EpochHistory()
    for _ in 0..<(try uint32()) {
      let epoch = LeaderEpoch(try int32())
      let start = Offset(try int64())
      if let last = history.entries.last, epoch <= last.epoch || start < last.start {
        throw .truncated(at: position, needed: 0)
      }
      history.begin(epoch, at: start)
    }
    return history
  }
}

extension FixedWidthInteger {
  var bigEndianBytes: [UInt8] {
    stride(from: Self.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: self >> Self($0))
    }
  }
}
