internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// Who is in which group: what the metadata says of it is done here, and what it needs to know to
/// decide the next step is reported to the node that leads it.
extension Node {
  private var incarnation: UInt64 { store.id }

  /// What this node is in a group, if anything: who has lost its disk is another than it was.
  func isMember(_ membership: GroupMembership) -> Bool {
    let own = membership.voter(options.id) ?? membership.learner(options.id)
    guard let own else { return false }
    if plants(.ignoreIncarnations) { return true }
    return own.incarnation == 0 || own.incarnation == incarnation
  }

  // MARK: The group of the metadata

  /// Nothing is known here of any cluster.
  var isFresh: Bool {
    guard let bounds = try? store.bounds(of: metadataLog) else { return false }
    return bounds.end == .zero && bounds.epoch == .none
  }

  /// Takes part in the group of the metadata, if this node can know that it is in it.
  ///
  /// The first start of a cluster: all nodes are there and none has anything. Then the first one
  /// begins alone, and takes in the others as it takes in every node. A node without anything that
  /// finds others who have something was in that cluster before and has lost its disk, or is new:
  /// it waits to be taken in.
  func joinMetadata() throws(LogError) {
    guard replicas[metadataLog] == nil else { return }
    let alone = Membership(version: 1, voters: [NodeID(options.id)])
    if options.cluster.isAlone {
      try makeReplica(.metadata, metadataLog, .metadata, alone)
    } else if isMetadataDamaged {
      // Fenced, until it is made anew.
      try makeReplica(.metadata, metadataLog, .metadata, learner(since: metadataJoined))
    } else if metadataJoined > 0 || !isFresh {
      // As far as is known to be committed.
      if let bounds = try? store.bounds(of: metadataLog) {
        try store.commit(metadataLog, through: bounds.highWatermark)
      }
      applyMetadata()
      guard !isMetadataDamaged else { return try joinMetadata() }
      let known = controller.state.membership(of: .metadata)
      if metadataJoined > known?.version ?? 0 {
        try makeReplica(
          .metadata, metadataLog, .metadata, learner(since: metadataJoined),
          joinedVersion: metadataJoined)
      } else if let membership = known {
        guard isMember(membership) else { return }
        try makeReplica(
          .metadata, metadataLog, .metadata, Membership(membership),
          joinedVersion: metadataJoined)
      } else if hasBegunAlone || areOthersFresh {
        try beginAlone()
      }
    } else if isFirst, areOthersFresh {
      tell("makes a new cluster with nodes \(([options.id] + peers.nodes).sorted())")
      try beginAlone()
    }
    applyMetadata()
  }

  private var areOthersFresh: Bool {
    peers.nodes.allSatisfy { peers.hellos[$0]?.standing == .fresh }
  }

  /// This node has voted for itself: so it was in the group when there was nobody else. Who was
  /// taken in later, and does not know of that after a start, waits to be told. So does a node
  /// whose log another has reset: it may have voted for itself then too, and the snapshot which
  /// says who is in the group may not have come.
  private var hasBegunAlone: Bool {
    (try? store.vote(of: metadataLog))?.candidate == options.id
      && (try? store.bounds(of: metadataLog).start) == .zero
  }

  private func beginAlone() throws(LogError) {
    if !hasBegunAlone {
      let epoch = max(LeaderEpoch(0), try store.bounds(of: metadataLog).epoch)
      try store.recordVote(metadataLog, Vote(epoch: epoch, candidate: options.id))
    }
    try makeReplica(
      .metadata, metadataLog, .metadata,
      Membership(version: 1, voters: [NodeID(options.id)]))
  }

  var isFirst: Bool { peers.nodes.allSatisfy { $0 > options.id } }

  /// Somebody who leads the metadata sends it to this node, which was in the group before and does
  /// not know of that any more.
  func joinMetadata(as message: Message) -> Replica? {
    switch message.body {
    case .append, .heartbeat, .reset: break
    default: return nil
    }
    guard !isFresh, replicas[metadataLog] == nil, !options.cluster.isAlone else { return nil }
    // The membership that it is in, it finds in the log.
    return try? makeReplica(
      .metadata, metadataLog, .metadata, learner(since: message.version),
      joinedVersion: message.version)
  }

