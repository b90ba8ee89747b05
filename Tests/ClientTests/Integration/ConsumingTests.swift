import Client
import Foundation
import Testing

@Suite struct `Consuming from a running node` {
  private func fill(
    _ client: Client, _ topic: String, _ count: Int,
    _ adjust: (inout Producer.Options) -> Void = { _ in }
  ) async throws {
    var options = Producer.Options()
    adjust(&options)
    let producer = try await Producer(client, options)
    let failures = Total()
    for number in 0..<count {
      let record = ProducerRecord(
        topic: topic, partition: Int32(number % 3),
        key: number % 5 == 0 ? nil : [UInt8(number % 7)],
        value: Array("value \(number)".utf8),
        headers: [.init(key: "n", value: Array("\(number)".utf8))])
      _ = producer.enqueue([record]) { if case .failure = $0 { failures.add(1) } }
    }
    try await producer.flush()
    #expect(failures.value == 0)
    await producer.close()
  }

  private func texts(_ records: [ConsumerRecord]) -> [String] {
    records.map { String(decoding: $0.value ?? [], as: UTF8.self) }
  }

  /// How many commits of groups' offsets the node has answered.
  private func commits(_ broker: TestBroker) throws -> Int {
    let name = "martlet_requests_total{api=\"offsetCommit\",error=\"NONE\"} "
    let line = try broker.metrics().first { $0.hasPrefix(name) }
    return line.flatMap { Int($0.dropFirst(name.count)) } ?? 0
  }

  /// Polls until so many records have come.
  private func read(_ consumer: Consumer, _ count: Int) async throws -> [ConsumerRecord] {
    var records: [ConsumerRecord] = []
    let deadline = ContinuousClock().now + .seconds(20)
    while records.count < count, ContinuousClock().now < deadline {
      records += try await consumer.poll(timeoutMilliseconds: 1000)
    }
    return records
  }

