internal import Bytes
internal import Platform

// The journal on disk.
//
// A store has a few preallocated files `journal/0`, `journal/1`, … that are used in turn and then
// used again. A file is a header block followed by groups; a group is what one flush made durable.
// Everything is big-endian. A group starts at a multiple of the block size, so that direct I/O can
// write it and a reader can find the next one behind a damaged one.
//
//   file header                        group header (64 bytes)          frame header (32 bytes)
//   0  u32 magic "MJNL"                0  u32 magic "MGRP"              0  u32 payload length
//   4  u32 CRC of bytes 8..<48         4  u32 CRC of bytes 8..<64       4  u32 CRC of the rest
//   8  u64 store                       8  u64 generation                8  u64 log
//   16 u64 generation                  16 u64 number                    16 u8  kind, 3 zeros
//   24 u64 first group's number        24 u64 durable through           20 i32 epoch
//   32 u32 CRC of the group before     32 u32 CRC of the group before   24 u32 payload's CRC
//   36 u32 version                     36 u32 digest of the frames      28 u32 uncommitted + 1
//   40 u64 zero                        40 u32 length of the frames      32 payload, padded to 8
//                                      44 u32 count of the frames
//                                      48 u64 store, u64 zero
//
// (1) Every CRC is salted with the file's generation, and a file that is used again gets a higher
//     one: what an earlier use left behind never validates.
// (2) A group's CRC is that of its header, which holds the digest (the CRC of the CRCs of all its
//     frames). A group is whole if its header and every frame are.
// (3) `durable through` is the highest group whose flush had returned when this one was written.
//     It vouches: a group at or below it that is not whole was damaged after it was durable.
// (4) The file header seals the file before it: what follows there after group `first - 1` is dead,
//     whole or not.
// (5) A frame's header has a CRC of its own, so that a damaged payload names the log it belongs to.
// (6) A frame says by the way how many records of its log were not committed before it, so that a
//     crash puts less in doubt than what was committed since the last checkpoint.

/// What a frame orders.
enum FrameKind: UInt8, Sendable {
  /// Record batches at the end of the log. Payload: the batches as they are stored.
  case append = 1
  /// Everything at and after (epoch, offset) is gone. Payload: Int64 offset.
  case truncate = 2
  /// A leader begins its epoch. Payload: Int64 offset, the log's end.
  case epochStart = 3
  /// A vote. Payload: Int32 candidate; the frame's epoch is the voter's term.
  case vote = 4
  /// Records below the offset are gone. Payload: Int64 offset.
  case logStart = 5
  /// The log exists from here on. The frame's epoch is that of its vote. Payload: see
  /// `Log.encodedCreation`.
  case create = 6
  /// The log is gone.
  case delete = 7
  /// The log is kept differently from here on. Payload: its options and its name (see
  /// `LogOptions.encoded`).
  case configure = 8
  /// A file of the journal is there from here on. Payload: Int64 slot; the log is 0. If the file is
  /// gone or shorter later, it was damaged.
  case journalFile = 9
  /// All records are gone, and the log goes on elsewhere. Payload: see `LogReset`; the frame's
  /// epoch is the position's.
  case reset = 10
  /// The log is gone, and its files are kept for whoever wants to look.
  case setAside = 11
}

enum JournalFormat {
  static let version: UInt32 = 2
  static let fileMagic: UInt32 = 0x4d4a_4e4c
  static let groupMagic: UInt32 = 0x4d47_5250
  static let fileHeaderBytes = 48
  static let groupHeaderBytes = 64
  static let frameHeaderBytes = 32

  static func padded(_ payload: Int) -> Int { (payload + 7) & ~7 }

  /// Bytes a frame takes in its group.
  static func frameBytes(payload: Int) -> Int { frameHeaderBytes + padded(payload) }
}

/// The beginning of a journal file.
struct JournalFileHeader: Equatable {
  var store: UInt64
  var generation: UInt64
  var firstGroup: UInt64
  var previousCRC: UInt32

