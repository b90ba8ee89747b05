internal import CLibpq

/// Streams: read piece by piece, blocking for snapshots, or not at all for replication, whose
/// socket an event loop watches.
extension PostgresConnection {
  /// Begins a statement that streams: `COPY … TO STDOUT`, or `START_REPLICATION` (which also takes
  /// what `send` sends).
  package func beginCopy(_ sql: String) throws(PostgresError) {
    let answer = unsafe PQexec(handle, sql)
    defer { unsafe PQclear(answer) }
    let status = unsafe PQresultStatus(answer)
    guard status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH else {
      throw unsafe failure(answer)
    }
  }

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
    default: throw lost
    }
  }

  /// What the server says behind the last piece.
  private func endCopy() throws(PostgresError) {
    while let answer = unsafe PQgetResult(handle) {
      defer { unsafe PQclear(answer) }
      let status = unsafe PQresultStatus(answer)
      // A server that shuts down ends the copy of both sides in its own direction first.
      if status == PGRES_COPY_IN || status == PGRES_COPY_BOTH {
        throw PostgresError(.unavailable, "The server has ended the stream.")
      }
      guard status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK else {
        throw unsafe failure(answer)
      }
    }
  }

  /// Takes what the socket has. Call it when the socket is readable and `read` had nothing.
  package func receive() throws(PostgresError) {
    guard unsafe PQconsumeInput(handle) == 1 else { throw lost }
  }

  package func makeNonblocking() throws(PostgresError) {
    guard unsafe PQsetnonblocking(handle, 1) == 0 else { throw lost }
  }

  /// Sends a frame on a replication stream. False if part of it waits: then call `flush` when the
  /// socket is writable.
  package func send(_ frame: [UInt8]) throws(PostgresError) -> Bool {
    let result = unsafe frame.withUnsafeBytes { bytes in
      unsafe PQputCopyData(
        handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
    }
    guard result >= 0 else { throw lost }
    return try flush()
  }

  package func flush() throws(PostgresError) -> Bool {
    let result = unsafe PQflush(handle)
    guard result >= 0 else { throw lost }
    return result == 0
  }
}
