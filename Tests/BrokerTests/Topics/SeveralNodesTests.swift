import Broker
import Bytes
import KafkaWire
import LogStore
import Testing

private func brokers(_ ids: ClosedRange<Int32>, dead: Set<Int32> = []) -> [ClusterView.Broker] {
  ids.map {
    ClusterView.Broker(id: $0, host: "h\($0)", port: 9000 + $0, isAlive: !dead.contains($0))
  }
}

@Suite struct `Placing replicas` {
  private func replicas(_ harness: ControllerHarness, _ name: String) -> [ArraySlice<Int32>] {
    guard let topic = harness.controller.state.topic(named: name) else { return [] }
    return topic.partitions.map { topic.replicas(ofPartition: $0) }
  }

  @Test(arguments: [(3, 1), (3, 3), (4, 3), (5, 3), (5, 5), (7, 3)])
  func `leaders and replicas are spread over all topics`(nodes: Int, factor: Int16) throws {
    var harness = try ControllerHarness(brokers: nodes)
    var leaders: [Int32: Int] = [:]
    var loads: [Int32: Int] = [:]
    for number in 0..<40 {
      // Also when topics go in between.
      if number == 20 {
        _ = try harness.answer(.deleteTopics(.with { $0.topicNames = ["t3", "t4"] }), version: 1)
      }
      #expect(
        try harness.created("t\(number)", partitions: Int32(1 + number % 3), factor: factor)
          .errorCode == .none)
    }
    for name in harness.controller.state.names {
      for partition in replicas(harness, name) {
        #expect(Set(partition).count == Int(factor))
        leaders[partition.first ?? 0, default: 0] += 1
        for node in partition { loads[node, default: 0] += 1 }
      }
    }
    #expect(leaders.count == nodes)
    #expect((leaders.values.max() ?? 0) - (leaders.values.min() ?? 0) <= 1)
    #expect((loads.values.max() ?? 0) - (loads.values.min() ?? 0) <= Int(factor))
  }

  @Test func `who is dead leads nothing, and follows only where the living are too few`() throws {
    var harness = try ControllerHarness(brokers: 5)
    harness.dead = [1, 2]
    _ = try harness.created("t", partitions: 6, factor: 3)
    #expect(replicas(harness, "t").allSatisfy { Set($0) == [3, 4, 5] })
    harness.dead = [1, 2, 3]
    _ = try harness.created("u", partitions: 6, factor: 3)
    for partition in replicas(harness, "u") {
      #expect([4, 5].contains(partition.first))
      #expect(Set(partition).isSuperset(of: [4, 5]))
    }
  }

  @Test func `replicas stand in different racks where they can`() throws {
    var harness = try ControllerHarness(brokers: 6)
    harness.racks = [1: "a", 2: "a", 3: "a", 4: "b", 5: "b", 6: "c"]
    _ = try harness.created("t", partitions: 12, factor: 3)
    for partition in replicas(harness, "t") {
      #expect(Set(partition.map { harness.racks[$0] ?? "" }).count == 3)
    }
  }

  @Test(arguments: [(1, 1), (2, 1), (3, 3), (4, 3), (9, 3)])
  func `nobody said how many: three, or the most that is odd`(nodes: Int, factor: Int16) throws {
    var harness = try ControllerHarness(brokers: nodes)
    #expect(try harness.created("t", partitions: -1, factor: -1).replicationFactor == factor)
    var told = try ControllerHarness(brokers: nodes, file: [("default.replication.factor", "5")])
    #expect(
      try told.created("t", factor: -1).errorCode
        == (nodes < 5 ? .invalidReplicationFactor : .none))
  }
}

