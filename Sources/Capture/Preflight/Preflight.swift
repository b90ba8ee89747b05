package import Postgres

/// What is missing for a connector to run, and the SQL that mends it.
package enum Preflight {
  package struct Finding: Equatable, Sendable, CustomStringConvertible {
    package enum Severity: String, Sendable, Comparable {
      case note
      case warning
      /// Capture does not start.
      case error

      package static func < (a: Self, b: Self) -> Bool {
        let order: [Self] = [.note, .warning, .error]
        return (order.firstIndex(of: a) ?? 0) < (order.firstIndex(of: b) ?? 0)
      }
    }

    package var severity: Severity
    package var sentence: String
    /// What mends it; nil where it is not done by SQL.
    package var sql: String?

    package init(_ severity: Severity, _ sentence: String, sql: String? = nil) {
      self.severity = severity
      self.sentence = sentence
      self.sql = sql
    }

    package var description: String {
      "\(severity.rawValue): \(sentence)" + (sql.map { "\n    \($0)" } ?? "")
    }
  }

  /// Everything that can be found out by asking; also when nothing is wrong there may be notes.
  package static func check(_ config: CaptureConfig) -> [Finding] {
    do {
      return try check(config, Catalogue(try PostgresConnection(config.address)))
    } catch {
      return [Finding(.error, "\(error)")]
    }
  }

  package static func check(
    _ config: CaptureConfig, _ catalogue: Catalogue
  ) throws(PostgresError) -> [Finding] {
    var findings: [Finding] = []
    let slot = try catalogue.slot(config.slotName)
    try server(catalogue, slot, &findings)
    try role(config, catalogue, &findings)
    let tables = try catalogue.tables()
    let wanted = tables.filter { config.tables.wants(schema: $0.schema, table: $0.name) }
    tablesFound(config, tables, wanted, &findings)
    try columnsFound(config, catalogue, wanted, &findings)
    try publication(config, catalogue, tables, wanted, &findings)
    try self.slot(config, catalogue, slot, &findings)
    if config.skippedOperations.contains("t") {
      findings.append(
        Finding(
          .note,
          "skipped.operations has t, as by default: TRUNCATE makes no event, and what was made of "
            + "the rows, such as processors' tables, keeps them; with 'none' it is followed."))
    }
    return findings.sorted { $0.severity > $1.severity }
  }

  private static func server(
    _ catalogue: Catalogue, _ slot: SlotState?, _ findings: inout [Finding]
  ) throws(PostgresError) {
    let version = catalogue.connection.serverVersion
    if version < 140_000 {
      findings.append(
        Finding(.error, "The server is Postgres \(version / 10_000); 14 or newer is needed."))
    }
    let level = try catalogue.setting("wal_level")
    if level != "logical" {
      findings.append(
        Finding(
          .error, "wal_level is \(level); changes can be read with logical only. Restart after it.",
          sql: "ALTER SYSTEM SET wal_level = logical;"))
    }
    try free(
      catalogue, setting: "max_replication_slots", used: "pg_replication_slots",
      hasOwn: slot != nil,
      &findings)
    try free(
      catalogue, setting: "max_wal_senders", used: "pg_stat_replication",
      hasOwn: slot?.activePID != nil, &findings)
    let keep = try catalogue.setting("max_slot_wal_keep_size")
    if keep == "-1" {
      findings.append(
        Finding(
          .note,
          "max_slot_wal_keep_size is unlimited: while capture is stopped, WAL fills the disk.",
          sql: "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf();"))
    } else {
      findings.append(
        Finding(
          .note,
          "max_slot_wal_keep_size is \(keep): stopped for longer than that much WAL, capture "
            + "loses its slot and needs a new snapshot."))
    }
  }

  private static func free(
    _ catalogue: Catalogue, setting: String, used: String, hasOwn: Bool,
    _ findings: inout [Finding]
  ) throws(PostgresError) {
    let most = Int(try catalogue.setting(setting)) ?? 0
    let count = try catalogue.connection.query("SELECT count(*) FROM \(used)").first?.first
    let free = most - (count?.flatMap { Int($0) } ?? 0)
    guard !hasOwn, free < 1 else { return }
    findings.append(
      Finding(
        .error, "All \(most) of \(setting) are in use. Restart after it.",
        sql: "ALTER SYSTEM SET \(setting) = \(most + 10);"))
  }

  private static func role(
    _ config: CaptureConfig, _ catalogue: Catalogue, _ findings: inout [Finding]
  ) throws(PostgresError) {
    // Managed services give replication by membership in a role of theirs.
    let rows = try catalogue.connection.query(
      """
      SELECT rolsuper OR rolreplication OR EXISTS (SELECT FROM pg_roles r \
      WHERE r.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', \
      'azure_pg_admin') AND pg_has_role(current_user, r.oid, 'USAGE')) \
      FROM pg_roles WHERE rolname = current_user
      """)
    guard rows.first?.first != "t" else { return }
    findings.append(
      Finding(
        .error, "The role '\(config.address.user)' may not read the replication stream.",
        sql: "ALTER ROLE \(SQL.name(config.address.user)) REPLICATION;"))
  }

  private static func tablesFound(
    _ config: CaptureConfig, _ tables: [Catalogue.Table], _ wanted: [Catalogue.Table],
    _ findings: inout [Finding]
  ) {
    let user = SQL.name(config.address.user)
    for pattern in config.tables.missing(from: tables.map(\.fullName)) {
      findings.append(
        Finding(.warning, "table.include.list has '\(pattern)', and no table is named so."))
    }
    if wanted.isEmpty {
      findings.append(Finding(.error, "No table is wanted; see table.include.list."))
    }
    for table in wanted {
      if !table.maySelect, config.snapshotMode != .noData {
        findings.append(
          Finding(
            .error, "'\(config.address.user)' may not read the rows of \(table.fullName).",
            sql: "GRANT USAGE ON SCHEMA \(SQL.name(table.schema)) TO \(user); "
              + "GRANT SELECT ON \(table.sqlName) TO \(user);"))
      }
      if !table.isLogged {
        findings.append(
          Finding(
            .warning, "\(table.fullName) is unlogged: its changes are in no WAL.",
            sql: "ALTER TABLE \(table.sqlName) SET LOGGED;"))
      }
      identity(table, &findings)
    }
  }

  private static func columnsFound(
    _ config: CaptureConfig, _ catalogue: Catalogue, _ wanted: [Catalogue.Table],
    _ findings: inout [Finding]
  ) throws(PostgresError) {
    guard !config.columns.isEmpty else { return }
    let names = Set(wanted.map(\.fullName))
    let columns = try catalogue.columns().filter { names.contains($0.table) }
    for pattern in config.columns.missing(from: columns.map { "\($0.table).\($0.column)" }) {
      findings.append(
        Finding(
          .warning,
          "A column list has '\(pattern)', and no column of a wanted table is named so; entries "
            + "are schema.table.column."))
    }
  }

  private static func identity(_ table: Catalogue.Table, _ findings: inout [Finding]) {
    let hasIdentity =
      switch table.identity {
      case .primaryKey: table.hasPrimaryKey
      case .nothing: false
      case .full, .index: true
      }
    if !hasIdentity {
      findings.append(
        Finding(
          .warning,
          "\(table.fullName) has no replica identity: once it is published, UPDATE and DELETE "
            + "on it fail in the application.",
          sql: "ALTER TABLE \(table.sqlName) REPLICA IDENTITY FULL; -- or add a primary key"))
    }
    if !table.hasPrimaryKey {
      findings.append(
        Finding(
          .note,
          "\(table.fullName) has no primary key: a snapshot that is interrupted may write its "
            + "rows again."))
    }
  }

  private static func publication(
    _ config: CaptureConfig, _ catalogue: Catalogue, _ tables: [Catalogue.Table],
    _ wanted: [Catalogue.Table], _ findings: inout [Finding]
  ) throws(PostgresError) {
    let name = SQL.name(config.publicationName)
    let names = Set(wanted.map(\.fullName))
    guard let publication = try catalogue.publication(config.publicationName) else {
      let sql = "\(PublicationSetup.statement(config, wanted));"
      if config.publicationMode == .disabled {
        findings.append(
          Finding(.error, "There is no publication '\(config.publicationName)'.", sql: sql))
      } else if !(try mayPublish(config, catalogue, wanted)) {
        findings.append(
          Finding(
            .error,
            "There is no publication '\(config.publicationName)', and "
              + "'\(config.address.user)' may not make it; the tables' owner may.", sql: sql))
      }
      var coverage = Coverage(
        tables, wanted: names, published: [], isViaRoot: config.publishesViaRoot)
      coverage.add(config.publicationMode == .allTables ? tables : wanted)
      partitions(config, coverage, wanted, isThere: false, &findings)
      return
    }
    for operation in ["insert", "update", "delete"]
    where !publication.operations.contains(operation) {
      findings.append(
        Finding(
          .warning, "The publication '\(config.publicationName)' leaves out every \(operation).",
          sql: "ALTER PUBLICATION \(name) SET (publish = 'insert, update, delete, truncate');"))
    }
    let published = Set(try catalogue.publishedTables(config.publicationName).map(\.fullName))
    var coverage = Coverage(
      tables, wanted: names, published: published, isViaRoot: publication.isViaRoot)
    let members = try catalogue.members(of: config.publicationName)
    var added: [Catalogue.Table] = []
    for table in wanted
    where table.isLogged && coverage.answer(for: table) == .absent
      && !members.contains(table.fullName)
    {
      let isMended = config.publicationMode == .filtered && table.isOwned
      if isMended { added.append(table) }
      findings.append(
        Finding(
          isMended ? .note : .error,
          "\(table.fullName) is not in the publication '\(config.publicationName)'"
            + (isMended ? " and will be added." : "."),
          sql: "ALTER PUBLICATION \(name) ADD TABLE \(table.sqlName);"))
    }
    coverage.add(added)
    partitions(config, coverage, wanted, isThere: true, &findings)
  }

  /// Changes that come under names that nobody wants would be left out without a word.
  private static func partitions(
    _ config: CaptureConfig, _ coverage: Coverage, _ wanted: [Catalogue.Table], isThere: Bool,
    _ findings: inout [Finding]
  ) {
    let alter = "ALTER PUBLICATION \(SQL.name(config.publicationName)) SET "
    for table in wanted {
      guard case .unwanted(let names, let all) = coverage.answer(for: table) else { continue }
      let list = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
      if !table.ancestors.isEmpty, table.ancestors.contains(names[0]) {
        findings.append(
          Finding(
            .error,
            "\(table.fullName) is a partition, whose changes are published under the name of "
              + "\(list), and that is not wanted: add it to table.include.list, or "
              + (isThere
                ? "have them published under the partitions' names."
                : "set publish.via.partition.root=false."),
            sql: isThere ? alter + "(publish_via_partition_root = false);" : nil))
      } else {
        findings.append(
          Finding(
            all ? .error : .warning,
            "\(table.fullName) is partitioned, and changes of its rows are published under the "
              + "names of partitions that are not wanted (\(list)): add them to "
              + "table.include.list, or "
              + (isThere
                ? "have them published under the name of \(table.fullName)."
                : "set publish.via.partition.root=true, and they come under that of "
                  + "\(table.fullName)."),
            sql: isThere ? alter + "(publish_via_partition_root = true);" : nil))
      }
    }
  }

  private static func mayPublish(
    _ config: CaptureConfig, _ catalogue: Catalogue, _ wanted: [Catalogue.Table]
  ) throws(PostgresError) -> Bool {
    let row = try catalogue.connection.query(
      """
      SELECT has_database_privilege(current_database(), 'CREATE'), rolsuper FROM pg_roles \
      WHERE rolname = current_user
      """
    ).first
    let isSuperuser = row?.last == "t"
    if config.publicationMode == .allTables { return isSuperuser }
    return isSuperuser || (row?.first == "t" && wanted.allSatisfy(\.isOwned))
  }

  private static func slot(
    _ config: CaptureConfig, _ catalogue: Catalogue, _ slot: SlotState?, _ findings: inout [Finding]
  ) throws(PostgresError) {
    let timeout = try catalogue.connection.query(
      "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'"
    ).first?.first?.flatMap { Int($0) }
    if let timeout, timeout > 0, timeout < 1000 {
      findings.append(
        Finding(
          .warning, "wal_sender_timeout is \(timeout) ms: a pause of that length ends the stream.",
          sql: "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();"))
    }
    guard let slot else {
      for transaction in try catalogue.openTransactions(seconds: 5) {
        findings.append(
          Finding(
            .warning,
            "The transaction of backend \(transaction.pid) is open for \(transaction.age); "
              + "making the slot waits for its end.",
            sql: "SELECT pg_terminate_backend(\(transaction.pid));"))
      }
      return
    }
    let drop = "SELECT pg_drop_replication_slot(\(SQL.literal(config.slotName)));"
    if slot.plugin != "pgoutput" {
      findings.append(
        Finding(.error, "The slot '\(slot.name)' is one of the plugin '\(slot.plugin)'.", sql: drop)
      )
    }
    if let pid = slot.activePID {
      findings.append(
        Finding(
          .warning, "The slot '\(slot.name)' is being read by backend \(pid).",
          sql: "SELECT pg_terminate_backend(\(pid));"))
    }
    switch slot.walStatus {
    case "lost":
      findings.append(
        Finding(.error, "The slot '\(slot.name)' has lost WAL that it needed.", sql: drop))
    case "unreserved":
      findings.append(
        Finding(.warning, "The slot '\(slot.name)' will lose WAL at the next checkpoint."))
    default: break
    }
  }
}
