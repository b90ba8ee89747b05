internal import KafkaWire
internal import Platform

/// Collects a connection's bytes into response frames.
///
/// Small frames are cut out of what was read; a large one gets memory of its own, which records
/// that are handed out go on sharing. It grows as its bytes arrive and at most doubles, so that a
/// broker that claims 100 MiB and sends nothing costs nothing.
struct ResponseAssembler {
  private static let readBytes = 64 << 10
  private static let largeBytes = 16 << 10

  private var buffer: [UInt8] = []
  /// Of what has not been handed out yet.
  private var first = 0

  /// Reads once from the socket.
  mutating func receive(from socket: Socket) -> Socket.Transfer {
    compact()
    let old = buffer.count
    let room = max(Self.readBytes, min(missingBytes, max(old, Self.readBytes)))
    var transfer = Socket.Transfer.wouldBlock
    buffer.reserveCapacity(old + room)
    buffer.append(addingCapacity: room) { span in
      unsafe span.withUnsafeMutableBufferPointer { bytes, initialized in
        transfer = unsafe socket.receive(into: UnsafeMutableRawBufferPointer(bytes))
        if case .bytes(let count) = transfer { initialized += count }
      }
    }
    return transfer
  }

  /// The next whole frame, without its size; nil if there is none yet.
  mutating func next() throws(WireError) -> ArraySlice<UInt8>? {
    guard let size = try Frame.size(in: buffer[first...]) else { return nil }
    guard buffer.count - first >= 4 + size else { return nil }
    let range = (first + 4)..<(first + 4 + size)
    first += 4 + size
    guard size >= Self.largeBytes, first == buffer.count else { return Array(buffer[range])[...] }
    // All of the buffer but the part before it: hand it over instead of copying.
    let frame = buffer[range]
    buffer = []
    first = 0
    return frame
  }

  private var missingBytes: Int {
    guard let size = try? Frame.size(in: buffer[first...]) else { return 0 }
    return max(0, 4 + size - (buffer.count - first))
  }

  private mutating func compact() {
    guard first > 0 else { return }
    if first == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 4 * Self.readBytes)
    } else {
      buffer.removeFirst(first)
    }
    first = 0
  }
}
