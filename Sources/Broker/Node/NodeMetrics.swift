package import KafkaWire
package import Platform

/// What a node counts, for `/metrics`. Owned by the node's loop.
package struct NodeMetrics: Sendable {
  package struct Topic: Sendable {
    package var records: UInt64 = 0
    package var bytesIn: UInt64 = 0
  }

  package struct Request: Hashable, Sendable {
    package var api: APIKey
    package var error: ErrorCode
  }

  package var topics: [String: Topic] = [:]
  package var bytesOut: UInt64 = 0
  /// Elections that this node has won.
  package var elections: UInt64 = 0
  /// Those in which it asked for votes, not counting questions whether that is of use (pre-votes).
  package var electionsStarted: UInt64 = 0
  /// Leaderships that it had and does not have any more, handed over or not.
  package var leadershipsLost: UInt64 = 0
  /// Fetches that waited until what they are to get was read into memory.
  package var coldFetches: UInt64 = 0
  /// From when a client's batch was appended until it was on this node's disk.
  package var appendLatency = LatencyHistogram()
  /// The same, until it was on the disks of a majority.
  package var commitLatency = LatencyHistogram()
  /// Requests answered, by API and outcome.
  package var requests: [Request: UInt64] = [:]
  /// From a request's last byte to its answer, by API.
  package var latencies: [APIKey: LatencyHistogram] = [:]

  mutating func appended(_ topic: String, _ records: Int32, _ bytes: Int) {
    topics[topic, default: Topic()].records += UInt64(max(0, records))
    topics[topic, default: Topic()].bytesIn += UInt64(bytes)
  }

  mutating func answered(_ api: APIKey, _ error: ErrorCode) {
    requests[Request(api: api, error: error), default: 0] += 1
  }

  mutating func waited(_ api: APIKey, _ nanoseconds: UInt64) {
    latencies[api, default: LatencyHistogram()].add(Int64(nanoseconds / 1000))
  }

  mutating func fetched(_ bytes: Int) { bytesOut += UInt64(bytes) }
}
