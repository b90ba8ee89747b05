internal import Platform

/// Turns replication messages into records: knows the tables of the stream, encodes their changes,
/// gives each record its position, and leaves out what a snapshot already has.
///
/// Belongs to the capture thread. Reads the catalogue when the stream announces a table.
final class ChangeEncoder {
  /// A table of the stream that is wanted.
  private struct Table {
    let schema: TableSchema
    let name: String
    let topic: String
  }

  private struct Transaction {
    var xid: UInt32
    /// Microseconds since 1970.
    var time: Int64
    var origin: String?
    var originLSN: LSN?
  }

  private let config: CaptureConfig
  private let catalogue: Catalogue
  private let target: any PositionedLog
  private let history: SnapshotHistory
  private let log: @Sendable (String) -> Void
  private var encoder: EventEncoder
  private var types: TypeCatalog
  private var typesAreOld = false
  /// By the relation's oid; nil for one that is not wanted.
  private var tables: [UInt32: Table?] = [:]
  private var transaction = Transaction(xid: 0, time: 0)
  private var lastCommit: LSN?

  init(
    _ config: CaptureConfig, _ catalogue: Catalogue, _ types: TypeCatalog,
    _ target: any PositionedLog, _ history: SnapshotHistory,
    _ log: @escaping @Sendable (String) -> Void
  ) {
    self.config = config
    self.catalogue = catalogue
    self.target = target
    self.history = history
    self.log = log
    self.types = types
    encoder = EventEncoder(options: config.envelope, catalog: types)
  }

  /// Takes one message into account; appends the records that it makes.
  func take(
    _ message: ReplicationMessage, at lsn: LSN, _ session: inout CaptureSession,
    into records: inout [PositionedRecord]
  ) throws {
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
      transaction = Transaction(xid: xid, time: time + SourceInfo.postgresEpoch)
    case .commit(_, let commit, let end, _):
      try session.commit(end: end)
      lastCommit = commit
    case .origin(let lsn, let name):
      transaction.origin = name
      transaction.originLSN = lsn
    case .relation(let relation): try announce(relation)
    case .type: typesAreOld = true
    case .message(_, let isTransactional, _, _, _):
      if isTransactional { _ = try session.change() }
    case .streamStart, .streamStop, .streamCommit, .streamAbort, .beginPrepare, .prepare,
      .commitPrepared, .rollbackPrepared, .streamPrepare:
      throw CaptureSession.ProtocolError(
        description: "the server sends a message of a protocol version that was not asked for")
    }
  }

  private func announce(_ relation: RelationMessage) throws {
    let namespace = relation.namespace.isEmpty ? "pg_catalog" : relation.namespace
    guard config.tables.wants(schema: namespace, table: relation.name) else {
      tables[relation.oid] = .some(nil)
      return
    }
    let now = try catalogue.schema(oid: relation.oid)
    let unknown = relation.columns.contains { types[$0.typeOID] == nil }
    if typesAreOld || unknown {
      types = try catalogue.types()
      encoder.replaceCatalog(types)
      typesAreOld = false
    }
    let topic = config.topic(schema: namespace, table: relation.name)
    try target.open(topic)
    tables[relation.oid] = Table(
      schema: TableSchema(relation: relation, catalogue: now),
      name: "\(namespace).\(relation.name)",
      topic: topic)
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
    let source = SourceInfo(
      database: config.address.database, time: transaction.time, lastCommitLSN: lastCommit,
      lsn: lsn, xid: transaction.xid, origin: transaction.origin,
      originLSN: transaction.originLSN)
    let events = try encoder.events(
      for: change, of: table.schema, source: source, now: WallClock.nanoseconds())
    let mayOverlap = place.commit < history.end
    for (index, event) in events.enumerated() {
      if mayOverlap, isInSnapshot(change, event, place.commit, table.name) { continue }
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
