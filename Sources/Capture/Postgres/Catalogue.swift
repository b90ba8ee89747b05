internal import JSON
package import Postgres

/// What the source database says about itself. All of it is as of now.
package struct Catalogue {
  /// A table that a publication could have.
  package struct Table: Equatable, Sendable {
    package var schema: String
    package var name: String
    package var identity: ReplicaIdentity
    package var hasPrimaryKey: Bool
    package var isPartitioned: Bool
    /// The partitioned tables that it is a part of, as `schema.table`.
    package var ancestors: [String]
    package var isLogged: Bool
    package var maySelect: Bool
    package var isOwned: Bool

    package init(
      schema: String, name: String, identity: ReplicaIdentity, hasPrimaryKey: Bool,
      isPartitioned: Bool, ancestors: [String], isLogged: Bool, maySelect: Bool, isOwned: Bool
    ) {
      self.schema = schema
      self.name = name
      self.identity = identity
      self.hasPrimaryKey = hasPrimaryKey
      self.isPartitioned = isPartitioned
      self.ancestors = ancestors
      self.isLogged = isLogged
      self.maySelect = maySelect
      self.isOwned = isOwned
    }

    package var fullName: String { "\(schema).\(name)" }
    package var sqlName: String { SQL.name(schema, name) }
  }

  /// A table as a publication has it.
  package struct PublishedTable: Equatable, Sendable {
    package var schema: String
    package var name: String
    /// The names of the columns that are published, and the condition on rows; nil: all.
    package var columns: [String]?
    package var rowFilter: String?

    package var fullName: String { "\(schema).\(name)" }
  }

  package struct Publication: Equatable, Sendable {
    package var coversAll: Bool
    /// `publish_via_partition_root`: changes come under the names of partitioned tables, not under
    /// those of their partitions.
    package var isViaRoot: Bool
    /// Of `insert`, `update`, `delete`, `truncate`.
    package var operations: [String]
  }

  package let connection: PostgresConnection

  package init(_ connection: PostgresConnection) { self.connection = connection }

  package func setting(_ name: String) throws(PostgresError) -> String {
    try connection.query("SELECT current_setting(\(SQL.literal(name)))").first?.first?.flatMap {
      $0
    }
      ?? ""
  }

  /// All ordinary and partitioned tables outside of Postgres's own schemas, by name.
  package func tables() throws(PostgresError) -> [Table] {
    let rows = try connection.query(
      """
      SELECT n.nspname, c.relname, c.relreplident, EXISTS (SELECT FROM pg_index i \
      WHERE i.indrelid = c.oid AND i.indisprimary), c.relkind = 'p', c.relpersistence = 'p', \
      has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), \
      pg_has_role(c.relowner, 'USAGE'), CASE WHEN c.relispartition THEN \
      (SELECT json_agg(m.nspname || '.' || r.relname) FROM pg_partition_ancestors(c.oid) a \
      JOIN pg_class r ON r.oid = a.relid JOIN pg_namespace m ON m.oid = r.relnamespace \
      WHERE r.oid <> c.oid) END \
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' \
      AND n.nspname <> 'information_schema' ORDER BY 1, 2
      """)
    return rows.compactMap { row in
      guard let schema = row[0], let name = row[1],
        let identity = row[2]?.utf8.first.flatMap({ ReplicaIdentity(rawValue: $0) })
      else { return nil }
      return Table(
        schema: schema, name: name, identity: identity, hasPrimaryKey: row[3] == "t",
        isPartitioned: row[4] == "t", ancestors: Self.names(row[8]) ?? [], isLogged: row[5] == "t",
        maySelect: row[6] == "t", isOwned: row[7] == "t")
    }
  }

  package func publication(_ name: String) throws(PostgresError) -> Publication? {
    let rows = try connection.query(
      """
      SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot \
      FROM pg_publication \
      WHERE pubname = \(SQL.literal(name))
      """)
    guard let row = rows.first else { return nil }
    let names = ["insert", "update", "delete", "truncate"]
    return Publication(
      coversAll: row[0] == "t", isViaRoot: row[5] == "t",
      operations: names.indices.filter { row[$0 + 1] == "t" }.map { names[$0] })
  }

  package func publishedTables(_ publication: String) throws(PostgresError) -> [PublishedTable] {
    // Before 15 there are no lists of columns and no row filters.
    let filters = connection.serverVersion >= 150_000
    let parts = filters ? "array_to_json(attnames), rowfilter" : "NULL, NULL"
    let rows = try connection.query(
      """
      SELECT schemaname, tablename, \(parts) \
      FROM pg_publication_tables WHERE pubname = \(SQL.literal(publication)) ORDER BY 1, 2
      """)
    return rows.compactMap { row in
      guard let schema = row[0], let name = row[1] else { return nil }
      return PublishedTable(
        schema: schema, name: name, columns: Self.names(row[2]), rowFilter: row[3])
    }
  }

  /// The tables that were put into a publication by name, whatever their changes are called.
  package func members(of publication: String) throws(PostgresError) -> Set<String> {
    let rows = try connection.query(
      """
      SELECT n.nspname || '.' || c.relname FROM pg_publication_rel m \
      JOIN pg_publication p ON p.oid = m.prpubid JOIN pg_class c ON c.oid = m.prrelid \
      JOIN pg_namespace n ON n.oid = c.relnamespace \
      WHERE p.pubname = \(SQL.literal(publication))
      """)
    return Set(rows.compactMap { $0.first ?? nil })
  }

  private static func names(_ json: String?) -> [String]? {
    guard let json, case .array(let names) = try? JSONValue(parsing: json) else { return nil }
    return names.compactMap(\.text)
  }

  /// Changes whenever a table is made, dropped or renamed, or goes into the publication or out of
  /// it. Cheap: it is asked for again and again.
  package func fingerprint(_ publication: String) throws(PostgresError) -> String {
    let rows = try connection.query(
      """
      SELECT (SELECT sum(hashtextextended(relnamespace || ' ' || relname, oid::int8)) \
      FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence = 'p'), \
      (SELECT sum(hashint8(m.oid::int8)::int8) FROM pg_publication_rel m \
      JOIN pg_publication p ON p.oid = m.prpubid \
      WHERE p.pubname = \(SQL.literal(publication)))
      """)
    return rows.first.map { $0.map { $0 ?? "" }.joined(separator: " ") } ?? ""
  }

  package func slot(_ name: String) throws(PostgresError) -> SlotState? {
    let rows = try connection.query(
      """
      SELECT coalesce(plugin, ''), coalesce(database, ''), active_pid, confirmed_flush_lsn, \
      coalesce(wal_status, '') FROM pg_replication_slots WHERE slot_name = \(SQL.literal(name))
      """)
    guard let row = rows.first else { return nil }
    return SlotState(
      name: name, plugin: row[0] ?? "", database: row[1] ?? "",
      activePID: row[2].flatMap { Int32($0) }, confirmedFlush: row[3].flatMap { LSN($0) },
      walStatus: row[4] ?? "")
  }

  /// Transactions that have written and are open for that long: a new slot waits for them.
  package func openTransactions(seconds: Int) throws(PostgresError) -> [(pid: String, age: String)]
  {
    let rows = try connection.query(
      """
      SELECT pid, date_trunc('second', now() - xact_start) FROM pg_stat_activity \
      WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() \
      AND xact_start < now() - interval '\(seconds) seconds' ORDER BY xact_start LIMIT 5
      """)
    return rows.compactMap { row in
      guard let pid = row[0], let age = row[1] else { return nil }
      return (pid, age)
    }
  }

  package func types() throws -> TypeCatalog {
    try TypeCatalog(rows: try connection.query(TypeCatalog.query))
  }

  /// `schema.table.column` of every table outside of Postgres's own schemas.
  package func columns() throws(PostgresError) -> [(table: String, column: String)] {
    let rows = try connection.query(
      """
      SELECT n.nspname || '.' || c.relname, a.attname FROM pg_attribute a \
      JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' \
      AND n.nspname <> 'information_schema' AND a.attnum > 0 AND NOT a.attisdropped
      """)
    return rows.compactMap { row in
      guard let table = row[0], let column = row[1] else { return nil }
      return (table, column)
    }
  }

  /// A table as it is now; nil if it is gone.
  package func schema(_ schema: String, _ table: String) throws -> TableSchema? {
    let condition = "n.nspname = \(SQL.literal(schema)) AND c.relname = \(SQL.literal(table))"
    return try TableSchema.tables(
      rows: try connection.query(TableSchema.query(where: condition))
    ).first
  }

  package func schema(oid: UInt32) throws -> TableSchema? {
    try TableSchema.tables(
      rows: try connection.query(TableSchema.query(where: "c.oid = \(oid)"))
    ).first
  }
}
