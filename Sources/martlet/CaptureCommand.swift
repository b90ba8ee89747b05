internal import Broker
internal import Capture
internal import Client
internal import Pipeline
internal import Platform

/// `martlet capture`: one connector, until a signal ends it; against a node that runs somewhere, or
/// with a node in the same process.
struct CaptureCommand {
  private enum Node {
    case remote([String], http: SocketAddress?)
    case here(NodeHostOptions, SocketAddress)
    /// Only Postgres is asked.
    case none
  }

  /// A capture that takes longer to end waits for Postgres.
  private static let stopMilliseconds: Int64 = 1500

  private let config: CaptureConfig
  private let node: Node
  private let forgets: Bool

  init(_ arguments: Arguments) throws {
    try arguments.allow([
      "config", "bootstrap", "data", "node", "listen", "advertise", "http", "set", "check",
      "forget",
    ])
    guard let path = try arguments.value("config") else {
      throw UsageError("--config says what to capture; give a connector's file.")
    }
    do throws(CaptureConfigError) {
      config = try ConnectorFile.read(path: path)
    } catch {
      let sentence = "\(error)"
      throw UsageError(sentence.hasPrefix(path) ? sentence : "\(path): \(sentence)")
    }
    forgets = try arguments.flag("forget")
    if try arguments.flag("check") {
      node = .none
    } else if let bootstrap = try arguments.value("bootstrap") {
      guard try arguments.value("data") == nil else {
        throw UsageError("--bootstrap and --data are both given; the node is there or here.")
      }
      node = .remote([bootstrap], http: try Serve.address(arguments, "http"))
    } else {
      let (options, listen) = try Serve.options(arguments, ServeConfig())
      node = .here(options, listen)
    }
  }

  func run() throws {
    switch node {
    case .none: try check()
    case .remote(let bootstrap, let http):
      var options = ClientOptions()
      options.notice = Terminal.log
      try follow(try Client(bootstrap: bootstrap, options: options), http)
    case .here(let options, let listen): try serveAndFollow(options, listen)
    }
  }

  private func check() throws {
    let findings = Preflight.check(config)
    for note in config.notes { print("note: \(note)") }
    for finding in findings { print("\(finding)") }
    if findings.contains(where: { $0.severity == .error }) { Terminal.exit(1) }
    print("Capture can start.")
  }

  private func follow(_ client: Client, _ http: SocketAddress?) throws {
    let pages = PartPages()
    let server = try http.map { try HTTPServer($0, pages.respond) }
    if let server { Terminal.log("metrics on port \(server.port)") }
    let loop = try EventLoop()
    let capture = start(client, wake: loop.poster.wake)
    pages.set(captures: [capture])
    loop.turn = { [unowned loop] in
      if capture.hasEnded { loop.stop() }
      return 1000
    }
    let signals = try Signals([Signals.terminate, Signals.interrupt, Signals.hangUp], on: loop) {
      [unowned loop] _ in
      Terminal.log("stopping")
      loop.stop()
    }
    loop.run()
    withExtendedLifetime((signals, server)) {}
    try end(RunningCapture.stop([capture]), capture)
  }

  private func serveAndFollow(_ options: NodeHostOptions, _ listen: SocketAddress) throws {
    let pages = PartPages()
    var options = options
    options.metricsOfParts = { pages.metrics }
    options.healthOfParts = { pages.health }
    let node = try HostedNode(options, log: Terminal.log)
    let link = node.localLink
    let client = try Client(connect: { InProcessLink(link) })
    let address = "\(listen.host):\(node.port ?? listen.port)"
    Terminal.log("node \(options.nodeID) serves \(options.directory) on \(address)")
    if let port = node.httpPort { Terminal.log("metrics on port \(port)") }
    let capture = start(client, wake: node.loop.poster.wake)
    pages.set(captures: [capture])
    var stopping: Int64?
    // The node ends after the capture, whose last positions it takes.
    let turn = node.loop.turn
    node.loop.turn = { [unowned node] in
      let isLate = stopping.map { MonotonicClock.milliseconds() - $0 > Self.stopMilliseconds }
      if capture.hasEnded || isLate == true { node.stop() }
      return stopping == nil ? turn() : min(turn(), 100)
    }
    let signals = try Signals(
      [Signals.terminate, Signals.interrupt, Signals.hangUp], on: node.loop
    ) { _ in
      Terminal.log("stopping")
      stopping = stopping ?? MonotonicClock.milliseconds()
      capture.requestStop()
    }
    node.run()
    withExtendedLifetime(signals) {}
    try end(capture.hasEnded, capture)
  }

  private func start(
    _ client: Client, wake: @escaping @Sendable () -> Void
  ) -> RunningCapture {
    RunningCapture(config, client, forgets: forgets, log: Terminal.log) { _ in wake() }
  }

  private func end(_ hasEnded: Bool, _ capture: RunningCapture) throws {
    if let failure = capture.failure { throw failure }
    if !hasEnded { Terminal.abandon("Postgres") }
    Terminal.log("stopped")
  }
}
