internal import Platform

/// How connections come about, until both sides have said who they are.
extension LivenessThread: PeerConnectionOwner {
  // MARK: Accepting

  func listen(_ socket: Socket) {
    listener = socket
    loop.add(socket.descriptor, [.readable], PeerBell { [unowned self] in accept() })
  }

  private func accept() {
    guard let listener else { return }
    // As many as may be strangers at once; the others have their turn with the next.
    for _ in 0..<Self.strangersMax {
      switch listener.accept() {
      case .socket(let socket):
        socket.noticeSilence(milliseconds: options.unconfirmedMilliseconds)
        if strangers.count >= Self.strangersMax {
          strangers.removeFirst().connection.close()
          say("more than \(Self.strangersMax) connections to node \(handshake.own.node) are silent")
        }
        let connection = PeerConnection(socket, isConnecting: false, on: loop, owner: self)
        strangers.append(
          Stranger(connection: connection, deadline: now + options.helloMilliseconds))
      case .nobody: return
      case .noDescriptors:
        // It would be ready all the time. Tried again with the next heartbeat.
        isAcceptingPaused = true
        loop.change(listener.descriptor, [])
        return
      }
    }
  }

  func resumeAccepting() {
    guard isAcceptingPaused, let listener else { return }
    isAcceptingPaused = false
    loop.change(listener.descriptor, [.readable])
  }

  func closeLateStrangers() {
    while let first = strangers.first, now >= first.deadline {
      strangers.removeFirst()
      first.connection.close()
      say(
        "\(first.connection.socket.peer) connected to node \(handshake.own.node) and did not say "
          + "who it is")
    }
  }

  private func greet(
    _ opening: PeerOpening, _ connection: PeerConnection
  ) throws(PeerFault) {
    try handshake.judge(opening)
    guard let peer = peer(opening.hello.node) else {
      throw PeerFault("node \(opening.hello.node) is none of the nodes")
    }
    // What opens a session may end the one before, whose connections are closed: this one is put in
    // place behind that.
    perform(try peer.pair.opened(opening, now: now), peer)
    peer.put(connection, opening.channel)
    open(connection, opening.channel, opening.session, peer)
    if opening.channel == .bulk { connection.hold() }
  }

  /// Says why, on both sides, and closes.
  private func refuse(_ connection: PeerConnection, _ why: String) {
    connection.add(.refusal(why))
    connection.flush()
    connection.close()
    say("node \(handshake.own.node) refused a connection of \(connection.socket.peer): \(why)")
  }

  // MARK: Connecting

  func connect(_ peer: WatchedPeer, _ session: UInt64) {
    let (address, looksUp) = peer.route.take(now: now)
    if looksUp { lookUp(peer) }
    guard let address else { return end(peer, "") }
    peer.connectDeadline = now + options.connectMilliseconds
    do throws(SocketError) {
      for channel in PeerChannel.allCases {
        let socket = try Socket.connect(address, named: "\(peer.address)")
        socket.noticeSilence(milliseconds: options.unconfirmedMilliseconds)
        let connection = PeerConnection(socket, isConnecting: true, on: loop, owner: self)
        peer.put(connection, channel)
      }
    } catch {
      say("node \(handshake.own.node) cannot reach node \(peer.node): \(error)")
      end(peer, "")
    }
  }

  /// A name server may take seconds.
  private func lookUp(_ peer: WatchedPeer) {
    Thread.start("martlet-names") { [orders, node = peer.node, address = peer.address] in
      do throws(SocketError) {
        orders.put(.found(node: node, try ResolvedAddress.resolve(address), why: nil))
      } catch {
        orders.put(.found(node: node, [], why: "\(error)"))
      }
    }
  }

  func cameAbout(_ connection: PeerConnection) {
    guard let peer = owner(of: connection), let session = peer.pair.session,
      let channel = peer.channel(of: connection)
    else { return connection.close() }
    open(connection, channel, session, peer)
  }

  /// Says who this node is.
  private func open(
    _ connection: PeerConnection, _ channel: PeerChannel, _ session: UInt64, _ peer: WatchedPeer
  ) {
    peer.saidRevision = min(peer.saidRevision, revision)
    connection.add(
      .opening(
        PeerOpening(channel: channel, session: session, to: peer.node, hello: handshake.own)))
    connection.flush()
  }

