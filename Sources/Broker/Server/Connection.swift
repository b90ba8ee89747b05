internal import KafkaWire
internal import LogStore
internal import Platform

/// One client's connection: requests in, responses out in the order of their requests.
///
/// (1) At most `requestsMax` requests wait for their responses and at most `outputBytesMax` bytes
///     of responses wait to be sent; beyond either nothing more is read from the client.
/// (2) A frame's memory grows with the bytes that arrive, never with the size the frame claims.
/// (3) Responses leave in the order of the requests, whichever is ready first.
final class Connection: ReadinessHandler {
  static let requestsMax = 128
  static let outputBytesMax = 16 << 20
  /// Read at once from one connection before the others have their turn.
  static let readBytesMax = 1 << 20

  let id: ConnectionID
  let peer: String
  private let socket: Socket
  private unowned let server: Server
  private var input = FrameAssembler()
  /// Bytes of `input` that the server has counted.
  private var counted = 0
  private var slots: [Slot] = []
  /// The sequence number of the first slot.
  private var firstSequence: UInt64 = 0
  private var output = OutputQueue()
  private var isBlocked = false
  private(set) var isClosed = false
  /// Closes when everything that waits has been sent.
  private var closesAfterOutput = false

  private enum Slot {
    case waiting(bytes: Int, since: UInt64)
    case ready(EncodedFrame, [LogSlice], bytes: Int)
    /// The request has no response (acks = 0).
    case none(bytes: Int)
  }

  init(id: ConnectionID, socket: Socket, server: Server) {
    self.id = id
    self.socket = socket
    self.server = server
    peer = socket.peer
  }

  var descriptor: Int32 { socket.descriptor }

  func ready(_ readiness: Readiness) {
    if readiness.contains(.writable) { send() }
    if readiness.contains(.hangUp), !takesRequests {
      // Nothing would be read, so nothing would find out; and a hang-up is reported until somebody
      // does, whatever interest there is.
      server.close(self, nil)
      return
    }
    if readiness.contains(.readable) || readiness.contains(.hangUp) { receive() }
  }

  // MARK: In

  private func receive() {
    var budget = Self.readBytesMax
    while budget > 0, !isClosed, takesRequests {
      let transfer = input.receive(from: socket)
      switch transfer {
      case .bytes(let count):
        budget -= count
        handOver()
        guard server.holds(buffered: input.buffered - counted) else {
          server.close(self, "too many bytes of requests that have begun and not arrived")
          return
        }
        counted = input.buffered
      case .wouldBlock: return
      case .closed:
        server.close(self, nil)
        return
      }
    }
    updateInterest()
  }

  /// Passes whole frames on for as long as there may be more requests.
  func handOver() {
    while !isClosed, takesRequests {
      do throws(WireError) {
        guard let frame = try input.next() else { break }
        let sequence = firstSequence + UInt64(slots.count)
        slots.append(.waiting(bytes: frame.count, since: MonotonicClock.nanoseconds()))
        server.took(bytes: frame.count)
        server.handle(frame, self, sequence)
      } catch {
        server.close(self, "\(error)")
        return
      }
    }
  }

  private var takesRequests: Bool {
    slots.count < Self.requestsMax && output.size < Self.outputBytesMax && !closesAfterOutput
      && server.takesRequests
  }

  // MARK: Out

  /// Gives the answer to a request; nil if it has none.
  /// Returns how long the client has waited, in nanoseconds; nil if it is gone.
  @discardableResult
  func answer(_ sequence: UInt64, _ frame: EncodedFrame?, _ slices: [LogSlice]) -> UInt64? {
    guard sequence >= firstSequence, !isClosed else { return nil }
    let index = Int(sequence - firstSequence)
    guard index < slots.count, case .waiting(let bytes, let since) = slots[index] else {
      preconditionFailure("request \(sequence) was answered twice")
    }
    slots[index] = frame.map { .ready($0, slices, bytes: bytes) } ?? .none(bytes: bytes)
    let waited = MonotonicClock.nanoseconds() - since
    moveToOutput()
    return waited
  }

  /// What is ready, up to the first that is not, leaves in its order.
  private func moveToOutput() {
    var moved = false
    while let first = slots.first {
      switch first {
      case .waiting:
        if moved { server.hasOutput(self) }
        return
      case .ready(let frame, let slices, let bytes):
        output.add(frame, slices)
        server.gaveBack(bytes: bytes)
      case .none(let bytes):
        server.gaveBack(bytes: bytes)
      }
      slots.removeFirst()
      firstSequence += 1
      moved = true
    }
    server.hasOutput(self)
  }

  /// Sends what can be sent, and takes more requests if that made room.
  func send() {
    guard !isClosed else { return }
    switch output.send(to: socket, server.disk) {
    case .bytes:
      isBlocked = false
    case .wouldBlock:
      isBlocked = true
    case .closed:
      server.close(self, nil)
      return
    }
    if closesAfterOutput, isIdle {
      server.close(self, nil)
      return
    }
    handOver()
    updateInterest()
  }

  func updateInterest() {
    guard !isClosed else { return }
    var interest: Readiness = []
    if takesRequests { interest.insert(.readable) }
    if isBlocked { interest.insert(.writable) }
    server.loop.change(descriptor, interest)
  }

  /// Nothing waits to be answered or sent.
  private var isIdle: Bool { output.isEmpty && slots.isEmpty }

  /// Answers are still to be sent.
  var hasOutput: Bool { !output.isEmpty }

  /// Gives up everything that waits. Returns the bytes that unanswered requests held.
  func closed() -> Int {
    isClosed = true
    _ = server.holds(buffered: -counted)
    counted = 0
    input = FrameAssembler()
    defer {
      slots = []
      output = OutputQueue()
    }
    return slots.reduce(0) { sum, slot in
      switch slot {
      case .waiting(let bytes, _), .ready(_, _, let bytes), .none(let bytes): sum + bytes
      }
    }
  }

  func closeAfterOutput() {
    closesAfterOutput = true
    if isIdle { server.close(self, nil) } else { updateInterest() }
  }
}
