internal import Platform
internal import Postgres

/// One thread of a snapshot: a connection that sees what the exported snapshot sees, and copies one
/// table after another.
struct SnapshotReader: Sendable {
  /// A batch for the capture thread has about that many bytes.
  private static let batchBytes = 256 << 10

  struct Table: Sendable {
    var index: Int
    var published: Catalogue.PublishedTable
    /// Keys whose rows are in the topic already.
    var written: [KeyDigest: UInt16]
  }

  let config: CaptureConfig
  let snapshot: String
  let types: TypeCatalog
  let lsn: LSN
  let tables: [Table]
  let work: SnapshotWork

  func start(_ number: Int) {
    Thread.start("snapshot-\(number)") {
      var failure: (any Error & Sendable)?
      do { try run() } catch { failure = error }
      work.ended(failure)
    }
  }

  private func run() throws {
    let connection = try PostgresConnection(config.address)
    try connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try connection.query("SET TRANSACTION SNAPSHOT \(SQL.literal(snapshot))")
    work.imported()
    var encoder = EventEncoder(options: config.envelope, catalog: types)
    while let index = work.nextTable() {
      guard try copy(tables[index], connection, &encoder) else { return }
    }
    try connection.query("COMMIT")
  }

  private func copy(
    _ table: Table, _ connection: PostgresConnection, _ encoder: inout EventEncoder
  ) throws -> Bool {
    let name = table.published.fullName
    guard
      let found = try Catalogue(connection).schema(table.published.schema, table.published.name)
    else {
      throw PostgresError(.busy, "The table \(name) was dropped while its snapshot began.")
    }
    let schema = published(found, table.published)
    let columns = schema.columns.map { SQL.name($0.name) }.joined(separator: ", ")
    let condition = table.published.rowFilter.map { " WHERE \($0)" } ?? ""
    // A table has rows of its own, which are not its children's; a partitioned one, published as a
    // whole, has those of its partitions.
    let kind = try connection.query("SELECT relkind FROM pg_class WHERE oid = \(found.oid)")
    let only = kind.first?.first == "p" ? "" : "ONLY "
    try connection.beginCopy(
      "COPY (SELECT \(columns) FROM \(only)\(SQL.name(found.namespace, found.name))\(condition)) "
        + "TO STDOUT")
    let decoder = CopyTextRow()
    let source = SourceInfo(
      database: config.address.database, time: WallClock.nanoseconds() / 1000, snapshot: .yes,
      lsn: lsn)
    var batch = SnapshotWork.Batch(table: table.index, events: [], size: 0, rowCount: 0)
    while case .bytes(let line) = try connection.read(blocking: true) {
      let row = try decoder.decode(line, columnCount: schema.columns.count)
      batch.rowCount += 1
      for event in try encoder.events(
        for: .read(row), of: schema, source: source, now: WallClock.nanoseconds())
      {
        if let key = event.key, !table.written.isEmpty, table.written[KeyDigest(key)] != nil {
          continue
        }
        batch.size += (event.key?.count ?? 0) + (event.value?.count ?? 0) + 64
        batch.events.append(event)
      }
      if batch.size >= Self.batchBytes || batch.rowCount >= 10_000 {
        guard work.put(batch) else { return false }
        batch = SnapshotWork.Batch(table: table.index, events: [], size: 0, rowCount: 0)
      }
    }
    batch.isLast = true
    return work.put(batch)
  }

  /// The columns that the stream has too.
  private func published(
    _ schema: TableSchema, _ table: Catalogue.PublishedTable
  ) -> TableSchema {
    let all = schema.withoutGeneratedColumns()
    guard let names = table.columns else { return all }
    let kept = all.columns.indices.filter { names.contains(all.columns[$0].name) }
    let key = all.keyColumns.compactMap { kept.firstIndex(of: $0) }
    return TableSchema(
      oid: all.oid, namespace: all.namespace, name: all.name, columns: kept.map { all.columns[$0] },
      keyColumns: key.count == all.keyColumns.count ? key : [],
      replicaIdentity: all.replicaIdentity)
  }
}
