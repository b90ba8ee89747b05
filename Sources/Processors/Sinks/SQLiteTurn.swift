internal import Platform

/// Whose turn it is to write to a SQLite file, among the sinks of this process.
///
/// SQLite lets one write at a time and makes others sleep and look again, up to 100 ms at a time.
/// Sinks that wait here are woken instead; SQLite's own way is left for other processes.
final class SQLiteTurn: Sendable {
  private static let all = Condition<[String: SQLiteTurn]>([:])

  private let isTaken = Condition(false)

  /// The one of that file. Files are few and named in configurations, so none is forgotten.
  static func of(path: String) -> SQLiteTurn {
    all.withLock { all in
      if let turn = all[path] { return turn }
      let turn = SQLiteTurn()
      all[path] = turn
      return turn
    }
  }

  /// Blocks until it is this caller's turn, for as long as `body` takes.
  func take<Result>(_ body: () throws(SinkError) -> Result) throws(SinkError) -> Result {
    isTaken.wait(until: { !$0 }) { $0 = true }
    defer {
      isTaken.withLock { $0 = false }
      isTaken.signal()
    }
    return try body()
  }
}
