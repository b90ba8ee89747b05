internal import Glibc
internal import Platform
internal import Postgres

/// One attempt, once it is decided what it does. Each verb returns true when all is done that was
/// asked for, or it was stopped.
struct CaptureAttempt {
  let config: CaptureConfig
  let catalogue: Catalogue
  let tables: [Catalogue.PublishedTable]
  /// By table.
  let topics: [String]
  let writer: LogWriter
  let replication: ReplicationCommands
  let log: @Sendable (String) -> Void
  let stop: CaptureStop
  let status: CaptureStatus

  // MARK: Beginnings

  /// Makes the slot, and the rows that are there as of then unless they are not wanted.
  mutating func begin(_ identity: ReplicationCommands.Identity, dropping: Bool) throws -> Bool {
    var record = PositionRecord(
      phase: .creating, through: identity.end, slot: config.slotName,
      publication: config.publicationName, database: config.address.database,
      system: identity.system)
    record.partitions = divided(OutputPartitions(writer.found))
    record.countsMessages = true
    // First the intention: a slot that is there without it is not ours to drop.
    try writer.writeBlocking(record)
    if dropping { try replication.dropSlot(config.slotName) }
    let wantsRows = config.snapshotMode != .noData
    let slot = try replication.createSlot(
      config.slotName, isTemporary: false, wantsRows ? .export : .none, whileWaiting: waiting())
    record.through = slot.consistentPoint
    log("made the slot '\(config.slotName)' at \(slot.consistentPoint)")
    guard wantsRows, let snapshot = slot.snapshot else {
      record.phase = .streaming
      try writer.writeBlocking(record)
      return try stream(record)
    }
    record.phase = .snapshot
    // Beyond everything that is in the topics, also the rows of a snapshot that was forgotten.
    record.base = writer.writtenThrough + 1
    guard record.base < slot.consistentPoint.rawValue else {
      throw CaptureError(
        "The topics hold changes up to \(LSN(writer.writtenThrough)), beyond the new slot at "
          + "\(slot.consistentPoint): they are of another server. Delete them, or set topic.prefix."
      )
    }
    record.generations = [.init(lsn: slot.consistentPoint)]
    record.tables = tables.map { .init(name: $0.fullName) }
    try writer.writeBlocking(record)
    return try copy(record, snapshot, replication, written: [:])
  }

  mutating func adopt(_ lsn: LSN, _ identity: ReplicationCommands.Identity) throws -> Bool {
    var record = PositionRecord(
      phase: .streaming, through: lsn, slot: config.slotName,
      publication: config.publicationName, database: config.address.database,
      system: identity.system)
    record.partitions = divided(OutputPartitions(writer.found))
    record.countsMessages = true
    try writer.writeBlocking(record)
    log("goes on from the slot '\(config.slotName)' at \(lsn), without the rows of before")
    return try stream(record)
  }

  /// Goes on with an interrupted snapshot: another generation for the rows that are missing.
  mutating func resume() throws -> Bool {
    var record = try found()
    for table in tables where !record.tables.contains(where: { $0.name == table.fullName }) {
      record.tables.append(.init(name: table.fullName))
    }
    let open = record.tables.indices.filter { record.tables[$0].completed == nil }
    guard !open.isEmpty else { return try finish(record) }
    guard record.generations.count < CapturePosition.generationsMax else {
      throw CaptureError(
        "The snapshot was interrupted \(record.generations.count) times; run it once with "
          + "--forget to begin anew.")
    }
    let written = try writtenKeys(
      &record, Dictionary(uniqueKeysWithValues: open.map { ($0, Int.max) }))
    let exporting = ReplicationCommands(
      connection: try PostgresConnection(config.address, replication: true))
    let name = "martlet_snapshot_\(getpid())_\(record.generations.count)"
    let slot = try exporting.createSlot(name, isTemporary: true, .export, whileWaiting: waiting())
    guard let snapshot = slot.snapshot else {
      throw CaptureError("The server made a slot and exported no snapshot.")
    }
    record.generations.append(.init(lsn: slot.consistentPoint))
    log(
      "goes on with the snapshot: \(open.count) of \(record.tables.count) tables are left, "
        + "\(written.values.reduce(0) { $0 + $1.count }) of their rows are there")
    try writer.writeBlocking(record)
    return try copy(record, snapshot, exporting, written: written)
  }

  /// The record that is resumed, with the partitions as they are now, and as this program counts.
  private func found() throws -> PositionRecord {
    guard var record = writer.record else {
      preconditionFailure("nothing is resumed without a record")
    }
    var partitions = record.partitions ?? OutputPartitions(writer.found)
    do {
      for topic in writer.found { try partitions.take(topic, through: record.through.rawValue) }
    } catch {
      throw CaptureError("\(error)")
    }
    record.partitions = divided(partitions)
    if !record.countsMessages {
      // A transaction may be written in part, by ordinals that did not count them.
      record.countsMessages = writer.writtenThrough < record.through.rawValue
      if !record.countsMessages { log("logical messages are captured from the next start on") }
    }
    return record
  }

  /// Has the topics written to by these numbers.
  private func divided(_ partitions: OutputPartitions) -> OutputPartitions {
    for topic in writer.found { writer.divide(topic.name, by: partitions[topic.name]) }
    return partitions
  }

