internal import Platform

/// The small thread that a node's word about itself comes from, and its judgement of others. It
/// makes all connections, keeps the urgent ones, and never waits: not for a disk, not for the
/// node's loop, not for a name server.
///
/// It only tells the loop: what is made of it is decided there. The loop may be late by as much as
/// it likes; what it would have to be asked for is in `shared`.
final class LivenessThread {
  /// Connections of which nobody knows yet whose they are. The oldest makes way for a new one: a
  /// node says who it is within a round trip.
  static let strangersMax = 64

  struct Stranger {
    var connection: PeerConnection
    var deadline: Int64
  }

  let loop: EventLoop
  let orders: PeerInbox<PeerOrder>
  private let events: PeerInbox<PeerEvent>
  /// What this turn has for the loop.
  private var told: [PeerEvent] = []
  private var toldBytes = 0
  private let shared: Condition<PeerShared>
  let options: PeerOptions
  var handshake: PeerHandshake
  /// By node.
  private(set) var peers: [WatchedPeer] = []
  var listener: Socket?
  var isAcceptingPaused = false
  var strangers: [Stranger] = []
  /// On the steady clock. Asked for anew each time: between two events this thread may have been
  /// stopped for an hour.
  var now: Int64 { MonotonicClock.milliseconds() }
  private var clock: WatchedClock
  private let isRealtime: Bool
  private var heartbeatAt: Int64 = 0
  /// What the last one vouched for.
  private var vouched = PeerProgress()
  /// Of what this node says of itself.
  private(set) var revision = 0
  private var ownJournal: OwnJournal
  private var limit = SentenceLimit()
  private var nextSerial: UInt64 = 1

  /// Runs until it is told to stop. On a thread of its own.
  static func run(
    _ peers: [PeerAddress], _ hello: PeerHello, _ options: PeerOptions,
    _ orders: PeerInbox<PeerOrder>, _ events: PeerInbox<PeerEvent>, _ shared: Condition<PeerShared>
  ) {
    defer {
      shared.withLock { $0.hasEnded = true }
      shared.broadcast()
    }
    let precedence = Thread.takePrecedence(realtime: options.isRealtime)
    do {
      let loop = try EventLoop()
      let thread = LivenessThread(
        loop, peers, hello, options, precedence, orders, events, shared)
      loop.run()
      thread.end()
    } catch {
      events.put(.say("node \(hello.node) has no liveness thread: \(error)"))
    }
  }

  private init(
    _ loop: EventLoop, _ addresses: [PeerAddress], _ hello: PeerHello, _ options: PeerOptions,
    _ precedence: ThreadPrecedence, _ orders: PeerInbox<PeerOrder>,
    _ events: PeerInbox<PeerEvent>, _ shared: Condition<PeerShared>
  ) {
    self.loop = loop
    self.orders = orders
    self.events = events
    self.shared = shared
    self.options = options
    handshake = PeerHandshake(own: hello, nodes: addresses.map(\.node))
    isRealtime = precedence == .realtime
    let stepMax = 2 * options.heartbeatMilliseconds
    clock = WatchedClock(stepMax: stepMax)
    ownJournal = OwnJournal(
      stallMilliseconds: options.stallMilliseconds, stepMax: stepMax)
    let now = MonotonicClock.milliseconds()
    let firstSession = MonotonicClock.nanoseconds()
    for address in addresses where address.node != hello.node {
      let pair = PeerPair(
        connects: hello.node < address.node,
        formingMilliseconds: options.helloMilliseconds, firstSession: firstSession, now: now)
      peers.append(WatchedPeer(address, pair))
    }
    peers.sort { $0.node < $1.node }
    loop.add(
      orders.bell.descriptor, [.readable], PeerBell { [unowned self] in takeOrders() })
    loop.turn = { [unowned self] in turn() }
    tell(
      .say(
        "the liveness thread of node \(hello.node) runs with \(precedence.rawValue); a node is "
          + "lost when it is silent for \(options.silence(isRealtime: isRealtime)) ms"))
  }

  // MARK: Turn

  private func turn() -> Int64 {
    // What has arrived was read before this: nobody is judged by what this thread did not look at.
    let now = now
    let watched = clock.look(at: now)
    for peer in peers where peer.hasSpoken {
      peer.hasSpoken = false
      peer.liveness?.heard(at: watched)
    }
    if now >= heartbeatAt {
      heartbeatAt += options.heartbeatMilliseconds
      if heartbeatAt <= now { heartbeatAt = now + options.heartbeatMilliseconds }
      sendHeartbeats(watched)
      resumeAccepting()
    }
    for peer in peers { judge(peer, watched) }
    closeLateStrangers()
    for peer in peers {
      closeLateConnections(of: peer)
      perform(peer.pair.tick(now: now), peer)
    }
    for peer in peers { flush(peer) }
    handOver()
    var next = heartbeatAt
    for peer in peers { next = min(next, peer.deadline ?? next) }
    return max(0, next - now)
  }

  private func flush(_ peer: WatchedPeer) {
    guard let urgent = peer.urgent else { return }
    urgent.flush()
    let waiting = urgent.output.size
    if waiting > options.queueBytesMax {
      end(peer, "it does not take the \(waiting) urgent bytes that wait for it")
    }
  }

  private func sendHeartbeats(_ watched: Int64) {
    let (progress, answered, hasAnswered) = shared.withLock { shared in
      for peer in peers { shared.urgent[peer.node] = peer.figures }
      let hasAnswered = shared.asked == shared.answered
      if hasAnswered { shared.asked &+= 1 }
      return (shared.progress, shared.answered, hasAnswered)
    }
    if hasAnswered { events.bell.ring() }
    if ownJournal.observe(progress, turns: progress.loop &+ answered, now: watched) {
      tell(.ownStalled(ownJournal.isStalled))
    }
    // A loop that does not answer has work: this.
    vouched = progress
    vouched.loop &+= answered
    vouched.loopHasWork = progress.loopHasWork || !hasAnswered
    let heartbeat = heartbeat()
    for peer in peers where peer.pair.isStanding { peer.urgent?.add(.heartbeat, heartbeat) }
  }