  /// What this node goes by until it finds the membership of that version in the log.
  func learner(since version: Int64) -> Membership {
    Membership(version: version, voters: [], learners: [NodeID(options.id)])
  }

  /// What this node says of itself to the others.
  package var peerHello: PeerHello {
    let cluster = controller.state.clusterId ?? .zero
    var state = [metadataStanding.rawValue]
    let isFull = store.isFullOfRecords
    if forgottenGroup != nil || isFull {
      var fields = MetadataFields()
      fields.put(fixed: forgottenGroup ?? 0)
      state += fields.bytes + (isFull ? [1] : [])
    }
    return PeerHello(
      clusterHigh: cluster.high, clusterLow: cluster.low, node: options.id,
      incarnation: incarnation, boot: options.cluster.boot, journalGroup: startGroup,
      clientHost: options.host, clientPort: options.port,
      state: state)
  }

  /// Who is in the group of the metadata is in force as it is applied, also before the partitions
  /// are made.
  func adoptMetadataMembership() {
    guard let replica = replicas[metadataLog],
      let membership = controller.state.membership(of: .metadata),
      isMember(membership), replica.raft.adopts(Membership(membership))
    else { return }
    step(replica, .membership(Membership(membership)))
    // Not to be forgotten: after a start, this node goes by what it knows to be committed.
    store.startCheckpoint()
  }

  // MARK: What was decided

  func membershipChanged(_ key: GroupKey, _ membership: GroupMembership) {
    let group = GroupID(key)
    votersOfPartitions = nil
    if let replica = replicasByGroup[group] {
      if isMember(membership) {
        step(replica, .membership(Membership(membership)))
        report(replica)
      } else if key != .metadata {
        leave(replica)
      }
      if key == .metadata {
        // Not to be forgotten: after a start, this node goes by what it knows to be committed.
        store.startCheckpoint()
        inviteLearners()
      }
      return
    }
    if key == .metadata { inviteLearners() }
    guard key != .metadata, hasStarted, isMember(membership),
      let topic = controller.state.topic(key.topic)
    else { return }
    make(
      PartitionToMake(
        topic: topic.name, id: key.topic, index: key.partition, membership: membership,
        options: controller.config(of: topic).logOptions))
  }

  /// This node is not in the group any more; what it has of it is set aside if it is damaged, and
  /// deleted otherwise.
  private func leave(_ replica: Replica) {
    guard case .partition(let topic, let index) = replica.kind else { return }
    if let name = topicNames[topic] { topics[name]?.remove(index) }
    if replica.leads { step(replica, .fenced) }
    let log = replica.log
    removeReplica(of: log)
    machineLogs[log] = nil
    loadingGroups[log] = nil
    if (try? store.failure(of: log)) == .some(nil) {
      logsToDelete.append(log)
      deleteLogs()
    } else {
      logsToSetAside.append(log)
      setLogsAside()
    }
  }

  /// Sets damaged logs aside, as far as the journal has room to say so.
  func setLogsAside() {
    while let log = logsToSetAside.first {
      do throws(LogError) {
        _ = try store.setAside(log)
      } catch .busy {
        return
      } catch {
        tell("a damaged log cannot be set aside: \(error)")
      }
      logsToSetAside.removeFirst()
    }
  }

  /// What had to go from quarantine since the last time, in one line.
  func tellRemoved() {
    let removed = store.takeRemovedFromQuarantine()
    guard let first = removed.min(), let last = removed.max() else { return }
    tell(
      removed.count == 1
        ? "removed \(first), which was set aside"
        : "removed \(removed.count) logs that were set aside, from \(first) to \(last)")
  }

  // MARK: Reports

