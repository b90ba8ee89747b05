internal import KafkaWire

/// What a node counts, for `/metrics`. Owned by the node's loop.
package struct NodeMetrics: Sendable {
  /// Upper bounds of a histogram's buckets, in microseconds: 50 µs to 10 s, about a factor of 2.5.
  package static let boundsMicroseconds: [Int64] = [
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
  ]

  package struct Histogram: Sendable {
    package var counts = [UInt64](repeating: 0, count: boundsMicroseconds.count + 1)
    package var sumMicroseconds: Int64 = 0
    package var count: UInt64 = 0

    package mutating func add(_ microseconds: Int64) {
      let bucket =
        boundsMicroseconds.firstIndex { microseconds <= $0 } ?? boundsMicroseconds.count
      counts[bucket] += 1
      sumMicroseconds += microseconds
      count += 1
    }
  }

  package struct Topic: Sendable {
    package var records: UInt64 = 0
    package var bytesIn: UInt64 = 0
  }

  package struct Request: Hashable, Sendable {
    package var api: String
    package var error: String
  }

  package var topics: [String: Topic] = [:]
  package var bytesOut: UInt64 = 0
  /// Requests answered, by API and outcome.
  package var requests: [Request: UInt64] = [:]
  package var connectionsClosedForErrors: UInt64 = 0

  mutating func appended(_ topic: String, _ records: Int32, _ bytes: Int) {
    topics[topic, default: Topic()].records += UInt64(max(0, records))
    topics[topic, default: Topic()].bytesIn += UInt64(bytes)
  }

  mutating func answered(_ api: APIKey) {
    requests[Request(api: "\(api)", error: ""), default: 0] += 1
  }

  mutating func fetched(_ bytes: Int) { bytesOut += UInt64(bytes) }
}
