internal import ConnectData

/// The schemas that every connector for Postgres has in common. Source: events recorded from
/// Debezium.
enum EnvelopeSchemas {
  static let source = ConnectSchema(
    .structure([
      .init("version", ConnectSchema(.string)),
      .init("connector", ConnectSchema(.string)),
      .init("name", ConnectSchema(.string)),
      .init("ts_ms", ConnectSchema(.int64)),
      .init(
        "snapshot",
        ConnectSchema(
          .string, isOptional: true, name: SchemaName.enumeration, version: 1,
          parameters: [
            .init(
              "allowed",
              "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental")
          ], defaultValue: Array("\"false\"".utf8))),
      .init("db", ConnectSchema(.string)),
      .init("sequence", ConnectSchema(.string, isOptional: true)),
      .init("ts_us", ConnectSchema(.int64, isOptional: true)),
      .init("ts_ns", ConnectSchema(.int64, isOptional: true)),
      .init("schema", ConnectSchema(.string)),
      .init("table", ConnectSchema(.string)),
      .init("txId", ConnectSchema(.int64, isOptional: true)),
      .init("lsn", ConnectSchema(.int64, isOptional: true)),
      .init("xmin", ConnectSchema(.int64, isOptional: true)),
      .init("origin", ConnectSchema(.string, isOptional: true)),
      .init("origin_lsn", ConnectSchema(.int64, isOptional: true)),
    ]), name: "io.debezium.connector.postgresql.Source", version: 1)

  static let transaction = ConnectSchema(
    .structure([
      .init("id", ConnectSchema(.string)),
      .init("total_order", ConnectSchema(.int64)),
      .init("data_collection_order", ConnectSchema(.int64)),
    ]), isOptional: true, name: "event.block", version: 1)

  static func envelope(_ row: ConnectSchema, name: String) -> ConnectSchema {
    ConnectSchema(
      .structure([
        .init("before", row),
        .init("after", row),
        .init("source", source),
        .init("transaction", transaction),
        .init("op", ConnectSchema(.string)),
        .init("ts_ms", ConnectSchema(.int64, isOptional: true)),
        .init("ts_us", ConnectSchema(.int64, isOptional: true)),
        .init("ts_ns", ConnectSchema(.int64, isOptional: true)),
      ]), name: name, version: 2)
  }

  static let messageKey = ConnectSchema(
    .structure([.init("prefix", ConnectSchema(.string, isOptional: true))]),
    name: "io.debezium.connector.postgresql.MessageKey", version: 1)

  static let messageValue = ConnectSchema(
    .structure([
      .init("op", ConnectSchema(.string)),
      .init("ts_ms", ConnectSchema(.int64, isOptional: true)),
      .init("source", source),
      .init("transaction", transaction),
      .init(
        "message",
        ConnectSchema(
          .structure([
            .init("prefix", ConnectSchema(.string, isOptional: true)),
            .init("content", ConnectSchema(.bytes, isOptional: true)),
          ]), name: "io.debezium.connector.postgresql.Message", version: 1)),
    ]), name: "io.debezium.connector.postgresql.MessageValue", version: 1)

  static let transactionKey = ConnectSchema(
    .structure([.init("id", ConnectSchema(.string))]),
    name: "io.debezium.connector.common.TransactionMetadataKey", version: 1)

  static let transactionValue = ConnectSchema(
    .structure([
      .init("status", ConnectSchema(.string)),
      .init("id", ConnectSchema(.string)),
      .init("event_count", ConnectSchema(.int64, isOptional: true)),
      .init(
        "data_collections",
        ConnectSchema(
          .array(
            ConnectSchema(
              .structure([
                .init("data_collection", ConnectSchema(.string)),
                .init("event_count", ConnectSchema(.int64)),
              ]), isOptional: true, name: "event.collection", version: 1)), isOptional: true)),
      .init("ts_ms", ConnectSchema(.int64)),
    ]), name: "io.debezium.connector.common.TransactionMetadataValue", version: 1)

  static let heartbeatKey = ConnectSchema(
    .structure([.init("serverName", ConnectSchema(.string))]),
    name: "io.debezium.connector.common.ServerNameKey", version: 1)

  static let heartbeatValue = ConnectSchema(
    .structure([.init("ts_ms", ConnectSchema(.int64))]),
    name: "io.debezium.connector.common.Heartbeat", version: 1)
}
