import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Replication
import Simulation
import Testing

/// A group's offsets when their log is shortened while a commit is on its way.
@Suite struct `A log of offsets that is shortened` {
  private func hasEntries(_ frame: NodeFrame, from leader: Int32) -> Bool {
    let messages = (try? frame.groupMessages()) ?? []
    return messages.contains { _, message in
      guard message.from.rawValue == leader, case .append(let request) = message.body
      else { return false }
      return !request.entries.isEmpty
    }
  }

  private func coordinator(_ cluster: ClusterHarness, at node: Int32) throws -> Int32 {
    for _ in 0..<50 {
      let found = try cluster.call(Requests.findCoordinator("g"), version: 3, to: node)
      if found.errorCode == .none, cluster[found.nodeId].node != nil { return found.nodeId }
      cluster.wait(100)
    }
    throw ClusterHarness.HarnessError.noAnswer(cluster.text)
  }

  private func commit(_ cluster: ClusterHarness, _ offset: Int64, at node: Int32) throws {
    for _ in 0..<50 {
      let answer = try cluster.call(Requests.commit("g", "t", offset), version: 7, to: node)
      if answer.topics[0].partitions[0].errorCode == .none { return }
      cluster.wait(100)
    }
    throw ClusterHarness.HarnessError.noAnswer(cluster.text)
  }

  private func committed(_ cluster: ClusterHarness, at node: Int32) throws -> Int64 {
    for _ in 0..<50 {
      let answer = try cluster.call(Requests.offsetFetch("g", "t"), version: 7, to: node)
      if answer.errorCode == .none { return answer.topics[0].partitions[0].committedOffset }
      cluster.wait(100)
    }
    throw ClusterHarness.HarnessError.noAnswer(cluster.text)
  }

  @Test(arguments: [false, true])
  func `keeps what was committed when what was under way is cut off`(isAlone: Bool) throws {
    let cluster = try ClusterHarness(
      count: isAlone ? 1 : 3,
      settings: isAlone
        ? [("default.replication.factor", "1"), ("offsets.topic.replication.factor", "1")] : []
    ) { $0.snapshotBytesMin = 2000 }
    #expect(try cluster.createTopic("t") == .none)
    let leader = try coordinator(cluster, at: 1)
    for offset in 1...5 as ClosedRange<Int64> { try commit(cluster, offset, at: leader) }
    // The next makes the log long, and its end is on no disk but the coordinator's.
    if isAlone {
      cluster.stalled.insert(1)
    } else {
      cluster.loses = { [self] in hasEntries($0, from: leader) }
    }
    let origin = try cluster.send(
      Requests.commit("g", "t", 6, metadata: String(repeating: "m", count: 3000)), version: 7,
      to: leader)
    cluster.wait(300)
    let answer = try cluster.response(
      to: origin, of: leader, OffsetCommitRequest.self, version: 7)
    #expect(answer == nil)
    cluster.powerCut(leader)
    cluster.stalled = []
    cluster.loses = { _ in false }
    if isAlone { try cluster.start(1) } else { cluster.wait(2000) }
    let next = try coordinator(cluster, at: isAlone ? 1 : leader % 3 + 1)
    #expect(try committed(cluster, at: next) == 5)
  }

  @Test func `begins later once all that was under way is committed`() throws {
    let cluster = try ClusterHarness { $0.snapshotBytesMin = 2000 }
    #expect(try cluster.createTopic("t") == .none)
    let leader = try coordinator(cluster, at: 1)
    try commit(cluster, 1, at: leader)
    cluster.loses = { [self] in hasEntries($0, from: leader) }
    _ = try cluster.send(
      Requests.commit("g", "t", 2, metadata: String(repeating: "m", count: 3000)), version: 7,
      to: leader)
    cluster.wait(300)
    #expect(try offsetsStart(cluster[leader]) == 0)
    cluster.loses = { _ in false }
    cluster.wait(2000)
    #expect(try offsetsStart(cluster[leader]) > 0)
    #expect(try committed(cluster, at: leader) == 2)
  }

  /// Nothing else is written but the metadata.
  private func offsetsStart(_ member: ClusterHarness.Member) throws -> Int64 {
    let store = try #require(member.store)
    for log in store.logIDs where try !store.name(of: log).hasPrefix("@metadata") {
      let bounds = try store.bounds(of: log)
      if bounds.end.rawValue > 0 { return bounds.start.rawValue }
    }
    throw ClusterHarness.HarnessError.noAnswer("no log of offsets")
  }
}
