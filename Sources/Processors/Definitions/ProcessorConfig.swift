package import Client
internal import Glibc
internal import Platform

/// Processors as a configuration file names them:
///
/// ```json
/// {"processors": [
///   {"name": "revenue", "kind": "revenue", "source": "orders", "results": "revenue-analytics",
///    "windowSeconds": 300, "graceSeconds": 86100, "postgres": "postgresql://localhost/analytics"},
///   {"name": "stock", "kind": "low-stock", "source": "products", "sqlite": "results.db"}]}
/// ```
///
/// Only name, kind and a database are required. `kind` is `revenue` or `low-stock`. `deadLetters`
/// and `table` name the dead-letter topic and the table; revenue has `status`, `windowSeconds` and
/// `graceSeconds`; low-stock has `textIDs`.
package struct AnyProcessor: Sendable {
  package enum Database: Hashable, Sendable {
    /// A connection string as libpq takes it.
    case postgres(String)
    /// A file.
    case sqlite(String)
  }

  package let name: String
  package let task: ProcessorTask
  package let database: Database

  package init(name: String, task: ProcessorTask, database: Database) {
    self.name = name
    self.task = task
    self.database = database
  }

  /// A runner that has not been started, which reads and writes through clients of its own.
  package func runner(
    _ makeClient: @escaping @Sendable () throws(ClientError) -> Client
  ) -> ProcessorRunner {
    let database = database
    let clients = NewestClient(makeClient)
    return ProcessorRunner(
      name: name, task: task,
      sink: {
        switch database {
        case .postgres(let conninfo): PostgresSink(conninfo: conninfo)
        case .sqlite(let path): SQLiteSink(path: path)
        }
      }, transport: { ClientTransport(clients.make) }, interrupt: clients.close)
  }
}

/// Makes clients one after another, and closes the last one from another thread.
private final class NewestClient: Sendable {
  private struct State {
    var client: Client?
    var isClosed = false
  }

  private let makeClient: @Sendable () throws(ClientError) -> Client
  private let state = Condition(State())

  init(_ makeClient: @escaping @Sendable () throws(ClientError) -> Client) {
    self.makeClient = makeClient
  }

  func make() throws(ClientError) -> Client {
    let client = try makeClient()
    let isClosed = state.withLock { state in
      state.client = client
      return state.isClosed
    }
    if isClosed { client.close() }
    return client
  }

  func close() {
    let client = state.withLock { state in
      state.isClosed = true
      return state.client
    }
    client?.close()
  }
}

/// What is wrong with a configuration, in one sentence.
package struct ConfigError: Error, Hashable, Sendable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

package enum ProcessorConfig {
  static let bytesMax = 1 << 20

  /// Reads a file.
  package static func load(_ path: String) throws(ConfigError) -> [AnyProcessor] {
    guard let file = unsafe fopen(path, "r") else {
      throw ConfigError("The configuration \(path) cannot be opened; check its name and rights.")
    }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    guard count <= bytesMax else {
      throw ConfigError("The configuration \(path) is larger than a mebibyte.")
    }
    return try parse(Array(bytes[..<count]))
  }

  package static func parse(_ text: [UInt8]) throws(ConfigError) -> [AnyProcessor] {
    let objects: [Range<Int>]
    do throws(JSONError) {
      objects = try self.objects(text)
    } catch {
      throw ConfigError("The configuration is not what it should be: \(error).")
    }
    var processors: [AnyProcessor] = []
    for range in objects {
      do throws(EventError) {
        let row = try EventDecoder.fields(of: text[range])
        processors.append(try processor(row))
      } catch {
        throw ConfigError("Processor \(processors.count + 1) of the configuration: \(error.text)")
      }
    }
    guard !processors.isEmpty else {
      throw ConfigError("The configuration has no \"processors\"; give a list of them.")
    }
    for (index, processor) in processors.enumerated() {
      for other in processors[..<index] where other.name == processor.name {
        throw ConfigError("Two processors are named '\(processor.name)'; give each its own name.")
      }
      for other in processors[..<index] {
        let shared = other.task.resultTopics.first { processor.task.resultTopics.contains($0) }
        if let shared {
          throw ConfigError(
            "'\(other.name)' and '\(processor.name)' both write to \(shared); give each its own "
              + "\"results\".")
        }
      }
    }
    return processors
  }

  private static func objects(_ text: [UInt8]) throws(JSONError) -> [Range<Int>] {
    try unsafe text.withUnsafeBufferPointer { (bytes) throws(JSONError) in
      var scanner = unsafe JSONScanner(bytes)
      var objects: [Range<Int>] = []
      try unsafe scanner.beginObject()
      while let name = try unsafe scanner.nextField() {
        guard unsafe scanner.isName(name, "processors") else {
          _ = try unsafe scanner.value()
          continue
        }
        try unsafe scanner.beginArray()
        while try unsafe scanner.nextElement() {
          let value = try unsafe scanner.value()
          guard value.kind == .object else { throw .unexpected(at: value.range.lowerBound) }
          objects.append(value.range)
        }
      }
      try unsafe scanner.expectEnd()
      return objects
    }
  }

  private static func processor(_ row: Row) throws(EventError) -> AnyProcessor {
    let text = { (name: String) throws(EventError) in try row.text(name) }
    guard let name = try text("name"), !name.isEmpty else { throw .missing("name") }
    let database: AnyProcessor.Database
    switch (try text("postgres"), try text("sqlite")) {
    case (let conninfo?, nil): database = .postgres(conninfo)
    case (nil, let path?): database = .sqlite(path)
    default: throw .invalid("postgres", "or 'sqlite', one of them, says where results go")
    }
    let task: ProcessorTask
    switch try text("kind") {
    case "revenue": task = Revenue.task(try revenue(row))
    case "low-stock": task = LowStock.task(try lowStock(row))
    default: throw .invalid("kind", "is 'revenue' or 'low-stock'")
    }
    return AnyProcessor(name: name, task: task, database: database)
  }

  private static func revenue(_ row: Row) throws(EventError) -> Revenue.Options {
    var options = Revenue.Options()
    options.sourceTopic = try row.text("source") ?? options.sourceTopic
    options.resultTopic = try row.text("results") ?? options.resultTopic
    options.deadLetterTopic = try row.text("deadLetters") ?? options.deadLetterTopic
    options.table = try row.text("table") ?? options.table
    options.status = try row.text("status") ?? options.status
    let size = try row.integer("windowSeconds") ?? 300
    guard (1...366 * 86_400).contains(size) else {
      throw .invalid("windowSeconds", "is between 1 and a year")
    }
    let grace = try row.integer("graceSeconds")
    guard (0...36_600 * 86_400).contains(grace ?? 0) else {
      throw .invalid("graceSeconds", "is not negative and at most a hundred years")
    }
    options.windows = TumblingWindows(
      sizeMicroseconds: size * 1_000_000, graceMicroseconds: grace.map { $0 * 1_000_000 })
    return options
  }

  private static func lowStock(_ row: Row) throws(EventError) -> LowStock.Options {
    var options = LowStock.Options()
    options.sourceTopic = try row.text("source") ?? options.sourceTopic
    options.resultTopic = try row.text("results") ?? options.resultTopic
    options.deadLetterTopic = try row.text("deadLetters") ?? options.deadLetterTopic
    options.table = try row.text("table") ?? options.table
    options.hasTextIDs = try row.text("textIDs") == "true"
    return options
  }
}
