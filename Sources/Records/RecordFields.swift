package import Bytes

/// Where one record's fields lie in its section: positions, nothing held. This is what walking a
/// batch yields, because a value that owns no storage costs no reference counting per record.
package struct RecordFields: Hashable, Sendable {
  /// Milliseconds after the batch's base timestamp.
  package let timestampDelta: Int64
  /// In `0...lastOffsetDelta`.
  package let offsetDelta: Int32
  let headersCount: Int32
  private let keyStart: Int
  private let keyLength: Int
  private let valueStart: Int
  private let valueLength: Int
  let headersStart: Int
  /// One past the record's last byte.
  package let end: Int

  /// A length of -1 is null, as on the wire.
  @inline(__always)
  init(
    timestampDelta: Int64, offsetDelta: Int32, key: (start: Int, length: Int),
    value: (start: Int, length: Int), headersStart: Int, headersCount: Int32, end: Int
  ) {
    self.timestampDelta = timestampDelta
    self.offsetDelta = offsetDelta
    (keyStart, keyLength) = key
    (valueStart, valueLength) = value
    self.headersStart = headersStart
    self.headersCount = headersCount
    self.end = end
  }

  package var hasKey: Bool { keyLength >= 0 }

  /// Nil is a null key.
  package var key: Range<Int>? { keyLength < 0 ? nil : keyStart..<keyStart + keyLength }

  /// Nil is a null value.
  package var value: Range<Int>? { valueLength < 0 ? nil : valueStart..<valueStart + valueLength }
}

/// Whether a walk goes on after a record.
package enum RecordVisit: Sendable {
  case next
  case stop
}

extension RecordBatchHeader {
  package func offset(of record: RecordFields) -> Offset {
    Offset(baseOffset.rawValue &+ Int64(record.offsetDelta))
  }

  package func timestamp(of record: RecordFields) -> Timestamp {
    switch attributes.timestampType {
    case .createTime: Timestamp(baseTimestamp.rawValue &+ record.timestampDelta)
    case .logAppendTime: maxTimestamp
    }
  }
}
