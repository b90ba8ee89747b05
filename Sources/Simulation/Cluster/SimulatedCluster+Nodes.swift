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
    member.stop = nil
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
      guard member.disk.capacity != nil else {
        return violated("node \(member.id) does not start: \(error)")
      }
      // Somebody sees that there is no space, and tries again.
      say("node \(member.id) does not start: \(error)")
      member.store = nil
      member.disk = crashed(member, .kill)
      member.boots -= 1
      return startLater(member, milliseconds(50))
    }
    member.hello = member.node?.peerHello
    say("node \(member.id) starts, start \(member.boots)")
    connectSoon(member.id)
    turnSoon(member)
  }

  enum End {
    case kill, powerCut
    /// By itself.
    case planned
    /// The disk is another one.
    case lostDisk
    /// It is as it was.
    case rollback(VirtualDisk)

    var text: String {
      switch self {
      case .kill: "kill"
      case .powerCut: "powerCut"
      case .planned: "planned"
      case .lostDisk: "lostDisk"
      case .rollback: "rollback"
      }
    }

    /// Nobody says so to those who are connected.
    var isSilent: Bool {
      switch self {
      case .kill, .planned: false
      case .powerCut, .lostDisk, .rollback: true
      }
    }
  }

  /// The disk as the next process finds it; what is full stays so.
  private func crashed(_ member: SimulatedNode, _ crash: VirtualDisk.Crash) -> VirtualDisk {
    let disk = member.disk.after(crash, &random)
    var faults = VirtualDisk.Faults()
    faults.capacity = disk.capacity
    disk.faults = faults
    return disk
  }

  func end(_ member: SimulatedNode, _ end: End) {
    guard let node = member.node else { return }
    elections += node.metrics.elections
    say("node \(member.id) ends: \(end.text)")
    rememberDisk(of: member)
    member.node = nil
    member.store = nil
    member.life += 1
    member.missed = []
    switch end {
    case .kill, .planned: member.disk = crashed(member, .kill)
    case .powerCut: member.disk = crashed(member, .powerCut)
    case .lostDisk:
      member.forgetLogs()
      member.disk = VirtualDisk(seed: random.next())
      _ = member.disk.advance(to: now)
    case .rollback(let image):
      member.forgetLogs()
      member.disk = image.restored(inPlaceOf: member.disk)
      member.disk.faults = VirtualDisk.Faults()
    }
    member.disk.faults.slowness = options.diskSlowness
    member.disk.faults.forgetsSyncs = options.forgetsSyncs
    broke(member.id, isSilent: end.isSilent)
    connectionsLost(to: member, isSilent: end.isSilent)
  }

  /// The process is asked to end, and does what `Server` does then.
  func stop(_ member: SimulatedNode, _ pause: Int64) {
    deliver(to: member, member.life) { [unowned self] node, time in
      guard member.stop == nil else { return }
      say("node \(member.id) is to end")
      let bound = milliseconds(Int(Server.stopMilliseconds))
      member.stop = SimulatedNode.Stop(deadline: now + bound, pause: pause)
      node.stop(now: time)
    }
  }

  /// False if it has ended.
  private func advanceStop(_ member: SimulatedNode, _ node: Node) -> Bool {
    guard let stop = member.stop else { return true }
    if !node.isHandingOver, !stop.hasLeft {
      member.stop?.hasLeft = true
      leave(member)
    }
    guard node.isQuiet || now >= stop.deadline else { return true }
    end(member, .planned)
    startLater(member, stop.pause)
    return false
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
    for notice in node.takeNotices() {
      say("node \(member.id) says: \(notice)")
      if notice.hasPrefix("this node's files are older") { member.knowsRollback = true }
    }
    guard advanceStop(member, node) else { return }
    watchDisk(member)
    guard member.node != nil else { return }
    let longest: Int64 = member.stop == nil ? .max : 10
    turn(member, at: now + max(1, min(wait, longest)) * Self.millisecond)
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
