import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Records
import Replication
import Simulation
import Testing

/// What seldom comes together: starts of logs that move, full disks, ends of nodes.
@Suite struct `A cluster at its edges` {
  @Test func `a follower whose disk is behind when the metadata is shortened goes on from there`()
    throws
  {
    let cluster = try ClusterHarness { $0.snapshotBytesMin = 2000 }
    cluster.wait(500)
    let quorum = try cluster.call(DescribeQuorumRequest.ofMetadata, version: 2, to: 1)
    let leader = quorum.topics[0].partitions[0].leaderId
    let slow = leader % 3 + 1
    let start = cluster[leader].metadataStart
    cluster.stalled.insert(slow)
    for number in 0..<40 {
      #expect(try cluster.createTopic("topic-\(number)", at: leader) == .none)
    }
    #expect(try #require(cluster[leader].metadataStart) > #require(start))
    cluster.stalled.remove(slow)
    cluster.wait(2000)
    #expect(try cluster.createTopic("last", at: slow) == .none)
    let known = try cluster.call(
      MetadataRequest.with { $0.topics = nil }, version: 9, to: slow)
    #expect(known.topics.count == 41, "\(cluster.text)")
    // And it is of use: with another gone, it is the one that is needed.
    cluster.kill(6 - leader - slow)
    cluster.wait(1000)
    #expect(try cluster.createTopic("one more", at: slow) == .invalidTopicException)
    #expect(try cluster.createTopic("one-more", at: slow) == .none)
  }

