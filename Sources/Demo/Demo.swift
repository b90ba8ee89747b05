internal import Broker
internal import Capture
internal import Client
internal import Pipeline
package import Platform
internal import Postgres
internal import Processors

/// The demonstration: a throw-away Postgres with a shop in it, its day at a rate, nodes, capture,
/// two processors, and their results in SQLite; and at the end the same question to the source. Of
/// several nodes one is killed in the middle.
package final class Demo {
  package struct Options: Sendable {
    package var seconds = 30
    package var roundsPerSecond = 500
    package var json = false
    /// An odd number; one is in this process.
    package var nodes = 3
    /// Kills another again and again, once all are whole; nil for once, in the middle.
    package var secondsBetweenKills: Int?
    /// The `martlet` that the nodes are, if they are several.
    package var executable = Console.executable
    /// Where Kafka clients may read along; any free port if another has it.
    package var listen = SocketAddress(host: "127.0.0.1", port: 9092)

    package init() {}
  }

  /// It could not run to its end; one sentence.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// What the pipeline makes of the shop's rows may take so long after it has closed.
  private static let finishMilliseconds: Int64 = 60_000
  private static let refreshMilliseconds: Int64 = 250
  private static let topics = ["users", "products", "orders", "order_items"]

  private let options: Options
  private let postgres: ThrowAwayPostgres
  private let conninfo: String
  private let cluster: DemoCluster?
  private let pipeline: Pipeline
  private let resultsPath: String
  private let initialRows: [String: Int]
  private let terminal: DemoTerminal
  private let problems = Condition<[String]>([])
  private var results: DemoResults?
  private var figures = DemoFigures()
  private var captured: [String: Int] = [:]
  private var generated = Generator.Progress()
  private var lastProcessed: (count: Int, at: Int64)?

  /// Makes the shop and starts the pipeline. Call it on the main thread: when that ends, Postgres
  /// does.
  package init(_ options: Options) throws {
    self.options = options
    terminal = DemoTerminal(isQuiet: options.json)
    terminal.say("making a Postgres cluster and a shop in it")
    let postgres = try ThrowAwayPostgres()
    self.postgres = postgres
    var started: DemoCluster?
    do {
      try PostgresConnection(conninfo: postgres.conninfo(database: "postgres"))
        .run("CREATE DATABASE \(StoreA.database)")
      conninfo = postgres.conninfo(database: StoreA.database)
      let data = try postgres.makeDirectory("node")
      resultsPath = "\(try postgres.makeDirectory("results"))/results.db"
      if options.nodes > 1 {
        terminal.say("starting \(options.nodes) nodes")
        started = try DemoCluster(
          options.nodes, data, listen: options.listen, executable: options.executable, terminal)
      }
      cluster = started
      let source = try PostgresConnection(conninfo: conninfo)
      for part in [StoreA.schema, StoreA.data, StoreA.round] { try source.run(part) }
      initialRows = try StoreA.count(source)
      // What is seen of the pipeline is not to be how nodes find each other.
      try cluster?.waitUntilWhole()
      pipeline = try Self.start(
        options, data: data, bootstrap: started?.bootstrap, results: resultsPath,
        postgres.socketDirectory, problems)
    } catch {
      started?.stop()
      postgres.remove()
      throw error
    }
    figures.seconds = options.seconds
    figures.roundsPerSecond = options.roundsPerSecond
    figures.address =
      started?.bootstrap.first ?? "\(options.listen.host):\(pipeline.port ?? 0)"
  }

  private static func start(
    _ options: Options, data: String, bootstrap: [String]?, results: String, _ host: String,
    _ problems: Condition<[String]>
  ) throws -> Pipeline {
    var node = NodeHostOptions(directory: data)
    node.listen = options.listen
    node.settings = [("num.partitions", "6")]
    var file = PipelineFile(
      name: "store-a", log: bootstrap.map { .there($0) } ?? .here(node))
    file.captures = [try CaptureConfig(properties: StoreA.connector(host: host))]
    file.processors = [
      .init(name: "revenue", kind: .revenue(Revenue.Options()), results: .sqlite(path: results)),
      .init(
        name: "low-stock", kind: .lowStock(LowStock.Options()), results: .sqlite(path: results)),
    ]
    let log: @Sendable (String) -> Void = { line in problems.withLock { $0.append(line) } }
    do throws(PipelineError) {
      return try Pipeline(file, log: log)
    } catch {
      guard bootstrap == nil else { throw error }
      // Somebody else has the port, most likely.
      node.listen = SocketAddress(host: options.listen.host, port: 0)
      file.log = .here(node)
      return try Pipeline(file, log: log)
    }
  }

  /// Runs to the end, or until `isStopped`, which is asked between refreshes; nil then. Leaves
  /// nothing behind, however it ends.
  package func run(until isStopped: (_ milliseconds: Int64) -> Bool) throws -> DemoReport? {
    defer {
      terminal.end()
      pipeline.stop()
      cluster?.stop()
      postgres.remove()
    }
    guard try waitForSnapshot(isStopped) else { return nil }
    let generator = Generator(conninfo: conninfo, roundsPerSecond: options.roundsPerSecond)
    let start = MonotonicClock.milliseconds()
    let end = start + Int64(options.seconds) * 1000
    while MonotonicClock.milliseconds() < end {
      if isStopped(Self.refreshMilliseconds) {
        _ = generator.stop()
        return nil
      }
      generated = generator.now
      if MonotonicClock.milliseconds() >= nextKill(since: start) { cluster?.killOne() }
      try refresh(since: start)
      try check()
    }
    generated = generator.stop()
    figures.phase = .finishing
    let limit = MonotonicClock.milliseconds() + Self.finishMilliseconds
    while try !isFinished() {
      guard MonotonicClock.milliseconds() < limit else { throw unfinished() }
      if isStopped(50) { return nil }
      try refresh(since: start)
      try check()
    }
    return try report()
  }

  /// Waits until the snapshot has its point: from then on every change is an event of its own,
  /// before that several to one row would be one. False if it was stopped.
  private func waitForSnapshot(_ isStopped: (Int64) -> Bool) throws -> Bool {
    let source = try PostgresConnection(conninfo: conninfo)
    let limit = MonotonicClock.milliseconds() + Self.finishMilliseconds
    while try source.query(StoreA.slot).isEmpty || cluster?.isWhole == false {
      try cluster?.turn()
      try check()
      guard MonotonicClock.milliseconds() < limit else { throw unfinished() }
      if isStopped(10) { return false }
    }
    return true
  }

  // MARK: While it runs

  private func nextKill(since start: Int64) -> Int64 {
    let killed = Int64(cluster?.kills ?? 0)
    if let seconds = options.secondsBetweenKills {
      return start + (killed + 1) * Int64(seconds) * 1000
    }
    return killed == 0 ? start + Int64(options.seconds) * 500 : .max
  }

  private func check() throws {
    if let failure = generated.failure {
      throw Failure(description: "The shop could not go on: \(failure)")
    }
    if let failure = pipeline.failures.first { throw Failure(description: failure) }
  }

  private func refresh(since start: Int64) throws {
    let now = MonotonicClock.milliseconds()
    try cluster?.turn()
    figures.nodes = cluster?.rows ?? []
    figures.events = cluster?.events ?? []
    captured = try capturedEvents()
    let statuses = pipeline.processors.map(\.status)
    figures.elapsedSeconds = Double(now - start) / 1000
    figures.changed = generated.rows
    figures.captured = captured.values.reduce(0, +)
    figures.processed = statuses.reduce(0) { $0 + Int($1.counts.processed) }
    if figures.phase != .finishing {
      let isBehind = Self.topics.contains { captured[$0, default: 0] < initialRows[$0, default: 0] }
      figures.phase = isBehind ? .snapshot : .streaming
    }
    if let last = lastProcessed, now - last.at >= 1000 {
      figures.eventsPerSecond =
        Double(figures.processed - last.count) * 1000 / Double(now - last.at)
      lastProcessed = (figures.processed, now)
    } else if lastProcessed == nil {
      lastProcessed = (figures.processed, now)
    }
    var latency = LatencySketch()
    for status in statuses { latency.add(status.latency) }
    figures.p50Milliseconds = latency.quantile(0.5).map { Double($0) / 1000 }
    figures.p99Milliseconds = latency.quantile(0.99).map { Double($0) / 1000 }
    figures.window = statuses.compactMap(\.newestWindow).last.map {
      DemoFigures.Window(
        start: $0.start.microseconds / 1_000_000, end: $0.end.microseconds / 1_000_000,
        cents: $0.sum.cents ?? 0, orders: $0.count)
    }
    if results == nil { results = try DemoResults(path: resultsPath) }
    figures.alerts = try results?.newestAlerts() ?? []
    terminal.show(figures)
  }

  /// How many events are in the topics of the shop's tables.
  private func capturedEvents() throws -> [String: Int] {
    let client = pipeline.client
    let found = try client.wait { client.describeTopics(Self.topics, $0) }
    var partitions: [TopicPartition] = []
    for name in Self.topics {
      guard case .success(let topic)? = found[name] else { continue }
      partitions += topic.partitions.map { TopicPartition(name, $0.number) }
    }
    guard !partitions.isEmpty else { return [:] }
    let ends = try client.wait { [partitions] in client.offsets(partitions, at: .end, $0) }
    var counts: [String: Int] = [:]
    for (partition, offset) in ends { counts[partition.topic, default: 0] += Int(offset) }
    return counts
  }

  // MARK: The end

  /// Every row and every change has one event: the shop deletes nothing.
  private var expected: [String: Int] {
    var expected = initialRows
    expected["orders", default: 0] += generated.orders
    expected["order_items", default: 0] += generated.items
    expected["products", default: 0] += generated.products
    return expected
  }

  private func isFinished() throws -> Bool {
    captured = try capturedEvents()
    let expected = expected
    guard Self.topics.allSatisfy({ captured[$0, default: 0] >= expected[$0, default: 0] }) else {
      return false
    }
    guard cluster?.isWhole != false else { return false }
    // Revenue reads orders, low stock reads products; each has a progress per partition.
    for (processor, topic) in zip(pipeline.processors, ["orders", "products"]) {
      let done = processor.status.progress.reduce(0) { $0 + Int($1.nextOffset) }
      guard done >= captured[topic, default: 0] else { return false }
    }
    return true
  }

  private func unfinished() -> Failure {
    let topics = Self.topics.map {
      "\($0) \(captured[$0, default: 0]) of \(expected[$0, default: 0])"
    }
    let lines = problems.withLock { $0.suffix(5) }
    return Failure(
      description: "The pipeline did not finish: captured \(topics.joined(separator: ", ")). "
        + lines.joined(separator: " "))
  }

  private func report() throws -> DemoReport {
    let source = try PostgresConnection(conninfo: conninfo)
    let results = try DemoResults(path: resultsPath)
    let statuses = pipeline.processors.map(\.status)
    var latency = LatencySketch()
    for status in statuses { latency.add(status.latency) }
    let expected = expected
    let sourceLevels = try source.query(StoreA.alerts).map { row in row.map { $0 ?? "" } }
    let resultLevels = try results.levels()
    return DemoReport(
      seconds: options.seconds,
      topics: Self.topics.map {
        .init(
          name: $0, captured: captured[$0, default: 0], source: expected[$0, default: 0])
      },
      processed: statuses.reduce(0) { $0 + Int($1.counts.processed) },
      late: statuses.reduce(0) { $0 + Int($1.counts.late) },
      stored: try results.storedRows(),
      p50Milliseconds: Double(latency.quantile(0.5) ?? 0) / 1000,
      p99Milliseconds: Double(latency.quantile(0.99) ?? 0) / 1000,
      atSource: try StoreA.windows(source), inResults: try results.windows(),
      alertsAtSource: sourceLevels.count, alertsInResults: resultLevels.count,
      alertsAreEqual: sourceLevels == resultLevels, nodes: options.nodes,
      failover: cluster?.failover, kills: cluster?.kills ?? 0)
  }
}
