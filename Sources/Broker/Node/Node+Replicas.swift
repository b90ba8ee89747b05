internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Platform
internal import Records
internal import Replication

/// Replicas: what their groups' machines say is done to the logs of the store, and what becomes of
/// that is told to them.
extension Node {
  /// Makes this node's replica of a group, on its log, and begins.
  @discardableResult
  func makeReplica(
    _ group: GroupID, _ log: LogID, _ kind: Replica.Kind, _ membership: Membership,
    joinedVersion: Int64 = 0
  ) throws(LogError) -> Replica {
    let bounds = try store.bounds(of: log)
    var stored = Raft.Stored()
    stored.vote = try store.vote(of: log)
    stored.history = try store.epochs(of: log)
    stored.start = bounds.start
    stored.end = LogPosition(epoch: bounds.epoch, offset: bounds.end)
    stored.committed = bounds.highWatermark
    stored.joinedVersion = joinedVersion
    var timing = Raft.Options()
    timing.electionTicks = options.cluster.electionTicks
    timing.heartbeatTicks = options.cluster.heartbeatTicks
    // What the followers' journals take in one piece, which are as this one.
    timing.appendBytesMax = min(timing.appendBytesMax, store.appendBytesMax)
    timing.planted = options.cluster.plantedInReplicas
    let raft = Raft(
      id: NodeID(options.id), membership: membership, stored: stored, options: timing,
      seed: group.high ^ group.low &+ UInt64(bitPattern: Int64(group.partition)) << 8
        ^ UInt64(bitPattern: Int64(options.id)))
    let replica = Replica(group: group, log: log, kind: kind, raft: raft)
    if replicas.updateValue(replica, forKey: log) == nil {
      replicaLogs.insert(log, at: replicaLogs.firstIndex { $0 > log } ?? replicaLogs.endIndex)
    }
    replicasByGroup[group] = replica
    if !isSole(replica), (try store.failure(of: log)) != nil { step(replica, .fenced) }
    step(replica, .began)
    for peer in peers.nodes where !peers.connected.contains(peer) {
      step(replica, .peerLost(NodeID(peer)))
    }
    return replica
  }

  func removeReplica(of log: LogID) {
    guard let replica = replicas.removeValue(forKey: log) else { return }
    replicaLogs.removeAll { $0 == log }
    forgetFences(replica)
    advanceHeld()
    replicasByGroup[replica.group] = nil
    // Others may lead it still.
    if leaders[replica.group]?.leader == options.id { leaders[replica.group] = nil }
    stuckReplicas.remove(log)
  }

  /// Nobody else has the log: what is here is all there is, and it is read also when it has failed.
  func isSole(_ replica: Replica) -> Bool {
    let membership = replica.raft.membership
    return membership.voters.count == 1 && membership.voters[0].rawValue == options.id
      && membership.learners.isEmpty
  }

  // MARK: Stepping

  func step(_ replica: Replica, _ input: Input) {
    var effects: [Effect] = []
    replica.isChanged = true
    replica.raft.step(input, into: &effects)
    if replica.isStuck { effects = passStuck(effects, replica) }
    guard !effects.isEmpty else { return }
    replica.add(effects)
    perform(replica)
  }

  /// What does not touch the log does not wait for it to have room: who leads is to hear that this
  /// node is there, and who stands for election what it is told by those who cannot. What is left.
  private func passStuck(_ effects: [Effect], _ replica: Replica) -> [Effect] {
    effects.filter { effect in
      switch effect {
      case .send(let message):
        switch message.body {
        case .heartbeatAnswer, .voteResponse:
          peers.send(message, of: replica.group)
          return false
        default: return true
        }
      case .recordVote(let vote):
        guard vote.candidate != options.id, !replica.waitsForVote, !plants(.forgetVotes) else {
          return true
        }
        do throws(LogError) {
          try store.recordVote(replica.log, vote)
          return false
        } catch {
          return true
        }
      default: return true
      }
    }
  }

  /// Does what is to be done, as far as there is room.
  private func perform(_ replica: Replica) {
    guard !replica.isPerforming else { return }
    replica.isPerforming = true
    defer { replica.isPerforming = false }
    while let effect = replica.next() {
      guard perform(effect, replica) else {
        stuckReplicas.insert(replica.log)
        return
      }
      replica.done()
    }
  }

