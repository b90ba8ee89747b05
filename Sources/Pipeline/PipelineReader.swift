internal import Broker
internal import Capture
internal import Platform
internal import Processors
internal import YAML

/// What may be said where.
enum Keys {
  static let pipeline = ["name", "log", "http", "capture", "results", "processors"]
  static let log = ["bootstrap", "data", "node", "listen", "advertise", "http", "settings"]
  static let capture = ["file", "config"]
  static let results = ["sqlite", "postgres"]
  static let processor = ["kind", "name", "source", "topic", "dead-letters", "table", "results"]
  static let revenue = ["status", "window", "grace"]
  static let lowStock = ["text-ids"]
}

/// The parts of a pipeline's file.
struct PipelineReader {
  let folder: String

  private func path(_ text: String) -> String { text.hasPrefix("/") ? text : folder + text }

  // MARK: The log

  func log(_ node: YAMLNode) throws -> PipelineFile.Log {
    let entries = try node.entries(of: "log", known: Keys.log)
    if let bootstrap = entries.first(where: { $0.key == "bootstrap" }) {
      guard entries.count == 1 else {
        throw YAMLError(line: node.line, "log has bootstrap and more; the log is there or here.")
      }
      let text = try bootstrap.value.text(of: "bootstrap")
      return .there(Self.brokers(text))
    }
    guard let data = entries.first(where: { $0.key == "data" }) else {
      throw YAMLError(line: node.line, "log has neither data, a folder, nor bootstrap, HOST:PORT.")
    }
    var options = NodeHostOptions(directory: path(try data.value.text(of: "data")))
    options.listen = SocketAddress(host: "127.0.0.1", port: 9092)
    for entry in entries {
      switch entry.key {
      case "node": options.nodeID = try entry.value.integer(of: "node", 0...Int32.max)
      case "listen": options.listen = try address(entry)
      case "advertise": options.advertised = try address(entry)
      case "http": options.http = try address(entry)
      case "settings": options.settings = try entry.value.entries(of: "settings").map(setting)
      default: break
      }
    }
    return .here(options)
  }

  static func brokers(_ text: String) -> [String] {
    text.split { $0 == "," || $0 == " " }.map(String.init)
  }

  func address(_ entry: YAMLNode.Entry) throws -> SocketAddress {
    let text = try entry.value.text(of: entry.key)
    guard let address = SocketAddress(text) else {
      throw YAMLError(line: entry.value.line, "\(entry.key) is HOST:PORT, not '\(text)'.")
    }
    return address
  }

  private func setting(_ entry: YAMLNode.Entry) throws -> (String, String) {
    guard BrokerConfigTable.definition(entry.key) != nil else {
      throw YAMLError(line: entry.line, "There is no broker setting '\(entry.key)'.")
    }
    return (entry.key, try entry.value.text(of: entry.key))
  }

  // MARK: Capture

  func capture(_ node: YAMLNode) throws -> CaptureConfig {
    let entries = try node.entries(of: "a capture", known: Keys.capture)
    guard let entry = entries.first, entries.count == 1 else {
      throw YAMLError(line: node.line, "A capture has either a file or a config.")
    }
    do throws(CaptureConfigError) {
      if entry.key == "file" {
        return try ConnectorFile.read(path: path(try text(entry)))
      }
      var properties: [String: String] = [:]
      for property in try self.entries(entry.value) {
        properties[property.key] = try text(property)
      }
      return try CaptureConfig(properties: properties)
    } catch {
      throw YAMLError(line: entry.line, error.description)
    }
  }

  private func text(_ entry: YAMLNode.Entry) throws(CaptureConfigError) -> String {
    do throws(YAMLError) {
      return try entry.value.text(of: entry.key)
    } catch { throw CaptureConfigError(error.text) }
  }

  private func entries(_ node: YAMLNode) throws(CaptureConfigError) -> [YAMLNode.Entry] {
    do throws(YAMLError) {
      return try node.entries(of: "config")
    } catch { throw CaptureConfigError(error.text) }
  }

  // MARK: Processors

  /// Those of a file; they write where it says, unless they say otherwise.
  func processors(_ entries: [YAMLNode.Entry]) throws -> [PipelineFile.Processor] {
    let shared = try entries["results"].map(results)
    return try (entries["processors"]?.items(of: "processors") ?? []).map {
      try processor($0, shared)
    }
  }

