package import Client
internal import Platform
internal import Postgres

/// Why capture has ended, and does not begin again by itself. One sentence for people.
package struct CaptureError: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) { self.description = description }
}

/// Captures one database until it is told to stop.
///
/// Each attempt begins as after a crash, whether there was one or not: fence whoever wrote before,
/// read what is in the topics, decide (`StartDecision`), go on. A lost connection to Postgres or to
/// the broker ends an attempt; the next follows, for ever. What cannot mend itself ends capture.
package struct CaptureRunner {
  private static let backoffMilliseconds: Int64 = 100
  private static let backoffMaxMilliseconds: Int64 = 5000

  private let config: CaptureConfig
  private let client: Client
  private let log: @Sendable (String) -> Void
  private let stop: CaptureStop
  private let status: CaptureStatus

  /// Blocks: for a thread of its own. `log` takes lines for people, on any thread.
  package static func run(
    _ config: CaptureConfig, _ client: Client, log: @escaping @Sendable (String) -> Void,
    stop: CaptureStop, status: CaptureStatus = CaptureStatus()
  ) throws(CaptureError) {
    let runner = CaptureRunner(
      config: config, client: client, log: log, stop: stop, status: status)
    for note in config.notes { log(note) }
    try runner.run()
  }

  /// Drops the slot and the position of a connector that does not run, so that its next start
  /// begins anew. What is in the topics stays.
  package static func forget(
    _ config: CaptureConfig, _ client: Client, log: @escaping @Sendable (String) -> Void
  ) throws(CaptureError) {
    do {
      let catalogue = Catalogue(try PostgresConnection(config.address))
      let writer = try LogWriter(client, config, topics: [])
      if try catalogue.slot(config.slotName) != nil {
        try catalogue.connection.query(
          "SELECT pg_drop_replication_slot(\(SQL.literal(config.slotName)))")
        log("dropped the slot '\(config.slotName)'")
      }
      try writer.forgetBlocking()
      log("connector '\(config.name)' begins anew with its next start")
    } catch let error as CaptureError {
      throw error
    } catch {
      throw CaptureError("\(error)")
    }
  }

  private func run() throws(CaptureError) {
    var backoff = Self.backoffMilliseconds
    var lastProblem = ""
    while !stop.isRequested {
      let began = MonotonicClock.milliseconds()
      status.update { $0.attempts += 1 }
      do {
        if try attempt() { return }
      } catch let error as LogWriteError where error.oversized != nil {
        throw tooLarge(error)
      } catch {
        let problem = try Self.retriable(error)
        // A server that is away for an hour is worth one line, not a thousand.
        if problem != lastProblem {
          log("\(problem)\(problem.hasSuffix(".") ? "" : ".") Trying again.")
        }
        lastProblem = problem
        status.update {
          $0.lastError = problem
          $0.isStreaming = false
        }
      }
      if MonotonicClock.milliseconds() - began > 10_000 { backoff = Self.backoffMilliseconds }
      if stop.wait(milliseconds: backoff) { return }
      backoff = min(backoff * 2, Self.backoffMaxMilliseconds)
    }
  }

  /// What is wrong, if trying again may help; throws otherwise.
  private static func retriable(_ error: any Error) throws(CaptureError) -> String {
    switch error {
    case let error as PostgresError where error.isRetriable: return error.description
    case let error as PostgresError where error.sqlState == "42704" && isAboutPublication(error):
      // Decoding looks the publication up as it was when the change was made.
      throw CaptureError(
        "\(error) It was dropped while changes were made, and making it again does not bring those "
          + "back: 'martlet capture --forget' begins anew, with a snapshot.")
    case let error as LogWriteError where error.isFenced:
      throw CaptureError("Another capture of the same name has begun; this one ends. \(error)")
    case let error as LogWriteError where error.isRetriable: return error.description
    case let error as CaptureError: throw error
    default: throw CaptureError("\(error)")
    }
  }

  /// Names the row, as far as the source can still be asked.
  private func tooLarge(_ error: LogWriteError) -> CaptureError {
    guard let record = error.oversized else { return CaptureError("\(error)") }
    let all = try? Catalogue(PostgresConnection(config.address)).tables()
    let tables = (all ?? []).filter {
      config.tables.wants(schema: $0.schema, table: $0.name)
        && config.topic(schema: $0.schema, table: $0.name) == record.topic
    }
    return CaptureError(record.sentence(tables.map(\.fullName), why: error.description))
  }

  private static func isAboutPublication(_ error: PostgresError) -> Bool {
    error.description.split(separator: " ").contains("publication")
  }

  // MARK: An attempt

  /// True when all is done.
  private func attempt() throws -> Bool {
    let catalogue = Catalogue(try PostgresConnection(config.address))
    try checkBefore(catalogue)
    let tables = try PublicationSetup(config: config, catalogue: catalogue, log: log).prepare()
    let topics = tables.map { config.topic(schema: $0.schema, table: $0.name) }
    var outputs = Set(topics)
    if config.providesTransactions {
      outputs.insert(config.topic(MetadataEncoder(options: config.envelope).transactionTopic))
    }
    let writer = try LogWriter(client, config, topics: outputs.sorted())
    let replication = ReplicationCommands(
      connection: try PostgresConnection(
        config.address, replication: true, application: config.slotName))
    let identity = try replication.identify()
    var situation = StartSituation(
      connector: config.name, record: writer.record, slot: try catalogue.slot(config.slotName),
      slotName: config.slotName, database: config.address.database, system: identity.system,
      serverEnd: identity.end, writtenThrough: writer.writtenThrough, mode: config.snapshotMode)
    var attempt = CaptureAttempt(
      config: config, catalogue: catalogue, tables: tables, topics: topics,
      writer: writer, replication: replication, log: log, stop: stop, status: status)
    var lastSentence = ""
    while true {
      switch StartDecision(situation) {
      case .refuse(let sentence): throw CaptureError(sentence)
      case .finished: return true
      case .wait(let sentence):
        if sentence != lastSentence { log(sentence) }
        lastSentence = sentence
        if stop.wait(milliseconds: 1000) { return true }
        situation.slot = try catalogue.slot(config.slotName)
      case .create(let dropping):
        return try attempt.begin(identity, dropping: dropping)
      case .resumeSnapshot: return try attempt.resume()
      case .adopt(let lsn): return try attempt.adopt(lsn, identity)
      case .stream: return try attempt.stream()
      }
    }
  }

  private func checkBefore(_ catalogue: Catalogue) throws {
    let findings = try Preflight.check(config, catalogue)
    let errors = findings.filter { $0.severity == .error }
    guard errors.isEmpty else {
      throw CaptureError(errors.map(\.description).joined(separator: "\n"))
    }
    for finding in findings where finding.severity == .warning { log("\(finding)") }
  }
}
