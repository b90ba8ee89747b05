/// What a topic and a produce request demand of a batch.
package struct ProduceRules: Sendable {
  /// A topic's `compression.type`.
  package enum Compression: Hashable, Sendable {
    /// `producer`: whatever the producer chose.
    case asProduced
    /// This codec at this level, nil for the default. Batches in another are compressed anew.
    case codec(Codec, level: Int?)
  }

  /// Of the Produce request: zstd needs version 7 (KIP-110).
  package var produceVersion: Int16
  /// `max.message.bytes`: the whole batch as it is stored.
  package var batchBytesMax: Int
  /// `segment.bytes`: a batch is never split over two segments.
  package var segmentBytesMax: Int
  /// `cleanup.policy` contains `compact`: every record needs a key.
  package var isCompacted: Bool
  /// `message.timestamp.type`.
  package var timestampType: TimestampType
  /// `message.timestamp.before.max.ms`.
  package var timestampBeforeMaxMilliseconds: Int64
  /// `message.timestamp.after.max.ms`.
  package var timestampAfterMaxMilliseconds: Int64
  /// `compression.type`.
  package var compression: Compression
  /// Bound of the records' size after decompression; Kafka has none.
  package var decompressedBytesMax: Int

  /// Kafka's defaults.
  package init(
    produceVersion: Int16, batchBytesMax: Int = RecordBatchBuilder.bytesMaxDefault,
    segmentBytesMax: Int = 1 << 30, isCompacted: Bool = false,
    timestampType: TimestampType = .createTime,
    timestampBeforeMaxMilliseconds: Int64 = .max,
    timestampAfterMaxMilliseconds: Int64 = 3_600_000,
    compression: Compression = .asProduced,
    decompressedBytesMax: Int = Decompressor.bytesMaxDefault
  ) {
    self.produceVersion = produceVersion
    self.batchBytesMax = batchBytesMax
    self.segmentBytesMax = segmentBytesMax
    self.isCompacted = isCompacted
    self.timestampType = timestampType
    self.timestampBeforeMaxMilliseconds = timestampBeforeMaxMilliseconds
    self.timestampAfterMaxMilliseconds = timestampAfterMaxMilliseconds
    self.compression = compression
    self.decompressedBytesMax = decompressedBytesMax
  }
}

/// Why a produced batch was not taken, in the words that go back to the producer.
package struct ProduceRejection: Error, Hashable, Sendable {
  /// The raw value is Kafka's error code.
  package enum Reason: Int16, CaseIterable, Hashable, Sendable {
    case corruptMessage = 2
    case messageTooLarge = 10
    case recordListTooLarge = 18
    case invalidTimestamp = 32
    case unsupportedCompressionType = 76
    case invalidRecord = 87

    /// Kafka's name of the error.
    package var name: String {
      switch self {
      case .corruptMessage: "CORRUPT_MESSAGE"
      case .messageTooLarge: "MESSAGE_TOO_LARGE"
      case .recordListTooLarge: "RECORD_LIST_TOO_LARGE"
      case .invalidTimestamp: "INVALID_TIMESTAMP"
      case .unsupportedCompressionType: "UNSUPPORTED_COMPRESSION_TYPE"
      case .invalidRecord: "INVALID_RECORD"
      }
    }
  }

  /// One record's fault: what Produce v8 and later answer as RecordErrors (KIP-467).
  package struct RecordFault: Hashable, Sendable {
    /// Of the record in its batch.
    package var index: Int32
    package var message: String
  }

  package var reason: Reason
  package var message: String
  /// The first `recordFaultsMax` of them, in order.
  package var recordFaults: [RecordFault]

  /// A record of seven bytes can have a fault of a hundred; clients report the rest of the batch
  /// as failed anyway.
  package static let recordFaultsMax = 100

  init(_ reason: Reason, _ message: String, recordFaults: [RecordFault] = []) {
    self.reason = reason
    self.message = message
    self.recordFaults = recordFaults
  }

  /// What a producer is told about bytes that are no good batch.
  ///
  /// CORRUPT_MESSAGE makes it send the same bytes again, so it is for damage on the way only. A
  /// malformed record under a good CRC was built that way, and would be again. MESSAGE_TOO_LARGE
  /// makes it split the batch.
  init(_ error: RecordError) {
    let reason: Reason =
      switch error {
      case .truncatedBatch, .batchLengthTooSmall, .crcMismatch: .corruptMessage
      case .decompressedTooLarge, .batchFull: .messageTooLarge
      case .unknownCodec: .unsupportedCompressionType
      case .legacyFormat, .unknownMagic, .bytesAfterBatch, .negativeRecordsCount,
        .malformedRecord, .bytesAfterLastRecord, .corruptCompression, .malformedControlRecord:
        .invalidRecord
      }
    self.init(reason, "\(error)")
  }
}

extension ProduceRejection: CustomStringConvertible {
  package var description: String { "\(reason.name): \(message)" }
}
