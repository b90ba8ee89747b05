internal import KafkaWire
internal import LogStore
internal import Platform

/// The server's half of a connection inside the process: the bounds, the order and the accounting
/// of a socket's connection, without a socket.
final class LocalPeer: ClientConnection {
  let id: ConnectionID
  let peer = "local"
  private let connection: LocalConnection
  private unowned let server: Server
  /// Bytes of requests not taken yet that the server has counted.
  private var counted = 0
  private var requests = OpenRequests()
  /// What is to be delivered; the bytes before `delivered` are.
  private var output: [OpenRequests.Response] = []
  private var delivered = 0
  private var outputBytes = 0
  private(set) var isClosed = false
  private var closesAfterOutput = false

  init(_ connection: LocalConnection, server: Server) {
    id = connection.id
    self.connection = connection
    self.server = server
  }

  /// The client has sent something, or this connection's turn was over before it was done.
  func proceed() {
    connection.taken()
    send()
    guard !isClosed else { return }
    let waiting = connection.waitingBytes
    guard server.holds(buffered: waiting - counted) else {
      server.close(self, "too many bytes of requests that wait")
      return
    }
    counted = waiting
    switch connection.wish {
    case .nothing: break
    case .close:
      // What was sent before is done, as far as there is room for it; for what is left `handOver`
      // has asked to come again.
      if waiting == 0 || !takesRequests { server.close(self, nil) }
    case .tooLong:
      server.close(
        self, "more than \(LocalConnection.waitingBytesMax) bytes of requests wait to be taken")
    }
  }

  // MARK: In

  func handOver() {
    var budget = ConnectionBounds.readBytesMax
    while !isClosed, takesRequests {
      guard budget > 0 else {
        connection.touchAgain()
        return
      }
      guard let frame = connection.nextFrame() else { return }
      guard frame.count <= Frame.sizeMax else {
        server.close(self, "\(WireError.frameSize(frame.count))")
        return
      }
      budget -= frame.count
      let sequence = requests.begin(bytes: frame.count)
      server.took(bytes: frame.count)
      server.handle(frame[...], self, sequence)
    }
  }

  /// Nothing is watched: what waits is taken when there is room again.
  func updateInterest() {}

  private var takesRequests: Bool {
    requests.count < ConnectionBounds.requestsMax && outputBytes < ConnectionBounds.outputBytesMax
      && !closesAfterOutput && server.takesRequests
  }

  // MARK: Out

  func answer(_ sequence: UInt64, _ frame: EncodedFrame?, _ slices: [LogSlice]) -> UInt64? {
    guard !isClosed else { return nil }
    let response = frame.map { OpenRequests.Response(frame: $0, slices: slices) }
    guard let waited = requests.answer(sequence, response) else { return nil }
    while let answered = requests.takeAnswered() {
      if let response = answered.response {
        output.append(response)
        outputBytes += response.frame.size
      }
      server.gaveBack(bytes: answered.bytes)
    }
    server.hasOutput(self)
    return waited
  }

  func send() {
    guard !isClosed else { return }
    var budget = ConnectionBounds.turnBytesMax
    while delivered < output.count {
      guard budget > 0 else {
        connection.touchAgain()
        return
      }
      let response = output[delivered]
      delivered += 1
      outputBytes -= response.frame.size
      budget -= response.frame.size
      guard let bytes = assembled(response) else {
        server.close(self, "the records of its answer cannot be read")
        return
      }
      connection.deliver(bytes)
    }
    output.removeAll(keepingCapacity: true)
    delivered = 0
    if closesAfterOutput, requests.isEmpty {
      server.close(self, nil)
      return
    }
    handOver()
  }

  /// One piece of memory without the size in front; nil if a file does not have what it should.
  private func assembled(_ response: OpenRequests.Response) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(response.frame.size)
    var slices = response.slices.makeIterator()
    for segment in response.frame.segments {
      switch segment {
      case .bytes(let part): bytes += part.dropFirst(bytes.isEmpty ? 4 : 0)
      case .external(let size) where size > 0:
        guard let slice = slices.next(), slice.count == size else {
          fatalError("a hole of \(size) bytes has no records for it")
        }
        guard let records = try? server.disk.read(slice.file.id, slice.position, size),
          records.count == size
        else { return nil }
        bytes += records
      case .external: break
      }
    }
    return bytes
  }

  var hasOutput: Bool { delivered < output.count }

  // MARK: The end

  func closeAfterOutput() {
    closesAfterOutput = true
    if requests.isEmpty, !hasOutput { server.close(self, nil) }
  }

  func close(_ why: String?) -> Int {
    isClosed = true
    _ = server.holds(buffered: -counted)
    counted = 0
    let held = requests.bytes
    requests = OpenRequests()
    output = []
    delivered = 0
    outputBytes = 0
    connection.end(why ?? (server.isStopping ? LocalLink.stopped : nil))
    return held
  }
}
