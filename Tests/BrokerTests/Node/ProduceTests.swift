import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Records
import Simulation
import Testing

private func isJournalWrite(_ operation: DiskOperation) -> Bool {
  if case .write(_, _, _, durable: true) = operation { true } else { false }
}

@Suite struct `A node's answers` {
  @Test func `wait for the disk`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    harness.holdsBack = isJournalWrite
    let origin = try harness.send(Requests.produce("t", ["a"]), version: 9)
    harness.wait(1000)
    #expect(try harness.response(to: origin, ProduceRequest.self, version: 9) == nil)
    harness.holdsBack = { _ in false }
    harness.settle()
    let response = try #require(
      try harness.response(to: origin, ProduceRequest.self, version: 9))
    #expect(response.responses[0].partitionResponses[0].errorCode == .none)
  }

  @Test func `to DeleteRecords wait for the new start, not for what came before it`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    try harness.produce("t", ["a", "b", "c"])
    harness.holdsBack = isJournalWrite
    let produce = try harness.send(Requests.produce("t", ["d"]), version: 9)
    // Its frame is in the next group; the log's end is the one that the first group makes durable.
    let delete = try harness.send(Requests.deleteRecords("t", before: 2), version: 1)
    var written = 0
    harness.holdsBack = { operation in
      guard isJournalWrite(operation) else { return false }
      return written > 0
    }
    #expect(harness.step())
    written = 1
    while harness.step() {}
    #expect(try harness.response(to: produce, ProduceRequest.self, version: 9) != nil)
    #expect(try harness.response(to: delete, DeleteRecordsRequest.self, version: 1) == nil)
    harness.holdsBack = { _ in false }
    harness.settle()
    let response = try #require(
      try harness.response(to: delete, DeleteRecordsRequest.self, version: 1))
    #expect(response.topics[0].partitions[0].errorCode == .none)
    #expect(response.topics[0].partitions[0].lowWatermark == 2)
    let fetched = try harness.call(Requests.fetch("t", from: 1), version: 12)
    #expect(fetched.responses[0].partitions[0].errorCode == .offsetOutOfRange)
    // Whole batches: the client passes over what it did not ask for.
    let left = try harness.call(Requests.fetch("t", from: 2), version: 12)
    #expect(left.responses[0].partitions[0].logStartOffset == 2)
    #expect(try left.values() == ["a", "b", "c", "d"])
  }

  @Test func `to produces that find no room say so in time, and nothing is appended later`() throws
  {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    harness.holdsBack = isJournalWrite
    let value = String(repeating: "x", count: 30_000)
    var origins: [RequestOrigin] = []
    for _ in 0..<40 {
      origins.append(
        try harness.send(Requests.produce("t", [value], timeout: 500), version: 9))
    }
    let log = try #require(try harness.log(of: "t"))
    let end = try harness.store.bounds(of: log).end
    #expect(end.rawValue < 40, "the journal had room for all")
    harness.wait(1000)
    for origin in origins {
      let response = try #require(
        try harness.response(to: origin, ProduceRequest.self, version: 9))
      #expect(response.responses[0].partitionResponses[0].errorCode == .requestTimedOut)
    }
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(try harness.store.bounds(of: log).end == end)
    #expect(try harness.produce("t", ["next"]) == end.rawValue)
  }

  @Test func `to a batch that does not begin at zero, or to no batch, are refusals`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    var request = try Requests.produce("t", ["a"])
    request.topicData[0].partitionData[0].records?[7] = 5
    let refused = try harness.call(request, version: 9)
    #expect(refused.responses[0].partitionResponses[0].errorCode == .invalidRecord)
    request.topicData[0].partitionData[0].records = nil
    let origin = try harness.send(request, version: 9)
    #expect(harness.isClosed(origin))
    #expect(try harness.produce("t", ["b"]) == 0)
  }

  @Test func `count how long appends take, apart from requests`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    var time: UInt64 = 1
    harness.node.nanoseconds = { time }
    harness.holdsBack = isJournalWrite
    _ = try harness.send(Requests.produce("t", ["a"]), version: 9)
    time += 3_000_000
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(harness.node.metrics.appendLatency.count == 1)
    #expect(harness.node.metrics.appendLatency.sumMicroseconds == 3000)
    // A node that is alone is a majority.
    #expect(harness.node.metrics.commitLatency.count == 1)
    #expect(harness.node.metrics.commitLatency.sumMicroseconds == 3000)
  }
}

@Suite struct `The bytes of a produce request` {
  private func size(_ request: ProduceRequest) -> Int {
    request.topicData[0].partitionData[0].records?.count ?? 0
  }

