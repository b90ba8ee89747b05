internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// Topics and configurations: requests go to the controller, whose effects are carried out here.
extension Node {
  /// Takes over the partitions there are: all that was committed before this start is known.
  func startPartitions() {
    countGroupPartitions()
    for name in controller.state.names {
      guard let topic = controller.state.topic(named: name) else { continue }
      for index in 0..<topic.partitionsCount {
        guard let membership = controller.state.membership(of: topic.id, index) else { continue }
        make(
          PartitionToMake(
            topic: name, id: topic.id, index: index, membership: membership,
            options: controller.config(of: topic).logOptions, isOld: true))
      }
    }
    setLogsAside()
    deleteOrphans()
    tellFailures()
    guard store.mayMissLogs else { return }
    // One that there is no room for yet may be missing still.
    if stuckPartitions.isEmpty { store.mayMissLogs = false }
    store.startCheckpoint()
  }

  /// A group's partition is computed from their number, which the topic has for ever, whoever made
  /// it. Until it is loaded, the coordinator knows no group.
  func countGroupPartitions() {
    guard let offsets = controller.state.topic(named: Self.offsetsTopic),
      offsets.partitionsCount != options.groups.partitionCount
    else { return }
    options.groups.partitionCount = offsets.partitionsCount
    groups = GroupCoordinator(options: options.groups)
  }

  /// The requests that the controller answers.
  func ask(_ body: ControllerRequest, _ request: Request) {
    submit(body, request.version, request)
  }

  func submit(_ body: ControllerRequest, _ version: Int16, _ request: Request?) {
    let token = request.map { self.token(for: $0) } ?? ReplyToken(freshNumber())
    submit(body, version, token)
  }

  private func submit(_ body: ControllerRequest, _ version: Int16, _ token: ReplyToken) {
    let submission = Controller.Submission(
      body, version: version, token: token,
      freshIds: (0..<controller.freshIdsCount(body, version: version)).map { _ in freshUUID() },
      cluster: clusterView, quorum: quorum)
    step(.request(submission))
  }

  func step(_ input: Controller.Input) {
    var effects: [Controller.Effect] = []
    controller.step(input, into: &effects)
    for effect in effects { perform(effect) }
  }

  private func perform(_ effect: Controller.Effect) {
    if !hasStarted {
      switch effect {
      // All there is will be taken over.
      case .createPartition, .deletePartition, .configChanged, .brokerConfigChanged: return
      case .membershipChanged(let group, _): if group != .metadata { return }
      default: break
      }
    }
    switch effect {
    case .append(let records, _):
      // Decided on top of what was refused: it goes the same way.
      guard metadataLoss == nil else { return }
      let number = freshNumber()
      metadataAppends.insert(number)
      append(
        records.map { LogRecord(key: nil, value: $0.encoded()) }, to: metadataLog,
        .metadata(number), makesSpace: records.allSatisfy(\.makesSpace))
    case .reply(let token, let response): reply(token, response)
    case .askAgain(let token, let request, let version):
      if case .metadata(let body) = request, let asked = replies[token],
        mustAwaitLeaders(body, asked)
      {
        replies[token] = nil
      } else {
        submit(request, version, token)
      }
    case .createPartition(let topic, let id, let index, _, let options, let membership):
      if topic == Self.offsetsTopic, index == 0 { countGroupPartitions() }
      make(
        PartitionToMake(
          topic: topic, id: id, index: index, membership: membership, options: options))
    case .deletePartition(let topic, let id, let index): delete(topic, id, index)
    case .configChanged(let name, _): reconfigure(name)
    case .brokerConfigChanged:
      for name in controller.state.names { reconfigure(name) }
    case .nodeRegistered: break
    case .membershipChanged(let group, let membership): membershipChanged(group, membership)
    case .transferLeadership(let group, let node): transfer(GroupID(group), to: node)
    case .notice(let text): tell(text)
    }
  }

  /// Records of the metadata log are durable, or never will be.
  ///
  /// What is refused (a full disk) may come behind records that are in the journal already. Those
  /// will be in the log, so the controller must hear of them first: told that all is lost, it would
  /// decide the same things again, and the log would then contradict itself at the next start.
  func metadataDecided(_ number: UInt64, _ code: ErrorCode) {
    guard metadataAppends.remove(number) != nil else { return }
    if code != .none { metadataLoss = metadataLoss ?? code }
    guard metadataAppends.isEmpty else { return }
    guard let loss = metadataLoss else {
      // A moment at which nothing is under way, which a tick may never meet.
      shorten(metadataLog)
      return
    }
    metadataLoss = nil
    step(.appendsLost(loss))
  }

  /// What of a decision concerns every partition of this node.
  func note(_ record: MetadataRecord) {
    switch record {
    case .producerFenced(_, let producer): fencedEpochs[producer.id] = producer.epoch
    case .transactionalIdGone(let id):
      if let producer = controller.state.producer(ofTransactionalId: id) {
        fencedEpochs[producer.id] = nil
      }
    default: break
    }
  }