  /// There is room again.
  func advanceReplicas() {
    let stuck = stuckReplicas.sorted()
    stuckReplicas = []
    for log in stuck {
      if let replica = replicas[log] { perform(replica) }
    }
  }

  /// What changes the log. A replica that could not do one of these is without the rest.
  private static func isOfLog(_ effect: Effect) -> Bool {
    switch effect {
    case .recordVote, .truncate, .write, .beginEpoch, .reset, .committed, .advanceStart: true
    default: false
    }
  }

  /// False if the journal or the disk has no room for it.
  private func perform(_ effect: Effect, _ replica: Replica) -> Bool {
    if replica.raft.isFenced, Self.isOfLog(effect) { return true }
    do throws(LogError) {
      switch effect {
      case .send(let message): peers.send(message, of: replica.group)
      case .recordVote(let vote):
        if plants(.forgetVotes) {
          step(replica, .voted(vote))
        } else {
          try store.recordVote(replica.log, vote)
        }
        if vote.candidate == options.id { metrics.electionsStarted += 1 }
      case .truncate(let position): _ = try store.truncate(replica.log, to: position)
      case .write(let entries, let from):
        try write(entries, from: from, replica)
        if plants(.tellDurableEarly) { step(replica, .durable(replica.raft.end)) }
      case .beginEpoch(let epoch): try begin(epoch, replica)
      case .reset(let request): try reset(replica, request)
      case .replicate(let peer, let after, let bytesMax):
        guard replica.isOrderOfLeader else { break }
        replicate(replica, to: peer, after: after, bytesMax: bytesMax)
      case .sendReset(let peer, let position):
        guard replica.isOrderOfLeader else { break }
        try sendReset(replica, to: peer, position)
      case .committed(let position): try committed(position, replica)
      case .advanceStart(let offset):
        try store.advanceStart(replica.log, to: offset)
        replica.startFrame = store.frames.added
        // What is below is in the snapshot that begins there.
        if replica.kind == .metadata { metadataWasReset(to: offset) }
      case .elected(let epoch): if replica.isOrderOfLeader { elected(replica, epoch) }
      case .ready: if replica.isOrderOfLeader { ready(replica) }
      case .leaderChanged(let leader, let epoch): leaderChanged(replica, leader, epoch)
      case .answerRead(let token, let offset):
        // Before who asked looks again.
        if offset == nil, replica.leads, !replica.raft.isLeader { lostLeadership(replica) }
        readAnswered(token, offset)
      case .damaged(let why): damaged(replica, why)
      }
      return true
    } catch .busy {
      return false
    } catch .diskFull {
      return false
    } catch {
      damaged(replica, "\(error)")
      return true
    }
  }

  /// What was asked of the log cannot be done: it is not what the group takes it for.
  func damaged(_ replica: Replica, _ why: String) {
    guard !replica.raft.isFenced, !isSole(replica) else { return }
    if failure == nil {
      tell("\(place(of: replica)): this node's copy is not used any more: \(why)")
    }
    step(replica, .fenced)
    reportDamage(replica)
  }

  /// The log, in words.
  func place(of replica: Replica) -> String {
    switch replica.kind {
    case .metadata: "the cluster's metadata"
    case .partition(let topic, let index):
      "topic '\(topicNames[topic] ?? topic.base64url)', partition \(index)"
    }
  }

  // MARK: Effects

  /// Appends what of the entries is not there yet. Some may be when there was no room for all.
  private func write(
    _ entries: [Entry], from: Offset, _ replica: Replica
  ) throws(LogError) {
    for (index, entry) in entries.enumerated() {
      do throws(LogError) {
        let bounds = try store.bounds(of: replica.log)
        guard !entry.bytes.isEmpty else {
          if entry.epoch > bounds.epoch, !plants(.skipEpochStarts) {
            _ = try store.beginEpoch(replica.log, entry.epoch)
          }
          continue
        }
        let rest = Self.batches(of: entry, from: max(from, bounds.end))
        guard !rest.isEmpty else { continue }
        // What makes room is decided in these; and who leads them takes nothing else while its own
        // disk is full.
        _ = try store.replicate(replica.log, rest, evenIfFull: replica.isInternal)
        noteGrowth(replica.log, rest.count)
      } catch {
        replica.replaceFirst(.write(Array(entries[index...]), from: from))
        throw error
      }
    }
  }