  private func heartbeat() -> [UInt8] {
    let time = MonotonicClock.nanoseconds()
    return PeerFrame.heartbeat(
      PeerHeartbeat(
        time: time, watched: clock.now, progress: vouched, isRealtime: isRealtime)
    ).payload()
  }

  private func judge(_ peer: WatchedPeer, _ watched: Int64) {
    guard let verdict = peer.liveness?.judge(now: watched) else { return }
    switch verdict {
    case .silent(let why): end(peer, why)
    case .fine, .stalled:
      guard verdict != peer.verdict else { return }
      let wasFine = peer.verdict == .fine
      peer.verdict = verdict
      switch verdict {
      case .stalled(let why) where wasFine:
        tell(.judged(node: peer.node, serial: peer.serial, why: why))
      case .fine: tell(.judged(node: peer.node, serial: peer.serial, why: nil))
      case .stalled, .silent: break
      }
    }
  }

  // MARK: Orders

  private func takeOrders() {
    for order in orders.take() { take(order) }
  }

  private func take(_ order: PeerOrder) {
    switch order {
    case .begin(let socket): listen(socket)
    case .send(let node, let serial, let frame):
      guard let peer = peer(node), peer.pair.isStanding, peer.serial == serial,
        let urgent = peer.urgent
      else { return }
      urgent.add(.message, frame)
    case .broke(let node, let serial, let why):
      if let peer = peer(node), peer.pair.isStanding, peer.serial == serial { end(peer, why) }
    case .hello(let hello): take(hello)
    case .found(let node, let addresses, let why):
      guard let peer = peer(node) else { return }
      peer.route.found(addresses, at: now)
      if let why { say("cannot find node \(node) at \(peer.address): \(why)") }
    case .stop: loop.stop()
    }
  }

  private func take(_ hello: PeerHello) {
    let isOther = hello.life != handshake.own.life
    handshake.own = hello
    revision += 1
    let payload = PeerFrame.news(hello).payload()
    for peer in peers {
      // What it was told in the handshake cannot be taken back.
      if isOther { end(peer, "this node has become another") }
      guard peer.pair.isStanding, let known = peer.hello else { continue }
      do throws(PeerFault) {
        try handshake.judge(cluster: known)
        peer.urgent?.add(.news, payload)
      } catch {
        end(peer, error.description)
      }
    }
  }

  // MARK: For the loop

  /// Tells the loop, with the end of this turn.
  func tell(_ event: PeerEvent) { told.append(event) }

  /// False if the loop has as much as it may have and takes nothing.
  func tell(message bytes: ArraySlice<UInt8>, from peer: WatchedPeer) -> Bool {
    let count = bytes.count + PeerInbox<PeerEvent>.messageBytes
    guard events.hasRoom(for: toldBytes + count) else { return false }
    told.append(.message(node: peer.node, serial: peer.serial, bytes))
    toldBytes += count
    return true
  }

  private func handOver() {
    guard !told.isEmpty else { return }
    events.put(told, bytes: toldBytes)
    told = []
    toldBytes = 0
  }

  func peer(_ node: Int32) -> WatchedPeer? { peers.first { $0.node == node } }

  func say(_ sentence: String) {
    if let said = limit.admit(sentence, now: now) { tell(.say(said)) }
  }

  // MARK: Sessions

  /// Ends what there is between this node and a peer.
  func end(_ peer: WatchedPeer, _ why: String) {
    guard let session = peer.pair.session else { return }
    perform(peer.pair.broke(session: session, why: why, now: now), peer)
  }

  func perform(_ effects: [PeerPair.Effect], _ peer: WatchedPeer) {
    for effect in effects {
      switch effect {
      case .connect(let session): connect(peer, session)
      case .stands(let hello): stand(peer, hello)
      case .ended(let why):
        peer.liveness = nil
        tell(.ended(node: peer.node, serial: peer.serial, why: why))
      case .gaveUp:
        say(
          "node \(handshake.own.node) gave up a connection to node \(peer.node), which did not say "
            + "who it is")
      case .close: peer.close()
      }
    }
  }

  private func stand(_ peer: WatchedPeer, _ hello: PeerHello) {
    guard let bulk = peer.bulk, let urgent = peer.urgent else {
      fatalError("a session stands without its connections")
    }
    peer.bulk = nil
    peer.hello = hello
    peer.serial = nextSerial
    nextSerial += 1
    peer.verdict = .fine
    peer.hasSpoken = false
    peer.liveness = PeerLiveness(
      silenceMilliseconds: options.silence(isRealtime: isRealtime),
      latenessMilliseconds: options.silence(isRealtime: false),
      stallMilliseconds: options.stallMilliseconds, now: clock.now)
    tell(.stands(node: peer.node, serial: peer.serial, hello, bulk.release()))
    urgent.input.sizeMax = PeerFrame.urgentBytesMax
    if peer.saidRevision < revision { urgent.add(.news(handshake.own)) }
    // The other side may be waiting for a word.
    urgent.add(.heartbeat, heartbeat())
    urgent.resume()
  }

  private func end() {
    for peer in peers {
      peer.urgent?.flush()
      peer.close()
    }
    for stranger in strangers { stranger.connection.close() }
    if let listener { loop.remove(listener.descriptor) }
    listener = nil
  }
}