  private func reply(_ token: ReplyToken, _ response: ControllerResponse) {
    if case .done(let code) = response {
      // The journal or the disk has no room for it yet, or nobody leads.
      if code != .none { timeOutCoordinators(all: true) }
      return
    }
    if let request = replies.removeValue(forKey: token) { reply(request, response) }
  }

  func reply(_ request: Request, _ response: ControllerResponse) {
    switch response {
    case .metadata(let body): reply(request, body)
    case .describeCluster(let body): reply(request, body)
    case .describeConfigs(let body): reply(request, body)
    case .createTopics(let body): reply(request, body)
    case .deleteTopics(let body): reply(request, body)
    case .createPartitions(let body): reply(request, body)
    case .alterConfigs(let body): reply(request, body)
    case .incrementalAlterConfigs(let body): reply(request, body)
    case .initProducerId(let body): replyFenced(request, body)
    case .electLeaders(let body): reply(request, body)
    case .alterPartitionReassignments(let body): reply(request, body)
    case .listPartitionReassignments(let body): reply(request, body)
    case .describeQuorum(let body): reply(request, body)
    case .describeTopicPartitions(let body): reply(request, body)
    case .done: break
    }
  }

  // MARK: Partitions

  /// The log of a partition is named after its topic's id: a topic made again has other logs.
  static func logName(_ topic: UUID16, _ index: Int32) -> String { "\(topic.base64url)-\(index)" }

  func make(_ partition: PartitionToMake) {
    votersOfPartitions = nil
    guard let state = controller.state.topic(partition.id) else { return }
    if topics[partition.topic]?.id != partition.id {
      topics[partition.topic] = NodeTopic(
        name: partition.topic, id: partition.id, config: controller.config(of: state))
    }
    topics[partition.topic]?.register(partition.index)
    topicNames[partition.id] = partition.topic
    guard isMember(partition.membership),
      replicasByGroup[GroupID(topic: partition.id, index: partition.index)] == nil
    else { return }
    if !stuckPartitions.isEmpty || !tryToMake(partition) { stuckPartitions.append(partition) }
  }

  func advancePartitions() {
    while let first = stuckPartitions.first, tryToMake(first) { stuckPartitions.removeFirst() }
  }

  /// False if the journal or the disk has no room.
  private func tryToMake(_ wanted: PartitionToMake) -> Bool {
    guard topicNames[wanted.id] != nil else { return true }
    do throws(LogError) {
      let name = Self.logName(wanted.id, wanted.index)
      let log: LogID
      let wasThere: Bool
      if let found = store.log(named: name) {
        (log, wasThere) = (found, true)
      } else {
        (log, wasThere) = (
          try store.createLog(named: name, options: wanted.options), false
        )
      }
      if wanted.isOld, store.mayMissLogs, try isBlank(log), !wasThere || !isOnlyHere(wanted) {
        try store.failAsCutShort(log, "it is missing, and may have had records")
      }
      topics[wanted.topic]?.set(
        Partition(log: log, epoch: try store.bounds(of: log).epoch), at: Int(wanted.index))
      let replica = try makeReplica(
        GroupID(topic: wanted.id, index: wanted.index), log,
        .partition(topic: wanted.id, index: wanted.index),
        Membership(wanted.membership),
        // What it is a member since is not written down, and not later than this: what leaders say
        // who do not know of it yet was for whoever was here before.
        joinedVersion: wanted.membership.version)
      replica.isInternal = TopicName.isInternal(wanted.topic)
      setMinInsync(replica, topics[wanted.topic]?.config)
      let key = GroupKey(topic: wanted.id, partition: wanted.index)
      let preferred = controller.state.preferredLeader(of: key)
      if preferred == options.id, !isSole(replica) {
        // The first of the replicas is to lead, and the others may not have it yet.
        replica.eagerUntil = now + Self.eagerMilliseconds
        yieldElections(of: replica)
        if replica.raft.leader == nil { step(replica, .campaign) }
      }
      return true
    } catch .busy {
      return false
    } catch .diskFull {
      return false
    } catch {
      return true
    }
  }

  /// As when it was made: perhaps by a start that ended before it was known why.
  private func isBlank(_ log: LogID) throws(LogError) -> Bool {
    let (bounds, vote) = (try store.bounds(of: log), try store.vote(of: log))
    return bounds.end == .zero && bounds.epoch == .none && vote == Vote()
  }

  private func isOnlyHere(_ wanted: PartitionToMake) -> Bool {
    wanted.membership.voters.map(\.node) == [options.id]
  }

  /// How long a new replica that is to lead asks for votes without waiting.
  private static let eagerMilliseconds: Int64 = 1000

  private func delete(_ name: String, _ id: UUID16, _ index: Int32) {
    guard let topic = topics[name], topic.id == id else { return }
    votersOfPartitions = nil
    store.forgetSetAside(named: Self.logName(id, index))
    leaders[GroupID(topic: id, index: index)] = nil
    if let log = topic.partition(index)?.log {
      fetches.wake(log)
      machineLogs[log] = nil
      loadingGroups[log] = nil
      failAppends(log, .unknownTopicOrPartition)
      // Who waits to be told whether it leads hears that it does not.
      if let replica = replicas[log], replica.leads { step(replica, .fenced) }
      removeReplica(of: log)
      leaders[GroupID(topic: id, index: index)] = nil
      logsToDelete.append(log)
      deleteLogs()
    }
    guard index == Int32(topic.partitions.count - 1) else { return }
    topics[name] = nil
    topicNames[id] = nil
    step(GroupCoordinator.Input.topicDeleted(name))
  }

