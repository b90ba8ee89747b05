package import Broker
package import Capture
package import Platform
package import Processors
internal import YAML

/// A pipeline in a file: where its log is, what is captured, and what is made of it.
///
/// ```yaml
/// name: store-a
/// log:
///   data: ./data                     # a node in this process, with what `serve` takes:
///   listen: 127.0.0.1:9092
///   http: 127.0.0.1:8080
///   settings: {num.partitions: 6}
///   # bootstrap: 127.0.0.1:9092      # or brokers that run elsewhere
/// http: 127.0.0.1:8080               # /health and /metrics of everything; or as the log's
/// capture:
///   - file: connector.json           # a connector as Kafka Connect has it, or its properties:
///   - config:
///       name: store-a
///       database.hostname: localhost
/// results:
///   postgres: host=localhost dbname=analytics user=postgres
///   # sqlite: results.db
/// processors:
///   - kind: revenue
///     source: orders
///   - kind: low-stock
///     source: products
/// ```
///
/// Paths are relative to the file's folder.
package struct PipelineFile: Sendable {
  package enum Log: Sendable {
    case here(NodeHostOptions)
    case there([String])
  }

  package enum Results: Hashable, Sendable {
    case sqlite(path: String)
    case postgres(conninfo: String)
  }

  package struct Processor: Sendable {
    package enum Kind: Hashable, Sendable {
      case revenue(Revenue.Options)
      case lowStock(LowStock.Options)
    }

    package var name: String
    package var kind: Kind
    package var results: Results

    var resultTopic: String {
      switch kind {
      case .revenue(let options): options.resultTopic
      case .lowStock(let options): options.resultTopic
      }
    }

    var table: String {
      switch kind {
      case .revenue(let options): options.table
      case .lowStock(let options): options.table
      }
    }

    package init(name: String, kind: Kind, results: Results) {
      self.name = name
      self.kind = kind
      self.results = results
    }
  }

  package var name: String
  package var log: Log
  /// Where /health and /metrics of everything are, if not where the log's say.
  package var http: SocketAddress?
  package var captures: [CaptureConfig] = []
  package var processors: [Processor] = []

  package init(name: String, log: Log) {
    self.name = name
    self.log = log
  }

  /// All that a file may have.
  package static var keys: [String] {
    Keys.pipeline + Keys.log + Keys.capture + Keys.results + Keys.processor + Keys.revenue
      + Keys.lowStock
  }
}

/// What is wrong with a pipeline, and where; or why it ended.
package struct PipelineError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

extension PipelineFile {
  package static func read(path: String) throws(PipelineError) -> PipelineFile {
    try read(path, parse)
  }

  /// Processors alone: there is no capture, and the log is elsewhere: at `bootstrap`, or else where
  /// the file says, or else on this machine.
  package static func readProcessors(
    path: String, bootstrap: String? = nil
  ) throws(PipelineError) -> PipelineFile {
    try read(path) { try parse(processors: $0, folder: $1, bootstrap: bootstrap) }
  }

  private static func read(
    _ path: String, _ parse: (YAMLNode, _ folder: String) throws -> PipelineFile
  ) throws(PipelineError) -> PipelineFile {
    var folder = ""
    if let slash = path.lastIndex(of: "/") { folder = String(path[...slash]) }
    do {
      return try parse(try YAMLDocument.read(path: path), folder)
    } catch let error as YAMLError {
      throw PipelineError(error.line > 0 ? "\(path), \(error)" : error.text)
    } catch {
      throw PipelineError("\(path): \(error)")
    }
  }

  /// `folder` ends with a slash, or is empty for the current one.
  package static func parse(text: String, folder: String = "") throws(PipelineError) -> PipelineFile
  {
    do {
      return try parse(try YAMLDocument.parse(text), folder: folder)
    } catch {
      throw PipelineError("\(error)")
    }
  }

  private static func parse(_ document: YAMLNode, folder: String) throws -> PipelineFile {
    let entries = try document.entries(of: "the pipeline", known: Keys.pipeline)
    guard let log = entries["log"] else {
      throw YAMLError(line: document.line, "log is missing; it says where the data is.")
    }
    let reader = PipelineReader(folder: folder)
    var file = PipelineFile(
      name: try entries["name"]?.text(of: "name") ?? "pipeline", log: try reader.log(log))
    try file.setHTTP(entries, reader)
    file.captures = try (entries["capture"]?.items(of: "capture") ?? []).map(reader.capture)
    file.processors = try reader.processors(entries)
    try checkNames(file, document)
    return file
  }

  private static func parse(
    processors document: YAMLNode, folder: String, bootstrap: String?
  ) throws -> PipelineFile {
    let entries = try document.entries(
      of: "the processors' file", known: ["name", "log", "http", "results", "processors"])
    let reader = PipelineReader(folder: folder)
    var file = PipelineFile(
      name: try entries["name"]?.text(of: "name") ?? "processors", log: .there(["127.0.0.1:9092"]))
    if let log = entries["log"] {
      file.log = try reader.log(log)
      guard case .there = file.log else {
        throw YAMLError(line: log.line, "log has data; here it has bootstrap, HOST:PORT.")
      }
    }
    try file.setHTTP(entries, reader)
    if let bootstrap { file.log = .there(PipelineReader.brokers(bootstrap)) }
    file.processors = try reader.processors(entries)
    guard !file.processors.isEmpty else {
      throw YAMLError(line: document.line, "There is no processor to run.")
    }
    try checkNames(file, document)
    return file
  }

  private mutating func setHTTP(_ entries: [YAMLNode.Entry], _ reader: PipelineReader) throws {
    guard let entry = entries.first(where: { $0.key == "http" }) else { return }
    if case .here(let options) = log, options.http != nil {
      throw YAMLError(line: entry.line, "http is given twice, here and in log; give it once.")
    }
    http = try reader.address(entry)
  }

  /// Positions and offsets are kept under these names.
  private static func checkNames(_ file: PipelineFile, _ document: YAMLNode) throws {
    for names in [file.captures.map(\.name), file.processors.map(\.name)] {
      for (index, name) in names.enumerated() where names[..<index].contains(name) {
        throw YAMLError(line: document.line, "Two parts are named '\(name)'; name them apart.")
      }
    }
    for name in file.captures.map(\.name) + file.processors.map(\.name) where name.isEmpty {
      throw YAMLError(line: document.line, "A part has an empty name; name it.")
    }
    // Two that write the same would overwrite one another.
    for (index, one) in file.processors.enumerated() {
      for other in file.processors[..<index] {
        if one.resultTopic == other.resultTopic {
          throw YAMLError(
            line: document.line,
            "'\(other.name)' and '\(one.name)' both write to the topic \(one.resultTopic); give "
              + "each its own.")
        }
        if one.results == other.results, one.table == other.table {
          throw YAMLError(
            line: document.line,
            "'\(other.name)' and '\(one.name)' both write to the table \(one.table); give each its "
              + "own.")
        }
      }
    }
    try checkLoops(file.processors, line: document.line)
    if file.captures.isEmpty, file.processors.isEmpty {
      throw YAMLError(line: document.line, "There is neither capture nor a processor to run.")
    }
  }
}
