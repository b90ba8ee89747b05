internal import Broker
internal import Bytes
internal import LogStore
internal import Replication

/// Between the nodes: as over TCP, frames arrive in order or the connection breaks, but for those
/// that the options lose, repeat and let be overtaken.
extension SimulatedCluster {
  private func index(_ from: Int32, _ to: Int32) -> Int {
    Int(from - 1) * options.nodes + Int(to - 1)
  }

  private func link(_ a: Int32, _ b: Int32) -> SimulatedLink? { links[index(min(a, b), max(a, b))] }

  func isBlocked(_ from: Int32, _ to: Int32) -> Bool { blocked[index(from, to)] != nil }

  private func delay(_ from: Int32, _ to: Int32) -> Int64 {
    var micro = Int64(options.delayLeast)
    let doublings = min(4, random.next().trailingZeroBitCount)
    micro += Int64(random.below(max(1, options.delayMean))) << Int64(doublings) / 2
    return micro * 1000 * max(slowness[Int(from) - 1], slowness[Int(to) - 1])
  }

  // MARK: Connecting

  /// Tries to connect to all others, after a while.
  func connectSoon(_ id: Int32) {
    for other in nodes where other.id != id {
      after(milliseconds(1) + around(milliseconds(20))) { [unowned self] in
        connect(min(id, other.id), max(id, other.id))
      }
    }
  }

  private func connect(_ a: Int32, _ b: Int32) {
    guard link(a, b) == nil, self[a].node != nil, self[b].node != nil, !isBlocked(a, b),
      !isBlocked(b, a), self[a].pausedUntil <= now, self[b].pausedUntil <= now,
      !self[a].hasLeft, !self[b].hasLeft
    else { return }
    let made = SimulatedLink(a, b, after: broken[index(a, b)])
    broken[index(a, b)] = nil
    links[index(a, b)] = made
    say("nodes \(a) and \(b) connect")
    for (from, to) in [(a, b), (b, a)] {
      guard let hello = self[from].node?.peerHello else { continue }
      carry(made, from, to, isUrgent: true, isFirst: true) { [unowned self] in
        found(made, hello, at: to)
      }
    }
  }

  private func found(_ link: SimulatedLink, _ hello: PeerHello, at to: Int32) {
    let side = to == link.nodes.0 ? 0 : 1
    let member = self[to]
    deliver(to: member, member.life) { [unowned self] node, time in
      guard !link.isBroken else { return }
      link.isKnown[side] = true
      if link.takeUntold(side) { node.lost(hello.node, now: time) }
      say("node \(to) finds node \(hello.node)")
      node.connected(hello, now: time)
    }
  }

  func introduce(_ member: SimulatedNode, _ hello: PeerHello) {
    for other in nodes where other.id != member.id {
      guard let link = link(member.id, other.id) else { continue }
      carry(link, member.id, other.id, isUrgent: true) { [unowned self] in
        found(link, hello, at: other.id)
      }
    }
  }

  // MARK: Frames

  func send(_ frame: NodeFrame, from member: SimulatedNode) {
    mix(UInt64(CRC32C.of(frame.bytes[...])) << 16 | UInt64(member.id) << 8 | UInt64(frame.to))
    guard let link = link(member.id, frame.to) else { return }
    let (from, to) = (member.id, frame.to)
    let deliver = { [unowned self] in arrived(link, frame, from, to) }
    if frame.isReplication, !isMending {
      if options.losesOneIn > 0, random.oneIn(options.losesOneIn) { return }
      if options.repeatsOneIn > 0, random.oneIn(options.repeatsOneIn) {
        after(around(milliseconds(50)), deliver)
      }
      if options.reordersOneIn > 0, random.oneIn(options.reordersOneIn) {
        return after(around(milliseconds(50)), deliver)
      }
    }
    carry(link, from, to, isUrgent: frame.isUrgent, deliver)
  }

  private func arrived(_ link: SimulatedLink, _ frame: NodeFrame, _ from: Int32, _ to: Int32) {
    guard !link.isBroken, link.isKnown[to == link.nodes.0 ? 0 : 1] else { return }
    let member = self[to]
    deliver(to: member, member.life) { node, time in
      guard !link.isBroken else { return }
      node.receive(frame.bytes[...], from: from, now: time)
    }
  }