  /// Deletes the logs whose topics are gone, as far as the journal has room to say so.
  func deleteLogs() {
    while let log = logsToDelete.first {
      do throws(LogError) {
        try store.deleteLog(log)
      } catch .busy {
        return
      } catch {
        // A failed store: what is left is found without its topic at the next start.
      }
      logsToDelete.removeFirst()
    }
  }

  /// Logs whose topics were deleted when the store could not take it down any more.
  private func deleteOrphans() {
    // A log of decisions that has failed may not say all that was decided.
    guard (try? store.failure(of: metadataLog)) == .some(nil) else { return }
    // Membership only.
    var known = Set(Self.metadataLogs(in: store).compactMap { try? store.name(of: $0.log) })
    for name in controller.state.names {
      guard let topic = controller.state.topic(named: name) else { continue }
      for index in 0..<topic.partitionsCount { known.insert(Self.logName(topic.id, index)) }
    }
    for log in store.logIDs {
      guard let name = try? store.name(of: log), !known.contains(name) else { continue }
      tell("deletes the log \(name), whose topic is gone")
      logsToDelete.append(log)
    }
    deleteLogs()
  }

  private func reconfigure(_ name: String) {
    guard let state = controller.state.topic(named: name), topics[name] != nil else { return }
    let config = controller.config(of: state)
    topics[name]?.config = config
    for partition in topics[name]?.partitions ?? [] {
      guard let partition else { continue }
      if let replica = replicas[partition.log] { setMinInsync(replica, config) }
      try? store.configure(partition.log, config.logOptions)
    }
  }

  private func setMinInsync(_ replica: Replica, _ config: TopicConfig?) {
    replica.minInsyncReplicas = replica.isInternal ? 1 : config?.minInsyncReplicas ?? 1
  }

  // MARK: View

  private var quorum: QuorumStatus? {
    guard isController, let replica = replicas[metadataLog],
      let membership = controller.state.membership(of: .metadata)
    else { return nil }
    let status = replica.raft.status
    func describe(_ member: NodeIncarnation) -> QuorumStatus.Replica {
      guard member.node != options.id else {
        return .init(
          member, logEnd: status.end.offset.rawValue, lastFetch: wallNow, lastCaughtUp: wallNow)
      }
      // When it was heard of is known as exactly as an election takes long.
      let peer = status.peers.first { $0.node.rawValue == member.node }
      let isHere = peer?.isActive == true && peers.connected.contains(member.node)
      return .init(
        member, logEnd: peer?.match?.offset.rawValue ?? -1, lastFetch: isHere ? wallNow : -1,
        lastCaughtUp: isHere && peer?.isCaughtUp == true ? wallNow : -1)
    }
    return QuorumStatus(
      leader: options.id, epoch: replica.raft.epoch.rawValue,
      highWatermark: replica.raft.committed.offset.rawValue,
      voters: membership.voters.map(describe), learners: membership.learners.map(describe))
  }

  var clusterView: ClusterView {
    let alive = peers.connected.union([options.id])
    let leaders = leaders
    var brokers = controller.state.nodes.filter { $0.id != options.id }.map {
      ClusterView.Broker($0, isAlive: alive.contains($0.id), isListed: isListed($0.id))
    }
    brokers.append(
      ClusterView.Broker(id: options.id, host: options.host, port: Int32(options.port)))
    return ClusterView(
      brokers: brokers,
      controllerId: leader(of: .metadata)?.leader ?? -1
    ) { id, index in
      let known = leaders[GroupID(topic: id, index: index)]
      let leader = known.flatMap { alive.contains($0.leader) ? $0.leader : nil }
      return .init(leader: leader, epoch: known?.epoch.rawValue ?? -1, inSync: nil)
    }
  }

  /// A client that is told of a broker no more throws away what it has for it, in librdkafka also
  /// who leads now what that one led: it asks again half a second later. Who has just died is back
  /// soon or asked in vain.
  private func isListed(_ node: Int32) -> Bool {
    peers.connected.contains(node)
      || (peersLostAt[node].map { now - $0 < options.cluster.listedMilliseconds } ?? false)
  }

  func freshUUID() -> UUID16 {
    // Version 4, variant 1; and so never zero.
    let high = random.next() & ~0xf000 | 0x4000
    let low = random.next() & ~(3 << 62) | 1 << 63
    return UUID16(high: high, low: low)
  }

  func freshUUIDText() -> String {
    let id = freshUUID()
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: digits - text.count) + text
    }
    return [
      hex(id.high >> 32, 8), hex(id.high >> 16 & 0xffff, 4), hex(id.high & 0xffff, 4),
      hex(id.low >> 48, 4), hex(id.low & 0xffff_ffff_ffff, 12),
    ].joined(separator: "-")
  }
}