  // MARK: Rows

  /// The keys of rows that earlier generations wrote, of the tables with these indices. A table
  /// whose rows cannot be told apart is marked, and repeats.
  private func writtenKeys(
    _ record: inout PositionRecord, _ tables: [Int: Int]
  ) throws -> [Int: [KeyDigest: UInt16]] {
    let reading = SnapshotKeys(base: record.base, tables: tables)
    try writer.readFromBeginning { position, key in
      reading.take(position, key)
    }
    for table in reading.unknowable.sorted() where !record.tables[table].repeats {
      record.tables[table].repeats = true
      log(
        "\(record.tables[table].name): the snapshot was interrupted, and its rows "
          + (reading.isFull ? "are too many to be told apart" : "have no key")
          + ": they are written again."
      )
    }
    return reading.written
  }

  private mutating func copy(
    _ record: PositionRecord, _ snapshot: String, _ exporting: ReplicationCommands,
    written: [Int: [KeyDigest: UInt16]]
  ) throws -> Bool {
    let byName = Dictionary(uniqueKeysWithValues: zip(tables.map(\.fullName), tables.indices))
    var record = record
    var readers: [SnapshotReader.Table?] = []
    var topicsByIndex: [String] = []
    for index in record.tables.indices {
      let place = byName[record.tables[index].name]
      topicsByIndex.append(place.map { topics[$0] } ?? "")
      readers.append(
        place.map { .init(index: index, published: tables[$0], written: written[index] ?? [:]) })
      // Gone since the snapshot began, or no longer wanted: what happened to it is in the stream.
      if place == nil, record.tables[index].completed == nil {
        record.tables[index].completed = record.generations.count
      }
    }
    let open = record.tables.indices.filter { record.tables[$0].completed == nil }
    let threads = min(config.snapshotThreads, open.count)
    let work = SnapshotWork(tables: open, threads: threads)
    let reader = SnapshotReader(
      config: config, snapshot: snapshot, types: try catalogue.types(),
      lsn: record.generations.last?.lsn ?? record.through,
      tables: readers.map { $0 ?? .init(index: 0, published: tables[0], written: [:]) }, work: work,
      log: log)
    for number in 0..<threads { reader.start(number) }
    defer { work.cancel() }
    try withExtendedLifetime(exporting.connection) { try work.waitForImports() }
    log("snapshot of \(open.count) tables begins, \(threads) at a time")
    let snapshotWriter = SnapshotWriter(writer, record, topics: topicsByIndex, log, status)
    guard let done = try snapshotWriter.run(work, stop) else { return true }
    return try finish(done)
  }

  /// All rows are durable.
  private mutating func finish(_ record: PositionRecord) throws -> Bool {
    var record = record
    if config.snapshotMode == .initialOnly {
      // The record first: a slot without it would be in the way of the next start.
      record.phase = .finished
      try writer.writeBlocking(record)
      try replication.dropSlot(config.slotName)
      return true
    }
    record.phase = .streaming
    try writer.writeBlocking(record)
    return try stream(record)
  }

  // MARK: Changes

  mutating func stream() throws -> Bool {
    let record = try found()
    if record != writer.record { try writer.writeBlocking(record) }
    return try stream(record)
  }

  private mutating func stream(_ record: PositionRecord) throws -> Bool {
    if stop.isRequested { return true }
    var record = record
    var history = SnapshotHistory(record, written: [:])
    if record.through < history.end {
      let mixed = record.tables.indices.filter { (record.tables[$0].completed ?? 1) > 1 }
      let ends = mixed.map { ($0, record.tables[$0].completed ?? 1) }
      let written = try writtenKeys(&record, Dictionary(uniqueKeysWithValues: ends))
      history = SnapshotHistory(record, written: written)
    } else {
      // Long over: the record need not carry it any further.
      record.generations = []
      record.tables = []
    }
    let encoder = ChangeEncoder(config, try catalogue.types(), history, log)
    var options = CaptureSession.Options()
    options.statusMilliseconds = try statusInterval()
    try replication.start(
      config.slotName, from: record.through, publication: config.publicationName,
      messages: record.countsMessages)
    log("streams from \(record.through)")
    let driver = try StreamDriver(
      replication.connection, .init(config: config, catalogue: catalogue, log: log), writer,
      encoder, record, options, status)
    try driver.run(stop)
    return stop.isRequested
  }

  /// Postgres ends a stream that says nothing for `wal_sender_timeout`.
  private func statusInterval() throws -> Int64 {
    let rows = try catalogue.connection.query(
      "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'")
    let timeout = rows.first?.first?.flatMap { Int64($0) } ?? 0
    guard timeout > 0 else { return config.statusMilliseconds }
    return max(50, min(config.statusMilliseconds, timeout / 4))
  }

  /// For a statement that waits for transactions: says so once, and ends with the stop.
  private func waiting() -> () -> Bool {
    var seconds = 0
    return { [catalogue, log, stop] in
      seconds += 1
      if seconds % 10 == 5, let open = try? catalogue.openTransactions(seconds: 0), !open.isEmpty {
        let list = open.map { "\($0.pid) (\($0.age))" }.joined(separator: ", ")
        log("making a slot waits for the transactions of the backends \(list)")
      }
      return !stop.isRequested
    }
  }
}
