/// What a connector is to do, from the properties that Debezium's connector has.
///
/// Properties that change what is published and are not supported are refused; properties that only
/// tune Debezium are ignored, and those nobody knows are reported. Either way a line in `notes`
/// says so.
package struct CaptureConfig: Sendable {
  package enum PublicationMode: String, Sendable {
    /// `FOR ALL TABLES`: needs a superuser.
    case allTables = "all_tables"
    /// `FOR TABLE` with the tables that are wanted.
    case filtered
    /// It is there already.
    case disabled
  }

  package static let positionTopicDefault = "martlet-capture-positions"
  package static let snapshotThreadsMax = 16

  /// Names the connector's position; unique among the connectors of a cluster.
  package var name: String
  package var address = PostgresAddress()
  package var topicPrefix: String
  package var slotName = "debezium"
  package var publicationName = "dbz_publication"
  package var publicationMode = PublicationMode.filtered
  /// A publication that is made publishes partitions under the name of their table.
  package var publishesViaRoot = false
  package var tables = TableFilter()
  package var columns = NameFilter()
  /// Of the prefixes of logical messages.
  package var messages = NameFilter()
  package var providesTransactions = false
  package var heartbeat = HeartbeatOptions()
  package var snapshotMode = SnapshotMode.initial
  package var snapshotThreads = 4
  package var envelope: EnvelopeOptions
  package var routers: [TopicRouter] = []
  /// `c`, `u`, `d`, `t`: changes that are not published.
  package var skippedOperations: Set<String> = ["t"]
  /// For topics that do not exist; nil: as the broker has it.
  package var partitions: Int32?
  package var replicationFactor: Int16?
  package var topicSettings: [(name: String, value: String)] = []
  package var positionTopic = CaptureConfig.positionTopicDefault
  package var statusMilliseconds: Int64 = 5000
  /// Lines for the log: what was understood differently from what one may think.
  package var notes: [String] = []

  /// `fallbackName`: of a connector whose properties have no `name`.
  package init(
    properties: [String: String], fallbackName: String? = nil
  ) throws(CaptureConfigError) {
    var reader = PropertyReader(properties)
    guard
      let prefix = reader.text("topic.prefix")
        ?? reader.alias("database.server.name", of: "topic.prefix")
    else {
      throw CaptureConfigError(
        "topic.prefix is missing; it is the first part of the topics' names.")
    }
    guard let name = reader.text("name") ?? fallbackName, !name.isEmpty else {
      throw CaptureConfigError("name is missing; the connector's position is kept under it.")
    }
    self.name = name
    topicPrefix = prefix
    envelope = EnvelopeOptions(topicPrefix: prefix)
    try readConnection(&reader)
    try readSource(&reader)
    try readSnapshot(&reader)
    try readEnvelope(&reader)
    try readConverters(&reader)
    try readTransforms(&reader)
    try readTopics(&reader)
    notes = try reader.finish()
  }

  /// The topic of a table: the prefix, the schema and the table, then the routes in their order.
  package func topic(schema: String, table: String) -> String {
    topic("\(topicPrefix).\(schema).\(table)")
  }

  /// Where records go whose topic Debezium would name so.
  package func topic(_ name: String) -> String {
    Self.legal(routers.reduce(name) { $1.topic($0) })
  }

  /// Kafka's names have letters, digits, `.`, `_` and `-`; anything else becomes `_`, as in
  /// Debezium.
  private static func legal(_ name: String) -> String {
    var legal = ""
    for scalar in name.unicodeScalars {
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": legal.unicodeScalars.append(scalar)
      default: legal.append("_")
      }
    }
    return legal
  }
}

/// Records that come whether anything changes or not, and a statement that goes with each.
package struct HeartbeatOptions: Sendable {
  /// Zero: none.
  package var intervalMilliseconds: Int64 = 0
  package var query: String?
}

/// A configuration that cannot be followed: one sentence that says what to change.
package struct CaptureConfigError: Error, Equatable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) { self.description = description }
}

extension CaptureConfig {
  private mutating func readConnection(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    if let type = reader.text("connector.class"),
      type != "io.debezium.connector.postgresql.PostgresConnector", type != "postgres"
    {
      throw CaptureConfigError(
        "connector.class is '\(type)'; here is io.debezium.connector.postgresql.PostgresConnector."
      )
    }
    if let plugin = reader.text("plugin.name"), plugin != "pgoutput" {
      throw CaptureConfigError(
        "plugin.name is '\(plugin)'; set it to pgoutput, which needs no plugin.")
    }
    address.host = reader.text("database.hostname") ?? "localhost"
    address.port = reader.text("database.port") ?? "5432"
    address.user = try reader.required("database.user")
    address.password = reader.text("database.password")
    address.database = try reader.required("database.dbname")
    address.sslMode = reader.text("database.sslmode")
    address.sslRootCertificate = reader.text("database.sslrootcert")
    address.sslCertificate = reader.text("database.sslcert")
    address.sslKey = reader.text("database.sslkey")
    address.sslPassword = reader.text("database.sslpassword")
  }

