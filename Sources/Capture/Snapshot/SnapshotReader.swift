internal import Platform
internal import Postgres

/// One thread of a snapshot: a connection that sees what the exported snapshot sees, and copies one
/// table after another.
struct SnapshotReader: Sendable {
  /// A batch for the capture thread has about that many bytes.
  private static let batchBytes = 256 << 10
  private static let batchRowsMax = 10_000

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
  let log: @Sendable (String) -> Void

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
    return try rows(of: table, schema, connection, &encoder)
  }

  private func rows(
    of table: Table, _ schema: TableSchema, _ connection: PostgresConnection,
    _ encoder: inout EventEncoder
  ) throws -> Bool {
    let decoder = CopyTextRow()
    var source = SourceInfo(
      database: config.address.database, time: WallClock.nanoseconds() / 1000, lsn: lsn)
    func event(
      _ row: [TupleColumn], isFirst: Bool = false, isFirstOfTable: Bool = false,
      isLastOfTable: Bool = false, isLast: Bool = false
    ) throws -> EncodedEvent? {
      source.snapshot = SnapshotMarker(
        isFirst: isFirst, isFirstOfTable: isFirstOfTable, isLastOfTable: isLastOfTable,
        isLast: isLast)
      let events = try encoder.events(
        for: .read(row), of: schema, source: source, now: WallClock.nanoseconds())
      for note in encoder.takeNotes() { log(note) }
      return events.first
    }
    var batch = SnapshotWork.Batch(table: table.index, events: [], size: 0, rowCount: 0)
    // Goes on behind what an earlier generation has begun.
    var isFirst = table.written.isEmpty
    var isOnly = true
    // Whether a row is the last is known behind it.
    var lastLine: [UInt8] = []
    while case .bytes(let line) = try connection.read(blocking: true) {
      let row = try decoder.decode(line, columnCount: schema.columns.count)
      batch.rowCount += 1
      guard let made = try event(row, isFirstOfTable: isFirst) else { continue }
      if let key = made.key, !table.written.isEmpty, table.written[KeyDigest(key)] != nil {
        continue
      }
      // A batch is full before a row, never behind it: the last one has the last row.
      if batch.size >= Self.batchBytes || batch.events.count >= Self.batchRowsMax {
        guard work.put(batch) else { return false }
        batch = SnapshotWork.Batch(table: table.index, events: [], size: 0, rowCount: 0)
        isOnly = false
      }
      if isFirst { batch.first = try event(row, isFirst: true) }
      isFirst = false
      batch.size += (made.key?.count ?? 0) + (made.value?.count ?? 0) + 64
      batch.events.append(made)
      lastLine.removeAll(keepingCapacity: true)
      lastLine.append(contentsOf: line)
    }
    if let place = batch.events.indices.last {
      let row = try decoder.decode(lastLine[...], columnCount: schema.columns.count)
      let isFirst = isOnly && place == 0 && table.written.isEmpty
      if let made = try event(row, isFirstOfTable: isFirst, isLastOfTable: true) {
        batch.events[place] = made
      }
      batch.last = try event(row, isLastOfTable: true, isLast: true)
    }
    batch.isLast = true
    return work.put(batch)
  }

  /// The columns that the stream has too; what no event has is not even read.
  private func published(
    _ schema: TableSchema, _ table: Catalogue.PublishedTable
  ) -> TableSchema {
    let all = config.columns.marking(schema.withoutGeneratedColumns())
    let kept = all.columns.indices.filter { index in
      let column = all.columns[index]
      return (table.columns?.contains(column.name) ?? true)
        && (column.isInValue || all.keyColumns.contains(index))
    }
    guard kept.count < all.columns.count else { return all }
    let key = all.keyColumns.compactMap { kept.firstIndex(of: $0) }
    return TableSchema(
      oid: all.oid, namespace: all.namespace, name: all.name, columns: kept.map { all.columns[$0] },
      keyColumns: key.count == all.keyColumns.count ? key : [],
      replicaIdentity: all.replicaIdentity)
  }
}
