internal import Bytes
internal import LogStore
internal import Records
internal import Replication

/// A leader's log on its way to its followers, and what arrives of one.
extension Node {
  func replicate(
    _ replica: Replica, to peer: NodeID, after: LogPosition, bytesMax: Int
  ) {
    func wait(_ reads: Set<ReadAheadID>) {
      replica.waitingSends.append(
        Replica.WaitingSend(
          to: peer, after: after, bytesMax: bytesMax, epoch: replica.raft.epoch, reads: reads))
    }
    do throws(LogError) {
      switch try store.entries(of: replica.log, after: after, bytesMax: bytesMax) {
      case .waiting(let reads): wait(Set(reads))
      case .entries(let entries):
        let entries = entries.map { Entry(epoch: $0.epoch, end: $0.end, bytes: $0.bytes) }
        peers.send(replica.raft.append(to: peer, after: after, entries), of: replica.group)
        step(
          replica,
          .sent(
            Sent(
              to: peer, epoch: replica.raft.epoch, after: after,
              through: entries.last?.position ?? after,
              bytes: entries.reduce(0) { $0 + $1.bytes.count })))
      }
    } catch {
      if (try? store.bounds(of: replica.log)).map({ after.offset < $0.start }) ?? false {
        // The log's start has passed it: what there is to send now is a reset.
        step(
          replica,
          .sent(
            Sent(to: peer, epoch: replica.raft.epoch, after: after, through: after, bytes: 0)))
      } else {
        // Its failure, if it is one, is told by the store; the next tick tries again.
        wait([])
      }
    }
  }

  /// Bytes are in memory, or cannot be read.
  func wakeSends(_ read: ReadAheadID) {
    for log in replicaLogs {
      guard let replica = replicas[log],
        replica.waitingSends.contains(where: { $0.reads.contains(read) })
      else { continue }
      for index in replica.waitingSends.indices { replica.waitingSends[index].reads.remove(read) }
      retrySends(replica)
    }
  }

  /// Sends what waits for nothing any more.
  func retrySends(_ replica: Replica) {
    guard replica.waitingSends.contains(where: \.reads.isEmpty) else { return }
    let ready = replica.waitingSends.filter(\.reads.isEmpty)
    replica.waitingSends.removeAll(where: \.reads.isEmpty)
    for send in ready where send.epoch == replica.raft.epoch && replica.raft.isLeader {
      replicate(
        replica, to: send.to, after: send.after, bytesMax: send.bytesMax)
    }
  }

  /// The follower is behind where this log starts.
  func sendReset(
    _ replica: Replica, to peer: NodeID, _ start: LogPosition
  ) throws(LogError) {
    let producers = try store.producerSnapshot(of: replica.log)
    var history = replica.raft.history
    history.truncate(to: start)
    var state = MetadataFields()
    state.put(fixed: UInt64(bitPattern: producers.through.rawValue))
    let request = ResetRequest(
      start: start, history: history, state: (state.bytes + producers.bytes)[...])
    peers.send(
      Message(
        from: NodeID(options.id), to: peer, version: replica.raft.membership.version,
        epoch: replica.raft.epoch, body: .reset(request)), of: replica.group)
  }

  func reset(_ replica: Replica, _ request: ResetRequest) throws(LogError) {
    var state = MetadataFieldReader(request.state)
    let through = (try? state.uint64()).map { Offset(Int64(bitPattern: $0)) }
    let producers = request.state.dropFirst(through == nil ? request.state.count : 8)
    _ = try store.reset(
      replica.log, to: request.start, history: request.history, producers: producers,
      producersThrough: through ?? request.start.offset)
    if replica.kind == .metadata { metadataWasReset(to: request.start.offset) }
  }

  // MARK: In

  /// Takes in a frame of another node.
  package func receive(_ frame: ArraySlice<UInt8>, from peer: Int32, now: NodeTime) {
    time = now
    let message: PeerMessage
    do throws(MetadataError) {
      message = try PeerMessage(decoding: frame)
    } catch {
      tell("passed over a message of node \(peer) that cannot be read: \(error)")
      return
    }
    switch message {
    case .replication(let messages, let journalGroup):
      guard rollbackWatch.hears(peer, group: journalGroup) else { return }
      for (group, message) in messages { receive(message, of: group, from: peer) }
    case .forward(let token, let host, let frame): forwarded(token, host, frame, from: peer)
    case .forwarded(let token, let applied, let frame): forwardAnswered(token, applied, frame)
    case .notController(let token): forwardRefused(token)
    case .leaders(let known):
      for leader in known { note(leader) }
      haveLeadersChanged = true
      advanceForwards()
      answerCoordinators()
    case .askCommitted(let token): askedCommitted(token, by: peer)
    case .committed(let token, let offset): committedAnswered(token, offset)
    case .internalTopic(let name):
      guard isController, TopicName.isInternal(name) else { return }
      submit(.ensureInternalTopic(name), 0, nil)
    case .reports(let reports):
      if isController {
        for report in reports { step(Controller.Input.report(report)) }
      } else if replicas[metadataLog]?.leads == true {
        for report in reports { earlyReports[report.group] = report }
      }
    case .transfer(let group, let node): transfer(group, to: node)
    case .damaged(let group, let version):
      guard isController else { return }
      step(Controller.Input.replicaDamaged(GroupKey(group), node: peer, version: version))
    case .invitation(let version): joinMetadata(invitedAt: version, by: peer)
    case .askFenced(let token, let applied):
      askedFenced(FenceQuestion(peer: peer, token: token, applied: applied))
    case .askStart(let group, let offset): askedStart(group, offset, by: peer)
    case .startIsKept(let group, let offset): startIsKept(group, offset, by: peer)
    case .rolledBack(let group): rolledBack(from: group, saidBy: peer)
    case .fenced(let token, let mayLead): fenceConfirmed(token, by: peer, mayLead: mayLead)
    }
  }

