internal import Platform

/// Turns replication messages into records: knows the tables of the stream, encodes their changes,
/// gives each record its position, and leaves out what a snapshot already has.
///
/// Belongs to the capture thread. When the stream announces a table, that is an `Announcement` to
/// be seen to before the next message is taken.
final class ChangeEncoder {
  /// A table of the stream that is wanted.
  private struct Table {
    let schema: TableSchema
    let name: String
    let topic: String
  }

  private struct Transaction {
    var commit: LSN
    var xid: UInt32
    /// Microseconds since 1970.
    var time: Int64
    var origin: String?
    var originLSN: LSN?
    /// Of the events until now, if somebody wants to know; nil before the first.
    var counts: TransactionCounts?
  }

  private let config: CaptureConfig
  private let history: SnapshotHistory
  private let log: @Sendable (String) -> Void
  private var encoder: EventEncoder
  private let metadata: MetadataEncoder
  private let messageTopic: String
  private var isMessageTopicOpen = false
  private let transactionTopic: String
  private var types: TypeCatalog
  private var typesAreOld = false
  /// By the relation's oid; nil for one that is not wanted.
  private var tables: [UInt32: Table?] = [:]
  private var transaction = Transaction(commit: .zero, xid: 0, time: 0)
  private var lastCommit: LSN?

  init(
    _ config: CaptureConfig, _ types: TypeCatalog, _ history: SnapshotHistory,
    _ log: @escaping @Sendable (String) -> Void
  ) {
    self.config = config
    self.history = history
    self.log = log
    self.types = types
    encoder = EventEncoder(options: config.envelope, catalog: types)
    metadata = MetadataEncoder(options: config.envelope)
    messageTopic = config.topic(metadata.messageTopic)
    transactionTopic = config.topic(metadata.transactionTopic)
  }

  /// Takes one message into account; appends the records that it makes. What it returns is to be
  /// done and handed to `announced` before the next message.
  func take(
    _ message: ReplicationMessage, at lsn: LSN, _ session: inout CaptureSession,
    into records: inout [PositionedRecord]
  ) throws -> Announcement? {
    switch message {
    case .insert(_, let relation, let new):
      let place = try session.change()
      try encode(.create(new), "c", relation, place, lsn, into: &records)
    case .update(_, let relation, let old, let new):
      let place = try session.change()
      try encode(.update(old: old, new: new), "u", relation, place, lsn, into: &records)
    case .delete(_, let relation, let old):
      let place = try session.change()
      try encode(.delete(old: old), "d", relation, place, lsn, into: &records)
    case .truncate(_, let relations, _):
      for relation in relations {
        let place = try session.change()
        try encode(.truncate, "t", relation, place, lsn, into: &records)
      }
    case .begin(let commit, let time, let xid):
      try session.begin(commit: commit)
      transaction = Transaction(
        commit: commit, xid: xid, time: time + SourceInfo.postgresEpoch)
    case .commit(_, let commit, let end, _):
      if let counts = transaction.counts {
        let place = try session.change()
        append(
          metadata.end(counts.id, counts: counts.tables, time: transaction.time),
          .change(commit: place.commit, ordinal: place.ordinal, subRecord: 0), &records)
      }
      transaction.counts = nil
      try session.commit(end: end)
      lastCommit = commit
    case .origin(let lsn, let name):
      transaction.origin = name
      transaction.originLSN = lsn
    case .relation(let relation): return announce(relation)
    case .type: typesAreOld = true
    case .message(_, let isTransactional, let lsn, let prefix, let content):
      guard isTransactional else {
        try session.message()
        return logicalMessage(prefix, content, lsn, .message(at: lsn), isTransactional, &records)
      }
      let place = try session.change()
      return logicalMessage(
        prefix, content, lsn,
        .change(commit: place.commit, ordinal: place.ordinal, subRecord: 0), isTransactional,
        &records)
    case .streamStart, .streamStop, .streamCommit, .streamAbort, .beginPrepare, .prepare,
      .commitPrepared, .rollbackPrepared, .streamPrepare:
      throw CaptureSession.ProtocolError(
        description: "the server sends a message of a protocol version that was not asked for")
    }
    return nil
  }

  private func announce(_ relation: RelationMessage) -> Announcement? {
    let namespace = relation.namespace.isEmpty ? "pg_catalog" : relation.namespace
    guard config.tables.wants(schema: namespace, table: relation.name) else {
      tables[relation.oid] = .some(nil)
      return nil
    }
    let unknown = relation.columns.contains { types[$0.typeOID] == nil }
    return Announcement(
      table: .init(
        relation: relation, name: "\(namespace).\(relation.name)",
        readsTypes: typesAreOld || unknown),
      topic: config.topic(schema: namespace, table: relation.name))
  }

