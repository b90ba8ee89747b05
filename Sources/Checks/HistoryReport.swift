/// What is wrong, and the events (their numbers, from one) that prove it.
package struct Violation: Equatable, Sendable {
  package var check: Check
  package var message: String
  /// -1 if it is of none.
  package var partition: Int32
  package var offset: Int64
  package var events: [Int]
}

/// The verdict over a history, and its figures.
package struct HistoryReport: Sendable {
  package struct Name: Hashable, Sendable {
    package var kind: HistoryEvent.Named
    package var number: Int32
  }

  /// By the kind of fault; times in nanoseconds.
  package struct FaultFigures: Equatable, Sendable {
    package var kind: String
    /// How many began.
    package var count: Int
    /// Without an acknowledgement, whether a majority was well or not.
    package var longest: UInt64
    /// Sorted: for each fault and each partition that was led where it struck (each partition, if
    /// no leader was told) the longest gap, counted while a majority was well.
    package var failovers: [UInt64]

    init(kind: String, _ figures: Availability.Kind) {
      self.kind = kind
      count = figures.count
      longest = figures.longest
      failovers = figures.failovers.sorted()
    }

    package func failover(_ fraction: Double) -> UInt64 {
      guard let last = failovers.last else { return 0 }
      let index = Int(Double(failovers.count) * fraction)
      return index < failovers.count ? failovers[index] : last
    }

    /// Of `buckets`, in milliseconds; what is longer is in the last.
    private static let bounds: [UInt64] = [
      10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000,
    ]

    /// How many failovers took less than so many milliseconds, and not less than the bound before;
    /// the last has none. Only those that have any.
    package var buckets: [(milliseconds: UInt64?, count: Int)] {
      var counts = [Int](repeating: 0, count: Self.bounds.count + 1)
      for time in failovers {
        let index = Self.bounds.firstIndex { time < $0 * 1_000_000 } ?? Self.bounds.count
        counts[index] += 1
      }
      let bounds: [UInt64?] = Self.bounds + [nil]
      return zip(bounds, counts).filter { $0.1 > 0 }.map { ($0.0, $0.1) }
    }
  }

  package internal(set) var events = 0
  package internal(set) var began: UInt64 = 0
  package internal(set) var ended: UInt64 = 0
  package internal(set) var recordsBegun = 0
  package internal(set) var recordsAcknowledged = 0
  package internal(set) var recordsUnknown = 0
  package internal(set) var recordsFailed = 0
  package internal(set) var recordsPolled = 0
  package internal(set) var commits = 0
  package internal(set) var lost = 0
  package internal(set) var duplicated = 0
  package internal(set) var reordered = 0
  /// Acknowledged or seen, and then removed with the beginning of a log that trims.
  package internal(set) var trimmed = 0
  package internal(set) var availability: [FaultFigures] = []
  package internal(set) var counts: [Check: Int] = [:]
  /// The first of each check, in the order in which they were found.
  package internal(set) var violations: [Violation] = []
  package internal(set) var unjudged: [String] = []
  /// Checks for which the history has nothing, or that nobody has asked for.
  package internal(set) var neverLookedAt: [Check] = []
  package internal(set) var malformedCount = 0
  package internal(set) var malformed: [String] = []
  package internal(set) var names: [Name: String] = [:]
  /// Last lines that were cut short, when a history was read from files.
  package var tornLines = 0

  package init() {}

  package var violationCount: Int { counts.values.reduce(0, +) }

  /// Without an acknowledgement nothing was promised, and nothing can be broken.
  package var hasSubstance: Bool { recordsAcknowledged > 0 }

  /// Nothing is wrong; what was not judged may still be.
  package var isClean: Bool { violationCount == 0 && malformedCount == 0 }

  package func count(_ check: Check) -> Int { counts[check] ?? 0 }

  func name(_ kind: HistoryEvent.Named, _ number: Int32) -> String {
    names[Name(kind: kind, number: number)] ?? "\(kind) \(number)"
  }
}
