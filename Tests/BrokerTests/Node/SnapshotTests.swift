import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Simulation
import Testing

/// The logs that the machines write for themselves begin anew before they grow for ever, and say
/// the same as before.
@Suite struct `Logs of the machines` {
  private static func harness(
    _ disk: VirtualDisk = VirtualDisk(), now: Int64 = 1_700_000_100_000
  ) throws -> NodeHarness {
    try NodeHarness(disk, now: now) { $0.snapshotBytesMin = 4000 }
  }

  private func offsetsBounds(_ harness: NodeHarness) throws -> LogBounds {
    // Nothing is produced in these tests: the only other log with records.
    for log in harness.store.logIDs where try harness.store.name(of: log) != "@metadata" {
      let bounds = try harness.store.bounds(of: log)
      if bounds.end.rawValue > 0 { return bounds }
    }
    throw NodeHarness.HarnessError.noAnswer
  }

  @Test func `committed offsets do not grow for ever, and are all there after a restart`() throws {
    let harness = try Self.harness()
    #expect(try harness.createTopic("t") == .none)
    var expected: [String: Int64] = [:]
    for round in 1...60 {
      for group in ["a", "b", "c", "d"] {
        #expect(try harness.commit(group, "t", Int64(round)) == .none)
        expected[group] = Int64(round)
      }
      harness.wait(100)
    }
    let bounds = try offsetsBounds(harness)
    #expect(bounds.start.rawValue > 200)
    #expect(bounds.end.rawValue - bounds.start.rawValue < 60)
    let next = try Self.harness(harness.disk.afterKill { _ in true })
    for (group, offset) in expected { #expect(try next.committed(group, "t") == offset) }
    #expect(next.notices == [])
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func `a crash at any point of a snapshot leaves what was acknowledged`(seed: UInt64) throws {
    let harness = try Self.harness()
    var random = SeededGenerator(seed: seed)
    #expect(try harness.createTopic("t") == .none)
    let groups = (0..<8).map { "group-\($0)" }
    var acknowledged: [String: Int64] = [:]
    var sent: [String: Int64] = [:]
    var waiting: [(RequestOrigin, String, Int64)] = []
    for group in groups {
      _ = try harness.commit(group, "t", 0)
      acknowledged[group] = 0
      sent[group] = 0
    }
    var crashes = 0
    var startsSeen: Set<Int64> = []
    func crash() throws {
      crashes += 1
      let after =
        random.oneIn(4)
        ? harness.disk.afterKill { _ in random.oneIn(2) }
        : harness.disk.afterPowerCut { _ in random.oneIn(2) }
      let next = try Self.harness(after, now: harness.now)
      for group in groups {
        let found = try next.committed(group, "t")
        let range = (acknowledged[group] ?? 0)...(sent[group] ?? 0)
        #expect(range.contains(found), "\(group) after crash \(crashes)")
      }
    }
    for round in 1...40 {
      // Some are under way when the snapshot is taken.
      for group in groups where random.oneIn(2) {
        let origin = try harness.send(Requests.commit(group, "t", Int64(round)), version: 7)
        sent[group] = Int64(round)
        waiting.append((origin, group, Int64(round)))
      }
      harness.pass(100)
      repeat {
        for (origin, group, offset) in waiting {
          guard
            try harness.response(to: origin, OffsetCommitRequest.self, version: 7)?
              .topics[0].partitions[0].errorCode == ErrorCode.none
          else { continue }
          acknowledged[group] = max(acknowledged[group] ?? 0, offset)
        }
        if random.oneIn(6) { try crash() }
      } while harness.step()
      startsSeen.insert(try offsetsBounds(harness).start.rawValue)
    }
    #expect(startsSeen.count > 2, "the log began anew more than once")
    #expect(crashes > 10)
  }

  @Test func `a group with members is remembered across snapshots and restarts`() throws {
    let harness = try Self.harness()
    #expect(try harness.createTopic("t") == .none)
    _ = try harness.commit("other", "t", 1)
    let join = JoinGroupRequest.with { request in
      request.groupId = "g"
      request.sessionTimeoutMs = 60_000
      request.rebalanceTimeoutMs = 60_000
      request.protocolType = "consumer"
      request.protocols = [.with { $0.name = "range" }]
    }
    // Version 3 needs no member id to begin with.
    let origin = try harness.send(join, version: 3)
    harness.wait(200)
    let joined = try #require(
      try harness.response(to: origin, JoinGroupRequest.self, version: 3))
    let synced = try harness.call(
      SyncGroupRequest.with { request in
        request.groupId = "g"
        request.memberId = joined.memberId
        request.generationId = joined.generationId
        request.assignments = [
          .with {
            $0.memberId = joined.memberId
            $0.assignment = [1, 2, 3]
          }
        ]
      }, version: 2)
    #expect(synced.errorCode == .none)
    for round in 0..<200 {
      _ = try harness.commit("other", "t", Int64(round))
      if round % 10 == 0 { harness.wait(100) }
    }
    #expect(try offsetsBounds(harness).start.rawValue > 50)
    let next = try Self.harness(harness.disk.afterKill { _ in true }, now: harness.now)
    let described = try next.call(
      DescribeGroupsRequest.with { $0.groups = ["g"] }, version: 5
    ).groups[0]
    #expect(described.groupState == "Stable")
    #expect(described.members.map(\.memberId) == [joined.memberId])
    #expect(described.members.map { Array($0.memberAssignment) } == [[1, 2, 3]])
  }

  @Test func `the metadata log begins with a snapshot, and a crash on the way changes nothing`()
    throws
  {
    let harness = try Self.harness()
    var random = SeededGenerator(seed: 3)
    for index in 0..<5 {
      #expect(try harness.createTopic("topic-\(index)", partitions: 2) == .none)
    }
    let log = try #require(harness.store.log(named: "@metadata"))
    var acknowledged = 0
    for round in 1...150 {
      let request = Requests.alter("topic-0", ["retention.ms": "\(round)"])
      let origin = try harness.send(request, version: 1)
      harness.pass(100)
      repeat {
        let answer = try harness.response(
          to: origin, IncrementalAlterConfigsRequest.self, version: 1)
        if answer != nil { acknowledged = round }
        guard random.oneIn(60) else { continue }
        let after = harness.disk.afterPowerCut { _ in random.oneIn(2) }
        let next = try Self.harness(after, now: harness.now)
        let found = try next.retention(of: "topic-0")
        #expect((acknowledged...round).contains(Int(found) ?? -1))
        #expect(try next.topicNames() == (0..<5).map { "topic-\($0)" })
      } while harness.step()
    }
    let bounds = try harness.store.bounds(of: log)
    #expect(bounds.start.rawValue > 50)
    let next = try Self.harness(harness.disk.afterKill { _ in true }, now: harness.now)
    #expect(try next.retention(of: "topic-0") == "150")
    #expect(try next.topicNames() == (0..<5).map { "topic-\($0)" })
    // And it goes on from there.
    #expect(try next.createTopic("one-more") == .none)
    #expect(try next.createTopic("topic-3") == .topicAlreadyExists)
  }

  @Test func `offsets that cannot be read are told of, and nobody is given wrong ones`() throws {
    let harness = try Self.harness()
    #expect(try harness.createTopic("t") == .none)
    _ = try harness.commit("the-group-name", "t", 7)
    harness.store.startCheckpoint()
    harness.wait(500)
    let disk = harness.disk.afterKill { _ in true }
    let path = try #require(
      disk.files.first { path in
        path.hasSuffix(".log")
          && String(decoding: disk.contents(of: path) ?? [], as: UTF8.self).contains(
            "the-group-name")
      })
    disk.flip(path, byte: 70, mask: 0xff)
    let next = try Self.harness(disk, now: harness.now)
    #expect(next.notices.contains { $0.contains("__consumer_offsets partition 0") })
    #expect(throws: ErrorCode.coordinatorLoadInProgress) {
      try next.committed("the-group-name", "t")
    }
    #expect(try next.commit("the-group-name", "t", 9) == .coordinatorLoadInProgress)
    #expect(try next.produce("t", ["goes on"]) == 0)
  }
}

extension NodeHarness {
  func retention(of topic: String) throws -> String {
    let response = try call(
      DescribeConfigsRequest.with { request in
        request.resources = [
          .with {
            $0.resourceType = 2
            $0.resourceName = topic
            $0.configurationKeys = ["retention.ms"]
          }
        ]
      }, version: 1)
    return response.results[0].configs.first?.value ?? ""
  }

  /// Names of the topics that clients made, in order.
  func topicNames() throws -> [String] {
    let response = try call(MetadataRequest.with { $0.topics = nil }, version: 7)
    return response.topics.filter { !$0.isInternal }.map { $0.name ?? "" }.sorted()
  }
}

extension Requests {
  static func alter(
    _ topic: String, _ configs: [String: String]
  ) -> IncrementalAlterConfigsRequest {
    .with { request in
      request.resources = [
        .with { resource in
          resource.resourceType = 2
          resource.resourceName = topic
          resource.configs = configs.sorted { $0.key < $1.key }.map { name, value in
            .with {
              $0.name = name
              $0.value = value
            }
          }
        }
      ]
    }
  }
}
