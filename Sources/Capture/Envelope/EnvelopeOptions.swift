/// How events look. Names and defaults are Debezium's.
package struct EnvelopeOptions: Hashable, Sendable {
  /// `decimal.handling.mode`.
  package enum DecimalMode: String, Sendable, CaseIterable { case precise, double, string }

  /// `time.precision.mode`.
  package enum TimeMode: String, Sendable, CaseIterable {
    case adaptive
    case adaptiveTimeMicroseconds = "adaptive_time_microseconds"
    case connect
    case isostring
    case microseconds
    case nanoseconds
  }

  /// `binary.handling.mode`.
  package enum BinaryMode: String, Sendable, CaseIterable {
    case bytes
    case base64
    case base64URLSafe = "base64-url-safe"
    case hex
  }

  /// `interval.handling.mode`.
  package enum IntervalMode: String, Sendable, CaseIterable { case numeric, string }

  /// `hstore.handling.mode`.
  package enum HstoreMode: String, Sendable, CaseIterable { case json, map }

  /// `event.converting.failure.handling.mode`: what becomes of a value that its form cannot say.
  package enum ConvertingMode: String, Sendable, CaseIterable {
    /// Capture stops.
    case fail
    /// Null, and a line in the log for each column.
    case warn
    /// Null.
    case skip
  }

  /// `topic.prefix`: the `name` in `source` and the first part of schema names.
  package var topicPrefix: String
  /// `key.converter.schemas.enable`, `value.converter.schemas.enable`.
  package var keySchemas = true
  package var valueSchemas = true
  package var decimalMode = DecimalMode.precise
  package var convertingMode = ConvertingMode.warn
  package var timeMode = TimeMode.adaptive
  package var binaryMode = BinaryMode.bytes
  package var intervalMode = IntervalMode.numeric
  package var hstoreMode = HstoreMode.json
  /// `money.fraction.digits`.
  package var moneyFractionDigits = 2
  /// `tombstones.on.delete`.
  package var tombstonesOnDelete = true
  /// `topic.heartbeat.prefix`: what stands before `topicPrefix` in the heartbeats' topic.
  package var heartbeatPrefix = "__debezium-heartbeat"
  /// `topic.transaction`: what stands behind `topicPrefix` in the topic of transactions.
  package var transactionTopic = "transaction"
  /// `unavailable.value.placeholder`.
  package var unavailableValue = "__debezium_unavailable_value"
  /// `source.version`: what readers of the envelope may look at.
  package var version = "3.6.3.Final"
  /// Flat rows instead of envelopes: `ExtractNewRecordState`.
  package var unwrap: UnwrapOptions?

  package init(topicPrefix: String) {
    self.topicPrefix = topicPrefix
  }
}

/// `io.debezium.transforms.ExtractNewRecordState` (`transforms.unwrap.*`).
package struct UnwrapOptions: Hashable, Sendable {
  /// `delete.tombstone.handling.mode`: what a delete and the tombstone behind it become.
  package enum DeleteMode: String, Sendable, CaseIterable {
    /// Neither is written.
    case drop
    /// The delete becomes a tombstone, the one behind it is dropped.
    case tombstone
    /// The row before, `__deleted` true; the tombstone is dropped.
    case rewrite
    case rewriteWithTombstone = "rewrite-with-tombstone"
    /// The delete becomes a tombstone and the tombstone stays away.
    case deleteToTombstone = "delete-to-tombstone"
  }

  package var deleteMode = DeleteMode.tombstone
  /// `add.fields`: `op`, `source.ts_ms`, or a name that is looked for in the envelope, then in
  /// `source`.
  package var addFields: [String] = []
  package var addFieldsPrefix = "__"
  /// `add.headers`.
  package var addHeaders: [String] = []
  package var addHeadersPrefix = "__"

  package init() {}
}
