internal import Bytes
internal import JSON
internal import Postgres

/// Results in Postgres.
///
/// Times are `timestamptz`, money `numeric`. A batch is one transaction of one statement per table,
/// each taking its rows as arrays. After a lost connection the next call connects again; whether a
/// commit that was under way took effect is read from the batch's stored number.
package final class PostgresSink: Sink {
  private let conninfo: String
  private var processor = ""
  private var sourceTopic = ""
  private var writer = ""
  private var tables: [PostgresTable] = []
  private var connection: ResultsConnection?

  /// `conninfo`: a URI or keywords and values, as libpq has it (Postgres documentation, 34.1.1).
  package init(conninfo: String) { self.conninfo = conninfo }

  package func close() { connection = nil }

  package func open(
    processor: String, sourceTopic: String, tables: [TableDescription]
  ) throws(SinkError) -> StoredProgress {
    close()
    self.processor = processor
    self.sourceTopic = sourceTopic
    self.tables = tables.map(PostgresTable.init)
    writer = String(UInt64.random(in: 0 ... .max), radix: 16)
    let connection = try ResultsConnection(conninfo, name: processor)
    do throws(SinkError) {
      try connection.run("BEGIN")
      // Two processors that create the same table at the same time would fail otherwise.
      try connection.run("SELECT pg_advisory_xact_lock(7813586)")
      for (name, sql) in Self.ownTables { _ = try create(name, sql, connection) }
      var made: [String] = []
      for table in self.tables where try create(table.name, table.creation, connection) {
        made.append(table.name)
      }
      let progress = try takeOver(connection)
      try progress.check(madeTables: made, processor)
      try connection.run("COMMIT")
      try prepare(connection)
      self.connection = connection
      return progress
    } catch {
      connection.rollback()
      throw error
    }
  }

  /// Only what is missing, because creating needs a right that writing does not; whether it was.
  private func create(
    _ name: String, _ sql: String, _ connection: ResultsConnection
  ) throws(SinkError) -> Bool {
    try connection.prepare("", "SELECT to_regclass($1)")
    let found = try connection.execute("", [.text(name)])
    guard found.rows.first?[0] == nil else { return false }
    try connection.run(sql)
    return true
  }

  private static let ownTables = [
    (
      "martlet_progress",
      """
      CREATE TABLE martlet_progress (processor text PRIMARY KEY, sequence bigint NOT NULL,
        writer text NOT NULL, outbox bytea NOT NULL)
      """
    ),
    (
      "martlet_offsets",
      """
      CREATE TABLE martlet_offsets (processor text, topic text, partition integer,
        next_offset bigint NOT NULL, stream_time_us bigint,
        PRIMARY KEY (processor, topic, partition))
      """
    ),
    (
      "martlet_state",
      """
      CREATE TABLE martlet_state (processor text, key text, value text NOT NULL,
        PRIMARY KEY (processor, key))
      """
    ),
  ]

  private func takeOver(_ connection: ResultsConnection) throws(SinkError) -> StoredProgress {
    try connection.prepare(
      "", "INSERT INTO martlet_progress VALUES ($1, 0, '', '') ON CONFLICT DO NOTHING")
    try connection.execute("", [.text(processor)])
    try connection.prepare(
      "",
      """
      UPDATE martlet_progress SET writer = $2 WHERE processor = $1
      RETURNING sequence, encode(outbox, 'hex')
      """)
    let row =
      try connection.execute("", [.text(processor), .text(writer)]).rows.first ?? [nil, nil]
    var progress = StoredProgress()
    progress.sequence = row[0].flatMap { Int64($0) } ?? 0
    do throws(ByteError) {
      progress.outbox = try OutboxFormat.decode(Self.bytes(hex: row[1] ?? ""))
    } catch {
      throw .failed("The outbox of '\(processor)' in martlet_progress is damaged: \(error).")
    }
    try connection.prepare(
      "",
      """
      SELECT partition, next_offset, stream_time_us FROM martlet_offsets
      WHERE processor = $1 AND topic = $2 ORDER BY partition
      """)
    let rows = try connection.execute("", [.text(processor), .text(sourceTopic)])
    for row in rows.rows {
      let number = { (column: Int) in row[column].flatMap { Int64($0) } }
      let part = SourceProgress(
        partition: number(0) ?? -1, nextOffset: number(1) ?? 0, streamTime: number(2))
      if let part { progress.source.append(part) }
    }
    return progress
  }

  private static func bytes(hex: String) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map { index in
      let high = JSONString.hexDigit(digits[index]) ?? 0
      return high << 4 | (JSONString.hexDigit(digits[index + 1]) ?? 0)
    }
  }

  private func prepare(_ connection: ResultsConnection) throws(SinkError) {
    try connection.prepare(
      "fence",
      """
      UPDATE martlet_progress SET sequence = $1, outbox = $2
      WHERE processor = $3 AND sequence = $4 AND writer = $5
      """)
    try connection.prepare(
      "position", "SELECT sequence, writer FROM martlet_progress WHERE processor = $1")
    try connection.prepare(
      "load", "SELECT key, value FROM martlet_state WHERE processor = $1 AND key = ANY($2::text[])")
    try connection.prepare(
      "rows",
      // The index's own order, whatever the collation; what is no row's is left out on the way.
      """
      SELECT key, value FROM martlet_state
      WHERE processor = $1 AND key > $2 AND starts_with(key, 'row/') ORDER BY key LIMIT $3::bigint
      """)
    try connection.prepare(
      "put_state",
      """
      INSERT INTO martlet_state SELECT $1, * FROM unnest($2::text[], $3::text[])
      ON CONFLICT (processor, key) DO UPDATE SET value = excluded.value
      """)
    try connection.prepare(
      "remove_state", "DELETE FROM martlet_state WHERE processor = $1 AND key = ANY($2::text[])")
    try connection.prepare(
      "put_offsets",
      """
      INSERT INTO martlet_offsets
      SELECT $1, $2, * FROM unnest($3::integer[], $4::bigint[], $5::bigint[])
      ON CONFLICT (processor, topic, partition) DO UPDATE
      SET next_offset = excluded.next_offset, stream_time_us = excluded.stream_time_us
      """)
    for (index, table) in tables.enumerated() {
      try connection.prepare("upsert_\(index)", table.upsert)
      try connection.prepare("remove_\(index)", table.removal)
    }
  }

  /// The connection, made anew if it was lost; then `isNew`.
  private func connected() throws(SinkError) -> (ResultsConnection, isNew: Bool) {
    if let connection, !connection.isLost { return (connection, false) }
    connection = nil
    let connection = try ResultsConnection(conninfo, name: processor)
    try prepare(connection)
    self.connection = connection
    return (connection, true)
  }

  package func load(_ keys: [String]) throws(SinkError) -> [String?] {
    let (connection, _) = try connected()
    let rows = try connection.execute("load", [.text(processor), .text(PostgresArray.text(keys))])
    var found: [String: String] = [:]
    for row in rows.rows {
      if let key = row[0], let value = row[1] { found[key] = value }
    }
    return keys.map { found[$0] }
  }

  package func rows(after key: String, limit: Int) throws(SinkError) -> [StoredState] {
    let (connection, _) = try connected()
    let rows = try connection.execute(
      "rows", [.text(processor), .text(key), .text("\(limit)")])
    return rows.rows.compactMap { row in
      guard let key = row[0], let value = row[1] else { return nil }
      return StoredState(key: key, value: value)
    }
  }

  package func commit(_ batch: SinkBatch) throws(SinkError) {
    let (connection, isNew) = try connected()
    if isNew, try isCommitted(batch, connection) { return }
    do throws(SinkError) {
      try connection.run("BEGIN")
      // Waits for a transaction of ours that a lost connection left behind.
      let fenced = try connection.execute(
        "fence",
        [
          .text("\(batch.sequence)"), .bytes(OutboxFormat.encode(batch.effects.outbox)),
          .text(processor), .text("\(batch.previousSequence)"), .text(writer),
        ])
      guard fenced.changes == 1 else {
        connection.rollback()
        guard try isCommitted(batch, connection) else { throw .fenced(processor: processor) }
        return
      }
      try write(batch.effects, connection)
      try connection.run("COMMIT")
    } catch {
      connection.rollback()
      throw error
    }
  }

  /// Whether the batch is stored already; an earlier attempt to commit it lost its connection.
  private func isCommitted(
    _ batch: SinkBatch, _ connection: ResultsConnection
  ) throws(SinkError) -> Bool {
    let row = try connection.execute("position", [.text(processor)]).rows.first
    guard let row, row[1] == writer else { throw .fenced(processor: processor) }
    return row[0] == "\(batch.sequence)"
  }

  private func write(_ effects: Effects, _ connection: ResultsConnection) throws(SinkError) {
    let puts = effects.state.filter { $0.value != nil }
    if !puts.isEmpty {
      try connection.execute(
        "put_state",
        [
          .text(processor), .text(PostgresArray.text(puts.map(\.key))),
          .text(PostgresArray.text(puts.map(\.value))),
        ])
    }
    let removals = effects.state.filter { $0.value == nil }.map(\.key)
    if !removals.isEmpty {
      try connection.execute(
        "remove_state", [.text(processor), .text(PostgresArray.text(removals))])
    }
    let progress = effects.progress
    try connection.execute(
      "put_offsets",
      [
        .text(processor), .text(sourceTopic),
        .text(PostgresArray.text(progress.map { "\($0.partition)" })),
        .text(PostgresArray.text(progress.map { "\($0.nextOffset)" })),
        .text(PostgresArray.text(progress.map { $0.streamTime.map { "\($0.microseconds)" } })),
      ])
    for (index, table) in tables.enumerated() {
      for isRemoval in [true, false] {
        let changes = effects.tables.filter { $0.table == index && $0.isRemoval == isRemoval }
        guard !changes.isEmpty else { continue }
        try connection.execute(
          "\(isRemoval ? "remove" : "upsert")_\(index)",
          table.columns(of: changes).map { .text($0) })
      }
    }
  }
}
