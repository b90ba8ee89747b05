import Processors
import Testing

/// What every sink promises.
struct SinkPromises {
  let make: () -> any Sink
  let reader: any ResultReader

  static let table = TableDescription(
    "things", key: [.init("id", .integer)],
    [.init("name", .text), .init("price", .decimal), .init("at", .time)])

  private func effects(_ ids: [Int64], name: String?, state: [(String, String?)] = []) -> Effects {
    var effects = Effects()
    effects.tables = ids.map { id in
      TableChange(
        table: 0,
        values: [
          .integer(id), name.map { .text($0) } ?? .null,
          .decimal(ExactDecimal("1234567890123.40".utf8) ?? .zero),
          EventTime("2026-11-21T10:00:00.5Z".utf8).map { .time($0) } ?? .null,
        ])
    }
    effects.state = state.map { StateWrite(key: $0.0, value: $0.1) }
    effects.progress = [
      SourceProgress(partition: 0, nextOffset: 5, streamTime: EventTime(microseconds: -7)),
      SourceProgress(partition: 11, nextOffset: 1 << 40, streamTime: nil),
    ]
    effects.outbox = [
      OutboxRecord(
        topic: "t", key: nil, value: [0, 255, 39, 92], headers: [.init("h", [1, 0])], timestamp: 5)
    ]
    effects.outbox[0].floor = 1 << 33
    return effects
  }

  private func open(_ sink: any Sink, _ name: String) throws -> StoredProgress {
    try sink.open(processor: name, sourceTopic: "source", tables: [Self.table])
  }

  static let awkward = "Äpfel 'n \"B\\irnen\", {NULL}\n\t😀"

  func everythingOfABatchIsThereAfterwards() throws {
    let sink = make()
    #expect(try open(sink, "a") == StoredProgress())
    let batch = effects(
      [1, 2], name: Self.awkward, state: [(Self.awkward, Self.awkward), ("k", "")])
    try sink.commit(SinkBatch(previousSequence: 0, sequence: 1, effects: batch))
    #expect(try sink.load([Self.awkward, "none", "k"]) == [Self.awkward, nil, ""])
    var second = effects([2], name: nil, state: [("k", nil)])
    second.tables.append(TableChange(table: 0, values: [.integer(1)], isRemoval: true))
    second.progress = []
    try sink.commit(SinkBatch(previousSequence: 1, sequence: 7, effects: second))
    #expect(try sink.load([Self.awkward, "k"]) == [Self.awkward, nil])
    sink.close()
    let stored = try open(make(), "a")
    #expect(stored.sequence == 7)
    #expect(stored.source == batch.progress)
    #expect(stored.outbox == batch.outbox)
    #expect(
      try reader.query("SELECT id, name, price FROM things") == [["2", nil, "1234567890123.40"]])
    // Another processor in the same database has its own.
    #expect(try open(make(), "b") == StoredProgress())
  }

  /// In whatever order, each once, and no other state among them.
  func rowsAreReadPieceByPiece() throws {
    let sink = make()
    _ = try open(sink, "rows")
    let keys = (0..<25).map { "row/\($0 * 7919 % 101)-\(Self.awkward)" } + ["row/", "row/z/1"]
    let others = ["window/1", "truncation", "ro", "row", "rpw/1"]
    try sink.commit(
      SinkBatch(
        previousSequence: 0, sequence: 1,
        effects: effects([77], name: nil, state: (keys + others).map { ($0, "of \($0)") })))
    var found: [StoredState] = []
    while true {
      let rows = try sink.rows(after: found.last?.key ?? "", limit: 4)
      found += rows
      guard rows.count == 4 else { break }
    }
    #expect(found.map(\.key).sorted() == keys.sorted())
    #expect(found.allSatisfy { $0.value == "of \($0.key)" })
    #expect(try open(make(), "another").sequence == 0)
  }

  func whoOpensLastWrites() throws {
    let first = make()
    let second = make()
    _ = try open(first, "fence")
    try first.commit(SinkBatch(previousSequence: 0, sequence: 1, effects: effects([10], name: "a")))
    _ = try open(second, "fence")
    #expect {
      try first.commit(
        SinkBatch(previousSequence: 1, sequence: 2, effects: self.effects([11], name: "b")))
    } throws: { if case SinkError.fenced = $0 { true } else { false } }
    try second.commit(
      SinkBatch(previousSequence: 1, sequence: 2, effects: effects([12], name: "c")))
    // What was committed already is not committed again, and is no error.
    try second.commit(
      SinkBatch(previousSequence: 1, sequence: 2, effects: effects([13], name: "d")))
    #expect(
      try reader.query("SELECT id FROM things WHERE id BETWEEN 10 AND 19 ORDER BY id")
        == [["10"], ["12"]])
  }

  func aFailedBatchLeavesNothing() throws {
    let sink = make()
    _ = try open(sink, "failing")
    var bad = effects([20], name: "x", state: [("s", "t")])
    // A table whose key is null takes nothing.
    bad.tables.append(TableChange(table: 0, values: [.null, .null, .null, .null]))
    bad.tables.append(TableChange(table: 0, values: [.text("no number"), .null, .null, .null]))
    #expect(throws: SinkError.self) {
      try sink.commit(SinkBatch(previousSequence: 0, sequence: 1, effects: bad))
    }
    #expect(try sink.load(["s"]) == [nil])
    #expect(try reader.query("SELECT * FROM things WHERE id = 20").isEmpty)
    try sink.commit(SinkBatch(previousSequence: 0, sequence: 1, effects: effects([21], name: "y")))
    #expect(try reader.query("SELECT name FROM things WHERE id = 21") == [["y"]])
  }
}

