internal import Bytes

/// When clients' batches were appended that are not on this node's disk yet, oldest first: for how
/// long that takes, whoever else has them by then. A leader's own disk may be the last of all.
///
/// Bounded by what is on its way to the journal. Its memory is used again: an append costs no
/// allocation.
struct UndurableAppends: Sendable {
  private var waiting: [(position: LogPosition, since: UInt64)] = []
  /// What is before it is done.
  private var first = 0

  var isEmpty: Bool { first == waiting.count }

  /// A batch that ends at `position`, at a time of the driver's clock. One that is waited for again
  /// is counted once.
  mutating func appended(_ position: LogPosition, at since: UInt64) {
    if let last = waiting.last, first < waiting.count, position <= last.position { return }
    waiting.append((position, since))
  }

  /// Calls `take` with when each was appended that is durable now.
  mutating func durable(through position: LogPosition, _ take: (UInt64) -> Void) {
    while first < waiting.count, waiting[first].position <= position {
      take(waiting[first].since)
      first += 1
    }
    if isEmpty {
      forget()
    } else if first >= 64, first * 2 >= waiting.count {
      // Under a load that never pauses it would grow for ever.
      waiting.removeFirst(first)
      first = 0
    }
  }

  /// What was appended may be cut from the log.
  mutating func forget() {
    waiting.removeAll(keepingCapacity: true)
    first = 0
  }
}
