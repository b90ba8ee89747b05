/// Results in a SQLite file.
///
/// Times are ISO 8601 in UTC, all of one length, so that they compare as they sort. A decimal is
/// two columns: its exact text, which people read, and `<name>_cents`, an integer whose SUM is
/// exact; SQLite has no exact number with places. The latter is null for what is no whole number of
/// cents.
package final class SQLiteSink: Sink {
  private let path: String
  private let turn: SQLiteTurn
  private var database: SQLiteDatabase?
  private var processor = ""
  private var sourceTopic = ""
  private var writer = ""
  private var statements: Statements?

  private struct Statements {
    var fence: SQLiteStatement
    var load: SQLiteStatement
    var rows: SQLiteStatement
    var putState: SQLiteStatement
    var removeState: SQLiteStatement
    var putOffset: SQLiteStatement
    var tables: [SQLiteTable]
  }

  package init(path: String) {
    self.path = path
    turn = SQLiteTurn.of(path: path)
  }

  package func close() {
    statements = nil
    database = nil
  }

  package func open(
    processor: String, sourceTopic: String, tables: [TableDescription]
  ) throws(SinkError) -> StoredProgress {
    close()
    self.processor = processor
    self.sourceTopic = sourceTopic
    writer = String(UInt64.random(in: 0 ... .max), radix: 16)
    return try turn.take { () throws(SinkError) in try takeOver(tables) }
  }

  private func takeOver(_ tables: [TableDescription]) throws(SinkError) -> StoredProgress {
    let database = try SQLiteDatabase(path: path)
    do throws(SinkError) {
      try database.run("BEGIN IMMEDIATE")
      for sql in Self.ownTables { try database.run(sql) }
      var made: [String] = []
      for table in tables {
        let found = try database.prepare("SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?)")
        try found.bind([.text(table.name)])
        if try !found.step() { made.append(table.name) }
        found.reset()
        try database.run(SQLiteTable.creation(of: table))
      }
      let progress = try takeOver(database)
      try progress.check(madeTables: made, processor)
      try database.run("COMMIT")
      statements = try prepare(database, tables)
      self.database = database
      return progress
    } catch {
      database.rollback()
      throw error
    }
  }

  private static let ownTables = [
    """
    CREATE TABLE IF NOT EXISTS martlet_progress (processor TEXT PRIMARY KEY,
      sequence INTEGER NOT NULL, writer TEXT NOT NULL, outbox BLOB NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS martlet_offsets (processor TEXT NOT NULL, topic TEXT NOT NULL,
      partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, stream_time_us INTEGER,
      PRIMARY KEY (processor, topic, partition)) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS martlet_state (processor TEXT NOT NULL, key TEXT NOT NULL,
      value TEXT NOT NULL, PRIMARY KEY (processor, key)) WITHOUT ROWID
    """,
  ]

  private func takeOver(_ database: SQLiteDatabase) throws(SinkError) -> StoredProgress {
    try database.prepare(
      "INSERT INTO martlet_progress VALUES (?, 0, '', x'') ON CONFLICT DO NOTHING"
    ).run([.text(processor)])
    try database.prepare("UPDATE martlet_progress SET writer = ? WHERE processor = ?")
      .run([.text(writer), .text(processor)])
    var progress = StoredProgress()
    let row = try database.prepare(
      "SELECT sequence, outbox FROM martlet_progress WHERE processor = ?")
    try row.bind([.text(processor)])
    if try row.step() {
      progress.sequence = row.integer(0) ?? 0
      do {
        progress.outbox = try OutboxFormat.decode(row.blob(1))
      } catch {
        throw .failed("The outbox of '\(processor)' in martlet_progress is damaged: \(error).")
      }
    }
    let offsets = try database.prepare(
      """
      SELECT partition, next_offset, stream_time_us FROM martlet_offsets
      WHERE processor = ? AND topic = ? ORDER BY partition
      """)
    try offsets.bind([.text(processor), .text(sourceTopic)])
    while try offsets.step() {
      let part = SourceProgress(
        partition: offsets.integer(0) ?? -1, nextOffset: offsets.integer(1) ?? 0,
        streamTime: offsets.integer(2))
      if let part { progress.source.append(part) }
    }
    row.reset()
    return progress
  }

  private func prepare(
    _ database: SQLiteDatabase, _ tables: [TableDescription]
  ) throws(SinkError) -> Statements {
    var own: [SQLiteTable] = []
    for table in tables { own.append(try SQLiteTable(table, database)) }
    return Statements(
      fence: try database.prepare(
        """
        UPDATE martlet_progress SET sequence = ?, outbox = ?
        WHERE processor = ? AND sequence = ? AND writer = ?
        """),
      load: try database.prepare(
        "SELECT value FROM martlet_state WHERE processor = ? AND key = ?"),
      rows: try database.prepare(
        """
        SELECT key, value FROM martlet_state
        WHERE processor = ? AND key > ? AND substr(key, 1, 4) = 'row/' ORDER BY key LIMIT ?
        """),
      putState: try database.prepare("INSERT OR REPLACE INTO martlet_state VALUES (?, ?, ?)"),
      removeState: try database.prepare(
        "DELETE FROM martlet_state WHERE processor = ? AND key = ?"),
      putOffset: try database.prepare(
        "INSERT OR REPLACE INTO martlet_offsets VALUES (?, ?, ?, ?, ?)"),
      tables: own)
  }

  private func opened() throws(SinkError) -> (SQLiteDatabase, Statements) {
    guard let database, let statements else {
      preconditionFailure("a sink is opened before it is used")
    }
    return (database, statements)
  }

  package func load(_ keys: [String]) throws(SinkError) -> [String?] {
    let (database, statements) = try opened()
    // One transaction: reading without would lock and unlock the file for every key.
    try database.run("BEGIN")
    defer { database.rollback() }
    var values: [String?] = []
    values.reserveCapacity(keys.count)
    for key in keys {
      try statements.load.bind([.text(processor), .text(key)])
      values.append(try statements.load.step() ? statements.load.text(0) : nil)
      statements.load.reset()
    }
    return values
  }

  package func rows(after key: String, limit: Int) throws(SinkError) -> [StoredState] {
    let (database, statements) = try opened()
    try database.run("BEGIN")
    defer { database.rollback() }
    try statements.rows.bind([.text(processor), .text(key), .integer(Int64(limit))])
    var rows: [StoredState] = []
    while try statements.rows.step() {
      guard let key = statements.rows.text(0), let value = statements.rows.text(1) else { continue }
      rows.append(StoredState(key: key, value: value))
    }
    return rows
  }

  package func commit(_ batch: SinkBatch) throws(SinkError) {
    try turn.take { () throws(SinkError) in try write(batch) }
  }

  private func write(_ batch: SinkBatch) throws(SinkError) {
    let (database, statements) = try opened()
    do throws(SinkError) {
      try database.run("BEGIN IMMEDIATE")
      try statements.fence.run([
        .integer(batch.sequence), .blob(OutboxFormat.encode(batch.effects.outbox)),
        .text(processor), .integer(batch.previousSequence), .text(writer),
      ])
      guard database.changes == 1 else { return try settle(batch, database) }
      for write in batch.effects.state {
        if let value = write.value {
          try statements.putState.run([.text(processor), .text(write.key), .text(value)])
        } else {
          try statements.removeState.run([.text(processor), .text(write.key)])
        }
      }
      for part in batch.effects.progress {
        try statements.putOffset.run([
          .text(processor), .text(sourceTopic), .integer(Int64(part.partition)),
          .integer(part.nextOffset), part.streamTime.map { .integer($0.microseconds) } ?? .null,
        ])
      }
      for change in batch.effects.tables { try statements.tables[change.table].apply(change) }
      try database.run("COMMIT")
    } catch {
      database.rollback()
      throw error
    }
  }

  /// The number was not the expected one: it may be this very batch, whose first attempt failed
  /// after it had taken effect; or another instance writes.
  private func settle(_ batch: SinkBatch, _ database: SQLiteDatabase) throws(SinkError) {
    database.rollback()
    let row = try database.prepare(
      "SELECT 1 FROM martlet_progress WHERE processor = ? AND sequence = ? AND writer = ?")
    try row.bind([.text(processor), .integer(batch.sequence), .text(writer)])
    let isCommitted = try row.step()
    row.reset()
    guard isCommitted else { throw .fenced(processor: processor) }
  }
}
