internal import Bytes
internal import Records

// The checkpoint on disk: the file `checkpoint`, written beside itself, synced and renamed.
//
//   0  u32 magic "MCKP"    4  u32 CRC of the rest    8  u32 version    12 u32 log records
//   16 u64 store           24 u64 first generation of the journal that is still needed
//   32 u64 through         40 u64 next log id        48 u32 journal files
//   52 records, each with a u32 length before it
//      u32 votes of logs that were set aside: for each a name, i32 epoch, i32 candidate
//      u8 1 if logs may be missing, 0 otherwise; the notes of who owns the store
//
// A log's record is everything that is known of the log after the frames of group `through`. One
// that was cut short has a byte of 1 behind it.
// Integers are big-endian; a string or list has its count before it.

struct Checkpoint {
  static let magic: UInt32 = 0x4d43_4b50
  static let version: UInt32 = 2
  static let headerBytes = 52
  static let path = "checkpoint"
  static let temporaryPath = "checkpoint.new"

  var store: UInt64
  var firstGeneration: UInt64
  var through: UInt64
  var nextLogID: UInt64
  /// Files of the journal that are whole on the disk: slots from zero on.
  var journalFiles: Int
  var records: [[UInt8]]
  /// Of logs that were set aside and not made again, by name.
  var votesSetAside: [String: Vote] = [:]
  var mayMissLogs = false
  var notes: [UInt8] = []

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerBytes + records.reduce(0) { $0 + $1.count + 4 })
    bytes.put(Self.magic)
    bytes.put(UInt32(0))
    bytes.put(Self.version)
    bytes.put(UInt32(records.count))
    bytes.put(store)
    bytes.put(firstGeneration)
    bytes.put(through)
    bytes.put(nextLogID)
    bytes.put(UInt32(journalFiles))
    for record in records {
      bytes.put(UInt32(record.count))
      bytes += record
    }
    bytes.put(UInt32(votesSetAside.count))
    for (name, vote) in votesSetAside.sorted(by: { $0.key < $1.key }) {
      bytes.put(name)
      bytes.put(vote.epoch.rawValue)
      bytes.put(vote.candidate)
    }
    bytes.put(UInt8(mayMissLogs ? 1 : 0))
    bytes += notes
    let crc = CRC32C.of(bytes[8...])
    for (index, byte) in crc.bigEndianBytes.enumerated() { bytes[4 + index] = byte }
    return bytes
  }

  /// Throws if the bytes are not a whole checkpoint.
  init(decoding bytes: [UInt8]) throws(ByteError) {
    var reader = ByteReader(bytes)
    let magic = try reader.uint32()
    let crc = try reader.uint32()
    guard magic == Self.magic, crc == CRC32C.of(bytes[8...]) else {
      throw .truncated(at: 0, needed: bytes.count)
    }
    guard try reader.uint32() == Self.version else { throw .truncated(at: 8, needed: 4) }
    let count = Int(try reader.uint32())
    store = try reader.uint64()
    firstGeneration = try reader.uint64()
    through = try reader.uint64()
    nextLogID = try reader.uint64()
    journalFiles = Int(try reader.uint32())
    records = []
    for _ in 0..<count {
      let length = Int(try reader.uint32())
      records.append(Array(try reader.slice(length)))
    }
    for _ in 0..<(try reader.uint32()) {
      let name = try reader.string()
      votesSetAside[name] = Vote(
        epoch: LeaderEpoch(try reader.int32()), candidate: try reader.int32())
    }
    // Both are missing in those of older versions.
    guard reader.remaining > 0 else { return }
    mayMissLogs = try reader.uint8() == 1
    notes = Array(try reader.slice(reader.remaining))
  }

  init(
    store: UInt64, firstGeneration: UInt64, through: UInt64, nextLogID: UInt64,
    journalFiles: Int, records: [[UInt8]], votesSetAside: [String: Vote] = [:],
    mayMissLogs: Bool = false, notes: [UInt8] = []
  ) {
    self.notes = notes
    self.mayMissLogs = mayMissLogs
    self.store = store
    self.firstGeneration = firstGeneration
    self.through = through
    self.nextLogID = nextLogID
    self.journalFiles = journalFiles
    self.records = records
    self.votesSetAside = votesSetAside
  }
}

