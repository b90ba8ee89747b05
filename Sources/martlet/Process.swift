internal import Broker
internal import Client
internal import Pipeline
internal import Platform
internal import Processors

/// `martlet process`: the processors of a configuration, until a signal ends them.
struct Process {
  private let bootstrap: [String]
  private let processors: [AnyProcessor]
  private let http: SocketAddress?

  init(_ arguments: Arguments) throws {
    try arguments.allow(["bootstrap", "config", "http"])
    http = try Serve.address(arguments, "http")
    bootstrap = [try arguments.value("bootstrap") ?? "127.0.0.1:9092"]
    guard let path = try arguments.value("config") else {
      throw UsageError("--config says which processors to run; give a JSON file.")
    }
    do throws(ConfigError) {
      processors = try ProcessorConfig.load(path)
    } catch {
      throw UsageError("\(error)")
    }
  }

  func run() throws {
    let loop = try EventLoop()
    var options = ClientOptions()
    options.notice = SharedNotices(Terminal.log).take
    let runners = processors.map { processor in
      processor.runner { [bootstrap, options] () throws(ClientError) in
        try Client(bootstrap: bootstrap, options: options)
      }
    }
    let pages = PartPages()
    pages.set(processors: runners)
    let server = try http.map { try HTTPServer($0, pages.respond) }
    if let server { Terminal.log("metrics on port \(server.port)") }
    for runner in runners { runner.start() }
    var told = [ProcessorStatus.Phase?](repeating: nil, count: runners.count)
    loop.turn = {
      for (index, runner) in runners.enumerated() {
        let phase = runner.status.phase
        if told[index] != phase { Terminal.log("processor \(runner.name): \(Self.text(phase))") }
        told[index] = phase
      }
      if runners.allSatisfy({ Self.hasFailed($0.status.phase) }) { loop.stop() }
      return 100
    }
    let signals = try Signals([Signals.terminate, Signals.interrupt, Signals.hangUp], on: loop) {
      _ in loop.stop()
    }
    loop.run()
    withExtendedLifetime((signals, server)) {}
    let haveAllEnded = ProcessorRunner.stop(runners)
    for runner in runners {
      let status = runner.status
      Terminal.log(
        "processor \(runner.name): \(Self.text(status.phase)) after \(status.counts.processed) "
          + "records, \(status.counts.late) late, \(status.counts.deadLettered) to dead letters")
    }
    if runners.contains(where: { Self.hasFailed($0.status.phase) }) { Terminal.exit(1) }
    if !haveAllEnded { Terminal.abandon("a database") }
  }

  private static func hasFailed(_ phase: ProcessorStatus.Phase) -> Bool {
    if case .failed = phase { true } else { false }
  }

  private static func text(_ phase: ProcessorStatus.Phase) -> String {
    switch phase {
    case .starting: "starting"
    case .running: "running"
    case .waiting(let why): "waiting: \(why)"
    case .failed(let why): "FAILED: \(why)"
    case .stopped: "stopped"
    }
  }
}
