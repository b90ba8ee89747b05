import Capture
import Foundation
import Testing

/// The recorded rows again, from a real Postgres: the SQL of the recording, the catalogue read by
/// our own queries, rows by COPY and by the slot.
@Suite struct `Rows of a real Postgres` {
  @Test(.enabled(if: PostgresCluster.isInstalled))
  func `a row is the same event read from a table, streamed, and as recorded`() throws {
    let cluster = try PostgresCluster()
    defer { cluster.stop() }
    try cluster.psql("CREATE DATABASE evt")
    func sql(_ text: String, _ variables: [String: String] = [:]) throws -> String {
      try cluster.psql(text, database: "evt", variables: variables)
    }
    try _ = sql(RecordedEvents.text("debezium-events/schema.sql"))
    try _ = sql("CREATE PUBLICATION p FOR ALL TABLES")
    try _ = sql("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    try _ = sql(RecordedEvents.text("debezium-events/row.sql"), ["id": "1"])
    try _ = sql(RecordedEvents.text("debezium-events/specials.sql"), ["id": "2"])

    let catalog = try TypeCatalog(
      rows: RecordedEvents.strings(sql("COPY (\(TypeCatalog.query)) TO STDOUT")))
    let query = TableSchema.query(where: "n.nspname = 'inv' AND c.relname = 'alltypes'")
    let tables = try TableSchema.tables(
      rows: RecordedEvents.strings(sql("COPY (\(query)) TO STDOUT")))
    let table = try #require(tables.first).withoutGeneratedColumns()
    #expect(table.columns.count == tables[0].columns.count - 1)

    let list = table.columns.map { "\"\($0.name)\"" }.joined(separator: ",")
    let read = try RecordedEvents.rows(
      sql("COPY (SELECT \(list) FROM inv.alltypes ORDER BY id) TO STDOUT"))
    let (relation, streamed) = try stream(
      sql(
        "SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, "
          + "'proto_version', '1', 'publication_names', 'p')"))
    #expect(streamed.count == 2)
    let announced = TableSchema(relation: relation, catalogue: table)
    #expect(announced == table)

    var options = EnvelopeOptions(topicPrefix: "pg")
    options.keySchemas = false
    options.valueSchemas = false
    var encoder = EventEncoder(options: options, catalog: catalog)
    let recorded = try recordedRows()
    for (index, row) in read.enumerated() {
      let fromCopy = try after(&encoder, .read(row), table)
      #expect(try after(&encoder, .create(streamed[index]), announced) == fromCopy)
      try expect(fromCopy, equals: recorded[index])
    }
  }

  private func after(
    _ encoder: inout EventEncoder, _ change: Change, _ table: TableSchema
  ) throws -> JSONValue {
    let event = try encoder.events(
      for: change, of: table, source: SourceInfo(database: "evt", time: 0), now: 0)[0]
    return try JSONValue(try #require(event.value))["after"]
  }

  private func stream(_ hex: String) throws -> (RelationMessage, [[TupleColumn]]) {
    var decoder = PgOutputDecoder(protocolVersion: 1)
    var relation: RelationMessage?
    var rows: [[TupleColumn]] = []
    for line in hex.split(separator: "\n") {
      let bytes = try RecordedEvents.bytes(hex: line)
      switch try decoder.decode(bytes[...]) {
      case .relation(let message): relation = message
      case .insert(_, _, let row): rows.append(row)
      default: break
      }
    }
    return (try #require(relation), rows)
  }

  /// Rows 1 and 2 as Debezium read them.
  private func recordedRows() throws -> [JSONValue] {
    try RecordedEvents.events("all-schemaless.ndjson").filter { $0.topic == "pg.inv.alltypes" }
      .map { try $0.payload }.filter { $0["op"] == .string("r") }.prefix(2).map { $0["after"] }
  }

  private func expect(_ row: JSONValue, equals recorded: JSONValue) throws {
    // What `ValueKind` says is different on purpose, and the time of the insertion.
    let differing: Set<String> = ["c_date", "c_2d", "c_tstz_def", "c_gen"]
    for (name, value) in recorded.members where !differing.contains(name) {
      #expect(row[name] == value, "\(name)")
    }
    #expect(
      row["c_date"] == (row["id"] == .number("1") ? recorded["c_date"] : .number("2147483647")))
  }
}
