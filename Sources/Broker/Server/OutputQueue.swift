internal import KafkaWire
internal import LogStore
internal import Platform

/// What is to be sent to one client: bytes, and records from where the store has them: in memory
/// or, when that has gone to others, in files, whose bytes go from the page cache to the socket.
struct OutputQueue {
  private enum Piece {
    case bytes(ArraySlice<UInt8>)
    case records(LogSlice.Piece)

    var count: Int {
      switch self {
      case .bytes(let bytes): bytes.count
      case .records(let records): records.count
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
        for records in slice.pieces { add(.records(records)) }
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
      switch place(of: pieces[first], disk) {
      case .bytes, .memory: transfer = sendMemory(to: socket, disk)
      case .file(let file, let position, let count):
        transfer = socket.send(
          file: disk.descriptor(of: file.id), position: position, count: count)
      case .nowhere: transfer = .closed
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

  /// Where the bytes of a piece are at the moment.
  private enum Place {
    case bytes(ArraySlice<UInt8>)
    case memory(BlockMemory, Range<Int>)
    case file(OpenFile, position: Int64, count: Int)
    /// Their log was deleted, or the disk did not take them.
    case nowhere
  }

  private func place(of piece: Piece, _ disk: FileDisk) -> Place {
    switch piece {
    case .bytes(let bytes): return .bytes(bytes)
    case .records(let records):
      switch try? records.bytes(disk) {
      case .memory(let memory, let range)?: return .memory(memory, range)
      case .file(let file, let position, let count)?:
        return .file(file, position: position, count: count)
      case nil: return .nowhere
      }
    }
  }

  /// Sends the run of pieces in memory that is next, with one call.
  private func sendMemory(to socket: Socket, _ disk: FileDisk) -> Socket.Transfer {
    var run: [Place] = []
    var views = unsafe [UnsafeRawBufferPointer]()
    var index = first
    collecting: while index < pieces.count, run.count < Self.piecesMax {
      let place = place(of: pieces[index], disk)
      switch place {
      case .bytes(let bytes):
        // The array stays alive in `run` while its address is used.
        unsafe bytes.withUnsafeBytes {
          unsafe views.append(UnsafeRawBufferPointer(rebasing: $0[...]))
        }
      case .memory(let memory, let range):
        unsafe views.append(
          UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: memory.bytes[range])))
      case .file, .nowhere: break collecting
      }
      run.append(place)
      index += 1
    }
    return withExtendedLifetime(run) {
      unsafe socket.send(views, more: index < pieces.count)
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
      case .records(let records): pieces[first] = .records(records.dropFirst(left))
      }
      left = 0
    }
  }
}
