internal import Broker
internal import Capture
package import Client
internal import Platform
package import Processors

/// A pipeline that runs: a node, unless that is elsewhere; captures; processors, each on a thread
/// of its own, so that none waits for another's database.
///
/// A part that fails says so and leaves the others running.
package final class Pipeline: Sendable {
  package let client: Client
  package let captures: [RunningCapture]
  package let processors: [ProcessorRunner]
  /// Where Kafka clients connect, if the node is here and takes any.
  package let port: UInt16?
  package let httpPort: UInt16?
  private let node: NodeHost?
  /// Without a node here, which has one.
  private let http: HTTPServer?
  private let pages: PartPages
  private let log: @Sendable (String) -> Void
  /// What was last said of each processor.
  private let said: Condition<[String?]>

  /// Starts everything. `log` takes lines for people; `changed` is called when a part has ended;
  /// both on any thread.
  package init(
    _ file: PipelineFile, log: @escaping @Sendable (String) -> Void,
    changed: @escaping @Sendable () -> Void = {}
  ) throws(PipelineError) {
    self.log = log
    let pages = PartPages()
    self.pages = pages
    let makeClient: @Sendable () throws(ClientError) -> Client
    do {
      switch file.log {
      case .here(var options):
        options.http = file.http ?? options.http
        options.metricsOfParts = { pages.metrics }
        options.healthOfParts = { pages.health }
        http = nil
        let node = try NodeHost(options, log: log)
        let link = node.localLink
        self.node = node
        makeClient = { () throws(ClientError) in try Client(connect: { InProcessLink(link) }) }
      case .there(let bootstrap):
        node = nil
        http = try file.http.map { try HTTPServer($0, pages.respond) }
        var options = ClientOptions()
        options.notice = SharedNotices(log).take
        makeClient = { [options] () throws(ClientError) in
          try Client(bootstrap: bootstrap, options: options)
        }
      }
      client = try makeClient()
    } catch {
      throw PipelineError("\(error)")
    }
    port = node?.port
    httpPort = node?.httpPort ?? http?.port
    let client = client
    captures = file.captures.map { config in
      RunningCapture(config, client, log: log) { result in
        if case .failure(let error) = result {
          log("capture '\(config.name)' has ended: \(error)")
        }
        changed()
      }
    }
    processors = file.processors.map { $0.runner(makeClient, log) }
    said = Condition(processors.map { _ in nil })
    pages.set(captures: captures, processors: processors)
    for processor in processors { processor.start() }
  }

  /// Says what has changed of the processors since the last call.
  package func report() {
    for (index, processor) in processors.enumerated() {
      let text = Self.text(processor.status)
      let isNew = said.withLock { said in
        defer { said[index] = text }
        return said[index] != text
      }
      if isNew { log("processor '\(processor.name)' \(text)") }
    }
  }

  private static func text(_ status: ProcessorStatus) -> String {
    switch status.phase {
    case .starting: "starts"
    case .running: "runs"
    case .waiting(let why): "waits: \(why)"
    case .failed(let why): "has failed: \(why)"
    case .stopped:
      "has stopped after \(status.counts.processed) records, \(status.counts.late) late, "
        + "\(status.counts.deadLettered) to dead letters"
    }
  }

  /// Parts that have ended for good, each in a sentence.
  package var failures: [String] {
    captures.compactMap { capture in
      capture.failure.map { "capture '\(capture.name)': \($0)" }
    }
      + processors.compactMap { processor in
        guard case .failed(let why) = processor.status.phase else { return nil }
        return "processor '\(processor.name)': \(why)"
      }
  }

  /// Nothing of it runs any more but the node.
  package var hasEnded: Bool {
    captures.allSatisfy { $0.hasEnded }
      && processors.allSatisfy {
        if case .failed = $0.status.phase { true } else { false }
      }
  }

  /// Ends everything, the node last: it takes the last positions. Blocks. Returns whether all parts
  /// have ended; those that wait for a database for too long are left behind.
  @discardableResult
  package func stop() -> Bool {
    for processor in processors { processor.requestStop() }
    let captures = RunningCapture.stop(captures)
    let processors = ProcessorRunner.stop(processors)
    report()
    client.close()
    node?.stop()
    return captures && processors
  }
}

extension PipelineFile.Processor {
  /// Not started; it reads and writes through clients of its own.
  fileprivate func runner(
    _ makeClient: @escaping @Sendable () throws(ClientError) -> Client,
    _ log: @escaping @Sendable (String) -> Void
  ) -> ProcessorRunner {
    let task =
      switch kind {
      case .revenue(let options): Revenue.task(options)
      case .lowStock(let options): LowStock.task(options)
      }
    return ProcessorRunner(
      name: name, task: task,
      sink: { [results] in
        switch results {
        case .postgres(let conninfo): PostgresSink(conninfo: conninfo)
        case .sqlite(let path): SQLiteSink(path: path)
        }
      }, makeClient: makeClient,
      notice: { [name] line in log("processor '\(name)': \(line)") })
  }
}
