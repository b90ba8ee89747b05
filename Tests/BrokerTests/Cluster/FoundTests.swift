import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Replication
import Simulation
import Testing

/// What simulations found, as scripts.
@Suite struct `What simulations found` {
  /// Entries of the metadata's log: without them, all that a node gets of it is where it begins.
  private func hasEntries(_ frame: NodeFrame) -> Bool {
    let messages = (try? frame.groupMessages()) ?? []
    return messages.contains { group, message in
      guard group == .metadata, case .append(let request) = message.body else { return false }
      return !request.entries.isEmpty
    }
  }

  /// Makes topics until the log of the metadata begins later.
  private func shortenMetadata(_ cluster: ClusterHarness, at leader: Int32) throws {
    let start = try #require(cluster[leader].metadataStart)
    for number in 0..<40 {
      #expect(try cluster.createTopic("topic-\(number)", at: leader) == .none)
    }
    #expect(try #require(cluster[leader].metadataStart) > start)
  }

  private func leadsMetadata(_ node: Node?) -> Bool {
    var leads = false
    node?.glance { if $0.group == .metadata, $0.isLeader { leads = true } }
    return leads
  }

  @Test func `who made the cluster is not alone in it after a reset of its log and a power cut`()
    throws
  {
    let cluster = try ClusterHarness { $0.snapshotBytesMin = 2000 }
    cluster.wait(500)
    // It has voted for itself.
    #expect(leadsMetadata(cluster[1].node))
    cluster.kill(1)
    cluster.wait(2000)
    let leader = try #require(([2, 3] as [Int32]).first { leadsMetadata(cluster[$0].node) })
    try shortenMetadata(cluster, at: leader)
    cluster.loses = { [self] in $0.to == 1 && hasEntries($0) }
    try cluster.start(1)
    cluster.wait(500)
    #expect(try #require(cluster[1].metadataStart) > .zero)
    cluster.cut(1, 2)
    cluster.cut(1, 3)
    cluster.powerCut(1)
    try cluster.start(1)
    cluster.wait(1000)
    #expect(!leadsMetadata(cluster[1].node), "\(cluster.text)")
    cluster.loses = { _ in false }
    cluster.heal()
    cluster.wait(3000)
    #expect(try cluster.createTopic("last", at: 1) == .none)
  }

