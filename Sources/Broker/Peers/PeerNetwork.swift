package import Bytes
package import Platform

/// The connections between this node and the others of its cluster: two to each.
///
/// The bulk one lives on the node's loop. The urgent one, and everything that decides whether a
/// peer is there, lives on a thread of its own (`LivenessThread`), which tells the loop. Of two
/// nodes the one with the lower id connects, for both.
///
/// (1) `connected` and `lost` alternate for each peer, beginning with `connected`.
/// (2) Frames of one channel arrive in the order in which they were sent, or not at all. Some may
///     be missing only where `lost` was said in between, at the receiver.
/// (3) A peer that stands still (`lost` says so) is still connected: what it sends is received, and
///     what is sent goes out. It is `connected` again when it moves.
/// (4) Nothing is called from within `send`, `update` and `progressed`, and nothing after `stop`.
package final class PeerNetwork {
  private final class Link {
    let node: Int32
    let serial: UInt64
    let connection: PeerConnection
    var hello: PeerHello
    /// `connected` was called, `lost` not since.
    var isTold = false
    /// More waits than may; it is about to be closed.
    var isOverflowed = false

    init(_ node: Int32, _ serial: UInt64, _ hello: PeerHello, _ connection: PeerConnection) {
      self.node = node
      self.serial = serial
      self.hello = hello
      self.connection = connection
    }
  }

  /// A long turn does not hold up what is urgent; one that sends much does not wake the liveness
  /// thread for each.
  private static let urgentMilliseconds: Int64 = 1
  /// What is handled before others have their turn.
  private static let turnEventsMax = 1024
  /// The liveness thread waits for nothing, so its end is near.
  private static let stopMilliseconds: Int64 = 1000

  /// Where this node listens for peers.
  package let port: UInt16
  /// A frame has come from a peer, on either channel. All of these are called on the loop's thread.
  package var receive: (Int32, ArraySlice<UInt8>) -> Void = { _, _ in }
  /// Both channels to a peer stand, or it moves again, or it has something new to say of itself.
  package var connected: (PeerHello) -> Void = { _ in }
  /// A channel broke, or the peer was silent or stood still too long. Once per `connected`.
  package var lost: (Int32, String) -> Void = { _, _ in }
  /// This node's own journal stands still while it has work; or moves again.
  package var ownStalled: (Bool) -> Void = { _ in }

  private let node: Int32
  private let loop: EventLoop
  private let options: PeerOptions
  private let log: (String) -> Void
  private let orders: PeerInbox<PeerOrder>
  private let events: PeerInbox<PeerEvent>
  private let shared = Condition(PeerShared(), inheritsPriority: true)
  private let arrays: ArrayPool
  private var links: [Link] = []
  /// What was taken from `events`, and how much of it was handled.
  private var pending: [PeerEvent] = []
  private var pendingFirst = 0
  /// Urgent frames of this turn that the liveness thread does not have yet.
  private var urgent: [PeerOrder] = []
  private var urgentBytes = 0
  private var urgentSince: Int64 = 0
  /// By node: of bulk connections that are closed.
  private var totals: [PeerMetrics]
  private var hasStood: [Int32] = []
  private var limit = SentenceLimit()
  private var isStopped = false

  /// Listens, and begins to connect. `peers` may name this node too. A `listen` port of zero takes
  /// any that is free. `arrays` is the loop's, for large frames. `log` takes lines for people, on
  /// the loop's thread.
  package init(
    loop: EventLoop, listen: SocketAddress, peers: [PeerAddress], hello: PeerHello,
    arrays: ArrayPool, options: PeerOptions = PeerOptions(), log: @escaping (String) -> Void
  ) throws {
    if let excess = hello.excess { throw PeerFault(excess) }
    guard Set(peers.map(\.node)).count == peers.count else {
      throw PeerFault("a node is named twice: \(peers.map { "\($0.node)" })")
    }
    let socket = try Socket.listen(listen)
    port = socket.localPort
    node = hello.node
    self.loop = loop
    self.arrays = arrays
    self.options = options
    self.log = log
    orders = try PeerInbox(bytesMax: options.queueBytesMax)
    events = try PeerInbox(bytesMax: options.queueBytesMax)
    totals = peers.map(\.node).filter { $0 != hello.node }.sorted().map { PeerMetrics(node: $0) }
    loop.add(events.bell.descriptor, [.readable], PeerBell { [weak self] in self?.takeEvents() })
    loop.afterTurn.append { [weak self] in self?.flush() }
    orders.put(.begin(socket))
    Thread.start("martlet-peers") { [orders, events, shared] in
      LivenessThread.run(peers, hello, options, orders, events, shared)
    }
  }

  deinit {
    orders.put(.stop)
    loop.remove(events.bell.descriptor)
    for link in links { link.connection.close() }
  }

  /// Closes everything; the port is free then. Frames that wait go as far as the kernel takes them.
  package func stop() {
    guard !isStopped else { return }
    flush()
    isStopped = true
    loop.remove(events.bell.descriptor)
    orders.put(.stop)
    _ = shared.wait(until: { $0.hasEnded }, milliseconds: Self.stopMilliseconds) { $0.hasEnded }
    for link in links { link.connection.close() }
    links = []
  }

  // MARK: Out

  /// Sends a frame, at the end of this turn of the loop or, if it is urgent, at most a millisecond
  /// after it was asked for. It is dropped if the peer is not connected.
  package func send(_ frame: [UInt8], to node: Int32, _ channel: PeerChannel) {
    guard let link = link(node), !link.isOverflowed, !isStopped else { return }
    guard frame.count < PeerFrame.bytesMax(channel) else {
      say("a frame of \(frame.count) bytes for node \(node) is too large for its channel: dropped")
      return
    }
    switch channel {
    case .bulk:
      let waiting = link.connection.output.size
      guard waiting == 0 || waiting + frame.count <= options.queueBytesMax else {
        return overflow(link, "it does not take the \(waiting) bytes that wait for it")
      }
      link.connection.add(.message, frame)
    case .urgent:
      let bytes = frame.count + PeerInbox<PeerOrder>.messageBytes
      guard urgentBytes + bytes <= options.queueBytesMax, orders.hasRoom(for: urgentBytes) else {
        return overflow(link, "its urgent channel does not take what waits for it")
      }
      let now = MonotonicClock.milliseconds()
      if urgent.isEmpty { urgentSince = now }
      urgent.append(.send(node: node, serial: link.serial, frame))
      urgentBytes += bytes
      if now - urgentSince >= Self.urgentMilliseconds { handOverUrgent() }
    }
  }

  private func handOverUrgent() {
    guard !urgent.isEmpty else { return }
    orders.put(urgent, bytes: urgentBytes)
    urgent = []
    urgentBytes = 0
  }

  /// Closed by the next turn: who sends is in the middle of something.
  private func overflow(_ link: Link, _ why: String) {
    link.isOverflowed = true
    events.put(.overflowed(node: link.node, serial: link.serial, why: why))
  }

  /// From now on, and for the peers that are connected, who are told.
  package func update(hello: PeerHello) {
    precondition(hello.node == node, "a node keeps its id")
    precondition(hello.excess == nil, "what a node says of itself is bounded")
    orders.put(.hello(hello))
  }

  /// What this node's heartbeats vouch for: counters that change when its loop and its journal do
  /// something. For every turn; that the loop turns at all is found out without.
  package func progressed(
    loop: UInt64, journal: UInt64, loopHasWork: Bool, journalHasWork: Bool
  ) {
    let progress = PeerProgress(
      loop: loop, journal: journal, loopHasWork: loopHasWork, journalHasWork: journalHasWork)
    shared.withLock { $0.progress = progress }
  }

  private func flush() {
    handOverUrgent()
    for link in links { link.connection.flush() }
  }

  // MARK: In

  private func link(_ node: Int32) -> Link? { links.first { $0.node == node } }

  private func link(_ node: Int32, _ serial: UInt64) -> Link? {
    links.first { $0.node == node && $0.serial == serial }
  }

  private func takeEvents() {
    shared.withLock { $0.answered = $0.asked }
    pending += events.take()
    var count = 0
    while pendingFirst < pending.count, count < Self.turnEventsMax, !isStopped {
      take(pending[pendingFirst])
      pendingFirst += 1
      count += 1
    }
    if pendingFirst < pending.count {
      events.bell.ring()
    } else {
      pending = []
      pendingFirst = 0
    }
  }

  private func take(_ event: PeerEvent) {
    switch event {
    case .stands(let node, let serial, let hello, let parts): stand(node, serial, hello, parts)
    case .ended(let node, let serial, let why):
      if let link = link(node, serial) { end(link, why) }
    case .judged(let node, let serial, let why):
      guard let link = link(node, serial) else { return }
      if let why { lose(link, why) } else { tell(link) }
    case .news(let node, let serial, let hello):
      guard let link = link(node, serial) else { return }
      link.hello = hello
      if link.isTold { connected(hello) }
    case .message(let node, let serial, let bytes):
      if link(node, serial) != nil { receive(node, bytes) }
    case .overflowed(let node, let serial, let why):
      if let link = link(node, serial) { abandon(link, why) }
    case .ownStalled(let isStalled): ownStalled(isStalled)
    case .say(let sentence): log(sentence)
    }
  }

  private func stand(
    _ node: Int32, _ serial: UInt64, _ hello: PeerHello, _ parts: PeerConnection.Parts
  ) {
    if let before = link(node) { end(before, "it connected again") }
    let connection = PeerConnection(parts, on: loop, owner: self)
    connection.input.sizeMax = PeerFrame.bulkBytesMax
    connection.input.pool = arrays
    let link = Link(node, serial, hello, connection)
    links.append(link)
    if let index = totals.firstIndex(where: { $0.node == node }) {
      if hasStood.contains(node) { totals[index].reconnects += 1 } else { hasStood.append(node) }
    }
    tell(link)
    connection.resume()
  }

  private func tell(_ link: Link) {
    guard !link.isTold else { return }
    link.isTold = true
    connected(link.hello)
  }

  private func lose(_ link: Link, _ why: String) {
    guard link.isTold else { return }
    link.isTold = false
    lost(link.node, why)
  }

  /// Ends a link for a reason that the liveness thread does not know yet.
  private func abandon(_ link: Link, _ why: String) {
    say("node \(node) ends its connections to node \(link.node): \(why)")
    orders.put(.broke(node: link.node, serial: link.serial, why: why))
    end(link, why)
  }

  private func end(_ link: Link, _ why: String) {
    links.removeAll { $0 === link }
    if let index = totals.firstIndex(where: { $0.node == link.node }) {
      totals[index].add(link.connection)
    }
    link.connection.close()
    lose(link, why)
  }

  private func say(_ sentence: String) {
    if let said = limit.admit(sentence, now: MonotonicClock.milliseconds()) { log(said) }
  }

  // MARK: Status

  /// Of all peers, by node. On the loop's thread.
  package var metrics: [PeerMetrics] {
    let urgent = shared.withLock { $0.urgent }
    return totals.map { total in
      var metrics = total
      if let link = link(total.node) {
        metrics.add(link.connection)
        metrics.isConnected = link.isTold
        metrics.queueBytes = link.connection.output.size
      }
      if let urgent = urgent[total.node] { metrics.add(urgent) }
      return metrics
    }
  }
}

extension PeerNetwork: PeerConnectionOwner {
  func cameAbout(_ connection: PeerConnection) {}

  func received(_ frame: ArraySlice<UInt8>, on connection: PeerConnection) {
    guard let link = links.first(where: { $0.connection === connection }) else { return }
    guard frame.first == PeerFrame.Kind.message.rawValue else {
      return abandon(link, "it sent something else than messages on its bulk connection")
    }
    receive(link.node, frame.dropFirst())
  }

  func broke(_ connection: PeerConnection, _ why: String) {
    guard let link = links.first(where: { $0.connection === connection }) else { return }
    abandon(link, why)
  }
}

extension PeerMetrics {
  fileprivate mutating func add(_ urgent: PeerMetrics) {
    bytesIn += urgent.bytesIn
    bytesOut += urgent.bytesOut
    framesIn += urgent.framesIn
    framesOut += urgent.framesOut
    queueBytes += urgent.queueBytes
    roundTripNanoseconds = urgent.roundTripNanoseconds
    roundTripAverageNanoseconds = urgent.roundTripAverageNanoseconds
  }
}
