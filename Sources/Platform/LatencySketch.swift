/// How long something took, from a microsecond to hours, each value kept to within 3 %: 32 buckets
/// for every doubling (HdrHistogram's layout).
package struct LatencySketch: Sendable {
  private static let bits = 5
  /// By bucket; as long as the largest value needs.
  private var counts: [UInt64] = []
  package private(set) var count: UInt64 = 0

  package init() {}

  package mutating func add(_ microseconds: Int64) {
    let bucket = Self.bucket(UInt64(max(0, microseconds)))
    while counts.count <= bucket { counts.append(0) }
    counts[bucket] += 1
    count += 1
  }

  package mutating func add(_ other: Self) {
    while counts.count < other.counts.count { counts.append(0) }
    for index in other.counts.indices { counts[index] += other.counts[index] }
    count += other.count
  }

  /// The value that this share of all values does not exceed, in microseconds; nil if there are
  /// none.
  package func quantile(_ share: Double) -> Int64? {
    guard count > 0 else { return nil }
    let wanted = max(1, UInt64((share * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for (bucket, count) in counts.enumerated() {
      seen += count
      if seen >= wanted { return Int64(clamping: Self.largest(in: bucket)) }
    }
    return Int64(clamping: Self.largest(in: counts.count - 1))
  }

  private static func bucket(_ value: UInt64) -> Int {
    let exponent = 63 - max(value, 1).leadingZeroBitCount
    guard exponent > bits else { return Int(value) }
    let shift = exponent - bits
    return (shift + 1) << bits + Int(value >> UInt64(shift)) - 1 << bits
  }

  private static func largest(in bucket: Int) -> UInt64 {
    guard bucket >= 2 << bits else { return UInt64(bucket) }
    let shift = bucket >> bits - 1
    let mantissa = UInt64(bucket & (1 << bits - 1) | 1 << bits)
    return (mantissa + 1) << UInt64(shift) - 1
  }
}