  func announced(_ answer: Announcement.Answer) {
    if let new = answer.types {
      types = new
      encoder.replaceCatalog(types)
      typesAreOld = false
    }
    let announcement = answer.announcement
    if announcement.topic == messageTopic { isMessageTopicOpen = true }
    guard let table = announcement.table else { return }
    tables[table.relation.oid] = Table(
      schema: config.columns.marking(
        TableSchema(relation: table.relation, catalogue: answer.schema)),
      name: table.name, topic: announcement.topic)
  }

  /// A transactional message counts as an event of its transaction.
  private func logicalMessage(
    _ prefix: String, _ content: ArraySlice<UInt8>, _ lsn: LSN, _ position: CapturePosition,
    _ isTransactional: Bool, _ records: inout [PositionedRecord]
  ) -> Announcement? {
    guard config.messages.wants(prefix) else { return nil }
    let now = WallClock.nanoseconds()
    var source = sourceInfo(lsn)
    if !isTransactional {
      source.xid = nil
      source.origin = nil
      source.originLSN = nil
      // It has no time of its own.
      if source.time == 0 { source.time = now / 1000 }
    } else if config.providesTransactions {
      source.transaction = counts.next(Self.messageTable)
      count(1, of: Self.messageTable, &records)
    }
    append(
      metadata.message(prefix: prefix, content: content, source: source, now: now), position,
      &records, to: messageTopic)
    return isMessageTopicOpen ? nil : Announcement(table: nil, topic: messageTopic)
  }

  // MARK: Transactions

  /// Under which messages are counted in a transaction's END; Debezium has an object's hash there.
  private static let messageTable = "message"

  private var counts: TransactionCounts {
    transaction.counts
      ?? TransactionCounts(TransactionID(xid: transaction.xid, lsn: transaction.commit))
  }

  /// Counts events of the open transaction; the first are preceded by its BEGIN.
  private func count(_ events: Int, of table: String, _ records: inout [PositionedRecord]) {
    var counts = counts
    if transaction.counts == nil {
      append(
        metadata.begin(counts.id, time: transaction.time), .begin(commit: transaction.commit),
        &records)
    }
    counts.count(events, of: table)
    transaction.counts = counts
  }

  private func append(
    _ event: EncodedEvent, _ position: CapturePosition, _ records: inout [PositionedRecord],
    to topic: String? = nil
  ) {
    records.append(
      PositionedRecord(topic: topic ?? transactionTopic, event: event, position: position))
  }

  private func sourceInfo(_ lsn: LSN) -> SourceInfo {
    SourceInfo(
      database: config.address.database, time: transaction.time, lastCommitLSN: lastCommit,
      lsn: lsn, xid: transaction.xid, origin: transaction.origin,
      originLSN: transaction.originLSN)
  }

  private func encode(
    _ change: Change, _ operation: String, _ relation: UInt32,
    _ place: (commit: LSN, ordinal: UInt64), _ lsn: LSN, into records: inout [PositionedRecord]
  ) throws {
    guard let entry = tables[relation] else {
      throw CaptureSession.ProtocolError(
        description: "a change is of the relation \(relation), which was not announced")
    }
    guard let table = entry, !config.skippedOperations.contains(operation) else { return }
    var source = sourceInfo(lsn)
    if config.providesTransactions { source.transaction = counts.next(table.name) }
    let events = try encoder.events(
      for: change, of: table.schema, source: source, now: WallClock.nanoseconds())
    for note in encoder.takeNotes() { log(note) }
    let mayOverlap = place.commit < history.end
    var isCounted = !config.providesTransactions
    // Counted as Debezium does: before transformations leave any out.
    if events.isEmpty, !isCounted { count(encoder.placesTaken, of: table.name, &records) }
    for (index, event) in events.enumerated() {
      if mayOverlap, isInSnapshot(change, event, place.commit, table.name) { continue }
      if !isCounted { count(encoder.placesTaken, of: table.name, &records) }
      isCounted = true
      records.append(
        PositionedRecord(
          topic: table.topic, event: event,
          position: .change(commit: place.commit, ordinal: place.ordinal, subRecord: index)))
    }
  }

  private func isInSnapshot(
    _ change: Change, _ event: EncodedEvent, _ commit: LSN, _ table: String
  ) -> Bool {
    if case .truncate = change { return skipsTruncate(commit, table) }
    return history.contains(change: commit, of: table, key: event.key.map { KeyDigest($0) })
  }

  /// A truncation empties the table for readers; it must not take rows away that a later snapshot
  /// has written.
  private func skipsTruncate(_ commit: LSN, _ table: String) -> Bool {
    switch history.containsWholeTable(change: commit, of: table) {
    case true?: return true
    case false?: return false
    case nil:
      log(
        "\(table) was truncated at \(commit), while its snapshot was interrupted; the truncation "
          + "is left out, because rows that came after it are in the topic already. Rows of before "
          + "may stay behind there.")
      return true
    }
  }
}
