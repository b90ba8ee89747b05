internal import KafkaWire
internal import LogStore
internal import Platform

/// What is to be sent to one client: bytes, and parts of files that go from the page cache to the
/// socket without passing through this process.
struct OutputQueue {
  private enum Piece {
    case bytes(ArraySlice<UInt8>)
    case file(OpenFile, position: Int64, count: Int)

    var count: Int {
      switch self {
      case .bytes(let bytes): bytes.count
      case .file(_, _, let count): count
      }
    }
  }

  private var pieces: [Piece] = []
  private var first = 0
  /// Bytes that wait.
  private(set) var size = 0

  /// Pieces of memory sent with one call.
  private static let piecesMax = 64

  var isEmpty: Bool { size == 0 }

  mutating func add(_ frame: EncodedFrame, _ slices: [LogSlice]) {
    var slices = slices.makeIterator()
    for segment in frame.segments {
      switch segment {
      case .bytes(let bytes): add(.bytes(bytes))
      case .external(let size) where size > 0:
        guard let slice = slices.next(), slice.count == size else {
          fatalError("a hole of \(size) bytes has no records for it")
        }
        add(.file(slice.file, position: slice.position, count: slice.count))
      case .external: break
      }
    }
  }

  private mutating func add(_ piece: Piece) {
    // A client that never quite catches up would keep what was sent to it for ever.
    if first >= Self.piecesMax, 2 * first >= pieces.count {
      pieces.removeFirst(first)
      first = 0
    }
    pieces.append(piece)
    size += piece.count
  }

  /// Sends as much as the socket takes. `.bytes` if all is sent.
  mutating func send(to socket: Socket, _ disk: FileDisk) -> Socket.Transfer {
    var sent = 0
    while first < pieces.count {
      let transfer: Socket.Transfer
      switch pieces[first] {
      case .bytes: transfer = sendBytes(to: socket)
      case .file(let file, let position, let count):
        transfer = socket.send(
          file: disk.descriptor(of: file.id), position: position, count: count)
      }
      guard case .bytes(let count) = transfer else { return transfer }
      advance(by: count)
      sent += count
      if sent >= ConnectionBounds.turnBytesMax, first < pieces.count { return .wouldBlock }
    }
    pieces.removeAll(keepingCapacity: pieces.count < 1024)
    first = 0
    return .bytes(sent)
  }

  /// Sends the run of memory pieces that is next, with one call.
  private func sendBytes(to socket: Socket) -> Socket.Transfer {
    var run: [ArraySlice<UInt8>] = []
    var index = first
    while index < pieces.count, run.count < Self.piecesMax, case .bytes(let bytes) = pieces[index] {
      run.append(bytes)
      index += 1
    }
    // The slices stay alive in `run` while their addresses are used.
    return withExtendedLifetime(run) {
      let views = unsafe run.map { slice in
        unsafe slice.withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[...]) }
      }
      return unsafe socket.send(views, more: index < pieces.count)
    }
  }

  private mutating func advance(by count: Int) {
    size -= count
    var left = count
    while left > 0 {
      let whole = pieces[first].count
      if left >= whole {
        left -= whole
        first += 1
        continue
      }
      switch pieces[first] {
      case .bytes(let bytes): pieces[first] = .bytes(bytes.dropFirst(left))
      case .file(let file, let position, let count):
        pieces[first] = .file(file, position: position + Int64(left), count: count - left)
      }
      left = 0
    }
  }
}
