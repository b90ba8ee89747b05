import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Replication
import Simulation
import Testing

/// Nodes that come back with less than they had.
@Suite struct `A node that lost something` {
  @Test func `one that comes back with an empty disk gets everything, and counts again after it`()
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders", partitions: 3) == .none)
    for partition: Int32 in 0..<3 {
      #expect(try cluster.produce("orders", ["a", "b"], partition: partition) == 0)
    }
    cluster.kill(2)
    cluster[2].disk = VirtualDisk()
    try cluster.start(2)
    cluster.wait(3000)
    #expect(cluster[2].node?.isVoter("orders", 0) == true, "\(cluster.text)")
    // With another gone, it is needed, and it is enough.
    cluster.kill(1)
    cluster.wait(1000)
    for partition: Int32 in 0..<3 {
      let leader = try #require(try cluster.leader("orders", partition), "\(cluster.text)")
      #expect(try cluster.values("orders", partition: partition, at: leader) == ["a", "b"])
      #expect(try cluster.produce("orders", ["c"], partition: partition) == 2)
    }
  }

  @Test func `one that was away is sent what it missed, also what the others do not have any more`()
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    let away = leader % 3 + 1
    cluster.kill(away)
    #expect(try cluster.produce("orders", ["c", "d"]) == 2)
    #expect(try cluster.produce("orders", ["e"]) == 4)
    var request = DeleteRecordsRequest()
    var topic = DeleteRecordsRequest.Topic()
    topic.name = "orders"
    var partition = DeleteRecordsRequest.Partition()
    partition.offset = 4
    topic.partitions = [partition]
    request.topics = [topic]
    let deleted = try cluster.call(request, version: 2, to: leader)
    #expect(deleted.topics[0].partitions[0].errorCode == .none)
    try cluster.start(away)
    cluster.wait(2000)
    let other = Int32(6 - leader - away)
    cluster.kill(other)
    cluster.kill(leader)
    try cluster.start(other)
    cluster.wait(3000)
    // Whoever leads of the two has the same.
    let next = try #require(try cluster.leader("orders"), "\(cluster.text)")
    let response = try cluster.call(Requests.fetch("orders", from: 4), version: 11, to: next)
    #expect(try response.values() == ["e"])
    #expect(response.responses[0].partitions[0].logStartOffset == 4)
  }

  @Test(arguments: [false, true])
  func `one whose files are older than they were is not counted on before it has copied everything`(
    isKilled: Bool
  ) throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders", partitions: 3) == .none)
    for partition: Int32 in 0..<3 {
      #expect(try cluster.produce("orders", ["a"], partition: partition) == 0)
    }
    let old = cluster[2].disk.afterKill { _ in true }
    // What node 2 acknowledges now, together with one of the others, it will have forgotten.
    cluster.cut(2, 3)
    cluster.cut(1, 3)
    cluster.wait(2000)
    for partition: Int32 in 0..<3 {
      #expect(try cluster.produce("orders", ["b"], partition: partition) == 1)
    }
    cluster.kill(2)
    cluster[2].disk = old
    try cluster.start(2)
    let isTold = cluster[1].notices.contains { $0.contains("has come back with older files") }
    #expect(isTold, "\(cluster.text)")
    if isKilled {
      // Before or after it has kept in mind what it was told.
      cluster.kill(2)
      try cluster.start(2)
    }
    cluster.wait(500)
    // With node 3, which has not got them either, it could say that they never were.
    for partition: Int32 in 0..<3 {
      #expect(cluster[2].node?.isVoter("orders", partition) == false)
    }
    cluster.heal()
    cluster.wait(5000)
    for partition: Int32 in 0..<3 {
      #expect(cluster[2].node?.isVoter("orders", partition) == true, "\(cluster.text)")
    }
    cluster.kill(1)
    cluster.wait(1000)
    for partition: Int32 in 0..<3 {
      let leader = try #require(try cluster.leader("orders", partition), "\(cluster.text)")
      #expect(try cluster.values("orders", partition: partition, at: leader) == ["a", "b"])
      #expect(try cluster.produce("orders", ["c"], partition: partition) == 2)
    }
  }

  @Test(arguments: [false, true])
  func `older files are noticed also by who was started again since the node was lost`(
    hasPower: Bool
  ) throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    let old = cluster[2].disk.afterKill { _ in true }
    cluster.cut(2, 3)
    cluster.cut(1, 3)
    cluster.wait(2000)
    #expect(try cluster.produce("orders", ["b"]) == 1)
    cluster.kill(2)
    cluster.wait(2000)
    // The only one that has heard what node 2 had.
    if hasPower { cluster.kill(1) } else { cluster.powerCut(1) }
    try cluster.start(1)
    cluster[2].disk = old
    try cluster.start(2)
    let isTold = cluster[1].notices.contains { $0.contains("has come back with older files") }
    #expect(isTold, "\(cluster.text)")
    cluster.wait(500)
    // With node 3 it could say that there is no "b".
    #expect(cluster[2].node?.isVoter("orders", 0) != true, "\(cluster.text)")
    cluster.heal()
    cluster.wait(5000)
    #expect(cluster[2].node?.isVoter("orders", 0) == true, "\(cluster.text)")
    cluster.kill(1)
    cluster.wait(1000)
    let leader = try #require(try cluster.leader("orders"), "\(cluster.text)")
    #expect(try cluster.values("orders", at: leader) == ["a", "b"])
  }

  @Test func `who has come back with older files and was not told is told after another's start`()
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let old = cluster[2].disk.afterKill { _ in true }
    cluster.cut(2, 3)
    cluster.cut(1, 3)
    cluster.wait(2000)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    cluster.kill(2)
    cluster.wait(2000)
    cluster[2].disk = old
    cluster.loses = { $0.to == 2 }
    try cluster.start(2)
    // It knows, node 2 does not, and it is kept by now.
    cluster.wait(2500)
    cluster.kill(1)
    cluster.loses = { _ in false }
    cluster[1].notices = []
    try cluster.start(1)
    cluster.wait(500)
    let isTold = cluster[1].notices.contains { $0.contains("has come back with older files") }
    #expect(isTold, "\(cluster.text)")
    #expect(cluster[2].node?.isVoter("orders", 0) != true, "\(cluster.text)")
  }

  @Test func `copies of all nodes, made one after another while they were stopped, go on together`()
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    var copies: [VirtualDisk] = []
    for id: Int32 in 1...3 {
      try cluster.node(id).stop(now: cluster.time)
      cluster.wait(200)
      cluster.kill(id)
      copies.append(cluster[id].disk.afterKill { _ in true })
      cluster.wait(2000)
      // What it will not have.
      #expect(try cluster.produce("orders", ["\(id)"]) == Int64(id - 1))
      try cluster.start(id)
      cluster.wait(2000)
    }
    for member in cluster.members { cluster.kill(member.id) }
    for member in cluster.members { member.disk = copies[Int(member.id) - 1] }
    for member in cluster.members { try cluster.start(member.id) }
    cluster.wait(5000)
    for member in cluster.members {
      #expect(!member.notices.contains { $0.contains("older files") }, "\(cluster.text)")
      #expect(member.node?.isVoter("orders", 0) == true, "\(cluster.text)")
    }
    let leader = try #require(try cluster.leader("orders"), "\(cluster.text)")
    #expect(try cluster.values("orders", at: leader).first == "1")
    _ = try cluster.produce("orders", ["4"])
  }

  @Test func `a log that is damaged is set aside and copied from the others`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a", "b"]) == 0)
    let leader = try #require(try cluster.leader("orders"))
    // The disk fails once under the leader's copy: nothing else is touched.
    let store = try #require(cluster[leader].store)
    let node = try cluster.node(leader)
    let log = try #require(node.log("orders", 0))
    try store.failAsCutShort(log, "a test says so")
    cluster.wait(3000)
    #expect(cluster[leader].node?.isVoter("orders", 0) == true, "\(cluster.text)")
    let fresh = try #require(node.log("orders", 0))
    #expect(fresh != log)
    #expect(try store.failure(of: fresh) == nil)
    let now = try #require(try cluster.leader("orders"), "\(cluster.text)")
    #expect(try cluster.values("orders", at: now) == ["a", "b"])
    #expect(try cluster.produce("orders", ["c"]) == 2)
    cluster.wait(500)
    #expect(try store.bounds(of: fresh).end == Offset(3))
  }

  @Test func `damage that nobody has read is found and mended`() throws {
    let cluster = try ClusterHarness(settings: [("log.segment.bytes", "1048576")])
    #expect(try cluster.createTopic("orders") == .none)
    let value = String(repeating: "x", count: 40_000)
    for number in 0..<60 {
      #expect(try cluster.produce("orders", [value]) == Int64(number))
    }
    cluster.wait(2000)
    let leader = try #require(try cluster.leader("orders"))
    let other = leader % 3 + 1
    // All is in files, and after a start nothing is in memory.
    cluster.kill(other)
    let disk = cluster[other].disk
    let segments = try disk.names(in: "logs").flatMap { log in
      try disk.names(in: "logs/\(log)").filter { $0.hasSuffix(".log") }.map { "logs/\(log)/\($0)" }
    }
    let first = try #require(
      segments.filter { $0.hasSuffix("00000000000000000000.log") }.max {
        disk.contents(of: $0)?.count ?? 0 < disk.contents(of: $1)?.count ?? 0
      })
    disk.flip(first, byte: 500_000, mask: 4)
    try cluster.start(other)
    cluster.wait(20_000)
    #expect(cluster[other].node?.isVoter("orders", 0) == true, "\(cluster.text)")
    #expect(cluster[other].notices.contains { $0.contains("is damaged near byte") })
    let log = try #require(cluster.node(other).log("orders", 0), "\(cluster.text)")
    #expect(try cluster[other].store?.failure(of: log) == .some(nil))
    cluster.kill(leader)
    cluster.wait(1000)
    let now = try #require(try cluster.leader("orders"), "\(cluster.text)")
    #expect(try cluster.values("orders", at: now) == Array(repeating: value, count: 60))
  }

  @Test func `damage in the segment that grows is found and mended, though all is in memory`()
    throws
  {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    for number in 0..<3 {
      #expect(try cluster.produce("orders", ["value \(number)"]) == Int64(number))
    }
    let leader = try #require(try cluster.leader("orders"))
    let other = leader % 3 + 1
    let log = try #require(cluster.node(other).log("orders", 0))
    cluster[other].store?.startCheckpoint()
    cluster.wait(500)
    let path = "logs/\(log)/00000000000000000000.log"
    cluster[other].disk.flip(path, byte: 70, mask: 4)
    // Each log of the node has its turn.
    cluster.wait(20_000)
    let copy = try #require(cluster.node(other).log("orders", 0), "\(cluster.text)")
    #expect(copy != log, "\(cluster.text)")
    #expect(cluster[other].notices.contains { $0.contains("is damaged near byte") })
    #expect(cluster[other].node?.isVoter("orders", 0) == true, "\(cluster.text)")
    #expect(try cluster[other].store?.failure(of: copy) == .some(nil))
    cluster.kill(leader)
    cluster.wait(1000)
    #expect(try cluster.produce("orders", ["value 3"]) == 3)
  }

  /// Its log of the metadata, under whatever name.
  private func metadata(_ store: LogStore) throws -> LogID {
    let names = store.logIDs.compactMap { log in (try? store.name(of: log)).map { (log, $0) } }
    return try #require(names.last { $0.1.hasPrefix("@metadata") }).0
  }

  @Test(arguments: [true, false])
  func `a damaged log of the metadata is copied from the others`(isFoundAtStart: Bool) throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    for id: Int32 in [1, 2] {
      let store = try #require(cluster[id].store)
      let log = try metadata(store)
      if isFoundAtStart {
        // Found when it is read.
        store.startCheckpoint()
        cluster.settle()
        cluster.kill(id)
        let files = cluster[id].disk.files.filter {
          $0.hasPrefix("logs/\(log)/") && $0.hasSuffix(".log")
        }
        cluster[id].disk.flip(try #require(files.first), byte: 80, mask: 1)
        try cluster.start(id)
      } else {
        try store.failAsCutShort(log, "a test says so")
      }
      cluster.wait(3000)
      let after = try #require(cluster[id].store)
      let fresh = try metadata(after)
      #expect(fresh != log, "\(cluster.text)")
      #expect(try after.failure(of: fresh) == nil)
      // It knows what the others do, and what is decided now.
      #expect(try cluster.createTopic("after-\(id)", at: id) == .none)
      cluster.kill(id)
      try cluster.start(id)
      cluster.wait(2000)
      #expect(try cluster.leader("after-\(id)") != nil, "\(cluster.text)")
    }
    // Both are voters again: either is enough for the third.
    cluster.kill(2)
    cluster.wait(1000)
    #expect(try cluster.createTopic("third", at: 1) == .none, "\(cluster.text)")
    try cluster.start(2)
    cluster.wait(2000)
    cluster.kill(1)
    cluster.wait(1000)
    #expect(try cluster.createTopic("fourth", at: 2) == .none, "\(cluster.text)")
  }

  /// Who leads the metadata, its voters and its learners.
  private func quorum(
    _ cluster: ClusterHarness, at id: Int32
  ) throws -> (leader: Int32, voters: [Int32], learners: [Int32]) {
    let request = DescribeQuorumRequest.with {
      $0.topics = [
        .with {
          $0.topicName = "__cluster_metadata"
          $0.partitions = [.with { $0.partitionIndex = 0 }]
        }
      ]
    }
    let found = try cluster.call(request, version: 2, to: id).topics[0].partitions[0]
    return (
      found.leaderId, found.currentVoters.map(\.replicaId).sorted(),
      found.observers.map(\.replicaId).sorted()
    )
  }

  @Test(arguments: [true, false])
  func `a learner of the metadata whose log is damaged is repaired, whatever was decided since`(
    isFoundAtStart: Bool
  ) throws {
    let cluster = try ClusterHarness(count: 5)
    cluster.wait(3000)
    #expect(try quorum(cluster, at: 1).voters == [1, 2, 3, 4, 5], "\(cluster.text)")
    // Nodes 4 and 5 come back without anything. Of three voters one becomes none alone, and node 5
    // gets nothing: node 4 stays a learner.
    cluster.loses = { frame in
      let messages = (try? frame.groupMessages()) ?? []
      return frame.to == 5
        && messages.contains { group, message in
          guard group == .metadata, case .append = message.body else { return false }
          return true
        }
    }
    for id: Int32 in [4, 5] {
      cluster.kill(id)
      cluster[id].disk = VirtualDisk()
    }
    for id: Int32 in [4, 5] { try cluster.start(id) }
    cluster.wait(5000)
    let before = try quorum(cluster, at: 1)
    #expect(before.voters == [1, 2, 3] && before.learners == [4, 5], "\(cluster.text)")
    #expect(cluster[4].node?.hasStarted == true, "\(cluster.text)")
    let store = try #require(cluster[4].store)
    let log = try metadata(store)
    if isFoundAtStart {
      store.startCheckpoint()
      cluster.settle()
      cluster.kill(4)
      let files = cluster[4].disk.files.filter {
        $0.hasPrefix("logs/\(log)/") && $0.hasSuffix(".log")
      }
      cluster[4].disk.flip(try #require(files.first), byte: 80, mask: 1)
    } else {
      for id: Int32 in [1, 2, 3, 5] { cluster.cut(4, id) }
      try store.failAsCutShort(log, "a test says so")
    }
    // Another voter is taken out and in.
    let other = before.leader % 3 + 1
    cluster.kill(other)
    cluster[other].disk = VirtualDisk()
    try cluster.start(other)
    cluster.wait(5000)
    let after = try quorum(cluster, at: before.leader)
    #expect(after.leader == before.leader && after.voters == [1, 2, 3], "\(cluster.text)")
    if isFoundAtStart { try cluster.start(4) } else { cluster.heal() }
    cluster.wait(5000)
    let fresh = try #require(cluster[4].store)
    #expect(try metadata(fresh) != log)
    #expect(try fresh.failure(of: metadata(fresh)) == nil)
    #expect(cluster[4].node?.hasStarted == true, "\(cluster.text)")
    let made = try? cluster.createTopic("after", at: 4)
    #expect(made == ErrorCode.none, "\(cluster.text)")
    cluster.loses = { _ in false }
    cluster.wait(5000)
    #expect(try quorum(cluster, at: 1).voters == [1, 2, 3, 4, 5], "\(cluster.text)")
    // And it counts: with two gone, it is needed.
    cluster.kill(5)
    cluster.kill(other)
    cluster.wait(1000)
    #expect(try cluster.createTopic("last", at: 4) != .requestTimedOut, "\(cluster.text)")
  }

  @Test func `a node that was stopped does not answer as the leader it was`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    #expect(try cluster.produce("orders", ["a"]) == 0)
    let old = try #require(try cluster.leader("orders"))
    for id: Int32 in 1...3 where id != old { cluster.hold(old, id) }
    // It does not know yet that nobody hears it.
    var request = ListOffsetsRequest()
    var topic = ListOffsetsRequest.Topic()
    topic.name = "orders"
    var partition = ListOffsetsRequest.Partition()
    partition.timestamp = -1
    topic.partitions = [partition]
    request.topics = [topic]
    let origin = try cluster.send(request, version: 5, to: old)
    #expect(
      try cluster.response(to: origin, of: old, ListOffsetsRequest.self, version: 5) == nil)
    cluster.wait(3000)
    let answer = try #require(
      try cluster.response(to: origin, of: old, ListOffsetsRequest.self, version: 5))
    #expect(answer.topics[0].partitions[0].errorCode == .notLeaderOrFollower)
  }
}
