import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Records
import Simulation
import Testing

/// What clients and people are told by a node whose disk has lost or changed what it had.
@Suite struct `A node with a damaged log` {
  private static let marker = "the record that is hit"

  /// Two topics, each with three records, of which the second of `hit` is the marked one.
  private func filled(checkpoint: Bool) throws -> VirtualDisk {
    let harness = try NodeHarness()
    for topic in ["hit", "well"] { #expect(try harness.createTopic(topic) == .none) }
    harness.store.startCheckpoint()
    harness.settle()
    for value in ["first", Self.marker, "third"] {
      try harness.produce("hit", [value])
      try harness.produce("well", ["well"])
    }
    harness.wait(2000)
    if checkpoint {
      harness.store.startCheckpoint()
      harness.settle()
    }
    return harness.disk.afterKill { _ in true }
  }

  /// Changes a byte of the marked record wherever it is, in files whose paths begin with `prefix`.
  private func damage(_ disk: VirtualDisk, _ prefix: String) {
    let pattern = Array(Self.marker.utf8)
    var hits = 0
    for path in disk.files where path.hasPrefix(prefix) {
      let bytes = disk.contents(of: path) ?? []
      guard bytes.count >= pattern.count else { continue }
      for start in 0...bytes.count - pattern.count
      where bytes[start] == pattern[0] && bytes[start..<start + pattern.count] == pattern[...] {
        disk.flip(path, byte: start, mask: 1)
        hits += 1
      }
    }
    #expect(hits > 0, "the record is nowhere under \(prefix)")
  }

  private func fetch(_ harness: NodeHarness, from offset: Int64, topic: String = "hit") throws
    -> FetchResponse.Partition
  {
    try harness.call(Requests.fetch(topic, from: offset), version: 12).responses[0].partitions[0]
  }

  private func offset(_ harness: NodeHarness, at timestamp: Int64, topic: String = "hit") throws
    -> ListOffsetsResponse.Partition
  {
    var asked = ListOffsetsRequest.Topic()
    asked.name = topic
    asked.partitions = [.init()]
    asked.partitions[0].timestamp = timestamp
    let request = ListOffsetsRequest.with { $0.topics = [asked] }
    return try harness.call(request, version: 7).topics[0].partitions[0]
  }

  /// What the pages and the log say of `hit`, and only of it.
  private func expectTold(_ harness: NodeHarness) {
    let lines = harness.notices.filter { $0.contains("takes no more records") }
    #expect(lines.count == 1, "\(harness.notices)")
    #expect(lines.first?.contains("topic 'hit', partition 0") == true)
    #expect(lines.first?.contains("restore the data directory") == true)
    let health = StatusPages.respond("/health", harness.node)
    #expect(health.status == 503)
    #expect(health.body.hasPrefix("1 log has failed"))
    #expect(health.body.contains("topic 'hit', partition 0"))
    let metrics = StatusPages.respond("/metrics", harness.node).body
    let samples = metrics.split(separator: "\n").filter { $0.hasPrefix("martlet_log_failed{") }
    #expect(samples == [#"martlet_log_failed{topic="hit",partition="0"} 1"#])
  }

  @Test func `that is whole says nothing`() throws {
    let harness = try NodeHarness(filled(checkpoint: false))
    #expect(StatusPages.respond("/health", harness.node).body == "ok\n")
    #expect(!StatusPages.respond("/metrics", harness.node).body.contains("log_failed{"))
    #expect(harness.notices.filter { $0.contains("failed") } == [])
  }

  @Test func `whose end is lost says so, and gives nobody a shorter end`() throws {
    let disk = try filled(checkpoint: false)
    damage(disk, "journal/")
    var harness = try NodeHarness(disk)
    // At the next start, too, when the journal is whole again.
    for _ in 0..<2 {
      expectTold(harness)
      #expect(try fetch(harness, from: 0).values() == ["first"])
      for beyond in 1...4 as ClosedRange<Int64> {
        #expect(try fetch(harness, from: beyond).errorCode == .kafkaStorageError)
      }
      for timestamp in [-1, -3, 1_800_000_000_000] as [Int64] {
        #expect(try offset(harness, at: timestamp).errorCode == .kafkaStorageError)
      }
      #expect(try offset(harness, at: -2).offset == 0)
      #expect(try offset(harness, at: 0).offset == 0)
      #expect(throws: ErrorCode.kafkaStorageError) { try harness.produce("hit", ["more"]) }
      #expect(try fetch(harness, from: 3, topic: "well").errorCode == .none)
      #expect(try offset(harness, at: -1, topic: "well").offset == 3)
      harness = try NodeHarness(harness.disk.afterKill { _ in true })
    }
  }

  @Test func `that a client follows by epochs does not have it cut back`() throws {
    let disk = try filled(checkpoint: false)
    damage(disk, "journal/")
    let harness = try NodeHarness(disk)
    var request = Requests.fetch("hit", from: 3)
    request.topics[0].partitions[0].lastFetchedEpoch = 0
    let part = try harness.call(request, version: 12).responses[0].partitions[0]
    #expect(part.errorCode == .kafkaStorageError)
    #expect(part.divergingEpoch.endOffset == -1)
    var asked = OffsetForLeaderEpochRequest.Topic()
    asked.topic = "hit"
    asked.partitions = [.init()]
    asked.partitions[0].leaderEpoch = 0
    let answer = try harness.call(
      OffsetForLeaderEpochRequest.with { $0.topics = [asked] }, version: 3)
    #expect(answer.topics[0].partitions[0].errorCode == .kafkaStorageError)
  }

  @Test func `that a reader finds damaged says so once, and keeps its end`() throws {
    let disk = try filled(checkpoint: true)
    damage(disk, "logs/")
    let harness = try NodeHarness(disk)
    #expect(StatusPages.respond("/health", harness.node).body == "ok\n")
    for _ in 0..<2 {
      #expect(try fetch(harness, from: 0).errorCode == .kafkaStorageError)
      expectTold(harness)
    }
    #expect(try offset(harness, at: -1).offset == 3)
    #expect(try fetch(harness, from: 4).errorCode == .offsetOutOfRange)
  }

  @Test func `that is gone with the journal is not made again as if it had been empty`() throws {
    let first = try NodeHarness()
    #expect(try first.createTopic("hit") == .none)
    try first.produce("hit", ["first"])
    first.wait(2000)
    let disk = first.disk.afterKill { _ in true }
    // The frame that makes the log, of which the payload ends with the log's name: the topic's id.
    let name = try #require(
      first.store.logIDs.compactMap { try? first.store.name(of: $0) }.first { $0 != "@metadata" })
    let pattern = Array(name.utf8)
    for path in disk.files where path.hasPrefix("journal/") {
      let bytes = disk.contents(of: path) ?? []
      for start in 0...max(0, bytes.count - pattern.count)
      where bytes[start..<min(bytes.count, start + pattern.count)] == pattern[...] {
        disk.flip(path, byte: start, mask: 1)
      }
    }
    var harness = try NodeHarness(disk)
    for _ in 0..<2 {
      expectTold(harness)
      #expect(try fetch(harness, from: 0).errorCode == .kafkaStorageError)
      #expect(throws: ErrorCode.kafkaStorageError) { try harness.produce("hit", ["more"]) }
      harness = try NodeHarness(harness.disk.afterKill { _ in true })
    }
  }
}
