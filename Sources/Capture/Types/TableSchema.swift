/// A column as its values are encoded.
package struct ColumnSchema: Hashable, Sendable {
  package var name: String
  package var typeOID: UInt32
  /// -1: none.
  package var typeModifier: Int32
  package var isOptional: Bool
  /// The expression as `pg_get_expr` prints it.
  package var defaultExpression: String?
  /// `GENERATED ALWAYS AS … STORED`: not published before Postgres 18, so a snapshot that is to
  /// look like the stream leaves it out.
  package var isGenerated: Bool
  /// How many dimensions the declaration of an array has; 0 where it is not known.
  package var dimensions: Int
  /// False: events leave it out of their values, though the key may have it.
  package var isInValue = true

  package init(
    name: String, typeOID: UInt32, typeModifier: Int32 = -1, isOptional: Bool = true,
    defaultExpression: String? = nil, isGenerated: Bool = false, dimensions: Int = 0
  ) {
    self.name = name
    self.typeOID = typeOID
    self.typeModifier = typeModifier
    self.isOptional = isOptional
    self.defaultExpression = defaultExpression
    self.isGenerated = isGenerated
    self.dimensions = dimensions
  }
}

/// The shape of a table's rows at one moment. It never changes: a changed table is another object,
/// and what was prepared for encoding is found by the object's identity.
package final class TableSchema: Sendable {
  package let oid: UInt32
  package let namespace: String
  package let name: String
  /// In the order in which tuples have them.
  package let columns: [ColumnSchema]
  /// Indices into `columns`, in the order of the key; empty: events have no key.
  package let keyColumns: [Int]
  package let replicaIdentity: ReplicaIdentity

  package init(
    oid: UInt32, namespace: String, name: String, columns: [ColumnSchema], keyColumns: [Int],
    replicaIdentity: ReplicaIdentity = .primaryKey
  ) {
    precondition(keyColumns.allSatisfy(columns.indices.contains), "a key is made of columns")
    self.oid = oid
    self.namespace = namespace
    self.name = name
    self.columns = columns
    self.keyColumns = keyColumns
    self.replicaIdentity = replicaIdentity
  }
}

extension TableSchema: Equatable {
  package static func == (left: TableSchema, right: TableSchema) -> Bool {
    left === right
      || left.oid == right.oid && left.namespace == right.namespace && left.name == right.name
        && left.columns == right.columns && left.keyColumns == right.keyColumns
        && left.replicaIdentity == right.replicaIdentity
  }
}

extension TableSchema {
  /// The table as the stream announces it, with what only the catalogue knows.
  ///
  /// Columns, types and their order are the message's: they are what the tuples have. Nullability,
  /// defaults and dimensions come from `catalogue` by column name, which may be younger than the
  /// message: a column it does not know is taken for optional. The key is the catalogue's (a
  /// primary key may differ from the replica identity) as long as all of its columns are there.
  package convenience init(relation: RelationMessage, catalogue: TableSchema?) {
    let known = catalogue?.columns ?? []
    var columns: [ColumnSchema] = []
    for column in relation.columns {
      let entry = known.first { $0.name == column.name }
      columns.append(
        ColumnSchema(
          name: column.name, typeOID: column.typeOID, typeModifier: column.typeModifier,
          isOptional: entry?.isOptional ?? true,
          defaultExpression: entry?.typeOID == column.typeOID ? entry?.defaultExpression : nil,
          isGenerated: entry?.isGenerated ?? false, dimensions: entry?.dimensions ?? 0))
    }
    let wanted = catalogue.map { table in table.keyColumns.map { table.columns[$0].name } } ?? []
    var key = wanted.compactMap { name in columns.firstIndex { $0.name == name } }
    if key.isEmpty || key.count < wanted.count {
      // With `REPLICA IDENTITY FULL` every column is flagged, which is no key.
      key =
        relation.replicaIdentity == .full
        ? [] : relation.columns.indices.filter { relation.columns[$0].isKey }
    }
    for index in key { columns[index].isOptional = false }
    self.init(
      oid: relation.oid, namespace: relation.namespace.isEmpty ? "pg_catalog" : relation.namespace,
      name: relation.name, columns: columns, keyColumns: key,
      replicaIdentity: relation.replicaIdentity)
  }
}