  @Test(arguments: [false, true])
  func `a node with older files does not count for topics that were made since`(isKilled: Bool)
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("before") == .none)
    let old = cluster[2].disk.afterKill { _ in true }
    #expect(try cluster.createTopic("orders", partitions: 3) == .none)
    // Node 3 has none of it: node 2 is needed, and will have forgotten it.
    cluster.cut(2, 3)
    cluster.cut(1, 3)
    cluster.wait(2000)
    for partition: Int32 in 0..<3 {
      #expect(try cluster.produce("orders", ["a"], partition: partition) == 0)
    }
    cluster.kill(2)
    cluster[2].disk = old
    try cluster.start(2)
    cluster.wait(500)
    if isKilled {
      // It keeps in mind that it may miss something.
      cluster.kill(2)
      try cluster.start(2)
    }
    cluster.wait(500)
    for partition: Int32 in 0..<3 {
      #expect(cluster[2].node?.isVoter("orders", partition) != true, "\(cluster.text)")
    }
    // It learns what it is to have, and does not get it yet.
    cluster.loses = { frame in
      let messages = (try? frame.groupMessages()) ?? []
      return frame.to == 2 && !frame.isUrgent && messages.contains { $0.0 != .metadata }
    }
    cluster.heal()
    cluster.wait(5000)
    #expect(cluster[2].node?.hasStarted == true, "\(cluster.text)")
    for partition: Int32 in 0..<3 {
      #expect(cluster[2].node?.isVoter("orders", partition) != true, "\(cluster.text)")
    }
    cluster.loses = { _ in false }
    cluster.wait(5000)
    for partition: Int32 in 0..<3 {
      #expect(cluster[2].node?.isVoter("orders", partition) == true, "\(cluster.text)")
    }
    cluster.kill(1)
    cluster.wait(1000)
    for partition: Int32 in 0..<3 {
      let leader = try #require(try cluster.leader("orders", partition), "\(cluster.text)")
      #expect(try cluster.values("orders", partition: partition, at: leader) == ["a"])
    }
  }

  @Test func `a follower that has the batch inside which its leader's log begins is not damaged`()
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let leader = try #require(try cluster.leader("orders"))
    let slow = leader % 3 + 1
    cluster.wait(500)
    cluster.stalled.insert(slow)
    let values = (0..<10).map { "\($0)" }
    // It has it, and not on its disk, and does not hear that it is committed.
    #expect(try cluster.produce("orders", values) == 0)
    cluster.loses = { $0.to == slow && !$0.isUrgent }
    let deleted = try cluster.call(
      Requests.deleteRecords("orders", before: 5), version: 2, to: leader)
    #expect(deleted.topics[0].partitions[0].lowWatermark == 5)
    cluster.cut(leader, slow)
    cluster.loses = { _ in false }
    cluster.heal()
    cluster.wait(300)
    cluster.stalled.remove(slow)
    cluster.wait(2000)
    let isDamaged = cluster[slow].notices.contains { $0.contains("not used any more") }
    #expect(!isDamaged, "\(cluster.text)")
    #expect(cluster[slow].node?.isVoter("orders", 0) == true, "\(cluster.text)")
  }

  @Test func `what waits for a topic is answered when the topic is deleted`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let other = leader % 3 + 1
    let fetch = try cluster.send(
      Requests.fetch("orders", from: 1, maxWait: 60_000), version: 12, to: leader)
    // Nobody says that it leads still.
    cluster.loses = { frame in
      let messages = (try? frame.groupMessages()) ?? []
      return frame.to == leader
        && messages.contains { group, message in
          if group != .metadata, case .heartbeatAnswer = message.body { true } else { false }
        }
    }
    let request = ListOffsetsRequest.with { request in
      request.topics = [
        .with { topic in
          topic.name = "orders"
          topic.partitions = [.with { $0.timestamp = -1 }]
        }
      ]
    }
    let ends = try cluster.send(request, version: 5, to: leader)
    #expect(
      try cluster.response(to: fetch, of: leader, FetchRequest.self, version: 12) == nil)
    #expect(
      try cluster.response(to: ends, of: leader, ListOffsetsRequest.self, version: 5) == nil)
    let deleted = try cluster.call(Requests.deleteTopic("orders"), version: 4, to: other)
    #expect(deleted.responses[0].errorCode == ErrorCode.none)
    cluster.wait(20)
    let read = try cluster.response(to: fetch, of: leader, FetchRequest.self, version: 12)
    #expect(read?.responses[0].partitions[0].errorCode == .unknownTopicOrPartition)
    let told = try cluster.response(to: ends, of: leader, ListOffsetsRequest.self, version: 5)
    #expect(told?.topics[0].partitions[0].errorCode == .notLeaderOrFollower)
  }

  @Test func `a node makes no other topic as one of the cluster's own`() throws {
    let cluster = try ClusterHarness()
    cluster.wait(500)
    let leader = try #require(([1, 2, 3] as [Int32]).first { leadsMetadata(cluster[$0].node) })
    let node = try cluster.node(leader)
    func topics() throws -> [String?] {
      try cluster.call(MetadataRequest.with { $0.topics = nil }, version: 9, to: leader)
        .topics.map(\.name)
    }
    for name in ["orders", "", "__consumer_offsets"] {
      // What a node says that wants one of them.
      let frame = [8, UInt8(name.utf8.count)] + Array(name.utf8)
      node.receive(frame[...], from: leader % 3 + 1, now: cluster.time)
      cluster.wait(200)
      #expect(try topics() == (name == "__consumer_offsets" ? [name] : []))
    }
  }
}
