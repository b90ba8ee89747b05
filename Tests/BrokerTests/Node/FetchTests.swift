import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Simulation
import Testing

@Suite struct `A fetch that waits` {
  private func harness() throws -> NodeHarness {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t", partitions: 2) == .none)
    return harness
  }

  private func values(_ harness: NodeHarness, _ origin: RequestOrigin) throws -> [String]? {
    try harness.response(to: origin, FetchRequest.self, version: 12)?.values()
  }

  @Test func `is answered when its time is over, with what there is`() throws {
    let harness = try harness()
    let origin = try harness.send(
      Requests.fetch("t", maxWait: 500, minBytes: 1 << 20), version: 12)
    try harness.produce("t", ["little"])
    #expect(try values(harness, origin) == nil)
    harness.wait(400)
    #expect(try values(harness, origin) == nil)
    harness.wait(200)
    #expect(try values(harness, origin) == ["little"])
  }

  @Test func `is answered by the append that makes it enough, and not by one elsewhere`() throws {
    let harness = try harness()
    let origin = try harness.send(
      Requests.fetch("t", maxWait: 60_000, minBytes: 150), version: 12)
    try harness.produce("t", ["elsewhere"], partition: 1)
    try harness.produce("t", ["a"])
    #expect(try values(harness, origin) == nil)
    try harness.produce("t", ["b", String(repeating: "c", count: 80)])
    #expect(try values(harness, origin)?.count == 3)
  }

  @Test func `does not wait with an error, nor without partitions, nor for no bytes`() throws {
    let harness = try harness()
    let unknown = try harness.call(
      Requests.fetch("nothing", maxWait: 60_000), version: 12)
    #expect(unknown.responses[0].partitions[0].errorCode == .unknownTopicOrPartition)
    let beyond = try harness.call(Requests.fetch("t", from: 5, maxWait: 60_000), version: 12)
    #expect(beyond.responses[0].partitions[0].errorCode == .offsetOutOfRange)
    #expect(beyond.responses[0].partitions[0].highWatermark == -1)
    let none = try harness.call(FetchRequest.with { $0.maxWaitMs = 60_000 }, version: 12)
    #expect(none.responses.isEmpty)
    let zero = try harness.call(
      Requests.fetch("t", maxWait: 60_000, minBytes: 0), version: 12)
    #expect(try zero.values() == [])
  }

  @Test func `is answered with an error when its topic is deleted`() throws {
    let harness = try harness()
    let origin = try harness.send(Requests.fetch("t", maxWait: 60_000), version: 12)
    _ = try harness.call(Requests.deleteTopic("t"), version: 3, connection: 2)
    let response = try #require(
      try harness.response(to: origin, FetchRequest.self, version: 12))
    #expect(response.responses[0].partitions[0].errorCode == .unknownTopicOrPartition)
  }

  @Test func `is forgotten with its connection`() throws {
    let harness = try harness()
    let origin = try harness.send(Requests.fetch("t", maxWait: 200), version: 12, connection: 9)
    harness.node.connectionClosed(ConnectionID(9))
    try harness.produce("t", ["a"])
    harness.wait(1000)
    #expect(try values(harness, origin) == nil)
  }

  @Test func `many that wait are answered in the order of their deadlines`() throws {
    let harness = try harness()
    let waits: [Int32] = [900, 100, 500, 300, 700]
    let origins = try waits.map {
      try harness.send(Requests.fetch("t", maxWait: $0), version: 12)
    }
    for step in 1...5 {
      harness.wait(200)
      let answered = try origins.map { try values(harness, $0) != nil }
      #expect(answered == waits.map { Int($0) <= step * 200 })
    }
  }
}

@Suite struct `A fetch of what is not in memory` {
  /// What an earlier process has written: nothing of it is in this one's memory.
  private func reopened(_ before: NodeHarness) throws -> NodeHarness {
    try NodeHarness(before.disk.afterKill { _ in true })
  }

