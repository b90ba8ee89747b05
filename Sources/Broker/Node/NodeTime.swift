internal import Platform

/// What a node's driver reads from its clocks, in milliseconds.
///
/// The wall clock is set by people and by NTP, and may jump by hours: whoever waits for a span of
/// time waits by the other. Times that are written, shown, or compared with such (timestamps of
/// records, retention, when offsets and idle producers expire) are by the wall clock, because they
/// outlive the process; the steady clock's are never stored.
package struct NodeTime: Equatable, Sendable {
  /// Since some moment, the same for as long as the process lives; never goes back.
  package var steady: Int64
  /// Since 1970.
  package var wall: Int64

  package init(steady: Int64, wall: Int64) {
    self.steady = steady
    self.wall = wall
  }

  /// What the system's clocks say.
  package static func read() -> NodeTime {
    NodeTime(steady: MonotonicClock.milliseconds(), wall: WallClock.milliseconds())
  }
}
