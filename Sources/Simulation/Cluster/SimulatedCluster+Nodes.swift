internal import Broker
internal import Bytes
internal import LogStore
internal import Platform
internal import Replication

/// Processes: started, driven, ended.
extension SimulatedCluster {
  func start(_ member: SimulatedNode) {
    guard member.node == nil else { return }
    member.boots += 1
    member.life += 1
    member.pausedUntil = 0
    member.missed = []
    member.startedAt = now
    member.turnAt = .max
    member.diskAt = .max
    member.seen = [:]
    member.isToStart = false
    var node = NodeOptions()
    node.id = member.id
    node.port = 9000 + UInt16(member.id)
    node.host = "here"
    node.cluster.boot = member.boots
    node.snapshotBytesMin = options.snapshotBytesMin
    node.cluster.planted = options.mistakes
    node.cluster.plantedInReplicas = options.raftMistakes
    node.cluster.members = nodes.map {
      ClusterMember(
        id: $0.id, client: SocketAddress(host: "here", port: 9000 + UInt16($0.id)),
        peer: SocketAddress(host: "here", port: 19000 + UInt16($0.id)))
    }
    let factor = "\(min(3, options.nodes))"
    let settings = [
      ("offsets.topic.num.partitions", "2"), ("group.initial.rebalance.delay.ms", "0"),
      ("default.replication.factor", factor), ("offsets.topic.replication.factor", factor),
      ("log.retention.check.interval.ms", "\(options.retentionPause)"),
    ]
    node.apply(settings)
    _ = member.disk.advance(to: now)
    do {
      if options.nodes > 1, let path = try LogStore.setAsideDamagedStore(on: member.disk) {
        say("node \(member.id) sets its store aside: \(path)")
        member.forgetLogs()
      }
      let store = try LogStore.open(
        member.disk, options: options.storeOptions, newID: random.next() | 1,
        now: member.time(now).wall)
      comesBack(store, member)
      member.store = store
      member.node = try Node(
        store: store, options: node, file: settings,
        random: SeededGenerator(seed: random.next()), now: member.time(now))
    } catch {
      violated("node \(member.id) does not start: \(error)")
      return
    }
    member.hello = member.node?.peerHello
    say("node \(member.id) starts, start \(member.boots)")
    connectSoon(member.id)
    turnSoon(member)
  }

  enum End {
    case kill, powerCut
    /// The disk is another one.
    case lostDisk
  }

  func end(_ member: SimulatedNode, _ end: End) {
    guard let node = member.node else { return }
    elections += node.metrics.elections
    say("node \(member.id) ends: \(end)")
    rememberDisk(of: member)
    member.node = nil
    member.store = nil
    member.life += 1
    member.missed = []
    switch end {
    case .kill: member.disk = member.disk.after(.kill, &random)
    case .powerCut: member.disk = member.disk.after(.powerCut, &random)
    case .lostDisk:
      member.forgetLogs()
      member.disk = VirtualDisk(seed: random.next())
      _ = member.disk.advance(to: now)
    }
    member.disk.faults = VirtualDisk.Faults()
    member.disk.faults.slowness = options.diskSlowness
    member.disk.faults.forgetsSyncs = options.forgetsSyncs
    broke(member.id, isSilent: end != .kill)
    connectionsLost(to: member, isSilent: end != .kill)
  }

  /// What a node is told; at once, or when it goes on.
  func deliver(to member: SimulatedNode, _ life: Int, _ action: @escaping (Node, NodeTime) -> Void)
  {
    guard member.life == life, member.node != nil else { return }
    guard member.pausedUntil <= now else {
      member.missed.append { [unowned self] in deliver(to: member, life, action) }
      return
    }
    guard let node = member.node else { return }
    action(node, member.time(now))
    turnSoon(member)
  }

  /// False if it does already.
  func pause(_ member: SimulatedNode, _ time: Int64) -> Bool {
    guard member.node != nil, member.pausedUntil <= now else { return false }
    member.pausedUntil = now + time
    let life = member.life
    say("node \(member.id) stands still for \(time / Self.millisecond) ms")
    pausedSilence(member)
    after(time) { [unowned self] in
      guard member.life == life else { return }
      say("node \(member.id) goes on")
      let missed = member.missed
      member.missed = []
      for action in missed { action() }
      connectSoon(member.id)
      turnSoon(member)
    }
    return true
  }

  // MARK: Turns

  /// The loop takes a little until it turns.
  func turnSoon(_ member: SimulatedNode) {
    turn(member, at: now + 5000 + Int64(random.below(40_000)))
  }

  private func turn(_ member: SimulatedNode, at time: Int64) {
    guard time < member.turnAt else { return }
    member.turnAt = time
    let life = member.life
    queue.add(at: time) { [unowned self] in
      guard member.life == life, member.turnAt == time else { return }
      member.turnAt = .max
      turn(member)
    }
  }

  private func turn(_ member: SimulatedNode) {
    guard let node = member.node else { return }
    guard member.pausedUntil <= now else { return turn(member, at: member.pausedUntil) }
    let wait = node.turn(now: member.time(now))
    checkInvariants(member, node)
    for frame in node.takePeerFrames() {
      leaves(frame, member)
      send(frame, from: member)
    }
    let hello = node.peerHello
    if hello != member.hello {
      member.hello = hello
      introduce(member, hello)
    }
    for answer in node.takeAnswers() { answered(answer, member) }
    for notice in node.takeNotices() { say("node \(member.id) says: \(notice)") }
    watchDisk(member)
    guard member.node != nil else { return }
    turn(member, at: now + max(1, wait) * Self.millisecond)
  }

  /// Completions are given when the disk is done.
  private func watchDisk(_ member: SimulatedNode) {
    guard let next = member.disk.nextTime, next < member.diskAt else { return }
    let time = max(next, now)
    member.diskAt = time
    let life = member.life
    queue.add(at: time) { [unowned self] in
      guard member.life == life, member.diskAt == time else { return }
      member.diskAt = .max
      let completions = member.disk.advance(to: now)
      if !completions.isEmpty {
        mix(UInt64(completions.count) << 32 | UInt64(member.id))
        deliver(to: member, life) { node, _ in
          for completion in completions { node.complete(completion) }
        }
      }
      watchDisk(member)
    }
  }

  func diskChanged(_ member: SimulatedNode) {
    member.diskAt = .max
    watchDisk(member)
  }
}
