import Client
import Testing

@Suite struct `Writing with positions` {
  private func options(_ name: String) -> Producer.Options {
    var options = Producer.Options()
    options.transactionalID = name
    return options
  }

  private func write(
    _ producer: PositionedProducer, _ positions: ClosedRange<UInt64>
  ) async throws {
    for number in positions {
      let record = ProducerRecord(
        topic: "out", partition: Int32(number % 3), value: Array("\(number)".utf8))
      let error = await withCheckedContinuation {
        (done: CheckedContinuation<ClientError?, Never>) in
        _ = producer.enqueue([(record, Position(number, 1))]) { done.resume(returning: $0) }
      }
      if let error { throw error }
    }
  }

  @Test(arguments: TestBroker.Way.allCases)
  func `whoever comes back repeats nothing, and shuts out who was there`(
    way: TestBroker.Way
  ) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client(way)
    defer { client.close() }
    let topics = [NewTopic("out", partitions: 3)]
    let first = try await PositionedProducer.open(client, options("p"))
    let empty = try await first.open(topics)
    #expect(empty.map(\.last) == [nil, nil, nil])
    try await write(first, 1...10)

    let second = try await PositionedProducer.open(client, options("p"))
    let found = try await second.open(topics)
    #expect(found.map(\.last) == [Position(9, 1), Position(10, 1), Position(8, 1)])
    #expect(found.map(\.end) == [3, 4, 3])
    await #expect(throws: ClientError.self) { try await write(first, 11...11) }
    // From the beginning again, as after a crash that lost the acknowledgements.
    try await write(second, 1...20)
    let third = try await PositionedProducer.open(client, options("p"))
    let ends = try await third.open(topics)
    #expect(ends.map(\.end) == [6, 7, 7])
    #expect(ends.map(\.last) == [Position(18, 1), Position(19, 1), Position(20, 1)])
  }

  @Test func `each of two writers of a topic goes by its own positions`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let topics = [NewTopic("out", partitions: 3)]
    let first = try await PositionedProducer.open(client, options("first"))
    _ = try await first.open(topics)
    try await write(first, 1...6)
    let other = try await PositionedProducer.open(client, options("other"))
    #expect(try await other.open(topics).map(\.last) == [nil, nil, nil])
    try await write(other, 100...105)

    let again = try await PositionedProducer.open(client, options("first"))
    let found = try await again.open(topics)
    #expect(found.map(\.last) == [Position(6, 1), Position(4, 1), Position(5, 1)])
    // Lower than the other's, and not there yet.
    try await write(again, 7...12)
    #expect(try await again.open(topics).map(\.end) == [6, 6, 6])
  }

  @Test func `records without a position at the end do not hide those before them`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let first = try await PositionedProducer.open(client, options("p"))
    _ = try await first.open([NewTopic("out", partitions: 3)])
    try await write(first, 1...6)
    var plain = Producer.Options()
    plain.lingerMilliseconds = 0
    let other = try await Producer(client, plain)
    for _ in 0..<40 {
      _ = try await other.send(ProducerRecord(topic: "out", partition: 0, value: [0]))
    }
    let second = try await PositionedProducer.open(client, options("p"))
    let found = try await second.open([NewTopic("out", partitions: 3)])
    #expect(found[0].last == Position(6, 1))
    #expect(found[0].end == 42)
  }
}