extension Log {
  /// Everything that is known of the log now.
  func encodedRecord() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.put(id.rawValue)
    bytes.put(options.encoded(name: name))
    bytes.put(failure ?? "")
    bytes.put(vote.epoch.rawValue)
    bytes.put(vote.candidate)
    bytes.put(logStart.rawValue)
    bytes.put(end.rawValue)
    bytes.put(committed.end.rawValue)
    bytes.put(committed.segment.rawValue)
    bytes.put(committed.position)
    bytes.put(epochs)
    bytes.put(UInt32(segments.count))
    for segment in segments { segment.put(in: &bytes) }
    bytes.put(producers.foldedThrough.rawValue)
    bytes += producers.encoded().bytes
    bytes += producers.encodedUncommitted()
    if isCutShort { bytes.put(UInt8(1)) }
    return bytes
  }

  init(decoding record: [UInt8]) throws(ByteError) {
    var reader = ByteReader(record)
    let id = LogID(try reader.uint64())
    let length = Int(try reader.uint32())
    guard let (name, options) = LogOptions.decoded(try reader.slice(length)) else {
      throw .truncated(at: reader.position, needed: length)
    }
    self.init(id: id, name: name)
    self.options = options
    let failure = try reader.string()
    self.failure = failure.isEmpty ? nil : failure
    vote = Vote(epoch: LeaderEpoch(try reader.int32()), candidate: try reader.int32())
    logStart = Offset(try reader.int64())
    end = Offset(try reader.int64())
    startAt(
      Place(
        end: Offset(try reader.int64()), segment: Offset(try reader.int64()),
        position: try reader.int64()))
    epochs = try reader.epochHistory()
    segments = []
    for _ in 0..<(try reader.uint32()) { segments.append(try Segment(from: &reader)) }
    let foldedThrough = Offset(try reader.int64())
    producers = try ProducerStates(from: &reader, through: foldedThrough)
    try producers.addUncommitted(from: &reader)
    isCutShort = reader.remaining > 0
    self.record = record
    isDirty = false
  }
}

extension Segment {
  fileprivate func put(in bytes: inout [UInt8]) {
    bytes.put(base.rawValue)
    bytes.put(size)
    bytes.put(maxTimestamp.rawValue)
    bytes.put(firstAppended ?? -1)
    bytes.put(UInt32(indexWritten))
    bytes.put(indexCRC.value)
    bytes.put(UInt8((isClosed ? 1 : 0) | (hasFile ? 2 : 0) | (hasIndexFile ? 4 : 0)))
  }

  fileprivate init(from reader: inout ByteReader) throws(ByteError) {
    self.init(base: Offset(try reader.int64()))
    size = try reader.int64()
    verified.trustedFrom = size
    maxTimestamp = Timestamp(try reader.int64())
    let appended = try reader.int64()
    firstAppended = appended < 0 ? nil : appended
    indexWritten = Int(try reader.uint32())
    indexCRC = CRC32C(try reader.uint32())
    let flags = try reader.uint8()
    isClosed = flags & 1 != 0
    hasFile = flags & 2 != 0
    hasIndexFile = flags & 4 != 0
  }
}

extension Log {
  /// How it is when it is made, but for its vote's epoch: i32 candidate, options and name.
  func encodedCreation() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.put(vote.candidate)
    return bytes + options.encoded(name: name)
  }

  init?(id: LogID, voted epoch: LeaderEpoch, creation: ArraySlice<UInt8>) {
    var reader = ByteReader(creation)
    guard let candidate = try? reader.int32(),
      let rest = try? reader.slice(reader.remaining),
      let (name, options) = LogOptions.decoded(rest)
    else { return nil }
    self.init(id: id, name: name)
    self.options = options
    vote = Vote(epoch: epoch, candidate: candidate)
  }
}

extension LogOptions {
  /// Five integers of 64 bits, absent ones as the smallest, then the log's name.
  func encoded(name: String) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.put(segmentBytes)
    bytes.put(segmentMilliseconds)
    bytes.put(retentionMilliseconds ?? .min)
    bytes.put(retentionBytes ?? .min)
    bytes.put(Int64(indexIntervalBytes))
    return bytes + name.utf8
  }

  static func decoded(_ bytes: ArraySlice<UInt8>) -> (name: String, LogOptions)? {
    var reader = ByteReader(bytes)
    var options = LogOptions()
    guard
      let segmentBytes = try? reader.int64(),
      let segmentMilliseconds = try? reader.int64(),
      let retentionMilliseconds = try? reader.int64(),
      let retentionBytes = try? reader.int64(),
      let indexIntervalBytes = try? reader.int64(),
      let name = try? reader.string(reader.remaining)
    else { return nil }
    options.segmentBytes = segmentBytes
    options.segmentMilliseconds = segmentMilliseconds
    options.retentionMilliseconds = retentionMilliseconds == .min ? nil : retentionMilliseconds
    options.retentionBytes = retentionBytes == .min ? nil : retentionBytes
    options.indexIntervalBytes = Int(indexIntervalBytes)
    return (name, options)
  }
}