@Suite struct `Several nodes` {
  @Test func `the dead are not told of, and what they had is offline`() throws {
    var harness = try ControllerHarness(brokers: 3)
    _ = try harness.created("t", partitions: 1, factor: 3)
    harness.dead = [2]
    harness.leadership = .init(leader: 1, epoch: 4, inSync: nil)
    var response = try harness.metadata(["t"])
    #expect(response.brokers.map(\.nodeId) == [1, 3])
    var partition = response.topics[0].partitions[0]
    #expect(partition.replicaNodes == [1, 2, 3])
    #expect(partition.isrNodes == [1, 3])
    #expect(partition.offlineReplicas == [2])
    #expect(partition.leaderId == 1)
    // The leader is dead, and the others do not know of another yet.
    harness.leadership = .init(leader: 2, epoch: 4, inSync: [1, 2, 3])
    response = try harness.metadata(["t"])
    partition = response.topics[0].partitions[0]
    #expect(partition.errorCode == .leaderNotAvailable)
    #expect(partition.leaderId == -1)
    #expect(partition.leaderEpoch == 4)

    for (version, fenced) in [(Int16(2), true), (2, false), (1, false)] {
      let request = DescribeClusterRequest.with { $0.includeFencedBrokers = fenced }
      guard
        case .describeCluster(let response) = try harness.answer(
          .describeCluster(request), version: version)
      else { return }
      #expect(response.brokers.map(\.brokerId) == (fenced ? [1, 2, 3] : [1, 3]))
      #expect(
        response.brokers.map(\.isFenced) == (fenced ? [false, true, false] : [false, false]))
    }
  }

  @Test func `a replica whose disk was lost is offline, although the node is alive`() throws {
    var harness = try ControllerHarness(brokers: 3)
    for (id, incarnation) in [(Int32(1), UInt64(1)), (2, 2), (3, 3)] {
      harness.register(id, incarnation)
    }
    _ = try harness.created("t", partitions: 1, factor: 3)
    harness.register(3, 33)
    harness.leadership = .init(leader: 1, epoch: 4, inSync: nil)
    let partition = try harness.metadata(["t"]).topics[0].partitions[0]
    #expect(partition.offlineReplicas == [3])
    #expect(partition.isrNodes == [1, 2])
  }

  @Test func `while a partition is reassigned, all who have it are told`() throws {
    var harness = try ControllerHarness(brokers: 4)
    let id = try harness.created("t", partitions: 1, factor: 3).topicId
    _ = harness.step(
      .committed([.reassigned(GroupKey(topic: id, partition: 0), target: [4, 3, 2])]))
    #expect(try harness.metadata(["t"]).topics[0].partitions[0].replicaNodes == [4, 3, 2, 1])
  }

  @Test func `who does not lead decides nothing and answers what it can`() throws {
    var harness = try ControllerHarness(brokers: 3)
    _ = try harness.created("t")
    #expect(harness.step(.resign(.notController)).isEmpty)
    let creation = try harness.created("u")
    #expect(creation.errorCode == .notController)
    // Codes that make clients of these come again.
    #expect(try harness.metadata(["u"], creating: true).topics[0].errorCode == .leaderNotAvailable)
    #expect(try harness.identify(nil).errorCode == .coordinatorLoadInProgress)
    #expect(try harness.metadata(["t"], creating: true).topics[0].errorCode == .none)
    #expect(try harness.describe(2, "t").errorCode == .none)
    #expect(harness.waiting.isEmpty)
    #expect(
      harness.controller.needsController(
        .metadata(.with { $0.topics = [.with { $0.name = "u" }] }), version: 4))
    #expect(
      !harness.controller.needsController(
        .metadata(.with { $0.topics = [.with { $0.name = "t" }] }), version: 4))
    _ = harness.step(.lead)
    #expect(try harness.created("u").errorCode == .none)
  }

  @Test func `who resigns tells all who wait, and takes in what was committed all the same`() throws
  {
    var harness = try ControllerHarness(brokers: 3)
    let request = ControllerRequest.createTopics(.with { $0.topics = [.new("t")] })
    _ = harness.send(request, version: 7)
    let effects = harness.step(.resign(.notController))
    #expect(effects == [.reply(ReplyToken(1), request.refused(.notController, nil))])
    #expect(harness.commit().count == 1)
    _ = harness.step(.lead)
    #expect(try harness.created("t").errorCode == .topicAlreadyExists)
  }
}

/// What an owner knows by the effects alone.
private struct Follower: Equatable {
  struct Partition: Equatable {
    var options: LogOptions
    var membership: GroupMembership
  }

  var partitions: [GroupKey: Partition] = [:]
  var nodes: [Int32: RegisteredNode] = [:]
  var zero: GroupMembership?

