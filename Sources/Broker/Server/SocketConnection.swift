internal import KafkaWire
internal import LogStore
internal import Platform

/// One client's connection: requests in, responses out in the order of their requests.
///
/// (1) At most `requestsMax` requests wait for their responses and at most `outputBytesMax` bytes
///     of responses wait to be sent; beyond either nothing more is read from the client.
/// (2) A frame's memory follows the bytes that arrive, not the size the frame claims.
/// (3) Responses leave in the order of the requests, whichever is ready first.
final class SocketConnection: ReadinessHandler, ClientConnection {
  let id: ConnectionID
  let peer: String
  private let socket: Socket
  private unowned let server: Server
  private var input: FrameAssembler
  /// Bytes of `input` that the server has counted.
  private var counted = 0
  private var requests = OpenRequests()
  private var output = OutputQueue()
  private var isBlocked = false
  private(set) var isClosed = false
  /// When bytes came or went last, in milliseconds that only go up.
  private var lastMoved: Int64
  /// Closes when everything that waits has been sent.
  private var closesAfterOutput = false

  init(id: ConnectionID, socket: Socket, server: Server) {
    self.id = id
    self.socket = socket
    self.server = server
    input = FrameAssembler(server.arrays, sizeMax: server.limits.requestBytesMax)
    lastMoved = server.moment()
    peer = socket.peer
  }

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
    var budget = ConnectionBounds.readBytesMax
    while budget > 0, !isClosed, takesRequests {
      var room = 0
      let transfer = unsafe input.receive {
        room = $0.count
        return unsafe socket.receive(into: $0).counted
      }
      switch transfer ?? .wouldBlock {
      case .bytes(let count):
        // Less than there was room for is all: if more has come since, the loop says so.
        budget = count < room ? 0 : budget - count
        lastMoved = server.moment()
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

  func handOver() {
    while !isClosed, takesRequests {
      do throws(WireError) {
        guard let frame = try input.next() else { break }
        let sequence = requests.begin(bytes: frame.count)
        server.took(bytes: frame.count)
        server.handle(frame, self, sequence)
      } catch {
        server.close(self, "\(error)")
        return
      }
    }
  }

  private var takesRequests: Bool {
    requests.count < ConnectionBounds.requestsMax && output.size < ConnectionBounds.outputBytesMax
      && !closesAfterOutput && server.takesRequests
  }

  // MARK: Out

  func answer(_ sequence: UInt64, _ frame: EncodedFrame?, _ slices: [LogSlice]) -> UInt64? {
    guard !isClosed else { return nil }
    let response = frame.map { OpenRequests.Response(frame: $0, slices: slices) }
    guard let waited = requests.answer(sequence, response) else { return nil }
    while let answered = requests.takeAnswered() {
      if let response = answered.response { output.add(response.frame, response.slices) }
      server.gaveBack(bytes: answered.bytes)
    }
    server.hasOutput(self)
    return waited
  }

  func send() {
    guard !isClosed else { return }
    switch output.send(to: socket, server.disk) {
    case .bytes:
      isBlocked = false
      lastMoved = server.moment()
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
    server.loop.change(socket.descriptor, interest)
  }

  /// Nothing has come or gone since, and it is not the server that it waits for.
  func isIdle(since moment: Int64) -> Bool {
    lastMoved < moment && requests.isEmpty && !isClosed
  }

  /// Nothing waits to be answered or sent.
  private var isIdle: Bool { output.isEmpty && requests.isEmpty }

  var hasOutput: Bool { !output.isEmpty }

  // MARK: The end

  func closeAfterOutput() {
    closesAfterOutput = true
    if isIdle { server.close(self, nil) } else { updateInterest() }
  }

  func close(_ why: String?) -> Int {
    isClosed = true
    server.loop.remove(socket.descriptor)
    _ = server.holds(buffered: -counted)
    counted = 0
    input = FrameAssembler(server.arrays)
    defer {
      requests = OpenRequests()
      output = OutputQueue()
    }
    return requests.bytes
  }
}
