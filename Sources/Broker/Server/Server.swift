internal import Bytes
internal import KafkaWire
internal import LogStore
package import Platform

/// Names a connection, for as long as the process lives.
package struct ConnectionID: Hashable, Sendable {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// The clients of a node, over sockets and from this process, and the loop they live on. It hands
/// frames to the node and the node's answers to the connections; it decides nothing about records.
///
/// (1) Bytes of requests that are not answered yet are bounded (`requestBytesMax`) for all
///     connections together: beyond, nobody is read from.
/// (2) Bytes of requests that have begun and not arrived are bounded (`bufferedBytesMax`) for all
///     connections together: whoever goes beyond is closed, because waiting would free nothing.
/// (3) When there are as many connections as there may be, new clients wait in the kernel's queue.
///     At most half of the process's descriptors are connections: the rest is for files.
/// (4) A stop ends within `stopMilliseconds`, whatever clients do.
package final class Server {
  package static let requestBytesMax = 256 << 20
  package static let bufferedBytesMax = 1 << 30
  package static let connectionsMax = 10_000
  /// Memory of large requests that is kept to be used again.
  private static let pooledBytesMax = 16 << 20
  package static let stopMilliseconds: Int64 = 5000

  let loop: EventLoop
  let disk: FileDisk
  let arrays = ArrayPool(bytesMax: Server.pooledBytesMax)
  private let node: Node
  /// For clients in this process. Usable from every thread.
  package let localLink: LocalLink
  private var listeners: [Listener] = []
  private var connections: [ConnectionID: any ClientConnection] = [:]
  private var nextConnection: UInt64 = 1
  private var requestBytes = 0
  private var bufferedBytes = 0
  private let connectionsMax = min(Server.connectionsMax, ProcessLimits.openFiles / 2)
  package var limits = ClientLimits()
  private var lastIdleCheck: Int64 = 0
  /// No listener is watched, because no connection can be taken.
  private var isAcceptingPaused = false
  /// When clients and the disk have had their time, once it is stopping; by the steady clock.
  private var stopDeadline: Int64?
  private var withOutput: [ConnectionID] = []
  private(set) var isStopping = false
  private let log: (String) -> Void
  /// The other nodes, if there are any.
  private var network: PeerNetwork?
  private var turns: UInt64 = 0
  /// Requests.
  private var handled: UInt64 = 0
  /// What they were told of this node last.
  private var said: PeerHello?
  /// Clients are taken when the node knows what they may ask for; until then they wait in the
  /// kernel's queue.
  private var isOpen = false

  /// Serves `node`, whose files are on `disk`, from `loop`. `log` takes lines for people.
  package init(
    node: Node, disk: FileDisk, loop: EventLoop, log: @escaping (String) -> Void
  ) {
    self.node = node
    self.disk = disk
    self.loop = loop
    self.log = log
    localLink = LocalLink { [poster = loop.poster] in poster.wake() }
    loop.turn = { [unowned self] in turn() }
  }

  deinit { localLink.end() }

  /// Listens for clients; the port is the one that was taken.
  package func listen(_ address: SocketAddress) throws(SocketError) -> UInt16 {
    let socket = try Socket.listen(address)
    let listener = Listener(socket: socket, server: self)
    listeners.append(listener)
    if isOpen { loop.add(socket.descriptor, [.readable], listener) }
    return socket.localPort
  }

  /// Hands what the node and its peers have for each other to and fro.
  package func connect(_ network: PeerNetwork) {
    self.network = network
    node.peerMetrics = { [weak network] in network?.metrics ?? [] }
    said = node.peerHello
    let node = node
    network.receive = { peer, frame in node.receive(frame, from: peer, now: NodeTime.read()) }
    network.connected = { hello in node.connected(hello, now: NodeTime.read()) }
    network.lost = { [log] peer, why in
      log("node \(peer) is not reached: \(why)")
      node.lost(peer, now: NodeTime.read())
    }
    network.ownStalled = { [log] isStalled in
      guard isStalled else { return }
      log("the disk does not answer; other nodes are asked to lead what this one leads")
      node.giveLeadershipsAway(now: NodeTime.read())
    }
  }

  private func open() {
    guard !isOpen, node.hasStarted, !isStopping else { return }
    isOpen = true
    for listener in listeners { loop.add(listener.socket.descriptor, [.readable], listener) }
  }

  private func sendToPeers() {
    guard let network else { return }
    let hello = node.peerHello
    if hello != said {
      said = hello
      network.update(hello: hello)
    }
    for frame in node.takePeerFrames() {
      network.send(frame.bytes, to: frame.to, frame.isUrgent ? .urgent : .bulk)
    }
  }

  /// Takes no more clients and requests, answers what it has, writes a checkpoint, and ends the
  /// loop.
  package func stop() {
    guard !isStopping else { return }
    isStopping = true
    let now = NodeTime.read()
    stopDeadline = now.steady + Self.stopMilliseconds
    if isOpen {
      for listener in listeners { loop.remove(listener.socket.descriptor) }
    }
    listeners = []
    node.stop(now: now)
    for id in connections.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      connections[id]?.closeAfterOutput()
    }
  }

  // MARK: For connections

  var takesRequests: Bool { requestBytes < Self.requestBytesMax && !isStopping }

  func took(bytes: Int) { requestBytes += bytes }

  /// Counts bytes that connections hold of unfinished requests. False if there are too many.
  func holds(buffered change: Int) -> Bool {
    if change > 0, bufferedBytes + change > Self.bufferedBytesMax { return false }
    bufferedBytes += change
    return true
  }

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

  func handle(_ frame: ArraySlice<UInt8>, _ connection: any ClientConnection, _ sequence: UInt64) {
    let origin = RequestOrigin(
      connection: connection.id, sequence: sequence, clientHost: connection.peer)
    handled &+= 1
    node.handle(frame, from: origin, now: NodeTime.read())
  }

  func hasOutput(_ connection: any ClientConnection) { withOutput.append(connection.id) }

  func close(_ connection: any ClientConnection, _ why: String?) {
    guard !connection.isClosed else { return }
    if let why { log("closed the connection of \(connection.peer): \(why)") }
    let held = connection.close(why)
    connections[connection.id] = nil
    node.connectionClosed(connection.id)
    gaveBack(bytes: held)
  }

  fileprivate func accept(_ listener: Listener) {
    while true {
      guard connections.count < connectionsMax else { return pauseAccepting() }
      let socket: Socket
      switch listener.socket.accept() {
      case .socket(let accepted): socket = accepted
      case .nobody: return
      case .noDescriptors: return pauseAccepting()
      }
      let connection = SocketConnection(
        id: ConnectionID(nextConnection), socket: socket, server: self)
      nextConnection += 1
      connections[connection.id] = connection
      loop.add(socket.descriptor, [.readable], connection)
    }
  }

  /// A listener whose clients cannot be taken would be ready all the time. Tried again with the
  /// next tick.
  private func pauseAccepting() {
    isAcceptingPaused = true
    for listener in listeners { loop.change(listener.socket.descriptor, []) }
  }

  private func resumeAccepting() {
    guard isAcceptingPaused, connections.count < connectionsMax else { return }
    isAcceptingPaused = false
    for listener in listeners { loop.change(listener.socket.descriptor, [.readable]) }
  }

  /// Milliseconds that only go up.
  func moment() -> Int64 { Int64(MonotonicClock.nanoseconds() / 1_000_000) }

  /// Once a second: clients that were left behind by their network hold memory and descriptors.
  private func closeIdle() {
    let now = moment()
    guard now - lastIdleCheck >= min(1000, limits.idleMilliseconds) else { return }
    lastIdleCheck = now
    for id in connections.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      guard let connection = connections[id] as? SocketConnection,
        connection.isIdle(since: now - limits.idleMilliseconds)
      else { continue }
      close(connection, nil)
    }
  }

  // MARK: Turn

  private func turn() -> Int64 {
    let now = NodeTime.read()
    takeLocal()
    for completion in disk.takeCompletions() { node.complete(completion) }
    let wait = node.turn(now: now)
    sendToPeers()
    open()
    while true {
      let before = handled
      for answer in node.takeAnswers() { deliver(answer) }
      let ready = withOutput
      withOutput = []
      for id in ready { connections[id]?.send() }
      // Sending may have made room for requests that were read already.
      guard handled != before else { break }
      _ = node.turn(now: now)
      sendToPeers()
    }
    turns += 1
    if let network {
      let frames = node.journalFrames
      network.progressed(
        loop: turns, journal: frames.durable, loopHasWork: false,
        journalHasWork: frames.added > frames.durable)
    }
    for notice in node.takeNotices() { log(notice) }
    closeIdle()
    resumeAccepting()
    guard let stopDeadline else { return wait }
    // What the others append would be written to the last moment; they do without this node.
    if !node.isHandingOver { network?.stop() }
    finish(isLate: now.steady >= stopDeadline)
    return min(wait, 10)
  }

  /// Closes the connections whose answers are sent; what waits for other members of a group, or
  /// for a client that does not read, ends here. What is late is left to recovery.
  private func finish(isLate: Bool) {
    guard node.isQuiet || isLate else { return }
    for id in connections.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      if let connection = connections[id], isLate || !connection.hasOutput {
        close(connection, isLate ? "the node stops and it has not read its answers" : nil)
      }
    }
    guard connections.isEmpty else { return }
    network?.stop()
    localLink.end()
    loop.stop()
  }

  /// What clients in this process want.
  private func takeLocal() {
    let (opened, touched) = localLink.take()
    for connection in opened {
      guard !isStopping, connections.count < Self.connectionsMax else {
        connection.end(isStopping ? LocalLink.stopped : "there are too many connections")
        continue
      }
      connections[connection.id] = LocalPeer(connection, server: self)
    }
    for id in touched { (connections[id] as? LocalPeer)?.proceed() }
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
