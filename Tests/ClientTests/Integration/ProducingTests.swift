import Client
import Foundation
import Testing

@Suite struct `Producing to a running node` {
  @Test func `a record gets the next offset of its partition`() async throws {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
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

  @Test func `300,000 records enqueued from one thread all arrive, each with its own offset`()
    async throws
  {
    let broker = try TestBroker()
    defer { broker.remove() }
    let client = try broker.client()
    defer { client.close() }
    let producer = try await Producer(client)
    let value = [UInt8](repeating: 7, count: 280)
    let clock = ContinuousClock()
    let started = clock.now
    let count = 300_000
    let call = (0..<100).map { _ in ProducerRecord(topic: "t", key: nil, value: value) }
    let total = Total()
    for _ in 0..<(count / 100) {
      while !producer.enqueue(call, { result in total.add((try? result.get())?.count ?? 0) }) {
        await withCheckedContinuation { room in producer.whenRoom { room.resume() } }
      }
    }
    try await producer.flush()
    print("300,000 records of 280 bytes: \(clock.now - started)")
    #expect(total.value == count)
    await producer.close()
  }
}

final class Total: @unchecked Sendable {
  private let lock = NSLock()
  private var sum = 0

  func add(_ count: Int) { lock.withLock { sum += count } }
  var value: Int { lock.withLock { sum } }
}
