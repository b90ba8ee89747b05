import Capture
import Postgres
import Testing

@Suite struct `A connector's configuration` {
  private static let least = [
    "name": "c", "topic.prefix": "p", "database.user": "u", "database.dbname": "d",
  ]

  private func config(_ more: [String: String] = [:]) throws(CaptureConfigError) -> CaptureConfig {
    try CaptureConfig(properties: Self.least.merging(more) { $1 })
  }

  private static let storeA = """
    {"name": "ecommerce-postgres-connector", "config": {
      "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
      "database.hostname": "postgres", "database.port": "5432",
      "database.user": "debezium_user", "database.password": "debezium_password",
      "database.dbname": "ecommerce", "database.server.name": "ecommerce-db",
      "table.include.list": "public.users,public.orders,public.order_items,public.products",
      "plugin.name": "pgoutput", "slot.name": "debezium_slot",
      "publication.name": "debezium_publication", "transforms": "route,unwrap",
      "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
      "transforms.route.regex": "([^.]+)\\\\.([^.]+)\\\\.([^.]+)",
      "transforms.route.replacement": "$3",
      "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
      "transforms.unwrap.drop.tombstones": "false",
      "key.converter": "io.confluent.connect.avro.AvroConverter",
      "value.converter": "io.confluent.connect.avro.AvroConverter",
      "key.converter.schema.registry.url": "http://schema-registry:8081",
      "value.converter.schema.registry.url": "http://schema-registry:8081"}}
    """

  @Test func `of an existing project is taken as it is, with notes`() throws {
    let config = try ConnectorFile.parse(Self.storeA)
    #expect(config.name == "ecommerce-postgres-connector")
    #expect(config.topicPrefix == "ecommerce-db")
    #expect(config.slotName == "debezium_slot")
    #expect(config.envelope.unwrap?.deleteMode == .tombstone)
    #expect(config.topic(schema: "public", table: "orders") == "orders")
    #expect(config.tables.wants(schema: "public", table: "Orders"))
    #expect(!config.tables.wants(schema: "public", table: "orders2"))
    #expect(config.notes.contains { $0.contains("Avro") })
    #expect(config.notes.contains { $0.contains("topic.prefix") })
    #expect(!config.notes.contains { $0.contains("not known") })
  }

  @Test(arguments: ["/", "/nowhere/at/all.json"])
  func `that is no file is an error that says so`(path: String) {
    let error = #expect(throws: CaptureConfigError.self) { try ConnectorFile.read(path: path) }
    let reason = path == "/" ? "Is a directory" : "No such file or directory"
    #expect(error?.description == "\(path) cannot be read: \(reason).")
  }

