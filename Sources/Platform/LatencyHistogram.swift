/// How long something took, counted in buckets: 50 µs to 10 s, each about 2.5 times the one before.
package struct LatencyHistogram: Sendable {
  /// Upper bounds, in microseconds; what took longer is in one bucket more.
  package static let boundsMicroseconds: [Int64] = [
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
  ]

  package private(set) var counts = [UInt64](repeating: 0, count: boundsMicroseconds.count + 1)
  package private(set) var sumMicroseconds: Int64 = 0
  package private(set) var count: UInt64 = 0

  package init() {}

  package mutating func add(_ microseconds: Int64) {
    let bounds = Self.boundsMicroseconds
    counts[bounds.firstIndex { microseconds <= $0 } ?? bounds.count] += 1
    sumMicroseconds += microseconds
    count += 1
  }
}
