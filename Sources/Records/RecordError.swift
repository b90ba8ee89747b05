/// What is wrong with a record batch. Positions of records count from the start of the record
/// section after decompression; all others from the start of the batch.
package enum RecordError: Error, Equatable, Sendable {
  /// The input ends inside a batch.
  case truncatedBatch(size: Int, needed: Int)
  /// Message format 0 or 1, last written by Kafka 0.10.
  case legacyFormat(magic: Int8)
  case unknownMagic(Int8)
  /// The length field leaves no room for the header.
  case batchLengthTooSmall(Int32)
  /// Bytes follow where exactly one batch was to be.
  case bytesAfterBatch(at: Int, count: Int)
  case crcMismatch(stored: UInt32, computed: UInt32)
  case unknownCodec(id: UInt8)
  case negativeRecordsCount(Int32)
  case malformedRecord(index: Int, at: Int, RecordFault)
  /// The section goes on after the last of the records that the header counts.
  case bytesAfterLastRecord(at: Int, count: Int)
  case corruptCompression(Codec, CompressionFault)
  case decompressedTooLarge(Codec, bytesMax: Int)
  /// A control record's key or value is shorter than its layout, or of a negative version.
  case malformedControlRecord
  /// The builder's limit; nothing was appended.
  case batchFull(size: Int, bytesMax: Int)
}

/// What is wrong with one record.
package enum RecordFault: Equatable, Sendable {
  case truncated
  case varintTooLong
  case negativeLength(Int)
  case negativeHeadersCount(Int)
  case headersCountExceedsRecord(Int)
  /// The fields end before the record does.
  case unusedBytes(Int)
  case offsetDeltaOutOfRange(Int32, lastOffsetDelta: Int32)
}

/// What is wrong with a compressed stream.
package enum CompressionFault: Equatable, Sendable {
  case truncated
  case invalid
  /// Bytes follow the end of the stream.
  case trailingBytes
  /// LZ4 blocks that refer to each other.
  case linkedBlocks
}

extension RecordError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .truncatedBatch(let size, let needed):
      "the record batch ends after \(size) bytes, where \(needed) are needed; send it whole"
    case .legacyFormat(let magic):
      """
      the messages are in the old format \(magic); only message format v2 is supported, so use a \
      client that produces with Produce v3 or later (Kafka 0.11 or later)
      """
    case .unknownMagic(let magic):
      "record batch magic \(magic) is not known; only message format v2 (magic 2) is supported"
    case .batchLengthTooSmall(let length):
      """
      record batch length \(length) is less than the \
      \(RecordFormat.headerSize - RecordFormat.lengthOverhead) bytes its header needs; the bytes \
      are no record batch, or damaged
      """
    case .bytesAfterBatch(let at, let count):
      "\(count) bytes follow the record batch at byte \(at); send exactly one batch per partition"
    case .crcMismatch(let stored, let computed):
      """
      the record batch says its CRC-32C is \(stored) and its bytes give \(computed); the batch was \
      damaged on its way or on disk, send or fetch it again
      """
    case .unknownCodec(let id):
      "compression codec \(id) is not known; use gzip, snappy, lz4, zstd or none"
    case .negativeRecordsCount(let count):
      "records count \(count) is negative; the batch was built wrongly, check the client"
    case .malformedRecord(let index, let at, let fault):
      "record \(index) is malformed at byte \(at): \(fault); check the client that built the batch"
    case .bytesAfterLastRecord(let at, let count):
      """
      \(count) bytes follow the last record of the batch at byte \(at); the records count is too \
      small, check the client that built the batch
      """
    case .corruptCompression(let codec, let fault):
      "the \(codec.name) data of the record batch cannot be read: \(fault)"
    case .decompressedTooLarge(let codec, let bytesMax):
      """
      the \(codec.name) data of the record batch is larger than \(bytesMax) bytes when \
      decompressed; send smaller batches
      """
    case .malformedControlRecord:
      "the control record is shorter than its layout or of an unknown version; the batch is damaged"
    case .batchFull(let size, let bytesMax):
      "the record would make the batch \(size) bytes, over its limit of \(bytesMax); start another"
    }
  }
}

extension RecordFault: CustomStringConvertible {
  package var description: String {
    switch self {
    case .truncated: "it runs past the end of its bytes"
    case .varintTooLong: "a varint is longer than its type allows"
    case .negativeLength(let length): "length \(length) is negative"
    case .negativeHeadersCount(let count): "headers count \(count) is negative"
    case .headersCountExceedsRecord(let count):
      "headers count \(count) is more than the rest of the record can hold"
    case .unusedBytes(let count): "\(count) bytes are left after its last field"
    case .offsetDeltaOutOfRange(let delta, let last):
      "offset delta \(delta) is outside 0...\(last)"
    }
  }
}

extension CompressionFault: CustomStringConvertible {
  package var description: String {
    switch self {
    case .truncated: "the stream is cut short; check the client that compressed it"
    case .invalid: "the stream is invalid; check the client that compressed it"
    case .trailingBytes: "bytes follow the end of the stream; send one stream per batch"
    case .linkedBlocks:
      "its blocks are linked, which Kafka's clients cannot read; compress independent blocks"
    }
  }
}
