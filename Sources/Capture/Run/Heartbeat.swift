internal import Platform
internal import Postgres

/// A record every so often, whether anything changes or not, and a statement in the database.
///
/// Heartbeats have no position: they say nothing but the time, so there is none to be found again
/// after a crash.
///
/// `beat` blocks, so it has a thread of its own: a statement that waits for a lock holds up the
/// beats behind it and nothing else.
final class Heartbeat {
  private static let statementMilliseconds = 5000

  let intervalMilliseconds: Int64
  private let config: CaptureConfig
  private let target: any PositionedLog
  private let log: @Sendable (String) -> Void
  private let metadata: MetadataEncoder
  private let topic: String
  private var isOpen = false
  private var connection: PostgresConnection?
  private var lastProblem = ""

  /// Nil if none is asked for.
  init?(
    _ config: CaptureConfig, _ target: any PositionedLog,
    _ log: @escaping @Sendable (String) -> Void
  ) {
    guard config.heartbeat.intervalMilliseconds > 0 else { return nil }
    intervalMilliseconds = config.heartbeat.intervalMilliseconds
    self.config = config
    self.target = target
    self.log = log
    metadata = MetadataEncoder(options: config.envelope)
    topic = config.topic(metadata.heartbeatTopic)
  }

  func beat() {
    do {
      try runQuery()
      lastProblem = ""
    } catch {
      connection = nil
      if "\(error)" != lastProblem { log("heartbeat.action.query failed: \(error)") }
      lastProblem = "\(error)"
    }
    // What is wrong with the broker shows where changes are written.
    if !isOpen, (try? target.prepare(topic)) == nil { return }
    isOpen = true
    target.append(metadata.heartbeat(now: WallClock.nanoseconds() / 1_000_000), to: topic)
  }

  private func runQuery() throws(PostgresError) {
    guard let query = config.heartbeat.query else { return }
    if connection == nil {
      let new = try PostgresConnection(config.address, application: "martlet heartbeat")
      try new.query("SET statement_timeout = \(Self.statementMilliseconds)")
      connection = new
    }
    try connection?.query(query)
  }
}