  mutating func take(_ effects: [Controller.Effect], _ controller: Controller) {
    for effect in effects {
      switch effect {
      case .createPartition(_, let id, let index, _, let options, let membership):
        let group = GroupKey(topic: id, partition: index)
        #expect(partitions[group] == nil)
        partitions[group] = Partition(options: options, membership: membership)
      case .deletePartition(_, let id, let index):
        let gone = partitions.removeValue(forKey: GroupKey(topic: id, partition: index))
        #expect(gone != nil)
      case .configChanged(_, let id): reconfigure(controller) { $0 == id }
      case .brokerConfigChanged: reconfigure(controller) { _ in true }
      case .nodeRegistered(let node): nodes[node.id] = node
      case .membershipChanged(.metadata, let membership): zero = membership
      case .membershipChanged(let group, let membership):
        #expect(partitions[group] != nil)
        partitions[group]?.membership = membership
      default: Issue.record("\(effect)")
      }
    }
  }

  private mutating func reconfigure(_ controller: Controller, _ isMeant: (UUID16) -> Bool) {
    for group in partitions.keys where isMeant(group.topic) {
      guard let topic = controller.state.topic(group.topic) else { continue }
      partitions[group]?.options = controller.config(of: topic).logOptions
    }
  }
}

@Suite struct `A snapshot in the middle` {
  /// A record that may follow, or none.
  private func random(
    _ state: MetadataState, _ random: inout SeededGenerator
  ) -> MetadataRecord? {
    let names = ["a", "b", "c"]
    let name = names.randomElement(using: &random) ?? ""
    let topic = state.topic(named: name)
    switch Int.random(in: 0..<10, using: &random) {
    case 0, 1:
      guard topic == nil else { return nil }
      return .topicCreated(
        TopicState(
          id: UUID16(high: 1, low: random.next()), name: name, replicationFactor: 3,
          replicas: [1, 2, 3, 2, 3, 4]))
    case 2: return topic.map { .topicDeleted($0.id) }
    case 3:
      return topic.map {
        .partitionsAdded(topic: $0.id, first: $0.partitionsCount, replicas: [3, 2, 1])
      }
    case 4:
      return topic.map {
        .topicConfigured($0.id, ["retention.ms": "\(Int.random(in: 0..<3, using: &random))"])
      }
    case 5:
      let node: Int32? = [nil, 1, 2].randomElement(using: &random) ?? nil
      return .brokerConfigured(
        node: node, ["log.retention.bytes": "\(Int.random(in: 1..<4, using: &random))"])
    case 6:
      return .nodeRegistered(
        RegisteredNode(
          id: .random(in: 1...4, using: &random), incarnation: .random(in: 1...3, using: &random),
          host: "h", port: 1))
    case 7:
      let version = state.membership(of: .metadata)?.version ?? 0
      return .membershipChanged(
        .metadata,
        GroupMembership(version: version + 1, voters: [.init(node: 1, incarnation: 1)]))
    default:
      guard let topic else { return nil }
      let partition = Int32.random(in: topic.partitions, using: &random)
      let group = GroupKey(topic: topic.id, partition: partition)
      guard let now = state.membership(of: group) else { return nil }
      let voters = now.voters.count > 1 ? Array(now.voters.dropFirst()) : now.voters
      return .membershipChanged(
        group,
        GroupMembership(
          version: now.version + 1, voters: voters, learners: [.init(node: 9, incarnation: 9)]))
    }
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func `is the same to an owner as the records it stands for`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var byRecords = try Controller(nodeId: 1, isLeading: false)
    var bySnapshots = try Controller(nodeId: 1, isLeading: false)
    var owners = (Follower(), Follower())
    for _ in 0..<12 {
      for _ in 0..<Int.random(in: 0..<15, using: &generator) {
        guard let record = random(byRecords.state, &generator) else { continue }
        var effects: [Controller.Effect] = []
        byRecords.step(.committed([record]), into: &effects)
        owners.0.take(effects, byRecords)
      }
      var effects: [Controller.Effect] = []
      let snapshot = try MetadataState(decoding: byRecords.state.encoded()[...])
      bySnapshots.step(.snapshot(snapshot), into: &effects)
      owners.1.take(effects, bySnapshots)
      #expect(owners.0 == owners.1, "seed \(seed)")
      #expect(bySnapshots.state == byRecords.state, "seed \(seed)")
    }
  }
}
