/// Kafka's record batch, version 2: the same bytes on disk and on the wire, never re-encoded
/// between the two. Source: KIP-98 and KIP-101, and vectors made by Kafka's own Java classes.
///
/// A batch is 61 bytes of header, big-endian, and a section of records. The section is
/// `recordsCount` records, or one compressed stream of all of them.
///
/// | at | size | field                | set by                                                |
/// |----|------|----------------------|-------------------------------------------------------|
/// | 0  | 8    | baseOffset           | the log, on append                                    |
/// | 8  | 4    | batchLength          | producer: the bytes after this field                  |
/// | 12 | 4    | partitionLeaderEpoch | the log, on append                                    |
/// | 16 | 1    | magic                | 2                                                     |
/// | 17 | 4    | crc                  | CRC-32C of everything from byte 21 to the end         |
/// | 21 | 2    | attributes           | see `BatchAttributes`                                 |
/// | 23 | 4    | lastOffsetDelta      | last offset, and last sequence, less the first        |
/// | 27 | 8    | baseTimestamp        | first record's, or the delete horizon (bit 6)         |
/// | 35 | 8    | maxTimestamp         | largest of the records', or the append time (bit 3)   |
/// | 43 | 8    | producerID           | -1: none                                              |
/// | 51 | 2    | producerEpoch        | -1: none                                              |
/// | 53 | 4    | baseSequence         | -1: none                                              |
/// | 57 | 4    | recordsCount         | may be less than lastOffsetDelta + 1 after compaction |
///
/// A record, all lengths and deltas zigzag varints:
/// ```
/// length | attributes (1 byte, 0) | timestampDelta | offsetDelta | keyLength key |
/// valueLength value | headersCount { keyLength key  valueLength value }...
/// ```
/// A length of -1 means null; a header's key is never null.
///
/// (1) Offset and leader epoch lie outside the CRC: the log sets them without touching the rest.
/// (2) No input traps. Counts and lengths are compared with the bytes that remain before anything
///     is reserved for them, and arithmetic on fields wraps or is checked, never assumed.
/// (3) No declared size, of a stream or of a record, makes memory grow beyond the bound that the
///     caller names.
package enum RecordFormat {
  /// The only magic that is read and written.
  package static let magic: Int8 = 2
  /// `batchLength` counts from here: base offset and the length itself come before it.
  package static let lengthOverhead = 12
  package static let headerSize = 61
  /// The CRC covers the bytes from here to the batch's end.
  package static let crcCoverageStart = Field.attributes
  /// An empty key and a null value, one byte each.
  package static let recordHeaderSizeMin = 2

  /// Where each field of the header starts.
  package enum Field {
    package static let baseOffset = 0
    package static let batchLength = 8
    package static let partitionLeaderEpoch = 12
    package static let magic = 16
    package static let crc = 17
    package static let attributes = 21
    package static let lastOffsetDelta = 23
    package static let baseTimestamp = 27
    package static let maxTimestamp = 35
    package static let producerID = 43
    package static let producerEpoch = 51
    package static let baseSequence = 53
    package static let recordsCount = 57
  }
}

/// Milliseconds since 1970, UTC.
package struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
  package var rawValue: Int64

  @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable package init(_ rawValue: Int64) { self.rawValue = rawValue }

  package static let none = Timestamp(-1)

  @inlinable
  package static func < (a: Timestamp, b: Timestamp) -> Bool { a.rawValue < b.rawValue }

  /// The range of a timestamp is the producer's to choose, so sums stop at the ends of 64 bits.
  package func adding(milliseconds: Int64) -> Timestamp {
    let (sum, overflow) = rawValue.addingReportingOverflow(milliseconds)
    guard overflow else { return Timestamp(sum) }
    return Timestamp(milliseconds < 0 ? .min : .max)
  }
}