  @Test func `names columns with their tables, by one list`() throws {
    let config = try config(["column.include.list": "public.a.id, PUBLIC.A.n.*"])
    #expect(config.columns.wants("public.a.name"))
    #expect(!config.columns.wants("public.a.other"))
    #expect(config.columns.missing(from: ["public.a.id"]) == ["PUBLIC.A.n.*"])
    #expect(throws: CaptureConfigError.self) {
      try self.config(["column.include.list": "a", "column.exclude.list": "b"])
    }
  }

  @Test func `asks for records beside those of tables`() throws {
    #expect(try config().heartbeat.intervalMilliseconds == 0)
    #expect(try !config().providesTransactions)
    let config = try config([
      "heartbeat.interval.ms": "3000", "heartbeat.action.query": "UPDATE h SET n = n + 1",
      "topic.heartbeat.prefix": "__hb", "provide.transaction.metadata": "true",
      "topic.transaction": "tx", "message.prefix.include.list": "outbox,a.*",
      "transforms": "r", "transforms.r.type": "org.apache.kafka.connect.transforms.RegexRouter",
      "transforms.r.regex": "p\\.(.*)", "transforms.r.replacement": "moved.$1",
    ])
    #expect(config.notes == [])
    #expect(config.heartbeat.intervalMilliseconds == 3000)
    #expect(config.heartbeat.query == "UPDATE h SET n = n + 1")
    #expect(config.messages.wants("OUTBOX") && config.messages.wants("abc"))
    #expect(!config.messages.wants("other"))
    let metadata = MetadataEncoder(options: config.envelope)
    #expect(config.topic(metadata.heartbeatTopic) == "__hb.p")
    // Whatever renames topics renames these.
    #expect(config.topic(metadata.transactionTopic) == "moved.tx")
    #expect(config.topic(metadata.messageTopic) == "moved.message")
  }

  @Test func `never shows its password`() throws {
    let config = try config(["database.password": "s3cret"])
    #expect(!"\(config.address)".contains("s3cret"))
    #expect(!config.notes.contains { $0.contains("s3cret") })
  }

  @Test func `that nobody knows is reported`() throws {
    let notes = try config(["table.includ.list": "x"]).notes
    #expect(notes == ["table.includ.list is not known and has no effect."])
  }

  @Test(arguments: [
    ("post.processors", "reselector"), ("message.key.columns", "a:b"),
    ("column.mask.with.10.chars", "x"), ("snapshot.mode", "when_needed"),
    ("plugin.name", "wal2json"), ("slot.name", "Upper"), ("decimal.handling.mode", "exact"),
    ("table.include.list", "public.(x"), ("skipped.operations", "x"),
    ("tombstones.on.delete", "yes"), ("transforms", "other"),
    ("value.converter", "io.confluent.connect.protobuf.ProtobufConverter"),
    ("heartbeat.interval.ms", "-1"), ("snapshot.max.threads", "0"),
  ])
  func `that cannot be followed is refused`(name: String, value: String) {
    #expect(throws: CaptureConfigError.self) { _ = try config([name: value]) }
  }

  @Test(arguments: ["name", "topic.prefix", "database.user", "database.dbname"])
  func `needs these`(name: String) {
    var properties = Self.least
    properties[name] = nil
    let error = #expect(throws: CaptureConfigError.self) {
      _ = try CaptureConfig(properties: properties)
    }
    #expect(error?.description.contains(name) == true)
  }

  @Test func `may be Java properties`() throws {
    let config = try ConnectorFile.parse(
      """
      # a comment
      name=shop
      topic.prefix = shop
      database.user: u
      database.dbname=d
      table.include.list=public\\\\.a.*,\\
          public.b
      """)
    #expect(config.tables.wants(schema: "public", table: "abc"))
    #expect(config.tables.wants(schema: "public", table: "b"))
    #expect(!config.tables.wants(schema: "public", table: "c"))
  }

  @Test func `chooses tables by whole names, without regard to case`() throws {
    let filter = try config(["table.exclude.list": "public\\.secret.*"]).tables
    #expect(!filter.wants(schema: "public", table: "Secrets"))
    #expect(filter.wants(schema: "public", table: "notsecret"))
    #expect(!filter.wants(schema: "pg_catalog", table: "pg_class"))
    let schemas = try config(["schema.include.list": "inv"]).tables
    #expect(schemas.wants(schema: "inv", table: "x"))
    #expect(!schemas.wants(schema: "inv2", table: "x"))
  }

  @Test func `routes topics one after another`() throws {
    let config = try config([
      "transforms": "a, b",
      "transforms.a.type": "org.apache.kafka.connect.transforms.RegexRouter",
      "transforms.a.regex": "p\\.(.*)", "transforms.a.replacement": "x.$1",
      "transforms.b.type": "org.apache.kafka.connect.transforms.RegexRouter",
      "transforms.b.regex": "x\\.public\\.(.*)", "transforms.b.replacement": "$1-topic",
    ])
    #expect(config.topic(schema: "public", table: "orders") == "orders-topic")
    #expect(config.topic(schema: "inv", table: "a b") == "x.inv.a_b")
  }

  @Test(arguments: [
    ("drop", "true", UnwrapOptions.DeleteMode.drop), ("drop", "false", .tombstone),
    ("rewrite", "true", .rewrite), ("rewrite", "false", .rewriteWithTombstone),
  ])
  func `understands the old names of how deletes are unwrapped`(
    handling: String, drops: String, mode: UnwrapOptions.DeleteMode
  ) throws {
    let config = try config([
      "transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
      "transforms.u.delete.handling.mode": handling, "transforms.u.drop.tombstones": drops,
    ])
    #expect(config.envelope.unwrap?.deleteMode == mode)
  }
}

@Suite struct `What is said to Postgres` {
  @Test func `names and literals are quoted`() {
    #expect(SQL.name("a\"b") == "\"a\"\"b\"")
    #expect(SQL.literal("it's") == "'it''s'")
    #expect(SQL.literal("a\\b'") == " E'a\\\\b'''")
  }

  @Test func `errors say whether trying again helps`() {
    let password = PostgresError(
      connecting: "connection to server failed: FATAL:  28P01: password authentication failed")
    #expect(!password.isRetriable && password.sqlState == "28P01")
    let starting = PostgresError(
      connecting: "FATAL:  57P03: the database system is starting up\nLOCATION:  x, y.c:1")
    #expect(starting.isRetriable && !starting.message.contains("LOCATION"))
    #expect(PostgresError(connecting: "could not connect: Connection refused").isRetriable)
    #expect(!PostgresError(connecting: "FATAL:  3D000: database \"x\" does not exist").isRetriable)
    #expect(PostgresError(statement: "slot is active", sqlState: "55006").isRetriable)
    #expect(!PostgresError(statement: "no such table", sqlState: "42P01").isRetriable)
  }
}
