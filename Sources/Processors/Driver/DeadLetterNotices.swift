/// A record that could not be processed, for people.
package struct DeadLetterExample: Hashable, Sendable {
  package var error: EventError
  package var topic: String
  package var partition: Int32
  package var offset: Int64
  /// Where it goes.
  package var deadLetterTopic: String

  package init(
    _ error: EventError, topic: String, partition: Int32, offset: Int64, deadLetterTopic: String
  ) {
    self.error = error
    self.topic = topic
    self.partition = partition
    self.offset = offset
    self.deadLetterTopic = deadLetterTopic
  }

  var text: String { "topic \(topic), partition \(partition), offset \(offset): \(error.text)" }
}

/// What the log says of dead letters: the first of each kind of error, then how many there were, at
/// most once a minute. Of kinds there are few, so the lines are.
package struct DeadLetterNotices {
  package static let pauseMilliseconds: Int64 = 60_000

  /// Membership only.
  private var told: Set<EventError.Kind> = []
  private var untold: UInt64 = 0
  private var last: DeadLetterExample?
  /// When a line was said last, in milliseconds of the driver's clock.
  private var saidAt: Int64 = 0

  package init() {}

  /// A batch had `count` of them; `examples` has the first of each kind.
  package mutating func take(
    _ examples: [DeadLetterExample], count: UInt64, now: Int64
  ) -> [String] {
    var lines: [String] = []
    for example in examples where told.insert(example.error.kind).inserted {
      lines.append(
        "a record cannot be processed and goes to \(example.deadLetterTopic): \(example.text) "
          + "Others with this error (\(example.error.kind.rawValue)) are only counted.")
    }
    untold += count - UInt64(lines.count)
    last = examples.last ?? last
    if !lines.isEmpty { saidAt = now }
    return lines + (summary(now: now).map { [$0] } ?? [])
  }

  /// What is to be said of those that were only counted, if it is time.
  package mutating func summary(now: Int64) -> String? {
    guard untold > 0, now - saidAt >= Self.pauseMilliseconds, let last else { return nil }
    defer {
      untold = 0
      saidAt = now
    }
    let records = untold == 1 ? "1 more record" : "\(untold) more records"
    return "\(records) went to \(last.deadLetterTopic); one of them: \(last.text)"
  }
}