  private mutating func readSource(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    slotName = reader.text("slot.name") ?? slotName
    let isSlotName = slotName.utf8.allSatisfy {
      (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f
    }
    guard isSlotName, (1...63).contains(slotName.utf8.count) else {
      throw CaptureConfigError(
        "slot.name is '\(slotName)'; Postgres takes lower-case letters, digits and _, 63 at most.")
    }
    publicationName = reader.text("publication.name") ?? publicationName
    if let mode = reader.text("publication.autocreate.mode") {
      guard let known = PublicationMode(rawValue: mode) else {
        throw CaptureConfigError(
          "publication.autocreate.mode is '\(mode)'; it is all_tables, filtered or disabled here.")
      }
      publicationMode = known
    }
    publishesViaRoot = try reader.flag("publish.via.partition.root") ?? false
    tables = try TableFilter(
      includeSchemas: reader.list("schema.include.list", old: "schema.whitelist"),
      excludeSchemas: reader.list("schema.exclude.list", old: "schema.blacklist"),
      includeTables: reader.list("table.include.list", old: "table.whitelist"),
      excludeTables: reader.list("table.exclude.list", old: "table.blacklist"))
    columns = try NameFilter(
      "column", includes: reader.list("column.include.list", old: "column.whitelist"),
      excludes: reader.list("column.exclude.list", old: "column.blacklist"))
    messages = try NameFilter(
      "message.prefix", includes: reader.list("message.prefix.include.list"),
      excludes: reader.list("message.prefix.exclude.list"))
    if let text = reader.text("skipped.operations") {
      skippedOperations = Set(text.split(separator: ",").map { $0.trimmingSpaces() })
      skippedOperations.remove("none")
      guard skippedOperations.isSubset(of: ["c", "u", "d", "t"]) else {
        throw CaptureConfigError(
          "skipped.operations is '\(text)'; it is a list of c, u, d, t, or none.")
      }
    }
    statusMilliseconds =
      try reader.number("status.update.interval.ms", 100...60_000) ?? statusMilliseconds
    positionTopic = reader.text("martlet.position.topic") ?? positionTopic
    heartbeat.intervalMilliseconds =
      try reader.number("heartbeat.interval.ms", 0...31_536_000_000) ?? 0
    heartbeat.query = reader.text("heartbeat.action.query")
    envelope.heartbeatPrefix = reader.text("topic.heartbeat.prefix") ?? envelope.heartbeatPrefix
    envelope.transactionTopic = reader.text("topic.transaction") ?? envelope.transactionTopic
    providesTransactions = try reader.flag("provide.transaction.metadata") ?? false
    if try reader.flag("slot.drop.on.stop") == true {
      reader.note("slot.drop.on.stop: the slot is kept; without it changes would be lost.")
    }
  }

  private mutating func readSnapshot(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    switch reader.text("snapshot.mode") {
    case nil, "initial": snapshotMode = .initial
    case "no_data": snapshotMode = .noData
    case let old? where ["never", "schema_only", "schema_only_recovery"].contains(old):
      snapshotMode = .noData
      reader.note("snapshot.mode=\(old) is an old name of no_data.")
    case "initial_only": snapshotMode = .initialOnly
    case let mode?:
      throw CaptureConfigError(
        "snapshot.mode is '\(mode)'; it is initial, no_data or initial_only here.")
    }
    let threads = try reader.number("snapshot.max.threads", 1...Int64(Self.snapshotThreadsMax))
    snapshotThreads = Int(threads ?? Int64(snapshotThreads))
  }

  private mutating func readEnvelope(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    envelope.decimalMode = try reader.choice("decimal.handling.mode") ?? envelope.decimalMode
    envelope.convertingMode =
      try reader.choice("event.converting.failure.handling.mode") ?? envelope.convertingMode
    envelope.timeMode = try reader.choice("time.precision.mode") ?? envelope.timeMode
    envelope.binaryMode = try reader.choice("binary.handling.mode") ?? envelope.binaryMode
    envelope.intervalMode = try reader.choice("interval.handling.mode") ?? envelope.intervalMode
    envelope.hstoreMode = try reader.choice("hstore.handling.mode") ?? envelope.hstoreMode
    envelope.tombstonesOnDelete = try reader.flag("tombstones.on.delete") ?? true
    let digits = try reader.number("money.fraction.digits", 0...10)
    envelope.moneyFractionDigits = Int(digits ?? Int64(envelope.moneyFractionDigits))
    envelope.unavailableValue =
      reader.text("unavailable.value.placeholder") ?? envelope.unavailableValue
  }

  private mutating func readConverters(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    envelope.keySchemas = try converter("key", &reader)
    envelope.valueSchemas = try converter("value", &reader)
  }

  /// Whether records carry their schema. Kafka Connect's own default is that they do.
  private func converter(
    _ side: String, _ reader: inout PropertyReader
  ) throws(CaptureConfigError) -> Bool {
    let schemas = try reader.flag("\(side).converter.schemas.enable")
    switch reader.text("\(side).converter") {
    case nil, "org.apache.kafka.connect.json.JsonConverter": break
    case "io.confluent.connect.avro.AvroConverter":
      reader.note(
        "\(side).converter: Avro is not there yet; records are written as JSON with their schema.")
    case let other?:
      throw CaptureConfigError(
        "\(side).converter is '\(other)'; use org.apache.kafka.connect.json.JsonConverter.")
    }
    reader.ignore(prefix: "\(side).converter.")
    return schemas ?? true
  }

  private mutating func readTopics(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    let prefix = "topic.creation.default."
    partitions = try reader.number("\(prefix)partitions", -1...10_000).flatMap {
      $0 > 0 ? Int32($0) : nil
    }
    replicationFactor = try reader.number("\(prefix)replication.factor", -1...100).flatMap {
      $0 > 0 ? Int16($0) : nil
    }
    topicSettings = reader.all(prefix: prefix)
  }

  private mutating func readTransforms(_ reader: inout PropertyReader) throws(CaptureConfigError) {
    do throws(PatternError) {
      let transforms = try EventTransforms(properties: reader.properties)
      envelope.unwrap = transforms.unwrap
      routers = transforms.routers
    } catch {
      throw CaptureConfigError("\(error).")
    }
    reader.ignore(prefix: "transforms.")
    _ = reader.text("transforms")
  }
}