  func write(to memory: UnsafeMutableRawBufferPointer) {
    var writer = unsafe ByteWriter(memory)
    unsafe writer.integer(JournalFormat.fileMagic)
    unsafe writer.integer(UInt32(0))
    unsafe writer.integer(store)
    unsafe writer.integer(generation)
    unsafe writer.integer(firstGroup)
    unsafe writer.integer(previousCRC)
    unsafe writer.integer(JournalFormat.version)
    unsafe writer.integer(UInt64(0))
    let crc = unsafe Self.crc(UnsafeRawBufferPointer(memory), generation)
    unsafe memory.storeBytes(of: crc.bigEndian, toByteOffset: 4, as: UInt32.self)
  }

  /// Nil if the bytes are no header of this store, for whatever reason.
  init?(reading bytes: ArraySlice<UInt8>, store: UInt64) {
    var reader = ByteReader(bytes)
    guard
      let magic = try? reader.uint32(), magic == JournalFormat.fileMagic,
      let crc = try? reader.uint32(),
      let storeRead = try? reader.uint64(), storeRead == store,
      let generation = try? reader.uint64(),
      let firstGroup = try? reader.uint64(),
      let previousCRC = try? reader.uint32(),
      let version = try? reader.uint32(), version == JournalFormat.version,
      bytes.count >= JournalFormat.fileHeaderBytes,
      unsafe crc == bytes.withUnsafeBytes({ unsafe Self.crc($0, generation) })
    else { return nil }
    self.init(
      store: store, generation: generation, firstGroup: firstGroup, previousCRC: previousCRC)
  }

  init(store: UInt64, generation: UInt64, firstGroup: UInt64, previousCRC: UInt32) {
    self.store = store
    self.generation = generation
    self.firstGroup = firstGroup
    self.previousCRC = previousCRC
  }

  private static func crc(_ bytes: UnsafeRawBufferPointer, _ generation: UInt64) -> UInt32 {
    var crc = CRC32C()
    crc.update(generation)
    unsafe crc.update(
      UnsafeRawBufferPointer(rebasing: bytes[8..<JournalFormat.fileHeaderBytes]))
    return crc.value
  }
}

/// The beginning of a group.
struct GroupHeader: Equatable {
  var store: UInt64
  var generation: UInt64
  var number: UInt64
  var durableThrough: UInt64
  var previousCRC: UInt32
  var digest: UInt32
  var length: Int
  var frames: Int

  /// Writes the header and returns its CRC.
  func write(to memory: UnsafeMutableRawBufferPointer) -> UInt32 {
    var writer = unsafe ByteWriter(memory)
    unsafe writer.integer(JournalFormat.groupMagic)
    unsafe writer.integer(UInt32(0))
    unsafe writer.integer(generation)
    unsafe writer.integer(number)
    unsafe writer.integer(durableThrough)
    unsafe writer.integer(previousCRC)
    unsafe writer.integer(digest)
    unsafe writer.integer(UInt32(length))
    unsafe writer.integer(UInt32(frames))
    unsafe writer.integer(store)
    unsafe writer.integer(UInt64(0))
    let crc = unsafe Self.crc(UnsafeRawBufferPointer(memory), generation)
    unsafe memory.storeBytes(of: crc.bigEndian, toByteOffset: 4, as: UInt32.self)
    return crc
  }

  /// Nil if there is no whole group header of this store here. With it comes its CRC.
  static func read(_ bytes: ArraySlice<UInt8>, store: UInt64) -> (GroupHeader, crc: UInt32)? {
    guard bytes.count >= JournalFormat.groupHeaderBytes else { return nil }
    var reader = ByteReader(bytes)
    guard
      let magic = try? reader.uint32(), magic == JournalFormat.groupMagic,
      let crc = try? reader.uint32(),
      let generation = try? reader.uint64(),
      let number = try? reader.uint64(),
      let durableThrough = try? reader.uint64(),
      let previousCRC = try? reader.uint32(),
      let digest = try? reader.uint32(),
      let length = try? reader.uint32(),
      let frames = try? reader.uint32(),
      let storeRead = try? reader.uint64(), storeRead == store,
      unsafe crc == bytes.withUnsafeBytes({ unsafe Self.crc($0, generation) })
    else { return nil }
    let header = GroupHeader(
      store: store, generation: generation, number: number, durableThrough: durableThrough,
      previousCRC: previousCRC, digest: digest, length: Int(length), frames: Int(frames))
    return (header, crc)
  }

