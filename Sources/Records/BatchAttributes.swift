/// Who gave the records of a batch their timestamps.
package enum TimestampType: Hashable, Sendable {
  /// The producer, record by record.
  case createTime
  /// The broker, one for the whole batch: its `maxTimestamp`.
  case logAppendTime
}

/// The 16 attribute bits of a batch.
///
/// | bits | meaning                                                            |
/// |------|--------------------------------------------------------------------|
/// | 0-2  | codec                                                              |
/// | 3    | timestamps are the log's append time                               |
/// | 4    | part of a transaction                                              |
/// | 5    | control batch: never handed to a consumer                          |
/// | 6    | baseTimestamp is a delete horizon (set by compaction only)         |
/// | 7-15 | unused; kept as they came                                          |
package struct BatchAttributes: OptionSet, Hashable, Sendable {
  package var rawValue: UInt16

  package init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  package init(codec: Codec) {
    rawValue = UInt16(codec.rawValue)
  }

  package static let logAppendTime = BatchAttributes(rawValue: 1 << 3)
  package static let transactional = BatchAttributes(rawValue: 1 << 4)
  package static let control = BatchAttributes(rawValue: 1 << 5)
  package static let deleteHorizon = BatchAttributes(rawValue: 1 << 6)

  private static let codecMask: UInt16 = 0b111

  /// The codec's number, which may be one that no codec has.
  package var codecID: UInt8 { UInt8(truncatingIfNeeded: rawValue & Self.codecMask) }

  /// The codec of the record section.
  package var codec: Codec {
    get throws(RecordError) {
      guard let codec = Codec(rawValue: codecID) else { throw .unknownCodec(id: codecID) }
      return codec
    }
  }

  package var timestampType: TimestampType {
    get { contains(.logAppendTime) ? .logAppendTime : .createTime }
    set {
      switch newValue {
      case .createTime: remove(.logAppendTime)
      case .logAppendTime: insert(.logAppendTime)
      }
    }
  }

  package var isTransactional: Bool { contains(.transactional) }
  package var isControl: Bool { contains(.control) }
  package var hasDeleteHorizon: Bool { contains(.deleteHorizon) }

  /// The same attributes with another codec.
  package func with(_ codec: Codec) -> BatchAttributes {
    BatchAttributes(rawValue: rawValue & ~Self.codecMask | UInt16(codec.rawValue))
  }
}