  @Test func `waits for the disk without holding anybody up`() throws {
    let before = try NodeHarness()
    #expect(try before.createTopic("t") == .none)
    let text = String(repeating: "v", count: 1000)
    for _ in 0..<100 { try before.produce("t", [text]) }
    let harness = try reopened(before)
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    // Its time is over long before the disk is done: it is answered with records all the same.
    let origin = try harness.send(Requests.fetch("t", maxWait: 100), version: 12)
    harness.wait(500)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) == nil)
    #expect(harness.store.readsAheadBegun == 1)
    #expect(try harness.produce("t", ["meanwhile"]) == 100)
    harness.holdsBack = { _ in false }
    harness.settle()
    let response = try #require(
      try harness.response(to: origin, FetchRequest.self, version: 12))
    #expect(try response.values().count == 101)
    #expect(harness.node.metrics.coldFetches == 1)
    // It is in memory now.
    _ = try harness.call(Requests.fetch("t"), version: 12)
    #expect(harness.store.readsAheadBegun == 1)
  }

  @Test func `by time waits for the disk, too`() throws {
    let before = try NodeHarness()
    #expect(try before.createTopic("t", configs: ["segment.bytes": "1048576"]) == .none)
    let text = String(repeating: "v", count: 40_000)
    for _ in 0..<100 { try before.produce("t", [text]) }
    for timestamp in [1_700_000_000_000, -3] as [Int64] {
      let harness = try reopened(before)
      harness.holdsBack = { if case .load = $0 { true } else { false } }
      var request = ListOffsetsRequest()
      var topic = ListOffsetsRequest.Topic()
      topic.name = "t"
      var partition = ListOffsetsRequest.Partition()
      partition.timestamp = timestamp
      partition.currentLeaderEpoch = -1
      topic.partitions = [partition]
      request.topics = [topic]
      let origin = try harness.send(request, version: 7)
      harness.wait(500)
      #expect(try harness.response(to: origin, ListOffsetsRequest.self, version: 7) == nil)
      #expect(harness.store.readsAheadBegun > 0)
      #expect(try harness.produce("t", ["meanwhile"]) == 100)
      harness.holdsBack = { _ in false }
      harness.settle()
      let response = try #require(
        try harness.response(to: origin, ListOffsetsRequest.self, version: 7))
      #expect(response.topics[0].partitions[0].errorCode == .none)
      #expect(response.topics[0].partitions[0].offset == 0)
      // The segment's first part, and not all of it, let alone all segments.
      #expect(harness.store.readsAheadBegun <= 3)
      // A node that stops answers who still waits.
      let again = try reopened(before)
      again.holdsBack = { if case .load = $0 { true } else { false } }
      let last = try again.send(request, version: 7)
      again.node.stop(now: again.time)
      again.wait(100)
      #expect(try again.response(to: last, ListOffsetsRequest.self, version: 7) != nil)
    }
  }

  @Test func `at the end of the log reads nothing ahead`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    try harness.produce("t", ["a"])
    let origin = try harness.send(Requests.fetch("t", from: 1, maxWait: 5000), version: 12)
    try harness.produce("t", ["b"])
    let response = try #require(
      try harness.response(to: origin, FetchRequest.self, version: 12))
    #expect(try response.values() == ["b"])
    #expect(harness.store.readsAheadBegun == 0)
  }

  @Test func `is given up by a client that is gone`() throws {
    let before = try NodeHarness()
    #expect(try before.createTopic("t") == .none)
    for _ in 0..<100 { try before.produce("t", ["a"]) }
    let harness = try reopened(before)
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    let origin = try harness.send(Requests.fetch("t"), version: 12, connection: 5)
    harness.node.connectionClosed(ConnectionID(5))
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) == nil)
  }

  @Test func `is answered by a node that stops`() throws {
    let before = try NodeHarness()
    #expect(try before.createTopic("t") == .none)
    for _ in 0..<100 { try before.produce("t", ["a"]) }
    let harness = try reopened(before)
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    let origin = try harness.send(Requests.fetch("t"), version: 12, connection: 6)
    harness.node.stop(now: harness.time)
    harness.wait(100)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) != nil)
  }

  /// A node whose tails hold little, so that what was written before is only in the files, and
  /// checked already.
  private func harness(readBytes: Int, blockBytes: Int) throws -> NodeHarness {
    var options = NodeHarness.storeOptions
    options.journal.fileBytes = 4 << 20
    options.journal.groupBytesMax = 512 << 10
    options.tails.bytesMax = 2 << 20
    options.reads.bytesMax = readBytes
    options.reads.blockBytes = blockBytes
    return try NodeHarness(storeOptions: options)
  }

  private func pushOut(_ harness: NodeHarness) throws {
    #expect(try harness.createTopic("other") == .none)
    let text = String(repeating: "o", count: 400_000)
    for _ in 0..<8 { try harness.produce("other", [text]) }
  }

  @Test func `has what it answers from memory still there, whatever else it would read`() throws {
    let harness = try harness(readBytes: 24 << 20, blockBytes: 1 << 20)
    #expect(try harness.createTopic("t", partitions: 30) == .none)
    // More than one block each, of which one is asked for.
    let text = String(repeating: "v", count: 370_000)
    for partition in 0..<30 as Range<Int32> {
      for _ in 0..<3 { try harness.produce("t", [text], partition: partition) }
    }
    try pushOut(harness)
    var request = Requests.fetch("t")
    let asked = request.topics[0].partitions[0]
    request.topics[0].partitions = (0..<30 as Range<Int32>).map { index in
      var part = asked
      part.partition = index
      return part
    }
    let origin = try harness.send(request, version: 12)
    harness.settle()
    #expect(harness.node.metrics.coldFetches == 1)
    #expect(try harness.isInMemory(origin))
    let response = try #require(
      try harness.response(to: origin, FetchRequest.self, version: 12))
    let answered = response.responses[0].partitions.map { ($0.records?.count ?? 0) >> 20 }
    // As many as there is memory for; the others are for the next fetch.
    #expect(answered == (0..<30).map { $0 < 24 ? 1 : 0 })
  }

  @Test func `reads all of a first batch that is larger than what was asked for`() throws {
    let harness = try harness(readBytes: 1 << 20, blockBytes: 16 << 10)
    #expect(try harness.createTopic("t") == .none)
    let text = String(repeating: "v", count: 200_000)
    for _ in 0..<3 { try harness.produce("t", [text]) }
    try pushOut(harness)
    var request = Requests.fetch("t", from: 1)
    request.topics[0].partitions[0].partitionMaxBytes = 1000
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    let origin = try harness.send(request, version: 12)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) == nil)
    // What was asked for is there; the rest of the batch is not.
    let begun = harness.disk.inFlight.count
    for _ in 0..<begun { harness.node.complete(harness.disk.step()) }
    harness.wait(500)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) == nil)
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(try harness.isInMemory(origin))
    let response = try #require(
      try harness.response(to: origin, FetchRequest.self, version: 12))
    #expect(try response.values() == [text])
    #expect(harness.node.metrics.coldFetches == 2)
  }
}