  @Test(arguments: Producer.Compression.allCases, TestBroker.Way.allCases)
  func `what was written is read, in order, by every codec`(
    codec: Producer.Compression, way: TestBroker.Way
  ) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client(way)
    defer { client.close() }
    try await fill(client, "t", 3000) { $0.compression = codec }
    var options = Consumer.Options()
    options.autoOffsetReset = .earliest
    let consumer = try Consumer(client, options)
    let partitions = (0..<3).map { TopicPartition("t", $0) }
    consumer.assign(partitions)
    let records = try await read(consumer, 3000)
    #expect(records.count == 3000)
    for partition in 0..<3 {
      let mine = records.filter { $0.partition == partition }
      #expect(mine.map(\.offset) == Array(0..<1000))
      #expect(texts(mine) == (0..<1000).map { "value \($0 * 3 + partition)" })
      #expect(mine.allSatisfy { $0.headers.count == 1 && $0.headers[0].key == "n" })
    }
    #expect(try await consumer.poll(timeoutMilliseconds: 0) == [])
    await consumer.close()
  }

  @Test func `a seek goes to an offset, an end or a time, and drops what was read ahead`()
    async throws
  {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let producer = try await Producer(client)
    for number in 0..<100 {
      _ = try await producer.send(
        ProducerRecord(
          topic: "t", partition: 0, value: Array("\(number)".utf8),
          timestamp: 1_700_000_000_000 + Int64(number) * 1000))
    }
    var options = Consumer.Options()
    options.autoOffsetReset = .earliest
    options.pollRecordsMax = 10
    let consumer = try Consumer(client, options)
    let partition = TopicPartition("t", 0)
    consumer.assign([partition])
    #expect(texts(try await read(consumer, 10)) == (0..<10).map { "\($0)" })
    consumer.seek(partition, to: .offset(50))
    #expect(texts(try await read(consumer, 10)) == (50..<60).map { "\($0)" })
    consumer.seek(partition, to: .time(1_700_000_000_000 + 70_500))
    #expect(texts(try await read(consumer, 10)) == (71..<81).map { "\($0)" })
    consumer.seek(partition, to: .beginning)
    #expect(texts(try await read(consumer, 10)).first == "0")
    consumer.seek(partition, to: .end)
    _ = try await producer.send(
      ProducerRecord(topic: "t", partition: 0, value: Array("new".utf8)))
    // The end may be asked for before or after the record is there; then there is nothing.
    let last = try await consumer.poll(timeoutMilliseconds: 200)
    #expect(texts(last) == ["new"] || last.isEmpty)
    consumer.seek(partition, to: .offset(1_000_000))
    #expect(texts(try await read(consumer, 10)).first == "0")
    await consumer.close()
    await producer.close()
  }

  /// Far longer than these tests wait.
  private func patientOptions() -> Consumer.Options {
    var options = Consumer.Options()
    options.autoOffsetReset = .earliest
    options.fetchWaitMilliseconds = 60_000
    return options
  }

  @Test(arguments: TestBroker.Way.allCases)
  func `what there is more of does not wait for partitions that have nothing`(
    way: TestBroker.Way
  ) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client(way)
    defer { client.close() }
    let producer = try await Producer(client)
    for number in 0..<400 {
      _ = producer.enqueue([
        ProducerRecord(topic: "t", partition: 0, value: [UInt8](repeating: 7, count: 10_000)),
        // Somebody else's end is reached long before.
        ProducerRecord(topic: "t", partition: 1, value: [UInt8(number % 256)]),
      ]) { (_: ClientError?) in }
    }
    try await producer.flush()
    let consumer = try Consumer(client, patientOptions())
    consumer.assign((0..<3).map { TopicPartition("t", $0) })
    let records = try await read(consumer, 800)
    #expect(records.filter { $0.partition == 0 }.map(\.offset) == Array(0..<400))
    #expect(records.filter { $0.partition == 1 }.map(\.offset) == Array(0..<400))
    await consumer.close()
    await producer.close()
  }

  @Test func `what has no room in an answer does not wait for partitions that have nothing`()
    async throws
  {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let producer = try await Producer(client)
    for _ in 0..<200 {
      for partition in 0..<2 as Range<Int32> {
        let value = [UInt8](repeating: 7, count: 10_000)
        _ = producer.enqueue([
          ProducerRecord(topic: "t", partition: partition, value: value)
        ]) { (_: ClientError?) in }
      }
    }
    try await producer.flush()
    var options = patientOptions()
    options.partitionFetchBytesMax = 30_000
    options.fetchBytesMax = 30_000
    let consumer = try Consumer(client, options)
    consumer.assign((0..<3).map { TopicPartition("t", $0) })
    let records = try await read(consumer, 400)
    for partition in 0..<2 as Range<Int32> {
      #expect(records.filter { $0.partition == partition }.map(\.offset) == Array(0..<200))
    }
    await consumer.close()
    await producer.close()
  }

  @Test func `a seek does not wait for a fetch that waits`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    try await fill(client, "t", 30)
    let consumer = try Consumer(client, patientOptions())
    consumer.assign((0..<3).map { TopicPartition("t", $0) })
    #expect(try await read(consumer, 30).count == 30)
    #expect(try await consumer.poll(timeoutMilliseconds: 100) == [])
    for _ in 0..<3 {
      consumer.seek(TopicPartition("t", 1), to: .offset(4))
      #expect(try await read(consumer, 6).map(\.offset) == Array(4..<10))
    }
    await consumer.close()
  }

  @Test func `a cancelled poll loses nothing`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    var options = Consumer.Options()
    options.autoOffsetReset = .earliest
    let consumer = try Consumer(client, options)
    let producer = try await Producer(client)
    _ = try await producer.send(ProducerRecord(topic: "t", partition: 0, value: [1]))
    consumer.assign([TopicPartition("t", 0)])
    #expect(try await read(consumer, 1).count == 1)
    for round in 1...20 {
      let poll = Task { try await consumer.poll(timeoutMilliseconds: 5000) }
      async let sent = producer.send(ProducerRecord(topic: "t", partition: 0, value: [1]))
      poll.cancel()
      let cancelled = (try? await poll.value) ?? []
      _ = try await sent
      let rest = cancelled.isEmpty ? try await read(consumer, 1) : []
      #expect((cancelled + rest).map(\.offset) == [Int64(round)])
    }
    await consumer.close()
    await producer.close()
  }

  @Test(arguments: [[Assignor.range], [.cooperativeSticky], [.range, .cooperativeSticky]])
  func `two members share a topic; when one leaves, the other goes on where it was`(
    assignors: [Assignor]
  ) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let other = try broker.client()
    defer { other.close() }
    try await fill(client, "t", 3000)
    var options = Consumer.Options()
    options.groupID = "g"
    options.autoOffsetReset = .earliest
    options.assignors = assignors
    options.heartbeatMilliseconds = 100
    options.pollRecordsMax = 50
    let first = try Consumer(client, options)
    let second = try Consumer(other, options)
    try await first.subscribe(["t"])
    var seen: [TopicPartition: Set<Int64>] = [:]
    func note(_ records: [ConsumerRecord]) {
      for record in records { seen[record.topicPartition, default: []].insert(record.offset) }
    }
    note(try await read(first, 1))
    #expect(try await first.assignment().count == 3)
    try await second.subscribe(["t"])
    // Both poll until both have something and all of it is shared out.
    let deadline = ContinuousClock().now + .seconds(20)
    var shares = (0, 0)
    while ContinuousClock().now < deadline, shares.0 + shares.1 != 3 || shares.1 == 0 {
      note(try await first.poll(timeoutMilliseconds: 50))
      note(try await second.poll(timeoutMilliseconds: 50))
      shares = (try await first.assignment().count, try await second.assignment().count)
    }
    #expect(shares.0 + shares.1 == 3)
    #expect(shares.1 >= 1)
    await second.close()
    // What the second returned and could not commit while the group changed is read again.
    func isAtEnd() async throws -> Bool {
      for partition in 0..<3 {
        guard try await first.position(TopicPartition("t", Int32(partition))) == 1000
        else { return false }
      }
      return true
    }
    while ContinuousClock().now < deadline {
      if shares.0 == 3, try await isAtEnd() { break }
      note(try await first.poll(timeoutMilliseconds: 200))
      shares.0 = try await first.assignment().count
    }
    #expect(shares.0 == 3)
    #expect(seen.values.map(\.count) == [1000, 1000, 1000])
    try await first.commit()
    let committed = try await first.committed((0..<3).map { TopicPartition("t", $0) })
    #expect(committed.values.sorted() == [1000, 1000, 1000])
    await first.close()
    let group = try await client.describeGroup("g")
    #expect(group.state == "Empty")
  }

  @Test func `an automatic commit does not go back behind one that was asked for`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    try await fill(client, "t", 300)
    var options = Consumer.Options()
    options.groupID = "g"
    options.autoOffsetReset = .earliest
    options.autoCommitMilliseconds = 20
    options.pollRecordsMax = 50
    let consumer = try Consumer(client, options)
    try await consumer.subscribe(["t"])
    let records = try await read(consumer, 50)
    try await consumer.commit()
    let wanted = Dictionary(
      grouping: records, by: \.topicPartition
    ).mapValues { $0.map(\.offset).max().map { $0 + 1 } }
    // One that is counted next may have been on its way: the second is from after this commit.
    let before = try commits(broker)
    let deadline = ContinuousClock().now + .seconds(20)
    var automatic = 0
    while automatic < 2, ContinuousClock().now < deadline {
      automatic = try commits(broker) - before
      let committed = try await consumer.committed(Array(wanted.keys))
      #expect(committed.allSatisfy { wanted[$0.key] == $0.value })
    }
    #expect(automatic >= 2)
    await consumer.close()
  }

  @Test func `a member that comes back begins where the group has committed`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    try await fill(client, "t", 300)
    var options = Consumer.Options()
    options.groupID = "g"
    options.autoOffsetReset = .earliest
    options.pollRecordsMax = 30
    let first = try Consumer(client, options)
    try await first.subscribe(["t"])
    let before = try await read(first, 120)
    await first.close()
    let second = try Consumer(client, options)
    try await second.subscribe(["t"])
    let after = try await read(second, 300 - before.count)
    let all = Set((before + after).map { "\($0.topicPartition):\($0.offset)" })
    #expect(all.count == 300)
    #expect(before.count + after.count == 300)
    await second.close()
  }

  @Test func `a second member with the same instance id shuts the first out`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    try await fill(client, "t", 30)
    var options = Consumer.Options()
    options.groupID = "g"
    options.groupInstanceID = "one"
    options.autoOffsetReset = .earliest
    options.heartbeatMilliseconds = 50
    let first = try Consumer(client, options)
    try await first.subscribe(["t"])
    _ = try await read(first, 30)
    let second = try Consumer(client, options)
    try await second.subscribe(["t"])
    var error: ClientError?
    let deadline = ContinuousClock().now + .seconds(20)
    while error == nil, ContinuousClock().now < deadline {
      _ = try await second.poll(timeoutMilliseconds: 20)
      do { _ = try await first.poll(timeoutMilliseconds: 20) } catch let found { error = found }
    }
    #expect(error?.code == .fenced)
    #expect(try await second.assignment().count == 3)
    await second.close()
  }
}
