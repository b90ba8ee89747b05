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
    /// Sorted: for each fault and partition the longest gap, counted while a majority was well.
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
  package internal(set) var malformedCount = 0
  package internal(set) var malformed: [String] = []
  package internal(set) var names: [Name: String] = [:]
  /// Last lines that were cut short, when a history was read from files.
  package var tornLines = 0

  package init() {}

  package var violationCount: Int { counts.values.reduce(0, +) }

  /// Nothing is wrong; what was not judged may still be.
  package var isClean: Bool { violationCount == 0 && malformedCount == 0 }

  package func count(_ check: Check) -> Int { counts[check] ?? 0 }

  func name(_ kind: HistoryEvent.Named, _ number: Int32) -> String {
    names[Name(kind: kind, number: number)] ?? "\(kind) \(number)"
  }
}