  /// Brings something to the other side, behind what went before; waits while nothing passes. What
  /// is first is so on both lanes: nothing is read before who says it is known.
  private func carry(
    _ link: SimulatedLink, _ from: Int32, _ to: Int32, isUrgent: Bool, isFirst: Bool = false,
    _ action: @escaping () -> Void
  ) {
    let side = from == link.nodes.0 ? 0 : 1
    guard !isBlocked(from, to) else {
      link.held[side].append((isUrgent, isFirst, action))
      return
    }
    let lane = side * 2 + (isUrgent ? 1 : 0)
    let arrival = max(link.arrivals[lane], now + delay(from, to))
    link.arrivals[lane] = arrival
    if isFirst { link.arrivals[side * 2] = arrival }
    queue.add(at: arrival) { if !link.isBroken { action() } }
  }

  // MARK: Breaking

  /// The connection ends; each side hears of it after a while of its own.
  private func breakLink(_ link: SimulatedLink, _ delays: [Int64]) {
    guard !link.isBroken else { return }
    link.isBroken = true
    let (a, b) = link.nodes
    links[index(a, b)] = nil
    broken[index(a, b)] = link
    for (side, id) in [a, b].enumerated() where link.isKnown[side] {
      let (member, other) = (self[id], side == 0 ? b : a)
      let life = member.life
      after(delays[side]) { [unowned self] in
        deliver(to: member, life) { [unowned self] node, time in
          guard !link.isTold[side] else { return }
          link.isTold[side] = true
          say("node \(id) loses node \(other)")
          node.lost(other, now: time)
        }
      }
    }
    let heard = max(delays[0], delays[1])
    after(heard + milliseconds(1) + around(milliseconds(100))) { [unowned self] in
      connect(a, b)
    }
  }

  /// The node's process is gone. Its kernel says so, unless the machine is gone too.
  func broke(_ id: Int32, isSilent: Bool) {
    for other in nodes where other.id != id {
      guard let link = link(id, other.id) else { continue }
      let heard =
        isSilent || isBlocked(id, other.id)
        ? around(milliseconds(options.silence / 4)) + milliseconds(options.silence)
        : around(milliseconds(2))
      breakLink(link, [heard, heard])
    }
  }

  /// The node closes its connections, and looks at none of them any more.
  func leave(_ member: SimulatedNode) {
    for other in nodes where other.id != member.id {
      guard let link = link(member.id, other.id) else { continue }
      link.isTold[member.id == link.nodes.0 ? 0 : 1] = true
    }
    broke(member.id, isSilent: false)
  }

  /// The one takes the other for connected.
  func isFound(_ other: Int32, by id: Int32) -> Bool {
    guard let link = link(id, other) else { return false }
    return link.isKnown[id == link.nodes.0 ? 0 : 1]
  }

  /// Both can say what they want to each other.
  func areConnected(_ a: Int32, _ b: Int32) -> Bool {
    guard let link = link(a, b), link.isKnown == [true, true] else { return false }
    return !isBlocked(a, b) && !isBlocked(b, a)
  }

  /// Nothing passes from one to the other any more.
  func block(_ from: Int32, _ to: Int32) {
    guard blocked[index(from, to)] == nil else { return }
    blocked[index(from, to)] = now
    say("nothing passes from node \(from) to node \(to)")
    silent(from, to)
  }

  func unblock(_ from: Int32, _ to: Int32) {
    guard blocked[index(from, to)] != nil else { return }
    blocked[index(from, to)] = nil
    say("node \(from) reaches node \(to) again")
    if let link = link(from, to) {
      let side = from == link.nodes.0 ? 0 : 1
      let held = link.held[side]
      link.held[side] = []
      for (isUrgent, isFirst, action) in held {
        carry(link, from, to, isUrgent: isUrgent, isFirst: isFirst, action)
      }
    } else {
      after(around(milliseconds(50))) { [unowned self] in connect(min(from, to), max(from, to)) }
    }
  }

  /// After the silence bound, whoever hears nothing takes the other for lost.
  private func silent(_ from: Int32, _ to: Int32) {
    guard let link = link(from, to) else { return }
    let since = blocked[index(from, to)]
    after(milliseconds(options.silence) + around(milliseconds(20))) { [unowned self] in
      guard !link.isBroken, blocked[index(from, to)] == since, since != nil else { return }
      // The one hears it at once, the other from the first, or not at all.
      let other =
        isBlocked(to, from) ? around(milliseconds(options.silence)) : around(milliseconds(5))
      breakLink(link, to == link.nodes.0 ? [0, other] : [other, 0])
    }
  }

  /// The others do not hear from a process that stands still.
  func pausedSilence(_ member: SimulatedNode) {
    let life = member.life
    let until = member.pausedUntil
    after(milliseconds(options.silence) + around(milliseconds(20))) { [unowned self] in
      guard member.life == life, member.pausedUntil == until, until > now else { return }
      for other in nodes where other.id != member.id {
        if let link = link(member.id, other.id) { breakLink(link, [0, 0]) }
      }
    }
  }
}