  private func receive(_ message: Message, of group: GroupID, from peer: Int32) {
    guard message.from.rawValue == peer, message.to.rawValue == options.id,
      let replica = replicasByGroup[group]
        ?? (group == .metadata ? joinMetadata(as: message) : nil)
    else { return }
    switch message.body {
    case .append(let request):
      // Sent again when it was not answered.
      guard !replica.isStuck else { return }
      let start = (try? store.bounds(of: replica.log).start) ?? .zero
      guard Self.isWhole(request, start: start) else {
        tell(
          "\(place(of: replica)): refused record batches of node \(peer) that are not whole; they "
            + "are sent again")
        return
      }
    case .reset(let request):
      guard !replica.isStuck else { return }
      replica.leadersStart = request.start.offset
    default: break
    }
    step(replica, .received(message))
    if case .appended = message.body, replicasBeyondMajority(replica) != nil {
      settle(appendsOf: replica)
    }
  }

  /// Whether the entries follow one another and hold what their sender wrote. The first batch of a
  /// log may begin below where the log does.
  private static func isWhole(_ request: AppendRequest, start: Offset) -> Bool {
    var next = request.previous.offset
    for entry in request.entries where !entry.bytes.isEmpty {
      var batches = RecordBatches(entry.bytes)
      do throws(RecordError) {
        while let batch = try batches.next() {
          let isFirst = next == start && batch.header.baseOffset < next
          guard batch.header.baseOffset == next || isFirst,
            batch.header.partitionLeaderEpoch == entry.epoch, batch.header.lastOffsetDelta >= 0,
            batch.header.nextOffset > next
          else { return false }
          try batch.checkCRC()
          next = batch.header.nextOffset
        }
      } catch {
        return false
      }
      guard batches.truncatedSize == 0, next == entry.end else { return false }
    }
    return true
  }

  // MARK: Connections

  /// The other node can be reached, or says something else of itself than before.
  package func connected(_ hello: PeerHello, now: NodeTime) {
    time = now
    let peer = hello.node
    guard peers.nodes.contains(peer) else { return }
    if let had = rollbackWatch.judge(
      peer, incarnation: hello.incarnation, boot: hello.boot, group: hello.journalGroup,
      forgotten: hello.forgottenGroup)
    {
      tell(
        "node \(peer) has come back with older files than it had (journal group "
          + "\(hello.journalGroup), it had \(had)): it is told to copy everything anew")
      peers.tell(.rolledBack(had), to: peer)
      return
    }
    let isNew = !peers.connected.contains(peer)
    peers.found(hello)
    peersLostAt[peer] = nil
    yieldElections()
    if isNew {
      let known = replicas.values.filter { $0.isReady && $0.raft.isReady }.map {
        KnownLeader(group: $0.group, leader: options.id, epoch: $0.raft.epoch)
      }.sorted { $0.group < $1.group }
      if !known.isEmpty { peers.send(.leaders(known), to: peer) }
      for log in replicaLogs {
        if let replica = replicas[log] { step(replica, .peerFound(NodeID(peer))) }
      }
    }
    introduce(hello)
    try? joinMetadata()
    // All begin at once: somebody is to ask for votes without waiting for a timer.
    let isFirst = ([options.id] + peers.connected).min() == options.id
    if isNew, isFirst, let metadata = replicas[metadataLog], metadata.raft.leader == nil,
      (peers.connected.count + 1) * 2 > options.cluster.members.count
    {
      step(metadata, .campaign)
    }
    leadersMayBeReached()
  }

  /// The other node cannot be reached any more, or does not do its work.
  package func lost(_ peer: Int32, now: NodeTime) {
    time = now
    guard peers.connected.contains(peer) else { return }
    peers.lost(peer)
    peersLostAt[peer] = time.steady
    yieldElections()
    for log in replicaLogs {
      if let replica = replicas[log] { step(replica, .peerLost(NodeID(peer))) }
    }
    step(Controller.Input.nodeLost(peer))
    forwardsLost(to: peer)
    leadersMayBeReached()
  }

  private func leadersMayBeReached() {
    advanceForwards()
    answerCoordinators()
  }

  /// What is to be sent to other nodes, since the last call.
  package func takePeerFrames() -> [NodeFrame] {
    peers.takeFrames(journalGroup: store.journalGroup)
  }
}