  private static func crc(_ bytes: UnsafeRawBufferPointer, _ generation: UInt64) -> UInt32 {
    var crc = CRC32C()
    crc.update(generation)
    unsafe crc.update(
      UnsafeRawBufferPointer(rebasing: bytes[8..<JournalFormat.groupHeaderBytes]))
    return crc.value
  }
}

/// The beginning of a frame.
struct FrameHeader: Equatable {
  var log: LogID
  var kind: FrameKind
  var epoch: LeaderEpoch
  var length: Int
  var payloadCRC: UInt32
  /// Records of the log above its high watermark before the frame; nil if that is not said.
  var uncommitted: UInt32?

  /// Writes the header and returns its CRC, which covers the payload's.
  func write(to memory: UnsafeMutableRawBufferPointer, generation: UInt64) -> UInt32 {
    var writer = unsafe ByteWriter(memory)
    unsafe writer.integer(UInt32(length))
    unsafe writer.integer(UInt32(0))
    unsafe writer.integer(log.rawValue)
    unsafe writer.integer(kind.rawValue)
    unsafe writer.integer(UInt8(0))
    unsafe writer.integer(UInt16(0))
    unsafe writer.integer(epoch.rawValue)
    unsafe writer.integer(payloadCRC)
    unsafe writer.integer(uncommitted.map { $0 + 1 } ?? 0)
    let crc = unsafe Self.crc(UnsafeRawBufferPointer(memory), generation)
    unsafe memory.storeBytes(of: crc.bigEndian, toByteOffset: 4, as: UInt32.self)
    return crc
  }

  /// Nil if there is no whole frame header of this generation here.
  static func read(
    _ bytes: ArraySlice<UInt8>, generation: UInt64
  ) -> (FrameHeader, crc: UInt32)? {
    guard bytes.count >= JournalFormat.frameHeaderBytes else { return nil }
    var reader = ByteReader(bytes)
    guard
      let length = try? reader.uint32(),
      let crc = try? reader.uint32(),
      let log = try? reader.uint64(),
      let kind = try? reader.uint8(), let kind = FrameKind(rawValue: kind),
      (try? reader.skip(3)) != nil,
      let epoch = try? reader.int32(),
      let payloadCRC = try? reader.uint32(),
      let uncommitted = try? reader.uint32(),
      unsafe crc == bytes.withUnsafeBytes({ unsafe Self.crc($0, generation) })
    else { return nil }
    let header = FrameHeader(
      log: LogID(log), kind: kind, epoch: LeaderEpoch(epoch), length: Int(length),
      payloadCRC: payloadCRC, uncommitted: uncommitted > 0 ? uncommitted - 1 : nil)
    return (header, crc)
  }

  static func payloadCRC(_ payload: UnsafeRawBufferPointer, generation: UInt64) -> UInt32 {
    var crc = CRC32C()
    crc.update(generation)
    unsafe crc.update(payload)
    return crc.value
  }

  private static func crc(_ bytes: UnsafeRawBufferPointer, _ generation: UInt64) -> UInt32 {
    var crc = CRC32C()
    crc.update(generation)
    unsafe crc.update(UnsafeRawBufferPointer(rebasing: bytes[0..<4]))
    unsafe crc.update(
      UnsafeRawBufferPointer(rebasing: bytes[8..<JournalFormat.frameHeaderBytes]))
    return crc.value
  }
}