  @Test func `are let go with its answer, each as it is answered`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    harness.holdsBack = isJournalWrite
    let request = try Requests.produce("t", [String(repeating: "x", count: 20_000)])
    var sent: [(origin: RequestOrigin, pool: ArrayPool)] = []
    // Each is in a group of the journal of its own.
    for _ in 0..<4 {
      let pool = ArrayPool(bytesMax: 1 << 20)
      sent.append((try harness.send(request, version: 9, from: pool), pool))
      #expect(pool.take(room: size(request)) == nil)
    }
    harness.holdsBack = { _ in false }
    var left = sent[...]
    while harness.step() {
      // No time passes, so no tick lets go of what an answer did not.
      while let first = left.first,
        try harness.response(to: first.origin, ProduceRequest.self, version: 9) != nil
      {
        #expect(first.pool.take(room: size(request)) != nil)
        left.removeFirst()
      }
      for (_, pool) in left { #expect(pool.take(room: size(request)) == nil) }
    }
    #expect(left.isEmpty)
  }

  @Test func `are not kept by an older one that is not answered`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    harness.holdsBack = isJournalWrite
    let text = String(repeating: "x", count: 30_000)
    let patient = try harness.send(Requests.produce("t", [text]), version: 9)
    // There is no room for the last of these, which are over soon.
    var sent: [(origin: RequestOrigin, pool: ArrayPool)] = []
    let request = try Requests.produce("t", [text], timeout: 500)
    for _ in 0..<40 {
      let pool = ArrayPool(bytesMax: 1 << 20)
      sent.append((try harness.send(request, version: 9, from: pool), pool))
    }
    let last = try #require(sent.last)
    harness.wait(300)
    #expect(last.pool.take(room: size(request)) == nil)
    harness.wait(500)
    #expect(try harness.response(to: last.origin, ProduceRequest.self, version: 9) != nil)
    #expect(try harness.response(to: patient, ProduceRequest.self, version: 9) == nil)
    #expect(last.pool.take(room: size(request)) != nil)
    harness.holdsBack = { _ in false }
    harness.settle()
    let answer = try #require(
      try harness.response(to: patient, ProduceRequest.self, version: 9))
    #expect(answer.responses[0].partitionResponses[0].errorCode == .none)
    // With the answer to the oldest all are gone.
    #expect(sent.dropLast().allSatisfy { $0.pool.take(room: size(request)) != nil })
  }
}

@Suite struct `A node that is started again` {
  @Test func `has its topics, records, producers and offsets`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t", partitions: 3, configs: ["retention.ms": "-1"]) == .none)
    try harness.produce("t", ["a", "b"], partition: 2)
    #expect(try harness.commit("g", "t", 2) == .none)
    _ = try harness.call(Requests.deleteRecords("t", before: 0), version: 1)
    var producing = try Requests.produce("t", ["once"])
    producing.topicData[0].partitionData[0].records = try idempotent("once")[...]
    let first = try harness.call(producing, version: 9)
    #expect(first.responses[0].partitionResponses[0].baseOffset == 0)

    let next = try NodeHarness(harness.disk.afterKill { _ in true }, now: harness.now)
    #expect(try next.topicNames() == ["t"])
    #expect(try next.retention(of: "t") == "-1")
    #expect(try next.committed("g", "t") == 2)
    let fetched = try next.call(Requests.fetch("t", partition: 2), version: 12)
    #expect(try fetched.values() == ["a", "b"])
    let again = try next.call(producing, version: 9)
    #expect(again.responses[0].partitionResponses[0].baseOffset == 0, "a duplicate")
    #expect(try next.produce("t", ["next"]) == 1)
  }

  private func idempotent(_ value: String) throws -> [UInt8] {
    var builder = RecordBatchBuilder(
      producer: .init(id: ProducerID(77), epoch: ProducerEpoch(0), baseSequence: 0))
    try builder.append(key: nil, value: Array(value.utf8)[...], timestamp: Timestamp(5))
    return builder.buildUncompressed()
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `has no log without a topic, wherever a deletion was cut off`(seed: UInt64) throws {
    let harness = try NodeHarness()
    var random = SeededGenerator(seed: seed)
    #expect(try harness.createTopic("t", partitions: 3) == .none)
    for index in 0..<3 as Range<Int32> { try harness.produce("t", ["a"], partition: index) }
    let origin = try harness.send(Requests.deleteTopic("t"), version: 3)
    repeat {
      let next = try NodeHarness(
        harness.disk.afterPowerCut { _ in random.oneIn(2) }, now: harness.now)
      next.wait(300)
      let logs = try next.store.logIDs.filter { try next.store.name(of: $0) != "@metadata" }
      if try next.topicNames().isEmpty {
        #expect(logs == [])
      } else {
        #expect(logs.count == 3)
        let answer = try harness.response(to: origin, DeleteTopicsRequest.self, version: 3)
        #expect(answer == nil)
      }
    } while harness.step()
  }
}

extension NodeHarness {
  /// The log of the only partition of a topic that was made alone.
  func log(of topic: String) throws -> LogID? {
    for log in store.logIDs where try store.name(of: log) != "@metadata" { return log }
    return nil
  }
}