  private func results(_ node: YAMLNode) throws -> PipelineFile.Results {
    let entries = try node.entries(of: "results", known: Keys.results)
    guard let entry = entries.first, entries.count == 1 else {
      throw YAMLError(line: node.line, "results names either postgres or sqlite.")
    }
    let text = try entry.value.text(of: entry.key)
    return entry.key == "sqlite" ? .sqlite(path: path(text)) : .postgres(conninfo: text)
  }

  private func processor(
    _ node: YAMLNode, _ shared: PipelineFile.Results?
  ) throws -> PipelineFile.Processor {
    let entries = try node.entries(of: "a processor")
    guard let kind = entries["kind"] else {
      throw YAMLError(line: node.line, "A processor has a kind: revenue or low-stock.")
    }
    let name = try kind.text(of: "kind")
    let options = Options(node, entries)
    var processor: PipelineFile.Processor.Kind
    switch name {
    case "revenue":
      _ = try node.entries(of: "revenue", known: Keys.processor + Keys.revenue)
      processor = .revenue(try revenue(options))
    case "low-stock":
      _ = try node.entries(of: "low-stock", known: Keys.processor + Keys.lowStock)
      processor = .lowStock(try lowStock(options))
    default:
      throw YAMLError(
        line: kind.line, "There is no processor '\(name)'; there are revenue, low-stock.")
    }
    let own = try entries["results"].map(results)
    return PipelineFile.Processor(
      name: try options.text("name") ?? name, kind: processor,
      // Where nobody names a database there is one beside the file.
      results: own ?? shared ?? .sqlite(path: path("results.db")))
  }

  private func revenue(_ given: Options) throws -> Revenue.Options {
    var options = Revenue.Options()
    try given.set("source", &options.sourceTopic)
    try given.set("topic", &options.resultTopic)
    try given.set("dead-letters", &options.deadLetterTopic)
    try given.set("table", &options.table)
    try given.set("status", &options.status)
    let size = try given.duration("window", TumblingWindows.sizeRange) ?? 300_000_000
    let grace = try given.duration("grace", TumblingWindows.graceRange)
    options.windows = TumblingWindows(sizeMicroseconds: size, graceMicroseconds: grace)
    return options
  }

  private func lowStock(_ given: Options) throws -> LowStock.Options {
    var options = LowStock.Options()
    try given.set("source", &options.sourceTopic)
    try given.set("topic", &options.resultTopic)
    try given.set("dead-letters", &options.deadLetterTopic)
    try given.set("table", &options.table)
    if let text = try given.text("text-ids") {
      guard text == "true" || text == "false" else {
        throw YAMLError(line: given.node.line, "text-ids is true or false, not '\(text)'.")
      }
      options.hasTextIDs = text == "true"
    }
    return options
  }
}

extension [YAMLNode.Entry] {
  subscript(key: String) -> YAMLNode? { first { $0.key == key }?.value }
}

/// The options of a processor.
private struct Options {
  let node: YAMLNode
  let entries: [YAMLNode.Entry]

  init(_ node: YAMLNode, _ entries: [YAMLNode.Entry]) {
    self.node = node
    self.entries = entries
  }

  func text(_ key: String) throws -> String? {
    try entries[key]?.text(of: key)
  }

  func set(_ key: String, _ value: inout String) throws {
    if let text = try text(key) { value = text }
  }

  /// A duration as people write it, in microseconds: `500ms`, `30s`, `5m`, `24h`, `7d`.
  func duration(_ key: String, _ range: ClosedRange<Int64>) throws -> Int64? {
    guard let value = entries[key] else { return nil }
    let text = try value.text(of: key)
    let units: [(String, Int64)] = [
      ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
      ("d", 86_400_000_000),
    ]
    for (suffix, factor) in units where text.hasSuffix(suffix) {
      guard let count = Int64(text.dropLast(suffix.count)) else { continue }
      let (duration, isTooLarge) = count.multipliedReportingOverflow(by: factor)
      guard !isTooLarge, range.contains(duration) else { break }
      return duration
    }
    throw YAMLError(
      line: value.line,
      "\(key) is a duration such as 500ms, 30s, 5m, 24h or 7d, in bounds, not '\(text)'.")
  }
}
