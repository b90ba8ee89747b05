/// Names that schemas give to what their values mean, where one part writes them and another reads
/// them. Source: Kafka Connect, `org.apache.kafka.connect.data`; Debezium, `io.debezium.time` and
/// `io.debezium.data`.
package enum SchemaName {
  package static let decimal = "org.apache.kafka.connect.data.Decimal"
  package static let connectTimestamp = "org.apache.kafka.connect.data.Timestamp"
  package static let timestamp = "io.debezium.time.Timestamp"
  package static let microTimestamp = "io.debezium.time.MicroTimestamp"
  package static let nanoTimestamp = "io.debezium.time.NanoTimestamp"
  package static let enumeration = "io.debezium.data.Enum"
  package static let json = "io.debezium.data.Json"
  package static let uuid = "io.debezium.data.Uuid"
}
