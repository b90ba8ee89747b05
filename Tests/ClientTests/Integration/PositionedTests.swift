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

  @Test(arguments: TestBroker.Way.allCases)
  func `a producer asks for its identity once, or it would fence itself`(
    way: TestBroker.Way
  ) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client(way)
    defer { client.close() }
    for _ in 0..<4 { _ = try await PositionedProducer.open(client, options("p")) }
    let asked = try broker.metrics().first { $0.contains("api=\"initProducerId\",error=\"NONE\"") }
    #expect(asked?.hasSuffix(" 4") == true, "\(asked ?? "")")
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

  private func enqueue(
    _ producer: PositionedProducer, _ positions: ClosedRange<UInt64>
  ) throws {
    let records = positions.map { number in
      (
        record: ProducerRecord(topic: "out", partition: 0, value: Array("\(number)".utf8)),
        position: Position(number, 1)
      )
    }
    let client = producer.producer.client
    try client.wait { done in
      _ = producer.enqueue(records) { done($0.map { .failure($0) } ?? .success(())) }
    }
  }

  @Test func `in a topic of others only what may be there is looked for`() throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let topics = [NewTopic("out", partitions: 1)]
    let partition = TopicPartition("out", 0)
    func open(_ name: String) throws -> PositionedProducer {
      let producer = try PositionedProducer.openBlocking(client, options(name))
      #expect(try producer.openSharedBlocking(topics) == [partition])
      return producer
    }
    func end() throws -> Int64 { try client.endsBlocking(of: [partition])[partition] ?? -1 }
    let other = try open("other")
    try enqueue(other, 100...119)
    try enqueue(try open("mine"), 1...3)
    try enqueue(other, 120...139)
    // All of them are there, then some are new.
    let known = { (from: Int64, last: UInt64) in
      [partition: PositionedProducer.Known(from: from, last: Position(last, 1))]
    }
    let second = try open("mine")
    try second.findBlocking(known(20, 3))
    try enqueue(second, 1...3)
    #expect(try end() == 43)
    try enqueue(second, 4...5)
    #expect(try end() == 45)
    // None of them is there, as its floor says: the search does not go below it.
    let third = try open("mine")
    try third.findBlocking(known(45, 8))
    try enqueue(third, 6...8)
    #expect(try end() == 48)
    // Some are.
    let fourth = try open("mine")
    try fourth.findBlocking(known(43, 10))
    try enqueue(fourth, 4...10)
    #expect(try end() == 50)
    // The topic was made anew and is shorter than the floor.
    let fifth = try open("mine")
    try fifth.findBlocking(known(1000, 10))
    try enqueue(fifth, 10...11)
    #expect(try end() == 51)
  }
}
