internal import ConnectData

/// Windows of one size, one behind the other, aligned to the epoch: start inclusive, end exclusive.
///
/// A record is late for its window when the window's end plus the grace is not after stream time,
/// which is the largest event time seen so far in the record's source partition, the record itself
/// included (Kafka Streams' KStreamWindowAggregate).
package struct TumblingWindows: Hashable, Sendable {
  /// A day: what a window and its grace last together, unless it is said otherwise.
  package static let retentionMicroseconds: Int64 = 86_400_000_000
  package static let sizeRange: ClosedRange<Int64> = 1000...366 * 86_400_000_000
  package static let graceRange: ClosedRange<Int64> = 0...sizeRange.upperBound * 100

  package let sizeMicroseconds: Int64
  package let graceMicroseconds: Int64

  package init(sizeMicroseconds: Int64, graceMicroseconds: Int64? = nil) {
    precondition(Self.sizeRange.contains(sizeMicroseconds), "a window lasts 1 ms to a year")
    let grace = graceMicroseconds ?? max(0, Self.retentionMicroseconds - sizeMicroseconds)
    precondition(grace >= 0, "a grace is not negative")
    self.sizeMicroseconds = sizeMicroseconds
    self.graceMicroseconds = min(grace, Self.graceRange.upperBound)
  }

  package func start(of time: EventTime) -> EventTime {
    let rest = time.microseconds.dividedFlooring(by: sizeMicroseconds).remainder
    return EventTime(clamping: time.microseconds - rest)
  }

  package func end(from start: EventTime) -> EventTime {
    EventTime(clamping: start.microseconds + sizeMicroseconds)
  }

  package func isLate(windowFrom start: EventTime, streamTime: EventTime) -> Bool {
    end(from: start).microseconds <= streamTime.microseconds - graceMicroseconds
  }
}
