internal import Postgres

/// The commands of a replication connection (Postgres manual, "Streaming Replication Protocol").
struct ReplicationCommands {
  struct Identity {
    var system: SystemIdentity
    /// How far the server's log is on its disk.
    var end: LSN
  }

  struct CreatedSlot {
    /// The stream has what commits from here on; the snapshot sees what committed before.
    var consistentPoint: LSN
    /// Valid until the connection's next command.
    var snapshot: String?
  }

  enum Snapshot {
    case export
    case none
  }

  let connection: PostgresConnection

  func identify() throws(PostgresError) -> Identity {
    let row = try connection.query("IDENTIFY_SYSTEM").first
    guard let row, row.count >= 3, let identifier = row[0],
      let timeline = row[1].flatMap({ Int32($0) }),
      let end = row[2].flatMap({ LSN($0) })
    else { throw PostgresError(.refused, "The server does not say who it is.") }
    return Identity(system: SystemIdentity(identifier: identifier, timeline: timeline), end: end)
  }

  /// Waits for every transaction that has written and is open; `isWanted` is asked each second.
  func createSlot(
    _ name: String, isTemporary: Bool, _ snapshot: Snapshot, whileWaiting isWanted: () -> Bool
  ) throws(PostgresError) -> CreatedSlot {
    let kind = isTemporary ? "TEMPORARY " : ""
    let options =
      switch (connection.serverVersion >= 150_000, snapshot) {
      case (true, .export): "(SNAPSHOT 'export')"
      case (true, .none): "(SNAPSHOT 'nothing')"
      case (false, .export): "EXPORT_SNAPSHOT"
      case (false, .none): "NOEXPORT_SNAPSHOT"
      }
    let row = try connection.query(
      "CREATE_REPLICATION_SLOT \(SQL.name(name)) \(kind)LOGICAL pgoutput \(options)",
      whileWaiting: isWanted
    ).first
    guard let row, row.count >= 3, let point = row[1].flatMap({ LSN($0) }) else {
      throw PostgresError(.refused, "The server made the slot '\(name)' and does not say where.")
    }
    return CreatedSlot(consistentPoint: point, snapshot: row[2])
  }

  /// Fails if somebody streams from it.
  func dropSlot(_ name: String) throws(PostgresError) {
    try connection.query("DROP_REPLICATION_SLOT \(SQL.name(name))")
  }

  /// From then on the connection streams. Transactions that committed before `from` are left out.
  func start(
    _ slot: String, from: LSN, publication: String, messages: Bool
  ) throws(PostgresError) {
    // The names of publications are a list of SQL names within a literal.
    let names = SQL.literal(SQL.name(publication))
    try connection.beginCopy(
      "START_REPLICATION SLOT \(SQL.name(slot)) LOGICAL \(from) "
        + "(proto_version '1', publication_names \(names)"
        + (messages ? ", messages 'true')" : ")"))
    try connection.makeNonblocking()
  }
}
