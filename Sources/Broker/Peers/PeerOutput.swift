internal import Platform

/// Frames that wait to be sent over one connection, whose bytes stay where they are until the
/// kernel takes them.
struct PeerOutput {
  private struct Entry {
    /// The frame's first five bytes, in the order of memory, and three that are not sent.
    var head: UInt64
    var payload: [UInt8]

    var size: Int { 5 + payload.count }
  }

  private var entries: [Entry] = []
  private var first = 0
  /// Bytes of the first entry that were sent.
  private var sentOfFirst = 0
  /// Bytes that wait.
  private(set) var size = 0
  private(set) var bytesSent: UInt64 = 0
  private(set) var framesAdded: UInt64 = 0

  /// Frames sent with one call: two vectors each, of at most 1024.
  private static let framesMax = 256
  /// Of one connection, before others have their turn.
  private static let turnBytesMax = 8 << 20

  var isEmpty: Bool { size == 0 }

  mutating func add(_ kind: PeerFrame.Kind, _ payload: [UInt8]) {
    // A peer that never quite catches up would keep what was sent to it for ever.
    if first >= Self.framesMax, 2 * first >= entries.count {
      entries.removeFirst(first)
      first = 0
    }
    let head = UInt64(UInt32(1 + payload.count)) << 32 | UInt64(kind.rawValue) << 24
    entries.append(Entry(head: head.bigEndian, payload: payload))
    size += 5 + payload.count
    framesAdded += 1
  }

  /// Sends as much as the socket takes. `.bytes` if all is sent.
  mutating func send(to socket: Socket) -> Socket.Transfer {
    var sent = 0
    while first < entries.count {
      let transfer = sendOnce(to: socket)
      guard case .bytes(let count) = transfer else { return transfer }
      advance(by: count)
      sent += count
      if sent >= Self.turnBytesMax, first < entries.count { return .wouldBlock }
    }
    entries.removeAll(keepingCapacity: entries.count < 1024)
    first = 0
    return .bytes(sent)
  }

  private func sendOnce(to socket: Socket) -> Socket.Transfer {
    let count = min(entries.count - first, Self.framesMax)
    let isMore = first + count < entries.count
    return unsafe entries.withUnsafeBytes { memory in
      var views = unsafe [UnsafeRawBufferPointer]()
      unsafe views.reserveCapacity(2 * count)
      for index in first..<first + count {
        let skipped = index == first ? sentOfFirst : 0
        // The entries, and so their heads and payloads, stay where they are until this returns.
        if skipped < 5 {
          let head = index * MemoryLayout<Entry>.stride
          unsafe views.append(UnsafeRawBufferPointer(rebasing: memory[head + skipped..<head + 5]))
        }
        unsafe entries[index].payload.withUnsafeBytes { payload in
          let rest = unsafe payload[max(0, skipped - 5)...]
          if unsafe !rest.isEmpty { unsafe views.append(UnsafeRawBufferPointer(rebasing: rest)) }
        }
      }
      return unsafe socket.send(views, more: isMore)
    }
  }

  private mutating func advance(by count: Int) {
    size -= count
    bytesSent += UInt64(count)
    var left = count + sentOfFirst
    while first < entries.count, left >= entries[first].size {
      left -= entries[first].size
      // Freed now, not when the last one of a long row has gone.
      entries[first].payload = []
      first += 1
    }
    sentOfFirst = left
  }
}
