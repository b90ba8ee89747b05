internal import CLibpq
internal import Glibc
internal import Platform

/// A connection to Postgres through libpq. Belongs to one thread.
///
/// Statements block. What streams (`COPY`) is read piece by piece: blocking for snapshots, or not
/// at all for replication, whose socket an event loop watches.
@safe
package final class PostgresConnection {
  private static let connectSeconds: Int64 = 10

  private let handle: OpaquePointer
  private let address: PostgresAddress
  private var piece: [UInt8] = []

  /// Connects, within ten seconds.
  package init(
    _ address: PostgresAddress, replication: Bool = false, application: String = "martlet"
  ) throws(PostgresError) {
    self.address = address
    let parameters = address.parameters(replication: replication, application: application)
    let keywords = unsafe parameters.map { unsafe strdup($0.0) }
    let values = unsafe parameters.map { unsafe strdup($0.1) }
    defer { unsafe (keywords + values).forEach { unsafe free($0) } }
    let keywordList = unsafe keywords.map { unsafe UnsafePointer($0) } + [nil]
    let valueList = unsafe values.map { unsafe UnsafePointer($0) } + [nil]
    guard let handle = unsafe PQconnectStartParams(keywordList, valueList, 0) else {
      throw PostgresError(.unavailable, "There is no memory for a connection.")
    }
    unsafe self.handle = handle
    try connect()
  }

  deinit { unsafe PQfinish(handle) }

  private func connect() throws(PostgresError) {
    // Verbose, so that the reason has its code; only then can it be told whether trying again
    // helps.
    unsafe PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
    let deadline = MonotonicClock.milliseconds() + Self.connectSeconds * 1000
    var progress = PGRES_POLLING_WRITING
    while progress != PGRES_POLLING_OK {
      guard unsafe PQstatus(handle) != CONNECTION_BAD, progress != PGRES_POLLING_FAILED else {
        throw PostgresError(connecting: "Cannot connect to \(address): \(lastMessage)")
      }
      let events = progress == PGRES_POLLING_READING ? POLLIN : POLLOUT
      guard wait(for: Int16(events), until: deadline) else {
        throw PostgresError(
          .unavailable, "Cannot connect to \(address): it does not answer within ten seconds.")
      }
      progress = unsafe PQconnectPoll(handle)
    }
    unsafe PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
  }

  private func wait(for events: Int16, until deadline: Int64) -> Bool {
    while true {
      let left = deadline - MonotonicClock.milliseconds()
      guard left > 0 else { return false }
      var descriptor = pollfd(fd: unsafe PQsocket(handle), events: events, revents: 0)
      let count = unsafe poll(&descriptor, 1, Int32(clamping: left))
      if count > 0 { return true }
      if count == 0 { return false }
    }
  }

  private var lastMessage: String {
    guard let text = unsafe PQerrorMessage(handle) else { return "" }
    return unsafe String(cString: text).trimmingSpaces()
  }

  package var descriptor: Int32 { unsafe PQsocket(handle) }

  /// 150018 for 15.18.
  package var serverVersion: Int { Int(unsafe PQserverVersion(handle)) }

  // MARK: Statements

  /// The rows of one statement; empty for one that has none.
  @discardableResult
  package func query(_ sql: String) throws(PostgresError) -> [[String?]] {
    let result = unsafe PQexec(handle, sql)
    defer { unsafe PQclear(result) }
    return try unsafe Self.rows(result) { unsafe failure($0) }
  }

  private static func rows(
    _ result: OpaquePointer?, _ failure: (OpaquePointer?) -> PostgresError
  ) throws(PostgresError) -> [[String?]] {
    let status = unsafe PQresultStatus(result)
    guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
      throw unsafe failure(result)
    }
    let columns = unsafe PQnfields(result)
    return (0..<(unsafe PQntuples(result))).map { row in
      (0..<columns).map { column in
        guard unsafe PQgetisnull(result, row, column) == 0,
          let value = unsafe PQgetvalue(result, row, column)
        else { return nil }
        return unsafe String(cString: value)
      }
    }
  }

  /// Begins a statement that streams: `COPY … TO STDOUT`, or `START_REPLICATION` (which also takes
  /// what `send` sends).
  package func beginCopy(_ sql: String) throws(PostgresError) {
    let result = unsafe PQexec(handle, sql)
    defer { unsafe PQclear(result) }
    let status = unsafe PQresultStatus(result)
    guard status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH else {
      throw unsafe failure(result)
    }
  }

  private func failure(_ result: OpaquePointer?) -> PostgresError {
    guard let result = unsafe result else {
      return PostgresError(.unavailable, lost)
    }
    let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C")))
      .map { unsafe String(cString: $0) }
    let text = unsafe PQresultErrorMessage(result).map { unsafe String(cString: $0) } ?? ""
    if unsafe PQstatus(handle) == CONNECTION_BAD {
      return PostgresError(.unavailable, sqlState: state, text.isEmpty ? lost : text.oneLine)
    }
    return PostgresError(statement: text.oneLine, sqlState: state)
  }

  private var lost: String { "The connection to \(address) was lost: \(lastMessage.oneLine)" }

  // MARK: Streams

  package enum Piece {
    case bytes(ArraySlice<UInt8>)
    /// Nothing has arrived; wait for the socket. Only of a stream that does not block.
    case nothing
    case end
  }

  /// The next piece of a stream: a row of COPY, or a frame of replication. The bytes are valid
  /// until the next call; who keeps them copies them.
  package func read(blocking: Bool) throws(PostgresError) -> Piece {
    var pointer: UnsafeMutablePointer<CChar>?
    let count = unsafe PQgetCopyData(handle, &pointer, blocking ? 0 : 1)
    defer { unsafe PQfreemem(pointer) }
    switch count {
    case 1...:
      piece.removeAll(keepingCapacity: true)
      unsafe piece.append(
        contentsOf: UnsafeRawBufferPointer(start: pointer, count: Int(count)))
      return .bytes(piece[...])
    case 0: return .nothing
    case -1:
      try endCopy()
      return .end
    default: throw PostgresError(.unavailable, lost)
    }
  }

  /// What the server says behind the last piece.
  private func endCopy() throws(PostgresError) {
    while let result = unsafe PQgetResult(handle) {
      defer { unsafe PQclear(result) }
      let status = unsafe PQresultStatus(result)
      // A server that shuts down ends the copy of both sides in its own direction first.
      if status == PGRES_COPY_IN || status == PGRES_COPY_BOTH {
        throw PostgresError(.unavailable, "The server has ended the stream.")
      }
      guard status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK else {
        throw unsafe failure(result)
      }
    }
  }

  /// Takes what the socket has. Call it when the socket is readable and `read` had nothing.
  package func receive() throws(PostgresError) {
    guard unsafe PQconsumeInput(handle) == 1 else { throw PostgresError(.unavailable, lost) }
  }

  package func makeNonblocking() throws(PostgresError) {
    guard unsafe PQsetnonblocking(handle, 1) == 0 else { throw PostgresError(.unavailable, lost) }
  }

  /// Sends a frame on a replication stream. False if part of it waits: then call `flush` when the
  /// socket is writable.
  package func send(_ frame: [UInt8]) throws(PostgresError) -> Bool {
    let result = unsafe frame.withUnsafeBytes { bytes in
      unsafe PQputCopyData(
        handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
    }
    guard result >= 0 else { throw PostgresError(.unavailable, lost) }
    return try flush()
  }

  package func flush() throws(PostgresError) -> Bool {
    let result = unsafe PQflush(handle)
    guard result >= 0 else { throw PostgresError(.unavailable, lost) }
    return result == 0
  }

  /// As `query`, for a statement that may wait long: calls `isWanted` every second, and has the
  /// server give up when it says no.
  package func query(
    _ sql: String, whileWaiting isWanted: () -> Bool
  ) throws(PostgresError) -> [[String?]] {
    guard unsafe PQsendQuery(handle, sql) == 1 else { throw PostgresError(.unavailable, lost) }
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
      defer { unsafe PQclear(result) }
      do throws(PostgresError) {
        rows += try unsafe Self.rows(result) { unsafe failure($0) }
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
}

extension String {
  var oneLine: String {
    split(separator: "\n").map { $0.trimmingSpaces() }.joined(separator: " ")
  }
}