@Suite struct `SQLite takes results` {
  private let directory: TemporaryDirectory
  private let promises: SinkPromises

  init() throws {
    let directory = try TemporaryDirectory()
    self.directory = directory
    let path = directory.path + "/results.db"
    promises = SinkPromises(make: { SQLiteSink(path: path) }, reader: SQLiteReader(path: path))
  }

  @Test func `everything of a batch is there afterwards`() throws {
    try promises.everythingOfABatchIsThereAfterwards()
    #expect(
      try promises.reader.query("SELECT sum(price_cents), min(at) FROM things")
        == [["123456789012340", "2026-11-21T10:00:00.500000Z"]])
  }

  @Test func `who opens last writes`() throws { try promises.whoOpensLastWrites() }
  @Test func `rows are read piece by piece`() throws { try promises.rowsAreReadPieceByPiece() }
  @Test func `a failed batch leaves nothing`() throws { try promises.aFailedBatchLeavesNothing() }

  @Test func `a result table that is gone stops it, because its rows would not come back`() throws {
    try promises.everythingOfABatchIsThereAfterwards()
    let path = directory.path + "/results.db"
    let database = try SQLiteDatabase(path: path)
    try database.run("DROP TABLE things")
    let error = #expect(throws: SinkError.self) {
      _ = try SQLiteSink(path: path).open(
        processor: "a", sourceTopic: "source", tables: [SinkPromises.table])
    }
    #expect("\(error.map { "\($0)" } ?? "")".contains("things"))
    // Nothing was made in its place.
    #expect(throws: SinkError.self) { try database.prepare("SELECT * FROM things") }
  }

  @Test func `a table that is there keeps its other columns`() throws {
    let database = try SQLiteDatabase(path: directory.path + "/results.db")
    try database.run(
      "CREATE TABLE things (note TEXT DEFAULT 'n', ID INTEGER PRIMARY KEY, name, price TEXT, at)"
    )
    try promises.aFailedBatchLeavesNothing()
    #expect(try promises.reader.query("SELECT note FROM things WHERE id = 21") == [["n"]])
    try database.run("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    let other = TableDescription("other", key: [.init("id", .integer)], [.init("lost", .text)])
    #expect {
      _ = try self.promises.make().open(processor: "p", sourceTopic: "s", tables: [other])
    } throws: { "\($0)".contains("has no column lost") }
  }
}

@Suite(
  .enabled(if: ThrowawayPostgres.isInstalled, "needs Postgres 15"), WithPostgres(), .serialized)
struct `Postgres takes results` {
  private let server: ThrowawayPostgres
  private let promises: SinkPromises

  init() throws {
    let server = try #require(WithPostgres.server)
    self.server = server
    promises = SinkPromises(
      make: { PostgresSink(conninfo: server.conninfo) },
      reader: PostgresReader(conninfo: server.conninfo))
    _ = try promises.reader.query(
      "DROP TABLE IF EXISTS things, martlet_progress, martlet_offsets, martlet_state")
  }

