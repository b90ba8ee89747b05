internal import Broker
internal import Pipeline
internal import Platform

/// `martlet run PIPELINE.yaml` and `martlet process --config FILE`: what the file names, until a
/// signal ends it.
struct Run {
  private var file: PipelineFile

  init(pipeline arguments: Arguments) throws {
    try arguments.allow(["http"], operandsMax: 1)
    guard let path = arguments.operands.first else {
      throw UsageError("'martlet run' takes a pipeline's file.")
    }
    do throws(PipelineError) {
      file = try PipelineFile.read(path: path)
    } catch {
      throw UsageError(error.description)
    }
    file.http = try Serve.address(arguments, "http") ?? file.http
  }

  init(processors arguments: Arguments) throws {
    try arguments.allow(["bootstrap", "config", "http"])
    let bootstrap = try arguments.value("bootstrap")
    guard let path = try arguments.value("config") else {
      throw UsageError("--config says which processors to run; give a file.")
    }
    do throws(PipelineError) {
      file = try PipelineFile.readProcessors(path: path, bootstrap: bootstrap)
    } catch {
      throw UsageError(error.description)
    }
    file.http = try Serve.address(arguments, "http") ?? file.http
  }

  func run() throws {
    let loop = try EventLoop()
    let pipeline = try Pipeline(file, log: Terminal.log, changed: loop.poster.wake)
    if case .here(let options) = file.log {
      let host = options.listen?.host ?? "127.0.0.1"
      Terminal.log(
        "node \(options.nodeID) serves \(options.directory) on \(host):\(pipeline.port ?? 0)")
    }
    if let port = pipeline.httpPort { Terminal.log("metrics on port \(port)") }
    loop.turn = { [unowned loop] in
      pipeline.report()
      if pipeline.hasEnded { loop.stop() }
      return 1000
    }
    let signals = try Signals([Signals.terminate, Signals.interrupt, Signals.hangUp], on: loop) {
      [unowned loop] _ in
      Terminal.log("stopping")
      loop.stop()
    }
    loop.run()
    withExtendedLifetime(signals) {}
    let failures = pipeline.failures
    let haveAllEnded = pipeline.stop()
    guard failures.isEmpty else { throw PipelineError(failures.joined(separator: " ")) }
    if !haveAllEnded { Terminal.abandon("a database") }
    Terminal.log("stopped")
  }
}
