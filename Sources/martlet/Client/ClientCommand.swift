internal import Client
internal import Platform

/// What the commands that speak to a broker share: a connection, a way to wait, and how to end.
enum ClientCommand {
  static func run(_ command: String, _ words: [String]) throws {
    watchSignals()
    switch command {
    case "topic": try TopicCommand.run(words)
    case "group": try GroupCommand.run(words)
    case "produce": try ProduceCommand(words).run()
    case "consume": try ConsumeCommand(words).run()
    default: preconditionFailure("'\(command)' is no client command")
    }
  }

  /// A client of the broker that `--broker` names.
  static func client(_ words: Words) throws -> Client {
    let named = words.values("broker")
    var options = ClientOptions()
    options.clientID = "martlet-cli"
    options.requestTimeoutMilliseconds = 10_000
    options.connectTimeoutMilliseconds = 5000
    options.notice = { Terminal.complain($0) }
    do {
      return try Client(bootstrap: named.isEmpty ? ["127.0.0.1:9092"] : named, options: options)
    } catch {
      throw UsageError("--broker: \(error.message).")
    }
  }

  /// Waits on the main thread, which may block, for what is done elsewhere.
  static func wait<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    let slot = Condition<Result<T, any Error>?>(nil)
    Task {
      let result: Result<T, any Error>
      do { result = .success(try await body()) } catch { result = .failure(error) }
      slot.withLock { $0 = result }
      slot.broadcast()
    }
    return try slot.wait(until: { $0 != nil }) { $0 ?? .failure(UsageError("")) }.get()
  }

  /// Prints the failures among outcomes; throws if there are any.
  static func check<Key: Hashable & Comparable, Value>(
    _ outcomes: Outcomes<Key, Value>
  ) throws {
    var failures: [String] = []
    for key in outcomes.keys.sorted() {
      if case .failure(let error)? = outcomes[key] { failures.append(error.message) }
    }
    guard let last = failures.last else { return }
    for failure in failures.dropLast() { Terminal.complain(failure) }
    throw CommandError(last)
  }

  // MARK: Signals

  private static let interrupted = Condition<(is: Bool, isHandled: Bool)>((false, false))

  /// Whether somebody wants this to end.
  static var isInterrupted: Bool { interrupted.withLock { $0.is } }

  /// From now on the command looks at `isInterrupted` itself; before, a signal ends the process.
  static func handleInterrupts() { interrupted.withLock { $0.isHandled = true } }

  /// How long what was begun at the first signal may still take at the second.
  private static let secondSignalMilliseconds: Int64 = 2000

  private static func watchSignals() {
    Thread.start("martlet-signals") {
      guard let loop = try? EventLoop() else { return }
      let endings = [Signals.terminate, Signals.interrupt, Signals.hangUp]
      let signals = try? Signals(endings, on: loop) { number in
        let isSecond = interrupted.withLock { state in
          defer { state.is = true }
          return state.is || !state.isHandled
        }
        guard isSecond else { return }
        // A consumer that is leaving its group gets the time to say so: without it, the group would
        // wait for a session timeout. A third signal ends that, too.
        if interrupted.withLock({ $0.isHandled }) {
          _ = Signals.wait(for: endings, milliseconds: secondSignalMilliseconds)
        }
        Terminal.exit(128 + number)
      }
      withExtendedLifetime(signals) { loop.run() }
    }
  }
}

/// A failure in one sentence.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Lines in columns.
struct Columns {
  private var rows: [[String]] = []

  init(_ header: String...) { rows = [header] }

  mutating func add(_ row: String...) { rows.append(row) }

  func write() {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
      var line = ""
      for (index, cell) in row.enumerated() {
        line += cell
        guard index + 1 < row.count else { continue }
        line += String(repeating: " ", count: widths[index] - cell.count + 2)
      }
      print(line)
    }
  }
}
