/// What a time is counted in.
public enum TimeUnit: Hashable, Sendable {
  case seconds, milliseconds, microseconds, nanoseconds

  /// The unit in which `number` is a time between 1973 and 5138.
  package init(magnitudeOf number: Int64) {
    switch number.magnitude {
    case ..<100_000_000_000: self = .seconds
    case ..<100_000_000_000_000: self = .milliseconds
    case ..<100_000_000_000_000_000: self = .microseconds
    default: self = .nanoseconds
    }
  }

  /// A count of this unit in microseconds, rounded down; nil if 64 bits cannot count it.
  package func microseconds(_ count: Int64) -> Int64? {
    let factor: Int64
    switch self {
    case .nanoseconds: return count.dividedFlooring(by: 1000).quotient
    case .microseconds: return count
    case .milliseconds: factor = 1000
    case .seconds: factor = 1_000_000
    }
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }

  /// Microseconds in this unit, rounded down; a count past 64 bits ends at the last one.
  @inlinable
  package func count(ofMicroseconds microseconds: Int64) -> Int64 {
    switch self {
    case .seconds: return microseconds.dividedFlooring(by: 1_000_000).quotient
    case .milliseconds: return microseconds.dividedFlooring(by: 1000).quotient
    case .microseconds: return microseconds
    case .nanoseconds:
      let (product, overflow) = microseconds.multipliedReportingOverflow(by: 1000)
      return overflow ? (microseconds < 0 ? .min : .max) : product
    }
  }
}

extension Int64 {
  /// Quotient rounded down, and the remainder, which is not negative. The divisor is positive.
  @inlinable
  package func dividedFlooring(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}