  /// The batches of an entry that end above an offset: the first of a log may begin below it.
  private static func batches(of entry: Entry, from: Offset) -> ArraySlice<UInt8> {
    var batches = RecordBatches(entry.bytes)
    var skipped = 0
    while let header = try? batches.nextHeader(), header.nextOffset <= from {
      skipped = batches.position
    }
    return entry.bytes.dropFirst(skipped)
  }

  private func begin(_ epoch: LeaderEpoch, _ replica: Replica) throws(LogError) {
    do throws(LogError) {
      _ = try store.beginEpoch(replica.log, epoch)
    } catch .logFailed {
      guard isSole(replica) else { throw .logFailed("it has failed before") }
      // It takes no epoch but is still read from, under the one clients are told; they are told of
      // the failure when they write, and people at the end of the start.
    }
  }

  private func committed(_ position: LogPosition, _ replica: Replica) throws(LogError) {
    var through = position.offset
    if through == replica.leadersStart {
      // It is nowhere above what is committed: so is the batch that it is inside of.
      through = try store.endOfBatch(of: replica.log, around: through)
    }
    try store.commit(replica.log, through: through)
    settle(appendsOf: replica)
    guard replica.kind == .metadata, replica.raft.isLeader else { return }
    // The others are to act on it now and not with the next heartbeat.
    step(replica, .announce)
  }

  /// Lets those go on who wait for what is committed now.
  func settle(appendsOf replica: Replica) {
    guard let waiting = appends[replica.log] else { return }
    var mark = replica.raft.committed.offset
    if plants(.acknowledgeDurableHere) { mark = replica.raft.durable.offset }
    if replica.kind == .metadata {
      applyMetadata()
      mark = min(mark, metadataApplied)
    }
    if let least = replicasBeyondMajority(replica) {
      mark = min(mark, replica.raft.durable(onReplicas: least)?.offset ?? .zero)
    }
    let done = waiting.prefix { $0.position.offset <= mark }
    guard !done.isEmpty else { return }
    appends[replica.log] = done.count == waiting.count ? nil : Array(waiting.dropFirst(done.count))
    let time = nanoseconds?() ?? 0
    for append in done {
      if append.since > 0 { metrics.commitLatency.add(Int64((time - append.since) / 1000)) }
      decided(append, nil)
    }
  }

  /// How many replicas are to have what is acknowledged, if a majority is not enough
  /// (`min.insync.replicas`).
  func replicasBeyondMajority(_ replica: Replica) -> Int? {
    let majority = replica.raft.membership.voters.count / 2 + 1
    return replica.minInsyncReplicas > majority ? replica.minInsyncReplicas : nil
  }

  /// Of a log that this node leads: the voters that can be reached and were caught up a moment
  /// ago, this leader among them. By what is committed alone, the slower of two followers would be
  /// behind whenever there is a load.
  func inSync(_ replica: Replica) -> [NodeID] {
    let exactly = replica.raft.inSync
    return [NodeID(options.id)]
      + replica.raft.status.peers.filter { peer in
        peer.isVoter && peers.connected.contains(peer.node.rawValue)
          && (peer.isCaughtUp && peer.isActive || exactly.contains(peer.node))
      }.map(\.node)
  }

  // MARK: Leadership

  private func elected(_ replica: Replica, _ epoch: LeaderEpoch) {
    metrics.elections += 1
    replica.leads = true
    update(replica) {
      $0.epoch = epoch
      $0.leads = true
    }
    if replica.kind != .metadata { learnFences(replica) }
  }

  private func ready(_ replica: Replica) {
    replica.isReady = true
    update(replica) { $0.isReady = true }
    fetches.wake(replica.log)
    switch replica.kind {
    case .metadata: metadataIsReady()
    case .partition(let topic, let index):
      let known = KnownLeader(
        group: replica.group, leader: options.id, epoch: replica.raft.epoch)
      for peer in peers.nodes { peers.send(.leaders([known]), to: peer) }
      if topicNames[topic] == Self.offsetsTopic { loadGroups(index) }
    }
    leadersChanged()
    report(replica)
  }

