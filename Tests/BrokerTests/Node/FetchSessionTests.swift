import Broker
import Bytes
import KafkaWire
import LogStore
import Simulation
import Testing

/// KIP-227.
@Suite struct `Fetch sessions` {
  private let harness: NodeHarness

  init() throws {
    harness = try NodeHarness()
    #expect(try harness.createTopic("t", partitions: 4) == .none)
  }

  private func request(
    _ partitions: [(Int32, Int64)], session: Int32, epoch: Int32, forget: [Int32] = [],
    topic: String = "t"
  ) -> FetchRequest {
    .with { request in
      request.maxBytes = 50 << 20
      request.sessionId = session
      request.sessionEpoch = epoch
      if !partitions.isEmpty {
        var asked = FetchRequest.Topic()
        asked.topic = topic
        asked.partitions = partitions.map { index, offset in
          var part = FetchRequest.Partition()
          part.partition = index
          part.fetchOffset = offset
          part.partitionMaxBytes = 1 << 20
          return part
        }
        request.topics = [asked]
      }
      if !forget.isEmpty {
        var forgotten = FetchRequest.ForgottenTopic()
        forgotten.topic = topic
        forgotten.partitions = forget
        request.forgottenTopicsData = [forgotten]
      }
    }
  }

  private func fetch(
    _ partitions: [(Int32, Int64)], session: Int32, epoch: Int32, forget: [Int32] = [],
    topic: String = "t"
  ) throws -> FetchResponse {
    try harness.call(
      request(partitions, session: session, epoch: epoch, forget: forget, topic: topic),
      version: 12)
  }

  private func indices(_ response: FetchResponse) -> [Int32] {
    response.responses.flatMap { $0.partitions.map(\.partitionIndex) }
  }

  @Test func `begin with everything and go on with what has changed`() throws {
    let all: [(Int32, Int64)] = [(0, 0), (1, 0), (2, 0)]
    let first = try fetch(all, session: 0, epoch: 0)
    #expect(first.sessionId != 0)
    #expect(indices(first) == [0, 1, 2])
    let id = first.sessionId
    #expect(indices(try fetch([], session: id, epoch: 1)) == [])
    try harness.produce("t", ["a"], partition: 1)
    let second = try fetch([], session: id, epoch: 2)
    #expect(indices(second) == [1])
    #expect(try second.values() == ["a"])
    // Not read on: it is given again.
    #expect(indices(try fetch([], session: id, epoch: 3)) == [1])
    #expect(indices(try fetch([(1, 1)], session: id, epoch: 4)) == [])
    try harness.produce("t", ["b"], partition: 0)
    try harness.produce("t", ["c"], partition: 3)
    #expect(indices(try fetch([], session: id, epoch: 5, forget: [0])) == [])
    #expect(indices(try fetch([(3, 0)], session: id, epoch: 6)) == [3])
  }

  @Test func `whoever had records comes last the next time`() throws {
    for index in 0..<3 as Range<Int32> { try harness.produce("t", ["a"], partition: index) }
    let first = try fetch([(0, 1), (1, 0), (2, 0)], session: 0, epoch: 0)
    #expect(indices(first) == [0, 1, 2])
    try harness.produce("t", ["b"], partition: 0)
    #expect(indices(try fetch([], session: first.sessionId, epoch: 1)) == [0, 1, 2])
    try harness.produce("t", ["c"], partition: 1)
    let next = try fetch([(0, 2)], session: first.sessionId, epoch: 2)
    #expect(indices(next) == [1, 2])
  }

  @Test func `an error is said again until it is over`() throws {
    let first = try fetch([(0, 9)], session: 0, epoch: 0)
    #expect(first.responses[0].partitions[0].errorCode == .offsetOutOfRange)
    let again = try fetch([], session: first.sessionId, epoch: 1)
    #expect(again.responses[0].partitions[0].errorCode == .offsetOutOfRange)
    let over = try fetch([(0, 0)], session: first.sessionId, epoch: 2)
    #expect(over.responses[0].partitions[0].errorCode == .none)
    #expect(indices(try fetch([], session: first.sessionId, epoch: 3)) == [])
  }

  @Test func `are refused out of turn, unknown or closed`() throws {
    let id = try fetch([(0, 0)], session: 0, epoch: 0).sessionId
    #expect(try fetch([], session: id, epoch: 5).errorCode == .invalidFetchSessionEpoch)
    #expect(try fetch([], session: id &+ 1, epoch: 1).errorCode == .fetchSessionIdNotFound)
    #expect(try fetch([], session: id, epoch: 1).errorCode == .none)
    let closing = try fetch([(0, 0)], session: id, epoch: -1)
    #expect(closing.errorCode == .none)
    #expect(closing.sessionId == 0)
    #expect(indices(closing) == [0])
    #expect(try fetch([], session: id, epoch: 2).errorCode == .fetchSessionIdNotFound)
  }

  @Test func `are a thousand at most, of which an idle one gives way`() throws {
    var ids: Set<Int32> = []
    for _ in 0..<1000 { ids.insert(try fetch([(0, 0)], session: 0, epoch: 0).sessionId) }
    #expect(ids.count == 1000)
    #expect(!ids.contains(0))
    let refused = try fetch([(0, 0)], session: 0, epoch: 0)
    #expect(refused.sessionId == 0)
    #expect(indices(refused) == [0])
    harness.pass(120_000)
    #expect(try fetch([(0, 0)], session: 0, epoch: 0).sessionId != 0)
  }

  @Test func `are bounded in their partitions too, each and all together`() throws {
    let most = (0..<10_000).map { (Int32($0), Int64(0)) }
    #expect(try fetch(most + [(10_000, 0)], session: 0, epoch: 0).sessionId == 0)
    var ids: [Int32] = []
    for _ in 0..<20 { ids.append(try fetch(most, session: 0, epoch: 0).sessionId) }
    #expect(!ids.contains(0))
    #expect(try fetch([(0, 0)], session: 0, epoch: 0).sessionId == 0)
    // Grown beyond the bound, a session ends, and its place is free.
    let grown = try fetch([(0, 0)], session: ids[0], epoch: 1, topic: "other")
    #expect(grown.errorCode == .fetchSessionIdNotFound)
    #expect(try fetch([(0, 0)], session: 0, epoch: 0).sessionId != 0)
  }
}
