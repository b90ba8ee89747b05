internal import Platform

/// Whether brokers are reached, as lines for people: one when none has been for a while, again now
/// and then as long as that lasts, and one when it is over.
struct Reachability {
  /// Nobody need hear of a broker that is started again.
  private static let quietMilliseconds: Int64 = 2000
  private static let pauseMilliseconds: Int64 = 30_000

  private var since: Int64?
  private var saidAt: Int64?

  /// What is to be said now. `isReached`: a connection stands; `isTrying`: one is wanted.
  mutating func look(
    isReached: Bool, isTrying: Bool, _ why: @autoclosure () -> String, now: Int64
  ) -> String? {
    guard isTrying, !isReached else {
      since = nil
      guard isReached, saidAt != nil else { return nil }
      saidAt = nil
      return "A broker is reached again."
    }
    let start = since ?? now
    since = start
    guard now - start >= Self.quietMilliseconds else { return nil }
    if let saidAt, now - saidAt < Self.pauseMilliseconds { return nil }
    saidAt = now
    return "No broker is reached (\(why())). It is tried again until one answers."
  }
}

/// The notices of several clients of the same brokers, each once.
package final class SharedNotices: Sendable {
  /// Shorter than the pause between a client's own.
  private static let pauseMilliseconds: Int64 = 25_000
  private static let textsMax = 32

  private let said = Condition<[(text: String, at: Int64)]>([])
  private let log: @Sendable (String) -> Void

  package init(_ log: @escaping @Sendable (String) -> Void) { self.log = log }

  package func take(_ text: String) {
    let now = MonotonicClock.milliseconds()
    let isNew = said.withLock { said in
      said.removeAll { now - $0.at >= Self.pauseMilliseconds }
      guard !said.contains(where: { $0.text == text }), said.count < Self.textsMax else {
        return false
      }
      said.append((text, now))
      return true
    }
    if isNew { log(text) }
  }
}
