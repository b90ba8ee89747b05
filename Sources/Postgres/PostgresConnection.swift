internal import CLibpq
internal import Glibc
internal import Platform

/// A connection to Postgres through libpq. Belongs to one thread.
///
/// Statements block. What streams (`COPY`) is in `PostgresConnection+Copy.swift`.
@safe
package final class PostgresConnection {
  let handle: OpaquePointer
  /// What was copied last.
  var piece: [UInt8] = []

  // MARK: Connecting

  /// Connects within `seconds`. `parameters` are libpq's keywords and values (Postgres manual,
  /// 34.1.2). A refusal has its code, so that it is known whether trying again helps.
  package init(_ parameters: [(String, String)], seconds: Int64) throws(PostgresError) {
    unsafe handle = try unsafe Self.begin(parameters) { unsafe PQconnectStartParams($0, $1, 0) }
    // Verbose, because no result carries the code; it is in the text.
    unsafe PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
    let deadline = MonotonicClock.milliseconds() + seconds * 1000
    var progress = PGRES_POLLING_WRITING
    while progress != PGRES_POLLING_OK {
      guard unsafe PQstatus(handle) != CONNECTION_BAD, progress != PGRES_POLLING_FAILED
      else { throw cannotConnect }
      let events = progress == PGRES_POLLING_READING ? POLLIN : POLLOUT
      guard wait(for: Int16(events), until: deadline) else {
        throw PostgresError(
          .unavailable, "Cannot connect to \(address): it does not answer within \(seconds) s.")
      }
      progress = unsafe PQconnectPoll(handle)
    }
    unsafe PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
  }

  /// Connects as a connection string says (Postgres manual, 34.1.1), which also says for how long
  /// it may try each of its hosts. `defaults` are for what it does not say.
  package init(
    conninfo: String, defaults: [(String, String)] = []
  ) throws(PostgresError) {
    // The later of two equal keywords counts, so what stands before dbname is a default.
    unsafe handle = try unsafe Self.begin(defaults + [("dbname", conninfo)]) {
      unsafe PQconnectdbParams($0, $1, 1)
    }
    if isLost { throw cannotConnect }
  }

  private typealias Strings = UnsafePointer<UnsafePointer<CChar>?>

  private static func begin(
    _ parameters: [(String, String)], _ connect: (Strings, Strings) -> OpaquePointer?
  ) throws(PostgresError) -> OpaquePointer {
    let keywords = unsafe parameters.map { unsafe strdup($0.0) }
    let values = unsafe parameters.map { unsafe strdup($0.1) }
    defer { unsafe (keywords + values).forEach { unsafe free($0) } }
    let keywordList = unsafe keywords.map { unsafe UnsafePointer($0) } + [nil]
    let valueList = unsafe values.map { unsafe UnsafePointer($0) } + [nil]
    guard let handle = unsafe connect(keywordList, valueList) else {
      throw PostgresError(.unavailable, "There is no memory for a connection to Postgres.")
    }
    // libpq would print on standard error what the server mentions in passing.
    unsafe _ = PQsetNoticeReceiver(handle, { _, _ in }, nil)
    return unsafe handle
  }

  deinit { unsafe PQfinish(handle) }

  /// Waits for the server to answer, as long as connecting takes; true if it takes connections.
  package static func isReady(conninfo: String) -> Bool {
    unsafe PQping(conninfo) == PQPING_OK
  }

  func wait(for events: Int16, until deadline: Int64) -> Bool {
    while true {
      let left = deadline - MonotonicClock.milliseconds()
      guard left > 0 else { return false }
      var descriptor = pollfd(fd: descriptor, events: events, revents: 0)
      let count = unsafe poll(&descriptor, 1, Int32(clamping: left))
      if count > 0 { return true }
      if count == 0 { return false }
    }
  }

  // MARK: What it is

  package var descriptor: Int32 { unsafe PQsocket(handle) }

  /// 150018 for 15.18.
  package var serverVersion: Int { Int(unsafe PQserverVersion(handle)) }

  package var isLost: Bool { unsafe PQstatus(handle) != CONNECTION_OK }

  /// `user@host:port/database`.
  private var address: String {
    let text = { (part: UnsafeMutablePointer<CChar>?) in
      unsafe part.map { unsafe String(cString: $0) } ?? ""
    }
    let (user, host) = unsafe (text(PQuser(handle)), text(PQhost(handle)))
    return unsafe "\(user)@\(host):\(text(PQport(handle)))/\(text(PQdb(handle)))"
  }

  private var lastMessage: String {
    unsafe PQerrorMessage(handle).map { unsafe String(cString: $0) } ?? ""
  }

  private var cannotConnect: PostgresError {
    PostgresError(connecting: "Cannot connect to \(address): \(lastMessage)")
  }

  var lost: PostgresError {
    PostgresError(
      .unavailable, "The connection to \(address) was lost: \(PostgresError.oneLine(lastMessage))")
  }

  // MARK: Statements

  /// Runs one statement, or several with semicolons between, of which the last one's result counts.
  @discardableResult
  package func run(_ sql: String) throws(PostgresError) -> PostgresResult {
    try unsafe result(PQexec(handle, sql))
  }

  /// The rows of a statement; empty for one that has none.
  @discardableResult
  package func query(_ sql: String) throws(PostgresError) -> [[String?]] { try run(sql).rows }

  package func prepare(_ name: String, _ sql: String) throws(PostgresError) {
    _ = try unsafe result(PQprepare(handle, name, sql, 0, nil))
  }

  package enum Parameter {
    case null
    case text(String)
    case bytes([UInt8])

    package init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  }

  /// Runs a prepared statement.
  @discardableResult
  package func execute(
    _ name: String, _ parameters: [Parameter]
  ) throws(PostgresError) -> PostgresResult {
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
        handle, name, Int32(parameters.count), values, lengths, formats, 0)
    }
    return try unsafe result(answer)
  }

  /// As `query`, for a statement that may wait long: calls `isWanted` every second, and has the
  /// server give up when it says no.
  package func query(
    _ sql: String, whileWaiting isWanted: () -> Bool
  ) throws(PostgresError) -> [[String?]] {
    guard unsafe PQsendQuery(handle, sql) == 1 else { throw lost }
    var isCancelled = false
    while unsafe PQisBusy(handle) == 1 {
      if wait(for: Int16(POLLIN), until: MonotonicClock.milliseconds() + 1000) {
        try receive()
      } else if !isWanted(), !isCancelled {
        isCancelled = true
        cancel()
      }
    }
    var rows: [[String?]] = []
    var problem: PostgresError?
    while let result = unsafe PQgetResult(handle) {
      do throws(PostgresError) {
        rows += try unsafe self.result(result).rows
      } catch {
        problem = problem ?? error
      }
    }
    if let problem { throw problem }
    return rows
  }

  private func cancel() {
    guard let cancel = unsafe PQgetCancel(handle) else { return }
    defer { unsafe PQfreeCancel(cancel) }
    var message = [CChar](repeating: 0, count: 256)
    _ = unsafe PQcancel(cancel, &message, Int32(message.count))
  }

  /// Ends a transaction that failed, if the connection still lives.
  package func rollback() {
    guard !isLost, unsafe PQtransactionStatus(handle) != PQTRANS_IDLE else { return }
    _ = try? run("ROLLBACK")
  }

  /// What an answer says. Frees it.
  private func result(_ answer: OpaquePointer?) throws(PostgresError) -> PostgresResult {
    defer { unsafe PQclear(answer) }
    let known = [PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY]
    guard known.contains(unsafe PQresultStatus(answer)) else { throw unsafe failure(answer) }
    return unsafe PostgresResult(answer)
  }

  func failure(_ answer: OpaquePointer?) -> PostgresError {
    guard let answer = unsafe answer else { return lost }
    let state = unsafe PQresultErrorField(answer, Int32(UInt8(ascii: "C")))
      .map { unsafe String(cString: $0) }
    let message = unsafe PQresultErrorMessage(answer).map { unsafe String(cString: $0) } ?? ""
    let text = PostgresError.oneLine(message)
    guard isLost else { return PostgresError(statement: text, sqlState: state) }
    return text.isEmpty ? lost : PostgresError(.unavailable, sqlState: state, text)
  }
}

/// What a statement gave, as text.
package struct PostgresResult: Equatable, Sendable {
  package var rows: [[String?]] = []
  /// Rows that it changed.
  package var changes = 0

  fileprivate init(_ answer: OpaquePointer?) {
    changes = unsafe Int(String(cString: PQcmdTuples(answer))) ?? 0
    let columns = unsafe PQnfields(answer)
    rows = (0..<(unsafe PQntuples(answer))).map { row in
      (0..<columns).map { column in
        guard unsafe PQgetisnull(answer, row, column) == 0,
          let value = unsafe PQgetvalue(answer, row, column)
        else { return nil }
        return unsafe String(cString: value)
      }
    }
  }
}
