internal import Bytes

/// What the server sends inside COPY BOTH of a replication connection, and what is answered.
///
/// Source: the Postgres manual, "Streaming Replication Protocol". Times are microseconds since
/// 2000-01-01 UTC.
package enum StreamFrame: Hashable, Sendable {
  /// `w`: a piece of the stream; for pgoutput, one message.
  case xLogData(walStart: LSN, walEnd: LSN, serverTime: Int64, payload: ArraySlice<UInt8>)
  /// `k`: how far the server is. One that wants a reply closes the connection when none comes.
  case keepalive(walEnd: LSN, serverTime: Int64, replyRequested: Bool)

  package static func decode(_ frame: ArraySlice<UInt8>) throws(PgOutputError) -> StreamFrame {
    guard let type = frame.first else { throw .empty }
    var reader = ByteReader(frame.dropFirst())
    do throws(ByteError) {
      switch UnicodeScalar(type) {
      case "w":
        let walStart = LSN(try reader.uint64())
        let walEnd = LSN(try reader.uint64())
        let serverTime = try reader.int64()
        return .xLogData(
          walStart: walStart, walEnd: walEnd, serverTime: serverTime,
          payload: try reader.slice(reader.remaining))
      case "k":
        let walEnd = LSN(try reader.uint64())
        let serverTime = try reader.int64()
        let reply = try reader.uint8()
        guard reader.isAtEnd else {
          throw ByteError.countExceedsInput(at: reader.position, count: reader.remaining)
        }
        return .keepalive(walEnd: walEnd, serverTime: serverTime, replyRequested: reply == 1)
      default: break
      }
    } catch {
      throw .malformed(type: type, error)
    }
    throw .unknownMessage(type: type)
  }

  /// `r`: each position is the last byte plus one. What is `flushed` the server may forget.
  package static func standbyStatusUpdate(
    written: LSN, flushed: LSN, applied: LSN, time: Int64, replyNow: Bool
  ) -> [UInt8] {
    unsafe ByteWriter.array(34) { writer in
      unsafe writer.integer(UInt8(ascii: "r"))
      unsafe writer.integer(written.rawValue)
      unsafe writer.integer(flushed.rawValue)
      unsafe writer.integer(applied.rawValue)
      unsafe writer.integer(time)
      unsafe writer.integer(UInt8(replyNow ? 1 : 0))
    }
  }
}
