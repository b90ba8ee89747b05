internal import Platform
internal import Postgres

/// Runs the shop at a rate, on a thread of its own: one transaction after another, each when it is
/// due.
package final class Generator: Sendable {
  package struct Progress {
    package var rounds = 0
    /// Changes by table.
    package var orders = 0
    package var items = 0
    package var products = 0
    package var failure: String?
    package var isStopped = false
    package var hasEnded = false

    package var rows: Int { orders + items + products }
  }

  private let progress = Condition(Progress())

  /// `roundsPerSecond` transactions a second, as long as Postgres keeps up.
  package init(conninfo: String, roundsPerSecond: Int) {
    Thread.start("generator") { [progress] in
      do throws(PostgresError) {
        try Self.run(PostgresConnection(conninfo: conninfo), roundsPerSecond, progress)
      } catch {
        progress.withLock { $0.failure = error.description }
      }
      progress.withLock { $0.hasEnded = true }
      progress.broadcast()
    }
  }

  private static func run(
    _ database: PostgresConnection, _ roundsPerSecond: Int, _ progress: Condition<Progress>
  ) throws(PostgresError) {
    let start = MonotonicClock.milliseconds()
    var done: Int64 = 0
    while true {
      let due = start + done * 1000 / Int64(roundsPerSecond)
      let wait = due - MonotonicClock.milliseconds()
      let isStopped =
        wait > 0
        ? progress.wait(until: { $0.isStopped }, milliseconds: wait) { $0.isStopped }
        : progress.withLock { $0.isStopped }
      if isStopped { return }
      let counts = try database.query("SELECT * FROM one_round()").first ?? []
      let changed = counts.map { $0.flatMap { Int($0) } ?? 0 }
      done += 1
      progress.withLock { now in
        now.rounds += 1
        guard changed.count == 3 else { return }
        now.orders += changed[0]
        now.items += changed[1]
        now.products += changed[2]
      }
    }
  }

  package var now: Progress { progress.withLock { $0 } }

  /// Ends after the transaction that is under way; what was done.
  package func stop() -> Progress {
    progress.withLock { $0.isStopped = true }
    progress.broadcast()
    return progress.wait(until: { $0.hasEnded }) { $0 }
  }
}
