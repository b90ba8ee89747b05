/// What brokers refuse for a while and clients try again, as lines for people: for each partition
/// one when it has lasted for a while, and again now and then.
package struct Refusals {
  private static let quietMilliseconds: Int64 = 2000
  private static let pauseMilliseconds: Int64 = 30_000
  /// More than that many at a time say nothing new.
  private static let countMax = 16
  /// What nobody has tried for so long is over.
  private static let forgetMilliseconds: Int64 = 10_000

  private struct Refusal {
    var text: String
    var since: Int64
    var lastAt: Int64
    var saidAt: Int64?
  }

  private var refusals: [TopicPartition: Refusal] = [:]

  package init() {}

  /// `what` was refused again.
  package mutating func note(
    _ partition: TopicPartition, _ what: @autoclosure () -> String, now: Int64
  ) {
    if refusals[partition] != nil {
      refusals[partition]?.text = what()
      refusals[partition]?.lastAt = now
    } else if refusals.count < Self.countMax {
      refusals[partition] = Refusal(text: what(), since: now, lastAt: now)
    }
  }

  package mutating func clear(_ partition: TopicPartition) {
    if !refusals.isEmpty { refusals[partition] = nil }
  }

  /// What is to be said now.
  package mutating func due(now: Int64) -> [String] {
    var lines: [String] = []
    refusals = refusals.filter { now - $0.value.lastAt < Self.forgetMilliseconds }
    for partition in refusals.keys.sorted() {
      guard var refusal = refusals[partition], now - refusal.since >= Self.quietMilliseconds,
        refusal.saidAt.map({ now - $0 >= Self.pauseMilliseconds }) ?? true
      else { continue }
      refusal.saidAt = now
      refusals[partition] = refusal
      lines.append(refusal.text)
    }
    return lines
  }
}