  /// A connection that does not even come about is tried again: the first of its packets was lost,
  /// and the kernel would wait a second before the next.
  func closeLateConnections(of peer: WatchedPeer) {
    guard let deadline = peer.connectDeadline, now >= deadline else { return }
    peer.connectDeadline = nil
    let isLate = [peer.bulk, peer.urgent].contains { $0?.isConnecting == true }
    guard !peer.pair.isStanding, isLate else { return }
    say("node \(handshake.own.node) cannot reach node \(peer.node) at \(peer.address) in time")
    end(peer, "")
  }

  private func answered(
    _ answer: PeerOpening, _ connection: PeerConnection, _ peer: WatchedPeer
  ) {
    guard let session = peer.pair.session, let channel = peer.channel(of: connection) else {
      return connection.close()
    }
    do throws(PeerFault) {
      try handshake.judge(answer, from: peer.node, session: session, channel: channel)
      let effects = try peer.pair.opened(answer, now: now)
      connection.hold()
      perform(effects, peer)
    } catch {
      refuse(connection, error.description)
      end(peer, "")
    }
  }

  // MARK: What comes

  private func owner(of connection: PeerConnection) -> WatchedPeer? {
    peers.first { $0.channel(of: connection) != nil }
  }

  func received(_ frame: ArraySlice<UInt8>, on connection: PeerConnection) {
    if let peer = owner(of: connection) {
      received(frame, on: connection, of: peer)
    } else {
      receivedFromStranger(frame, on: connection)
    }
  }

  private func receivedFromStranger(_ frame: ArraySlice<UInt8>, on connection: PeerConnection) {
    strangers.removeAll { $0.connection === connection }
    do throws(PeerFault) {
      guard case .opening(let opening) = try PeerFrame.decode(frame) else {
        throw PeerFault("it does not say who it is")
      }
      try greet(opening, connection)
    } catch {
      refuse(connection, error.description)
    }
  }

  private func received(
    _ frame: ArraySlice<UInt8>, on connection: PeerConnection, of peer: WatchedPeer
  ) {
    do throws(PeerFault) {
      let frame = try PeerFrame.decode(frame)
      if peer.pair.isStanding { return try take(frame, peer) }
      switch frame {
      case .opening(let opening): answered(opening, connection, peer)
      case .refusal(let why): throw PeerFault("it refuses: \(why)")
      default:
        perform(try peer.pair.confirmed(now: now), peer)
        try take(frame, peer)
      }
    } catch {
      say("node \(handshake.own.node) ends its connections to node \(peer.node): \(error)")
      end(peer, error.description)
    }
  }

  /// On the urgent connection of a session that stands.
  private func take(_ frame: PeerFrame, _ peer: WatchedPeer) throws(PeerFault) {
    peer.hasSpoken = true
    switch frame {
    case .message(let bytes):
      guard tell(message: bytes, from: peer) else {
        throw PeerFault("this node does not take in time what it sends")
      }
    case .heartbeat(let heartbeat):
      peer.liveness?.heartbeat(heartbeat)
      peer.urgent?.add(.answer(time: heartbeat.time))
    case .answer(let time):
      let now = MonotonicClock.nanoseconds()
      if time <= now { peer.measured(roundTrip: now - time) }
    case .news(let hello):
      guard let known = peer.hello else { return }
      try handshake.judge(news: hello, of: known.life, node: peer.node)
      peer.hello = hello
      tell(.news(node: peer.node, serial: peer.serial, hello))
    case .refusal(let why): throw PeerFault("it refuses: \(why)")
    case .opening: throw PeerFault("it says again who it is")
    }
  }

  func broke(_ connection: PeerConnection, _ why: String) {
    guard let peer = owner(of: connection) else { return forget(connection, why) }
    if !peer.pair.isStanding {
      say("node \(handshake.own.node) has no connection to node \(peer.node): \(why)")
    }
    end(peer, why)
  }

  private func forget(_ stranger: PeerConnection, _ why: String) {
    strangers.removeAll { $0.connection === stranger }
    say(
      "node \(handshake.own.node) closed a connection of \(stranger.socket.peer), which did not "
        + "say who it is: \(why)")
  }
}
