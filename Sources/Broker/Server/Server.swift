internal import KafkaWire
internal import LogStore
package import Platform

/// Names a connection, for as long as the process lives.
package struct ConnectionID: Hashable, Sendable {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// The sockets of a node and the loop they live on. It hands frames to the node and the node's
/// answers to the connections; it decides nothing about records.
///
/// (1) Bytes of requests that are not answered yet are bounded (`requestBytesMax`) for all
///     connections together: beyond, nobody is read from.
/// (2) When the process has no descriptors left, new clients wait in the kernel's queue.
package final class Server {
  package static let requestBytesMax = 256 << 20
  package static let connectionsMax = 10_000

  let loop: EventLoop
  let disk: FileDisk
  private let node: Node
  private var listeners: [Listener] = []
  private var connections: [ConnectionID: Connection] = [:]
  private var nextConnection: UInt64 = 1
  private var requestBytes = 0
  private var withOutput: [ConnectionID] = []
  private var isStopping = false
  private let log: (String) -> Void

  /// Serves `node`, whose files are on `disk`, from `loop`. `log` takes lines for people.
  package init(
    node: Node, disk: FileDisk, loop: EventLoop, log: @escaping (String) -> Void
  ) {
    self.node = node
    self.disk = disk
    self.loop = loop
    self.log = log
    loop.turn = { [unowned self] in turn() }
  }

  /// Listens for clients; the port is the one that was taken.
  package func listen(_ address: SocketAddress) throws(SocketError) -> UInt16 {
    let socket = try Socket.listen(address)
    let listener = Listener(socket: socket, server: self)
    listeners.append(listener)
    loop.add(socket.descriptor, [.readable], listener)
    return socket.localPort
  }

  /// Takes no more clients and requests, answers what it has, writes a checkpoint, and ends the
  /// loop.
  package func stop() {
    guard !isStopping else { return }
    isStopping = true
    for listener in listeners { loop.remove(listener.socket.descriptor) }
    listeners = []
    node.stop(now: WallClock.milliseconds())
    for id in connections.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      connections[id]?.closeAfterOutput()
    }
  }

  // MARK: For connections

  var takesRequests: Bool { requestBytes < Self.requestBytesMax && !isStopping }

  func took(bytes: Int) { requestBytes += bytes }

  func gaveBack(bytes: Int) {
    let wasFull = requestBytes >= Self.requestBytesMax
    requestBytes -= bytes
    if wasFull, takesRequests {
      for connection in connections.values {
        connection.handOver()
        connection.updateInterest()
      }
    }
  }

  func handle(_ frame: ArraySlice<UInt8>, _ connection: Connection, _ sequence: UInt64) {
    let origin = RequestOrigin(
      connection: connection.id, sequence: sequence, clientHost: connection.peer)
    node.handle(frame, from: origin, now: WallClock.milliseconds())
  }

  func hasOutput(_ connection: Connection) { withOutput.append(connection.id) }

  func close(_ connection: Connection, _ why: String?) {
    guard !connection.isClosed else { return }
    if let why { log("closed the connection of \(connection.peer): \(why)") }
    requestBytes -= connection.closed()
    loop.remove(connection.descriptor)
    connections[connection.id] = nil
    node.connectionClosed(connection.id)
  }

  fileprivate func accept(_ listener: Listener) {
    while connections.count < Self.connectionsMax, let socket = listener.socket.accept() {
      let connection = Connection(
        id: ConnectionID(nextConnection), socket: socket, server: self)
      nextConnection += 1
      connections[connection.id] = connection
      loop.add(socket.descriptor, [.readable], connection)
    }
  }

  // MARK: Turn

  private func turn() -> Int64 {
    let now = WallClock.milliseconds()
    for completion in disk.takeCompletions() { node.complete(completion) }
    let wait = node.turn(now: now)
    while true {
      let answers = node.takeAnswers()
      for answer in answers { deliver(answer) }
      let ready = withOutput
      withOutput = []
      for id in ready { connections[id]?.send() }
      // Sending may have made room for requests that were read already.
      if answers.isEmpty && ready.isEmpty { break }
      _ = node.turn(now: now)
    }
    if isStopping, node.isQuiet, connections.isEmpty { loop.stop() }
    return isStopping ? min(wait, 10) : wait
  }

  private func deliver(_ answer: NodeAnswer) {
    guard let connection = connections[answer.origin.connection] else { return }
    switch answer.content {
    case .frame(let frame, let slices):
      let waited = connection.answer(answer.origin.sequence, frame, slices)
      if let waited, let api = answer.api { node.metrics.waited(api, waited) }
    case .nothing: connection.answer(answer.origin.sequence, nil, [])
    case .close(let why): close(connection, why)
    }
  }
}

private final class Listener: ReadinessHandler {
  let socket: Socket
  private unowned let server: Server

  init(socket: Socket, server: Server) {
    self.socket = socket
    self.server = server
  }

  func ready(_ readiness: Readiness) { server.accept(self) }
}
