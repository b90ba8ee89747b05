internal import Demo
internal import Platform

/// `martlet demo`: the whole pipeline on a throw-away Postgres.
struct DemoCommand {
  private var options = Demo.Options()

  init(_ arguments: Arguments) throws {
    try arguments.allow(["seconds", "rate", "json", "listen", "nodes", "kill-every"])
    if let seconds = try Self.number(arguments, "seconds", 1...86_400) { options.seconds = seconds }
    if let rate = try Self.number(arguments, "rate", 1...100_000) {
      options.roundsPerSecond = rate
    }
    if let nodes = try Self.number(arguments, "nodes", 1...9) {
      guard nodes % 2 == 1 else {
        throw UsageError(
          "--nodes is an odd number from 1 to 9, not '\(nodes)': of an even number, as many may "
            + "fail as of one less.")
      }
      options.nodes = nodes
    }
    if let seconds = try Self.number(arguments, "kill-every", 5...86_400) {
      guard options.nodes > 1 else {
        throw UsageError("--kill-every needs several nodes: of one, nothing is left.")
      }
      options.secondsBetweenKills = seconds
    }
    options.json = try arguments.flag("json")
    if let text = try arguments.value("listen") {
      guard let address = SocketAddress(text) else {
        throw UsageError("--listen takes HOST:PORT, not '\(text)'.")
      }
      options.listen = address
    }
  }

  private static func number(
    _ arguments: Arguments, _ name: String, _ range: ClosedRange<Int>
  ) throws -> Int? {
    guard let text = try arguments.value(name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw UsageError(
        "--\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'.")
    }
    return number
  }

  func run() throws {
    let report = try Demo(options).run { milliseconds in
      Signals.wait(
        for: [Signals.terminate, Signals.interrupt, Signals.hangUp], milliseconds: milliseconds)
    }
    guard let report else {
      Terminal.complain("stopped; everything is cleaned up.")
      Terminal.exit(130)
    }
    print(options.json ? report.json : report.text)
    if !report.isEqual { Terminal.exit(1) }
  }
}
