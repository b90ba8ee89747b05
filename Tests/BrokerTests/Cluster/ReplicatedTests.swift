import Broker
import Bytes
import KafkaWire
import LogStore
import Replication
import Testing

/// Three nodes: what one acknowledges, the others have.
@Suite struct `A cluster of three` {
  @Test func `a topic made at any node is led by one and known to all`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders", partitions: 3, at: 3) == .none)
    let leaders = try (0..<3).map { try cluster.leader("orders", $0) }
    // The first of its replicas leads each.
    #expect(Set(leaders) == [1, 2, 3])
  }

  @Test func `records are on all nodes, and readable where the partition is led`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b"]) == 0)
    #expect(try cluster.produce("orders", ["c"]) == 2)
    let leader = try #require(try cluster.leader("orders"))
    #expect(try cluster.values("orders", at: leader) == ["a", "b", "c"])
    for id: Int32 in 1...3 where id != leader {
      #expect(throws: ErrorCode.notLeaderOrFollower) { try cluster.values("orders", at: id) }
    }
  }

  @Test func `who asks the wrong node is told the right one`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let leader = try #require(try cluster.leader("orders"))
    let other = leader % 3 + 1
    let response = try cluster.call(
      Requests.produce("orders", ["a"]), version: 10, to: other)
    let part = response.responses[0].partitionResponses[0]
    #expect(part.errorCode == .notLeaderOrFollower)
    #expect(part.currentLeader.leaderId == leader)
    #expect(response.nodeEndpoints.map(\.port) == [9000 + leader])
  }

  @Test func `when the leader dies another leads at once, with all that was acknowledged`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let before = cluster.steady
    cluster.kill(leader)
    let next = try #require(try cluster.leader("orders"))
    #expect(next != leader)
    // No timer: the broken connection was enough.
    #expect(cluster.steady == before)
    #expect(try cluster.produce("orders", ["c"]) == 2)
    #expect(try cluster.values("orders", at: next) == ["a", "b", "c"])
    try cluster.start(leader)
    cluster.wait(1000)
    cluster.kill(next)
    cluster.wait(1000)
    let last = try #require(try cluster.leader("orders"))
    #expect(try cluster.values("orders", at: last) == ["a", "b", "c"])
  }

  @Test func `who asks for the leader during an election is told who won it`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let leader = try #require(try cluster.leader("orders"))
    let others: [Int32] = (1...3).filter { $0 != leader }
    var request = MetadataRequest()
    request.topics = nil
    cluster.killUnsettled(leader)
    let before = cluster.steady
    let told = try cluster.call(request, version: 9, to: others[0]).topics.first?.partitions.first
    #expect(told.map { others.contains($0.leaderId) } == true)
    #expect(cluster.steady == before)
    // And of who has died, for a while.
    func brokers() throws -> [Int32] {
      try cluster.call(request, version: 9, to: others[0]).brokers.map(\.nodeId).sorted()
    }
    #expect(try brokers() == [1, 2, 3])
    cluster.wait(31_000)
    #expect(try brokers() == others)

    // Whoever cannot win is not waited for long: what they say to each other is lost.
    try cluster.start(leader)
    cluster.wait(1000)
    let current = try #require(try cluster.leader("orders"))
    let left: [Int32] = (1...3).filter { $0 != current }
    cluster.hold(left[0], left[1])
    cluster.kill(current)
    let origin = try cluster.send(request, version: 9, to: left[0])
    func answer() throws -> MetadataResponse? {
      try cluster.response(to: origin, of: left[0], MetadataRequest.self, version: 9)
    }
    #expect(try answer() == nil)
    cluster.wait(80)
    #expect(try answer()?.topics.first?.partitions.first?.errorCode == .leaderNotAvailable)
  }

  /// With votes in it of a topic's partitions.
  private func hasVotes(_ frame: NodeFrame) -> Bool {
    ((try? frame.groupMessages()) ?? []).contains { group, message in
      guard group != .metadata, case .voteResponse = message.body else { return false }
      return true
    }
  }

  @Test(arguments: [1, 2, 3] as [Int32])
  func `who makes partitions is answered when they are led, or soon if nobody can be elected`(
    id: Int32
  ) throws {
    let cluster = try ClusterHarness()
    cluster.wait(500)
    func create(_ name: String, timeout: Int32) throws -> RequestOrigin {
      let request = CreateTopicsRequest.with {
        $0.topics = [
          .with {
            $0.name = name
            $0.numPartitions = 3
            $0.replicationFactor = 3
          }
        ]
        $0.timeoutMs = timeout
      }
      return try cluster.send(request, version: 5, to: id)
    }
    func code(_ origin: RequestOrigin) throws -> ErrorCode? {
      try cluster.response(to: origin, of: id, CreateTopicsRequest.self, version: 5)?
        .topics[0].errorCode
    }
    // Of each the first replica asks for votes at every tick, from when the others may have it.
    let first = try create("first", timeout: 30_000)
    cluster.wait(60)
    #expect(try code(first) == ErrorCode.none, "\(cluster.text)")

    cluster.loses = hasVotes
    let second = try create("second", timeout: 30_000)
    cluster.wait(200)
    #expect(try code(second) == nil)
    cluster.loses = { _ in false }
    cluster.wait(60)
    #expect(try code(second) == ErrorCode.none)
    // Nobody is refused who goes on at once.
    let known = try cluster.call(
      MetadataRequest.with { $0.topics = [.with { $0.name = "second" }] }, version: 9, to: id)
    for partition in known.topics[0].partitions {
      #expect(
        try cluster.produce(
          "second", ["a"], partition: partition.partitionIndex, to: partition.leaderId) == 0)
    }

    cluster.loses = hasVotes
    let third = try create("third", timeout: 30_000)
    let fourth = try create("fourth", timeout: 200)
    cluster.wait(150)
    #expect(try code(fourth) == nil)
    cluster.wait(100)
    #expect(try code(fourth) == ErrorCode.none)
    #expect(try code(third) == nil)
    cluster.wait(300)
    #expect(try code(third) == ErrorCode.none)
  }

  @Test func `who adds partitions is answered when they are led`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    cluster.loses = hasVotes
    let request = CreatePartitionsRequest.with {
      $0.topics = [
        .with {
          $0.name = "orders"
          $0.count = 3
          $0.assignments = nil
        }
      ]
      $0.timeoutMs = 30_000
    }
    let origin = try cluster.send(request, version: 1, to: 2)
    func code() throws -> ErrorCode? {
      try cluster.response(to: origin, of: 2, CreatePartitionsRequest.self, version: 1)?
        .results[0].errorCode
    }
    cluster.wait(200)
    #expect(try code() == nil)
    cluster.loses = { _ in false }
    cluster.wait(200)
    #expect(try code() == ErrorCode.none)
    #expect(try cluster.produce("orders", ["a"], partition: 2) == 0)
  }

  @Test func `a topic that is made because it was asked for is shown with its leader`() throws {
    let cluster = try ClusterHarness()
    cluster.wait(500)
    for id: Int32 in 1...3 {
      let request = MetadataRequest.with {
        $0.topics = [.with { $0.name = "new-\(id)" }]
        $0.allowAutoTopicCreation = true
      }
      let told = try cluster.call(request, version: 9, to: id)
      #expect(told.topics[0].errorCode == ErrorCode.none)
      #expect(told.topics[0].partitions.allSatisfy { $0.leaderId > 0 })
    }
  }

  @Test func `what comes while a partition is handed over waits to be told who leads it`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    cluster.wait(500)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    try cluster.node(leader).giveLeadershipsAway(now: cluster.time)
    let request = try Requests.produce("orders", ["b"])
    let refused = try cluster.call(request, version: 10, to: leader)
    let part = refused.responses[0].partitionResponses[0]
    #expect(part.errorCode == .notLeaderOrFollower)
    let next = part.currentLeader.leaderId
    #expect(next != leader && next > 0)
    #expect(try cluster.produce("orders", ["b"], to: next) == 1)
    #expect(try cluster.values("orders", at: next) == ["a", "b"])
  }

  @Test func `offsets that come when the next coordinator is asked to stand wait for it`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b"]) == 0)
    let found = try cluster.call(
      Requests.findCoordinator("readers"), version: 3, to: 1, milliseconds: 5000)
    let node = try cluster.node(found.nodeId)
    func commit(_ offset: Int64) throws -> RequestOrigin {
      try cluster.send(
        Requests.commit("readers", "orders", offset), version: 7, to: found.nodeId)
    }
    func code(_ origin: RequestOrigin) throws -> ErrorCode? {
      try cluster.response(to: origin, of: found.nodeId, OffsetCommitRequest.self, version: 7)?
        .topics[0].partitions[0].errorCode
    }
    func ends() -> [Offset?] {
      (0..<3).map { node.status(of: "__consumer_offsets", $0)?.end.offset }
    }
    let first = try commit(1)
    cluster.wait(100)
    #expect(try code(first) == ErrorCode.none)
    // Who is asked never hears it.
    cluster.loses = { frame in
      ((try? frame.groupMessages()) ?? []).contains { _, message in
        if case .takeOver = message.body { true } else { false }
      }
    }
    node.giveLeadershipsAway(now: cluster.time)
    cluster.settle()
    let before = ends()
    let second = try commit(2)
    #expect(ends() == before)
    #expect(try code(second) == nil)
    // The coordinator stays, and goes on.
    cluster.loses = { _ in false }
    cluster.wait(1000)
    #expect(try code(second) == ErrorCode.none, "\(cluster.text)")
    #expect(ends() != before)
  }

  @Test func `min.insync.replicas beyond the majority is kept`() throws {
    let cluster = try ClusterHarness(settings: [("min.insync.replicas", "3")])
    #expect(try cluster.createTopic("orders") == .none)
    cluster.wait(500)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let others = (1...3).filter { $0 != leader }
    // One of the others hears nothing more, which nobody is told of.
    cluster.hold(leader, others[0])
    cluster.hold(others[1], others[0])
    let origin = try cluster.send(Requests.produce("orders", ["b"]), version: 9, to: leader)
    cluster.wait(200)
    #expect(
      try cluster.response(to: origin, of: leader, ProduceRequest.self, version: 9) == nil)
    cluster.heal()
    cluster.wait(1000)
    let answer = try cluster.response(to: origin, of: leader, ProduceRequest.self, version: 9)
    #expect(answer?.responses[0].partitionResponses[0].errorCode == ErrorCode.none)
    cluster.kill(others[0])
    #expect(throws: ErrorCode.notEnoughReplicas) { try cluster.produce("orders", ["c"]) }
  }

  @Test func `a cluster's node does not start alone`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    cluster.kill(2)
    let store = try LogStore.open(
      cluster[2].disk, options: NodeHarness.storeOptions, newID: 7, now: cluster.time.wall)
    var options = NodeOptions()
    options.id = 2
    #expect(throws: NodeStartError.ofCluster([2, 1, 3])) {
      _ = try Node(
        store: store, options: options, random: SeededGenerator(seed: 1), now: cluster.time)
    }
  }

  @Test func `one node alone acknowledges nothing`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let leader = try #require(try cluster.leader("orders"))
    let others = (1...3).filter { $0 != leader }
    for other in others { cluster.kill(Int32(other)) }
    let origin = try cluster.send(
      Requests.produce("orders", ["a"], timeout: 1500), version: 9, to: leader)
    cluster.wait(3000)
    let response = try #require(
      try cluster.response(to: origin, of: leader, ProduceRequest.self, version: 9))
    #expect(response.responses[0].partitionResponses[0].errorCode != .none)
  }

  @Test func `a power cut of all nodes loses nothing that was acknowledged`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b"]) == 0)
    for id: Int32 in 1...3 { cluster.powerCut(id) }
    for id: Int32 in 1...3 { try cluster.start(id) }
    cluster.wait(2000)
    let leader = try #require(try cluster.leader("orders"))
    #expect(try cluster.values("orders", at: leader) == ["a", "b"])
    #expect(try cluster.produce("orders", ["c"]) == 2)
  }

  @Test func `a producer is not fenced by its own request, done twice for a lost connection`()
    throws
  {
    let cluster = try ClusterHarness()
    let request = InitProducerIdRequest.with {
      $0.transactionalId = "mine"
      $0.transactionTimeoutMs = 1000
    }
    // Node 1 leads the metadata. It has not answered when it is lost from sight, and has when it
    // has been asked again.
    cluster.stalled = [1]
    let origin = try cluster.send(request, version: 4, to: 2)
    cluster.cut(1, 2)
    cluster.heal()
    cluster.stalled = []
    cluster.wait(1000)
    let answer = try #require(
      try cluster.response(to: origin, of: 2, InitProducerIdRequest.self, version: 4))
    #expect(answer.errorCode == .none)
    // Whatever was done, the last of it was told: the next epoch is the one after.
    let next = try cluster.call(request, version: 4, to: 3)
    #expect(next.producerId == answer.producerId)
    #expect(next.producerEpoch == answer.producerEpoch + 1)
  }

  @Test func `committed offsets outlive their coordinator`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b", "c"]) == 0)
    func coordinator() throws -> Int32 {
      for member in cluster.members where member.node != nil {
        let found = try cluster.call(
          Requests.findCoordinator("readers"), version: 3, to: member.id, milliseconds: 5000)
        if found.errorCode == .none { return found.nodeId }
      }
      throw ErrorCode.coordinatorNotAvailable
    }
    let first = try coordinator()
    let committed = try cluster.call(
      Requests.commit("readers", "orders", 2), version: 7, to: first)
    #expect(committed.topics[0].partitions[0].errorCode == .none)
    cluster.kill(first)
    let second = try coordinator()
    #expect(second != first)
    let fetched = try cluster.call(
      Requests.offsetFetch("readers", "orders"), version: 7, to: second)
    #expect(fetched.errorCode == .none)
    #expect(fetched.topics[0].partitions[0].committedOffset == 2)
  }
}