  @Test func `a log that begins inside a batch is copied whole`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let values = (0..<10).map { "\($0)" }
    #expect(try cluster.produce("orders", values) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let away = leader % 3 + 1
    cluster.kill(away)
    #expect(try cluster.produce("orders", ["10"]) == 10)
    let deleted = try cluster.call(
      Requests.deleteRecords("orders", before: 5), version: 2, to: leader)
    #expect(deleted.topics[0].partitions[0].lowWatermark == 5)
    cluster[away].disk = VirtualDisk()
    try cluster.start(away)
    cluster.wait(3000)
    #expect(cluster[away].node?.isVoter("orders", 0) == true, "\(cluster.text)")
    let other = 6 - leader - away
    cluster.kill(other)
    #expect(try cluster.produce("orders", ["11"]) == 11)
    cluster.kill(leader)
    try cluster.start(other)
    cluster.wait(3000)
    let next = try #require(try cluster.leader("orders"), "\(cluster.text)")
    let read = try cluster.call(Requests.fetch("orders", from: 5), version: 11, to: next)
    #expect(read.responses[0].partitions[0].logStartOffset == 5)
    // Consumers pass over what is before the offset that they asked for.
    #expect(try read.values() == values + ["10", "11"])
  }

  @Test func `records are deleted when a majority has that on disk, and stay so`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", (0..<10).map { "\($0)" }) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let followers = (1...3).map { Int32($0) }.filter { $0 != leader }
    cluster.wait(500)
    for follower in followers { cluster.stalled.insert(follower) }
    let request = Requests.deleteRecords("orders", before: 5)
    let origin = try cluster.send(request, version: 2, to: leader)
    cluster.wait(100)
    #expect(
      try cluster.response(to: origin, of: leader, DeleteRecordsRequest.self, version: 2) == nil)
    // Nor is who asks for the same, because it is so on the leader's disk.
    let second = try cluster.send(request, version: 2, to: leader)
    cluster.wait(100)
    #expect(
      try cluster.response(to: second, of: leader, DeleteRecordsRequest.self, version: 2) == nil)
    cluster.stalled.remove(followers[0])
    cluster.wait(100)
    #expect(
      try cluster.response(to: second, of: leader, DeleteRecordsRequest.self, version: 2) != nil)
    let deleted = try #require(
      try cluster.response(to: origin, of: leader, DeleteRecordsRequest.self, version: 2))
    #expect(deleted.topics[0].partitions[0].errorCode == .none)
    #expect(deleted.topics[0].partitions[0].lowWatermark == 5)
    // Whoever has it says so, also when the machines go dark.
    for member in cluster.members { cluster.powerCut(member.id) }
    cluster.stalled = []
    try cluster.start(followers[0])
    try cluster.start(followers[1])
    cluster.wait(2000)
    let next = try #require(try cluster.leader("orders"), "\(cluster.text)")
    let again = try cluster.call(request, version: 2, to: next)
    #expect(again.topics[0].partitions[0].errorCode == .none)
    let read = try cluster.call(Requests.fetch("orders", from: 9), version: 11, to: next)
    #expect(read.responses[0].partitions[0].logStartOffset == 5)
  }

  @Test func `while followers' disks are full the leader stays, and goes on when there is room`()
    throws
  {
    var storeOptions = NodeHarness.storeOptions
    storeOptions.freeSpaceMin = 1 << 20
    let cluster = try ClusterHarness(storeOptions: storeOptions)
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.createTopic("old") == .none)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let epoch = try #require(cluster[leader].node?.status(of: "orders", 0)?.epoch)
    let followers = (1...3).map { Int32($0) }.filter { $0 != leader }
    for follower in followers { cluster[follower].disk.capacity = 0 }
    cluster.wait(500)
    let origin = try cluster.send(
      Requests.produce("orders", ["b"], timeout: 20_000), version: 9, to: leader)
    cluster.wait(5000)
    #expect(
      try cluster.response(to: origin, of: leader, ProduceRequest.self, version: 9) == nil)
    #expect(cluster[leader].node?.status(of: "orders", 0)?.role == .leader, "\(cluster.text)")
    #expect(cluster[leader].node?.status(of: "orders", 0)?.epoch == epoch)
    #expect(try cluster.values("orders", at: leader) == ["a"])
    // What makes room can be asked for.
    let gone = try cluster.call(Requests.deleteTopic("old"), version: 4, to: leader)
    #expect(gone.responses[0].errorCode == ErrorCode.none)
    for follower in followers { cluster[follower].disk.capacity = nil }
    cluster.wait(2000)
    let answer = try cluster.response(to: origin, of: leader, ProduceRequest.self, version: 9)
    #expect(answer?.responses[0].partitionResponses[0].errorCode == ErrorCode.none)
    cluster.kill(leader)
    cluster.wait(1000)
    let next = try #require(try cluster.leader("orders"), "\(cluster.text)")
    #expect(try cluster.values("orders", at: next) == ["a", "b"])
  }

  private func fullDisks(
    _ settings: [(String, String)] = []
  ) throws -> ClusterHarness {
    var storeOptions = NodeHarness.storeOptions
    storeOptions.freeSpaceMin = 1 << 20
    let cluster = try ClusterHarness(settings: settings, storeOptions: storeOptions)
    #expect(try cluster.createTopic("orders", partitions: 6) == .none)
    cluster.wait(500)
    return cluster
  }

  private func leaders(_ cluster: ClusterHarness) throws -> [Int32?] {
    try (0..<6).map { try cluster.leader("orders", $0) }
  }

  private func epochs(_ cluster: ClusterHarness, at id: Int32 = 1) throws -> [LeaderEpoch?] {
    try (0..<6).map { try cluster.node(id).status(of: "orders", $0)?.epoch }
  }

  @Test func `a node whose disk is full has others lead, and leads again when there is room`()
    throws
  {
    let cluster = try fullDisks([("leader.imbalance.check.interval.seconds", "1")])
    let quorum = try cluster.call(DescribeQuorumRequest.ofMetadata, version: 2, to: 1)
    // The one that leads the metadata as well.
    let full = quorum.topics[0].partitions[0].leaderId
    let before = try leaders(cluster)
    #expect(before.contains(full))
    cluster[full].disk.capacity = 0
    cluster.wait(1500)
    #expect(cluster[full].notices.contains { $0.contains("nodes that have room lead") })
    // Also when others would have given them back long ago: it has all that there is.
    let epochs = try epochs(cluster)
    cluster.wait(10_000)
    #expect(try epochs == self.epochs(cluster), "\(cluster.text)")
    for round in 0..<3 {
      let now = try leaders(cluster)
      #expect(!now.contains(full) && !now.contains(nil), "\(cluster.text)")
      for partition: Int32 in 0..<6 {
        #expect(try cluster.produce("orders", ["a"], partition: partition) == Int64(round))
      }
      #expect(try cluster.createTopic("new-\(round)", at: full) == .none)
      cluster.wait(10_000)
    }
    cluster[full].disk.capacity = nil
    cluster.wait(15_000)
    #expect(try leaders(cluster) == before, "\(cluster.text)")
    for partition: Int32 in 0..<6 {
      #expect(try cluster.produce("orders", ["a"], partition: partition) == 3)
    }
  }

  @Test func `a node whose disk is full does not stand where another with room can lead`() throws {
    let cluster = try fullDisks()
    let led = try leaders(cluster).indices.filter { try cluster.leader("orders", Int32($0)) == 1 }
    #expect(!led.isEmpty)
    // Of two that have the same, node 3 would be elected.
    cluster[3].disk.capacity = 0
    cluster.wait(3000)
    let before = try epochs(cluster, at: 2)
    cluster.kill(1)
    #expect(try leaders(cluster) == Array(repeating: 2, count: 6), "\(cluster.text)")
    let after = try epochs(cluster, at: 2)
    for partition in led {
      let (old, new) = (try #require(before[partition]), try #require(after[partition]))
      #expect(new.rawValue == old.rawValue + 1, "\(cluster.text)")
    }
    // Its disk is no reason to stand when node 2 is gone, and none not to when both are back.
    cluster.kill(2)
    cluster.wait(3000)
    cluster[3].disk.capacity = nil
    try cluster.start(1)
    cluster.wait(3000)
    #expect(try cluster.produce("orders", ["a"]) == 0)
  }

  @Test func `a node whose disk is full leads where nobody else has what is committed`() throws {
    let cluster = try fullDisks()
    let led = try #require(
      try (0..<6).first { try cluster.leader("orders", $0) == 1 }, "\(cluster.text)")
    cluster.loses = { frame in
      let messages = (try? frame.groupMessages()) ?? []
      return frame.to == 2 && !frame.isUrgent && messages.contains { $0.0 != .metadata }
    }
    #expect(try cluster.produce("orders", ["a"], partition: led, to: 1) == 0)
    cluster[3].disk.capacity = 0
    cluster.wait(1500)
    cluster.kill(1)
    cluster.loses = { _ in false }
    cluster.wait(3000)
    // Node 2 has it from node 3, and the room to lead.
    #expect(try cluster.leader("orders", led) == 2, "\(cluster.text)")
    #expect(try cluster.values("orders", partition: led, at: 2) == ["a"])
  }

  @Test func `where all disks are full nobody hands over, and records are refused`() throws {
    let cluster = try fullDisks()
    for member in cluster.members { member.disk.capacity = 0 }
    cluster.wait(200)
    let before = try leaders(cluster)
    let epochs = try epochs(cluster)
    cluster.wait(5000)
    #expect(try leaders(cluster) == before, "\(cluster.text)")
    #expect(try epochs == self.epochs(cluster))
    for partition: Int32 in 0..<6 {
      #expect(throws: ErrorCode.kafkaStorageError) {
        try cluster.produce("orders", ["a"], partition: partition)
      }
    }
    // One that has room again leads them all.
    cluster[2].disk.capacity = nil
    cluster.wait(3000)
    #expect(try leaders(cluster) == Array(repeating: 2, count: 6), "\(cluster.text)")
    for member in cluster.members { member.disk.capacity = nil }
    cluster.wait(1000)
    #expect(try cluster.produce("orders", ["a"]) == 0)
  }

  @Test func `who is about to end has others lead before it does`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders", partitions: 6) == .none)
    cluster.wait(500)
    let node = try cluster.node(2)
    let led = try (0..<6).filter { try cluster.leader("orders", $0) == 2 }
    #expect(!led.isEmpty)
    node.stop(now: cluster.time)
    // No election's time passes.
    cluster.wait(50)
    #expect(!node.isHandingOver)
    for partition: Int32 in 0..<6 {
      #expect(node.status(of: "orders", partition)?.role != .leader)
      let leader = try #require(try cluster.leader("orders", partition), "\(cluster.text)")
      #expect(leader != 2)
      #expect(try cluster.produce("orders", ["a"], partition: partition, to: leader) == 0)
    }
    #expect(node.isQuiet)
  }

  @Test func `who has left a group goes on knowing who leads it`() throws {
    let cluster = try ClusterHarness()
    let request = CreateTopicsRequest.with {
      var topic = CreateTopicsRequest.Topic()
      topic.name = "orders"
      topic.numPartitions = -1
      topic.replicationFactor = -1
      var assignment = CreateTopicsRequest.Assignment()
      assignment.partitionIndex = 0
      assignment.brokerIds = [1]
      topic.assignments = [assignment]
      $0.topics = [topic]
      $0.timeoutMs = 1000
    }
    #expect(try cluster.call(request, version: 5, to: 1).topics[0].errorCode == .none)
    cluster.wait(500)
    #expect(try cluster.produce("orders", ["a"], to: 1) == 0)
    let move = AlterPartitionReassignmentsRequest.with {
      var partition = AlterPartitionReassignmentsRequest.Partition()
      partition.partitionIndex = 0
      partition.replicas = [2]
      var topic = AlterPartitionReassignmentsRequest.Topic()
      topic.name = "orders"
      topic.partitions = [partition]
      $0.topics = [topic]
      $0.timeoutMs = 1000
    }
    #expect(try cluster.call(move, version: 0, to: 1).errorCode == .none)
    cluster.wait(3000)
    for id: Int32 in 1...3 {
      let asked = MetadataRequest.with {
        var topic = MetadataRequest.Topic()
        topic.name = "orders"
        $0.topics = [topic]
      }
      let response = try cluster.call(asked, version: 9, to: id)
      #expect(response.topics[0].partitions[0].leaderId == 2, "node \(id): \(cluster.text)")
    }
    #expect(try cluster.values("orders", at: 2) == ["a"])
  }

  @Test func `what min.insync.replicas are missing for is said, and not acknowledged when it is`()
    throws
  {
    let cluster = try ClusterHarness(settings: [("min.insync.replicas", "3")])
    #expect(try cluster.createTopic("orders") == .none)
    cluster.wait(500)
    let identity = try cluster.call(
      InitProducerIdRequest.with { $0.transactionalId = nil }, version: 4, to: 1)
    #expect(identity.errorCode == .none)
    #expect(identity.producerId >= 0)
    let leader = try #require(try cluster.leader("orders"))
    let others = (1...3).map { Int32($0) }.filter { $0 != leader }
    cluster.hold(leader, others[0])
    cluster.hold(others[1], others[0])
    func produce() throws -> ErrorCode {
      var builder = RecordBatchBuilder(
        producer: .init(
          id: ProducerID(identity.producerId), epoch: ProducerEpoch(identity.producerEpoch),
          baseSequence: 0))
      try builder.append(key: nil, value: [1], timestamp: Timestamp(1))
      var request = try Requests.produce("orders", ["x"], timeout: 20)
      request.topicData[0].partitionData[0].records = builder.buildUncompressed()[...]
      return try cluster.call(request, version: 9, to: leader)
        .responses[0].partitionResponses[0].errorCode
    }
    #expect(try produce() == .notEnoughReplicasAfterAppend)
    // A majority has it; its producer was told that this is not enough, and is so again: while the
    // third may be there yet, and when it is known that it is not.
    #expect(try produce() == .notEnoughReplicasAfterAppend)
    cluster.wait(1000)
    #expect(try produce() == .notEnoughReplicas)
    // Offsets are not held up by that: they go by the majority.
    let commit = try cluster.call(
      Requests.findCoordinator("readers"), version: 3, to: leader)
    #expect(commit.errorCode == .none)
    cluster.heal()
    cluster.wait(1000)
    #expect(try produce() == .none)
    let found = try cluster.values("orders", at: leader)
    #expect(found == ["\u{1}"], "\(found) \(cluster.text)")
  }
}

extension DescribeQuorumRequest {
  fileprivate static var ofMetadata: DescribeQuorumRequest {
    with {
      var partition = DescribeQuorumRequest.Partition()
      partition.partitionIndex = 0
      var topic = DescribeQuorumRequest.Topic()
      topic.topicName = "__cluster_metadata"
      topic.partitions = [partition]
      $0.topics = [topic]
    }
  }
}