  private func leaderChanged(_ replica: Replica, _ leader: NodeID?, _ epoch: LeaderEpoch) {
    note(KnownLeader(group: replica.group, leader: leader?.rawValue ?? -1, epoch: epoch))
    if replica.kind == .metadata, leader != nil, leader?.rawValue != options.id { reportAnew() }
    if replica.leads, leader?.rawValue != options.id { lostLeadership(replica) }
    leadersChanged()
  }

  /// What was appended may be committed yet, or not: nobody is told that it was not.
  private func lostLeadership(_ replica: Replica) {
    metrics.leadershipsLost += 1
    replica.undurable.forget()
    replica.leads = false
    replica.isReady = false
    update(replica) {
      $0.leads = false
      $0.isReady = false
    }
    replica.waitingSends = []
    refuseStuckRecords(of: replica.log)
    forgetFences(replica)
    fetches.wake(replica.log)
    switch replica.kind {
    case .metadata: metadataIsLost()
    case .partition(let topic, let index):
      if topicNames[topic] == Self.offsetsTopic {
        step(GroupCoordinator.Input.resigned(partition: index))
      }
    }
    failAppends(replica.log, .notLeaderOrFollower)
  }

  /// The partition as requests find it.
  private func update(_ replica: Replica, _ change: (inout Partition) -> Void) {
    guard case .partition(let topic, let index) = replica.kind, let name = topicNames[topic]
    else { return }
    topics[name]?.update(index, change)
  }

  /// Whoever leads in the highest epoch does.
  func note(_ known: KnownLeader) {
    if let before = leaders[known.group] {
      guard known.epoch >= before.epoch else { return }
      // Who has lost sight of a leader says nothing of what others see.
      if known.leader < 0, known.epoch == before.epoch, before.leader != options.id,
        peers.connected.contains(before.leader)
      {
        return
      }
    }
    leaders[known.group] = known
    if isController {
      step(
        Controller.Input.leaderReported(
          GroupKey(known.group), known.leader >= 0 ? known.leader : nil))
    }
  }

  /// Who leads the group, as far as this node knows, and if it can be reached.
  func leader(of group: GroupID) -> KnownLeader? {
    guard let known = leaders[group], known.leader >= 0,
      known.leader == options.id || peers.connected.contains(known.leader)
    else { return nil }
    return known
  }

  /// Whoever waited for a leader looks again.
  private func leadersChanged() {
    askForFences()
    advanceHeld()
    advanceForwards()
    answerCoordinators()
    haveLeadersChanged = true
  }

  /// This node is slow, or about to end: others are to lead.
  package func giveLeadershipsAway(now: NodeTime) {
    time = now
    for log in replicaLogs {
      guard let replica = replicas[log], replica.leads else { continue }
      step(replica, .transfer(successor(of: replica)))
    }
  }

  /// Frames of the journal since the start: for whoever watches whether it moves.
  package var journalFrames: (added: UInt64, durable: UInt64) { store.frames }

  // MARK: Time

  /// Milliseconds until the replicas' next tick.
  func tickReplicas() -> Int64 {
    guard !options.cluster.isAlone else { return 100 }
    let pause = options.cluster.tickMilliseconds
    guard now - lastReplicaTick >= pause else { return pause - (now - lastReplicaTick) }
    // One, however late: this node may have been stopped, and the others' messages wait.
    lastReplicaTick = now
    for log in replicaLogs {
      guard let replica = replicas[log], !isSole(replica) else { continue }
      retrySends(replica)
      guard !replica.raft.isQuiet else { continue }
      step(replica, .tick)
      if replica.eagerUntil > now, replica.raft.leader == nil { step(replica, .campaign) }
    }
    timeOutForwards()
    advanceAwaitingLeaders()
    advanceFences()
    askForFences()
    advanceHeld()
    advanceRecords()
    askForStarts()
    askForBarrier()
    return pause
  }
}