  @Test func `everything of a batch is there afterwards`() throws {
    try promises.everythingOfABatchIsThereAfterwards()
    #expect(
      try promises.reader.query("SELECT sum(price), min(at) FROM things")
        == [["1234567890123.40", "2026-11-21 10:00:00.5+00"]])
  }

  @Test func `who opens last writes`() throws { try promises.whoOpensLastWrites() }
  @Test func `rows are read piece by piece`() throws { try promises.rowsAreReadPieceByPiece() }
  @Test func `a failed batch leaves nothing`() throws { try promises.aFailedBatchLeavesNothing() }

  @Test func `a table that is there keeps its other columns and types`() throws {
    _ = try promises.reader.query(
      "CREATE TABLE things (note text DEFAULT 'n', id int PRIMARY KEY, name varchar(50), "
        + "price numeric(20,2), at timestamp)")
    try promises.aFailedBatchLeavesNothing()
    #expect(
      try promises.reader.query("SELECT note, at FROM things WHERE id = 21")
        == [["n", "2026-11-21 10:00:00.5"]])
  }

  private func batch(_ number: Int64) -> SinkBatch {
    var effects = Effects()
    effects.state = [StateWrite(key: "count", value: "\(number)")]
    effects.progress = [SourceProgress(partition: 0, nextOffset: number)]
    return SinkBatch(previousSequence: number - 1, sequence: number, effects: effects)
  }

  private func tryCommit(_ batch: SinkBatch, _ sink: any Sink) throws { try sink.commit(batch) }

  /// Commits until it is done, as the driver does; how often it was refused.
  private func commit(_ batch: SinkBatch, _ sink: any Sink) throws -> Int {
    var refusals = 0
    while true {
      do {
        try tryCommit(batch, sink)
        return refusals
      } catch let error as SinkError {
        guard case .unavailable = error else { throw error }
        refusals += 1
        try #require(refusals < 2000)
      }
    }
  }

  @Test func `a connection that is killed at any moment neither loses nor repeats a batch`()
    async throws
  {
    let sink = PostgresSink(conninfo: server.conninfo)
    _ = try sink.open(processor: "killed", sourceTopic: "s", tables: [SinkPromises.table])
    // A trigger that counts what is really committed.
    _ = try promises.reader.query(
      """
      CREATE TABLE commits (sequence bigint);
      CREATE OR REPLACE FUNCTION count_commit() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO commits VALUES (NEW.sequence); RETURN NEW; END $$;
      CREATE TRIGGER count_commit AFTER UPDATE OF sequence ON martlet_progress
      FOR EACH ROW EXECUTE FUNCTION count_commit()
      """)
    let reader = PostgresReader(conninfo: server.conninfo)
    let killer = Task.detached {
      var kills = 0
      while !Task.isCancelled {
        kills += try reader.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            + "WHERE application_name = 'martlet killed'"
        ).count
      }
      return kills
    }
    var refusals = 0
    var number: Int64 = 0
    while refusals < 40 {
      number += 1
      refusals += try commit(batch(number), sink)
    }
    killer.cancel()
    #expect(try await killer.value > 0)
    #expect(
      try promises.reader.query(
        "SELECT count(*), count(DISTINCT sequence), max(sequence) FROM commits")
        == [["\(number)", "\(number)", "\(number)"]])
    #expect(
      try promises.reader.query("SELECT value FROM martlet_state WHERE processor = 'killed'")
        == [["\(number)"]])
    _ = try promises.reader.query("DROP TABLE commits CASCADE")
  }

  @Test func `a server that crashes and comes back goes on where it was`() throws {
    let sink = PostgresSink(conninfo: server.conninfo)
    _ = try sink.open(processor: "crash", sourceTopic: "s", tables: [SinkPromises.table])
    for number in 1...2 as ClosedRange<Int64> {
      _ = try commit(batch(number), sink)
      try server.stop()
      #expect(throws: SinkError.self) { try sink.commit(self.batch(number + 1)) }
      #expect(throws: SinkError.self) { try sink.load(["count"]) }
      try server.start()
      #expect(try sink.load(["count"]) == ["\(number)"])
    }
  }
}
