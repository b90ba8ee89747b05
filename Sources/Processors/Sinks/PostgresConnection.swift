internal import CLibpq

/// One connection to Postgres, for one thread, which it blocks.
@safe
package final class PostgresConnection {
  private var connection: OpaquePointer?

  package enum Parameter {
    case null
    case text(String)
    case bytes([UInt8])

    package init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  }

  /// Connects, and gives up after five seconds unless `conninfo` says otherwise. What is committed
  /// through it is on the server's disk, whatever the server's default is; times are in UTC.
  package init(_ conninfo: String, name: String) throws(SinkError) {
    // The later of two equal keywords counts, so what stands before dbname is a default.
    let options = [
      ("connect_timeout", "5"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
      ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
      ("application_name", "martlet \(name)"), ("dbname", conninfo),
    ]
    unsafe Self.withStrings(options.map(\.0)) { keys in
      unsafe Self.withStrings(options.map(\.1)) { values in
        unsafe connection = PQconnectdbParams(keys, values, 1)
      }
    }
    guard unsafe PQstatus(connection) == CONNECTION_OK else {
      let text = message
      unsafe PQfinish(connection)
      unsafe connection = nil
      throw .unavailable("Postgres cannot be reached: \(text)")
    }
    unsafe _ = PQsetNoticeReceiver(connection, { _, _ in }, nil)
    try run("SET TimeZone TO 'UTC'")
    try run("SET synchronous_commit TO on")
  }

  deinit { unsafe PQfinish(connection) }

  package var isLost: Bool { unsafe PQstatus(connection) != CONNECTION_OK }

  private var message: String {
    let text = unsafe String(cString: PQerrorMessage(connection))
    let lines = text.split(separator: "\n")
    return lines.isEmpty ? "no reason given" : lines.joined(separator: " ")
  }

  private static func withStrings(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Void
  ) {
    let buffers = unsafe strings.map { text in
      let bytes = text.utf8.map { CChar(bitPattern: $0) } + [0]
      let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
      unsafe buffer.initialize(from: bytes, count: bytes.count)
      return unsafe buffer
    }
    defer { unsafe buffers.forEach { unsafe $0.deallocate() } }
    var pointers = unsafe buffers.map { unsafe UnsafePointer<CChar>?(UnsafePointer($0)) }
    unsafe pointers.append(nil)
    unsafe pointers.withUnsafeBufferPointer { list in
      if let first = list.baseAddress { unsafe body(first) }
    }
  }

  @discardableResult
  package func run(_ sql: String) throws(SinkError) -> PostgresResult {
    try unsafe result(PQexec(connection, sql), sql)
  }

  package func prepare(_ name: String, _ sql: String) throws(SinkError) {
    _ = try unsafe result(PQprepare(connection, name, sql, 0, nil), sql)
  }

  /// Runs a prepared statement.
  @discardableResult
  package func execute(_ name: String, _ parameters: [Parameter]) throws(SinkError)
    -> PostgresResult
  {
    // All values one behind the other, each with a zero after it.
    var storage: [UInt8] = []
    var starts: [Int?] = []
    var lengths: [Int32] = []
    var formats: [Int32] = []
    for parameter in parameters {
      let start = storage.count
      switch parameter {
      case .null: starts.append(nil)
      case .text(let text):
        starts.append(start)
        storage += text.utf8
      case .bytes(let bytes):
        starts.append(start)
        storage += bytes
      }
      lengths.append(Int32(storage.count - start))
      if case .bytes = parameter { formats.append(1) } else { formats.append(0) }
      storage.append(0)
    }
    let answer = unsafe storage.withUnsafeBytes { bytes in
      let base = bytes.baseAddress
      let values = unsafe starts.map { start in
        unsafe start.flatMap { start in
          unsafe base.map { unsafe ($0 + start).assumingMemoryBound(to: CChar.self) }
        }
      }
      return unsafe PQexecPrepared(
        connection, name, Int32(parameters.count), values, lengths, formats, 0)
    }
    return try unsafe result(answer, name)
  }

  private func result(_ answer: OpaquePointer?, _ what: String) throws(SinkError) -> PostgresResult
  {
    guard let answer = unsafe answer else { throw .unavailable("Postgres: \(message)") }
    let result = unsafe PostgresResult(answer)
    switch unsafe PQresultStatus(answer) {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return result
    default:
      let text = "Postgres: \(message) (\(what.prefix(200)))"
      throw isTemporary(result.sqlState) ? .unavailable(text) : .failed(text)
    }
  }

  /// What passes by itself: a lost connection, a server that starts, stops or is a standby, no
  /// room, no memory, a deadlock, a lock that somebody holds.
  private func isTemporary(_ state: String) -> Bool {
    if isLost || state.isEmpty { return true }
    if ["08", "40", "53", "57", "58"].contains(state.prefix(2)) { return true }
    return ["25006", "55P03"].contains(state)
  }

  /// Ends a transaction that failed, if the connection still lives.
  package func rollback() {
    guard !isLost, unsafe PQtransactionStatus(connection) != PQTRANS_IDLE else { return }
    _ = try? run("ROLLBACK")
  }
}

/// Rows of an answer, as text.
@safe
package final class PostgresResult {
  private let result: OpaquePointer

  fileprivate init(_ result: OpaquePointer) { unsafe self.result = unsafe result }

  deinit { unsafe PQclear(result) }

  package var count: Int32 { unsafe PQntuples(result) }
  package var columnCount: Int32 { unsafe PQnfields(result) }

  /// Rows that a command changed.
  package var changes: Int { unsafe Int(String(cString: PQcmdTuples(result))) ?? 0 }

  package subscript(row: Int32, column: Int32) -> String? {
    guard unsafe PQgetisnull(result, row, column) == 0,
      let value = unsafe PQgetvalue(result, row, column)
    else { return nil }
    return unsafe String(cString: value)
  }

  fileprivate var sqlState: String {
    // PG_DIAG_SQLSTATE
    guard let state = unsafe PQresultErrorField(result, 67) else { return "" }
    return unsafe String(cString: state)
  }
}
