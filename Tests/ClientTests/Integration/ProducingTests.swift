import Client
import Foundation
import Testing

@Suite struct `Producing to a running node` {
  @Test(arguments: TestBroker.Way.allCases)
  func `a record gets the next offset of its partition`(way: TestBroker.Way) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client(way)
    defer { client.close() }
    let producer = try await Producer(client)
    for expected in 0..<20 {
      let record = ProducerRecord(topic: "t", partition: 1, value: Array("v\(expected)".utf8))
      let metadata = try await producer.send(record)
      #expect(metadata.offset == Int64(expected))
      #expect(metadata.partition == 1)
    }
    await producer.close()
  }

  @Test(arguments: TestBroker.Way.allCases)
  func `100,000 records enqueued from one thread all arrive`(way: TestBroker.Way) async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client(way)
    defer { client.close() }
    let producer = try await Producer(client)
    let value = [UInt8](repeating: 7, count: 280)
    let clock = ContinuousClock()
    let started = clock.now
    let count = 100_000
    let call = (0..<100).map { _ in ProducerRecord(topic: "t", value: value) }
    let total = Total()
    for _ in 0..<(count / 100) {
      while !producer.enqueue(call, { result in total.add((try? result.get())?.count ?? 0) }) {
        await withCheckedContinuation { room in producer.whenRoom { room.resume() } }
      }
    }
    try await producer.flush()
    print("\(count) records of 280 bytes, \(way): \(clock.now - started)")
    #expect(total.value == count)
    await producer.close()
  }

  @Test func `a full buffer takes nothing more, says when it does, and loses nothing`() async throws
  {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    var options = Producer.Options()
    options.bufferBytesMax = 100_000
    // Nothing leaves before it is asked for.
    options.lingerMilliseconds = 60_000
    options.batchBytesMax = 1 << 20
    let producer = try await Producer(client, options)
    let record = ProducerRecord(
      topic: "t", partition: 0, value: [UInt8](repeating: 7, count: 1000))
    let total = Total()
    func enqueue(_ count: Int) -> Bool {
      producer.enqueue((0..<count).map { _ in record }) {
        total.add((try? $0.get())?.count ?? 0)
      }
    }
    var taken = 0
    while enqueue(1) { taken += 1 }
    #expect((50..<100).contains(taken))
    #expect(producer.bufferedBytes <= options.bufferBytesMax)
    // Who waits for room has what fills it sent, however long it would have lingered.
    await withCheckedContinuation { room in producer.whenRoom { room.resume() } }
    #expect(enqueue(1))
    // More than the whole buffer is taken when that is empty.
    try await producer.flush()
    #expect(enqueue(300))
    #expect(!enqueue(1))
    try await producer.flush()
    #expect(producer.bufferedBytes == 0)
    #expect(total.value == taken + 1 + 300)
    await producer.close()
  }

  @Test func `a producer that is shut out by another of its name fails as fenced`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    var options = Producer.Options()
    options.transactionalID = "only-one"
    let record = ProducerRecord(topic: "t", partition: 0, value: [1])
    let first = try await Producer(client, options)
    _ = try await first.send(record)
    let second = try await Producer(client, options)
    #expect(try await second.send(record).offset == 1)
    await #expect(throws: ClientError.self) { try await first.send(record) }
    let error = await #expect(throws: ClientError.self) { try await first.send(record) }
    #expect(error?.code == .fenced)
    #expect(try await second.send(record).offset == 2)
    await second.close()
  }

  @Test func `a producer goes on in order and without repeats when its broker is restarted`()
    async throws
  {
    let broker = try TestBroker()
    let client = try broker.client()
    defer { client.close() }
    let producer = try await Producer(client)
    let offsets = Offsets()
    let count = 4000
    for number in 0..<(count / 2) {
      let record = ProducerRecord(topic: "t", partition: 0, value: Array("\(number)".utf8))
      _ = producer.enqueue([record]) { offsets.add(number, $0) }
    }
    let port = broker.port
    // Stopped while batches are on their way.
    broker.stop()
    for number in (count / 2)..<count {
      let record = ProducerRecord(topic: "t", partition: 0, value: Array("\(number)".utf8))
      _ = producer.enqueue([record]) { offsets.add(number, $0) }
    }
    let again = try TestBroker(broker.directory, port: port)
    defer { again.remove() }
    try await producer.flush()
    #expect(offsets.failures == [])
    #expect(offsets.sorted == Array(0..<Int64(count)))
    await producer.close()
  }
}

final class Total: @unchecked Sendable {
  private let lock = NSLock()
  private var sum = 0

  func add(_ count: Int) { lock.withLock { sum += count } }
  var value: Int { lock.withLock { sum } }
}

/// Which offset each record got.
final class Offsets: @unchecked Sendable {
  private let lock = NSLock()
  private var found: [Int: Int64] = [:]
  private var errors: [String] = []

  func add(_ number: Int, _ result: Result<[RecordMetadata], ClientError>) {
    lock.withLock {
      switch result {
      case .success(let metadata): found[number] = metadata.first?.offset
      case .failure(let error): errors.append(error.message)
      }
    }
  }

  var failures: [String] { lock.withLock { errors } }
  /// In the order of the records.
  var sorted: [Int64] { lock.withLock { found.keys.sorted().compactMap { found[$0] } } }
}