  /// How the group is, as this node, which leads it, sees it.
  private func groupReport(_ replica: Replica) -> GroupReport {
    let raft = replica.raft
    return GroupReport(
      group: GroupKey(replica.group), leader: options.id, epoch: raft.epoch.rawValue,
      version: raft.membership.version,
      hasCommittedUnderVersion: raft.commitVersion == raft.membership.version,
      isAdoptedByMajority: raft.isAdoptedByMajority, caughtUp: raft.caughtUp.map(\.rawValue),
      inSync: raft.inSync.map(\.rawValue))
  }

  /// Tells the controller how the group is, if that is new.
  func report(_ replica: Replica) {
    guard replica.isReady, replica.raft.isReady, !options.cluster.isAlone else { return }
    let report = groupReport(replica)
    guard report != replica.reported else { return }
    if isController {
      replica.reported = report
      step(Controller.Input.report(report))
    } else if let leader = leader(of: .metadata)?.leader, leader != options.id {
      replica.reported = report
      peers.send(.reports([report]), to: leader)
    }
  }

  func reportAll() {
    for log in replicaLogs {
      guard let replica = replicas[log] else { continue }
      if replica.raft.isFenced { reportDamage(replica) } else { report(replica) }
    }
  }

  /// Another leads the metadata, and knows nothing of the groups.
  func reportAnew() {
    for replica in replicas.values { replica.reported = nil }
    reportAll()
  }

  /// The replica is of no use, for as long as it is in the group as it is.
  func reportDamage(_ replica: Replica) {
    // With the journal all of them have failed, and a start will tell which is whole.
    guard failure == nil else { return }
    let version = replica.raft.membership.version
    if isController {
      step(
        Controller.Input.replicaDamaged(
          GroupKey(replica.group), node: options.id, version: version))
    } else if let leader = leader(of: .metadata)?.leader, leader != options.id {
      peers.send(.damaged(replica.group, version: version), to: leader)
    }
  }

  /// Who leads the group is to hand over.
  func transfer(_ group: GroupID, to node: Int32) {
    if let replica = replicasByGroup[group], replica.leads {
      guard node != options.id else { return }
      let instead = peers.isFull(node) ? successor(of: replica) : nil
      step(replica, .transfer(instead ?? NodeID(node)))
    } else if let leader = leader(of: group)?.leader, leader != options.id {
      peers.send(.transfer(group, to: node), to: leader)
    }
  }

  // MARK: Leaders

  /// Hands groups back to the first of their replicas, once a second.
  func balanceLeaders() {
    guard !options.cluster.isAlone, now >= lastBalance + 1000 else { return }
    lastBalance = now
    var candidates: [LeaderBalance.Candidate] = []
    for log in replicaLogs {
      guard let replica = replicas[log], replica.isReady,
        case .partition(let topic, let index) = replica.kind,
        case let key = GroupKey(topic: topic, partition: index),
        let preferred = controller.state.preferredLeader(of: key), preferred != options.id
      else { continue }
      candidates.append(
        LeaderBalance.Candidate(
          group: GroupKey(replica.group), preferred: preferred,
          isReady: inSync(replica).contains(NodeID(preferred)) && !peers.isFull(preferred)))
    }
    for chosen in balance.tick(now: now, candidates, configs: controller.brokerConfigs) {
      transfer(GroupID(chosen.group), to: chosen.preferred)
    }
  }

  // MARK: Nodes

  /// Tells the controller, which this node is, who is there.
  func introduceNodes() {
    let own = peerHello
    step(
      Controller.Input.metadataBegins(
        GroupMembership(
          version: 1, voters: [NodeIncarnation(node: options.id, incarnation: incarnation)])))
    for hello in [own] + peers.nodes.compactMap({ peers.hellos[$0]?.hello }) { introduce(hello) }
  }

  func introduce(_ hello: PeerHello) {
    step(
      Controller.Input.nodeSeen(
        RegisteredNode(
          id: hello.node, incarnation: hello.incarnation, host: hello.clientHost,
          port: Int32(hello.clientPort))))
  }
}