/// Rows of a catalogue query that are not what the query asks for.
package struct CatalogueError: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) {
    self.description = description
  }
}

extension TableSchema {
  /// SQL for the tables that `condition` selects, one row per column, in order, and one for a table
  /// without any; `tables(rows:)` reads what it answers. `condition` is SQL over `c` (`pg_class`)
  /// and `n` (`pg_namespace`).
  ///
  /// The key is the primary key, otherwise the first unique index whose columns may not be null and
  /// that is whole (neither partial nor on expressions), as Debezium chooses it.
  package static func query(where condition: String) -> String {
    """
    SELECT c.oid, n.nspname, c.relname, c.relreplident, a.attname, a.atttypid, a.atttypmod, \
    a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attndims, \
    array_position(k.indkey::int2[], a.attnum) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
    LEFT JOIN LATERAL (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS indkey FROM pg_index i \
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
    AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_attribute b WHERE b.attrelid = c.oid \
    AND b.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT b.attnotnull) \
    ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) k ON true \
    WHERE c.relkind IN ('r', 'p') AND (\(condition)) ORDER BY c.oid, a.attnum
    """
  }

  /// Reads the rows of `query(where:)`. Generated columns are in it, flagged.
  package static func tables(rows: [[String?]]) throws(CatalogueError) -> [TableSchema] {
    var tables: [TableSchema] = []
    var index = rows.startIndex
    while index < rows.endIndex {
      let oid = rows[index].first ?? nil
      var end = index
      while end < rows.endIndex, rows[end].first == oid { end += 1 }
      tables.append(try table(rows[index..<end]))
      index = end
    }
    return tables
  }

  private static func table(_ rows: ArraySlice<[String?]>) throws(CatalogueError) -> TableSchema {
    var columns: [ColumnSchema] = []
    var key: [(position: Int, column: Int)] = []
    for row in rows where row.count != 12 || row[4] != nil {
      guard row.count == 12, let name = row[4], let typeOID = row[5].flatMap({ UInt32($0) }),
        let typeModifier = row[6].flatMap({ Int32($0) }),
        let dimensions = row[10].flatMap({ Int($0) })
      else { throw CatalogueError("the catalogue describes a column in a way that is not known") }
      if let position = row[11].flatMap({ Int($0) }) { key.append((position, columns.count)) }
      columns.append(
        ColumnSchema(
          name: name, typeOID: typeOID, typeModifier: typeModifier, isOptional: row[7] != "t",
          defaultExpression: row[9] == "" ? row[8] : nil, isGenerated: row[9] == "s",
          dimensions: dimensions))
    }
    guard let first = rows.first, let oid = first[0].flatMap({ UInt32($0) }),
      let namespace = first[1], let name = first[2],
      let identity = first[3]?.utf8.first.flatMap({ ReplicaIdentity(rawValue: $0) })
    else { throw CatalogueError("the catalogue describes a table in a way that is not known") }
    return TableSchema(
      oid: oid, namespace: namespace, name: name, columns: columns,
      keyColumns: key.sorted { $0.position < $1.position }.map(\.column),
      replicaIdentity: identity)
  }

  /// Without the columns that the stream of a server before version 18 does not have.
  package func withoutGeneratedColumns() -> TableSchema {
    guard columns.contains(where: \.isGenerated) else { return self }
    let kept = columns.indices.filter { !columns[$0].isGenerated }
    return TableSchema(
      oid: oid, namespace: namespace, name: name, columns: kept.map { columns[$0] },
      keyColumns: keyColumns.compactMap { kept.firstIndex(of: $0) },
      replicaIdentity: replicaIdentity)
  }
}
