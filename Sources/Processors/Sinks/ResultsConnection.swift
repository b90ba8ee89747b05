internal import Postgres

/// A connection to the results in Postgres, whose errors are a sink's.
struct ResultsConnection {
  private let postgres: PostgresConnection

  /// Connects, and gives up after five seconds unless `conninfo` says otherwise. What is committed
  /// through it is on the server's disk, whatever the server's default is; times are in UTC.
  init(_ conninfo: String, name: String) throws(SinkError) {
    do throws(PostgresError) {
      postgres = try PostgresConnection(
        conninfo: conninfo,
        defaults: [
          ("connect_timeout", "5"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
          ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
          ("application_name", "martlet \(name)"),
        ])
    } catch {
      throw .unavailable("Postgres: \(error)")
    }
    try run("SET TimeZone TO 'UTC'")
    try run("SET synchronous_commit TO on")
  }

  var isLost: Bool { postgres.isLost }

  @discardableResult
  func run(_ sql: String) throws(SinkError) -> PostgresResult {
    do throws(PostgresError) { return try postgres.run(sql) } catch { throw error.ofSink(sql) }
  }

  func prepare(_ name: String, _ sql: String) throws(SinkError) {
    do throws(PostgresError) { try postgres.prepare(name, sql) } catch { throw error.ofSink(sql) }
  }

  @discardableResult
  func execute(
    _ name: String, _ parameters: [PostgresConnection.Parameter]
  ) throws(SinkError) -> PostgresResult {
    do throws(PostgresError) {
      return try postgres.execute(name, parameters)
    } catch { throw error.ofSink(name) }
  }

  func rollback() { postgres.rollback() }
}

extension PostgresError {
  fileprivate func ofSink(_ statement: String) -> SinkError {
    let text = "Postgres: \(message) (\(statement.prefix(200)))"
    return passesByItself ? .unavailable(text) : .failed(text)
  }

  /// A lost connection, a server that starts, stops or is a standby, no room, no memory, a
  /// deadlock, a lock that somebody holds.
  private var passesByItself: Bool {
    guard kind != .unavailable, let sqlState else { return true }
    return ["40", "53", "58"].contains(sqlState.prefix(2)) || ["25006", "55P03"].contains(sqlState)
  }
}
