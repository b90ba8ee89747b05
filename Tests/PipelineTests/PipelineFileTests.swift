import Broker
import Capture
import Foundation
import Pipeline
import Platform
import Processors
import Testing

@Suite struct `A pipeline's file` {
  private static let whole = """
    name: store-a
    log:
      data: data
      listen: 127.0.0.1:0
      http: 127.0.0.1:8081
      node: 7
      settings: {num.partitions: 6}
    capture:
      - config:
          name: shop
          database.hostname: /run/postgresql
          database.user: postgres
          database.dbname: ecommerce
          topic.prefix: shop
          table.include.list: public.orders
          plugin.name: pgoutput
    results:
      postgres: host=/run/postgresql dbname=analytics
    processors:
      - kind: revenue
        source: shop.public.orders
        window: 1h
        grace: 0s
      - kind: low-stock
        name: alerts
        results: {sqlite: alerts.db}
    """

  @Test func `says all there is to say`() throws {
    let file = try PipelineFile.parse(text: Self.whole, folder: "/etc/martlet/")
    #expect(file.name == "store-a")
    guard case .here(let node) = file.log else { throw PipelineError("the log is not here") }
    #expect(node.directory == "/etc/martlet/data")
    #expect(node.nodeID == 7)
    #expect(node.listen?.port == 0)
    #expect(node.http?.port == 8081)
    #expect(node.settings.map(\.0) == ["num.partitions"])
    #expect(file.captures.map(\.name) == ["shop"])
    #expect(file.processors.map(\.name) == ["revenue", "alerts"])
    guard case .revenue(let revenue) = file.processors[0].kind else {
      throw PipelineError("not revenue")
    }
    #expect(revenue.sourceTopic == "shop.public.orders")
    #expect(revenue.windows.sizeMicroseconds == 3_600_000_000)
    #expect(revenue.windows.graceMicroseconds == 0)
    #expect(
      file.processors[0].results == .postgres(conninfo: "host=/run/postgresql dbname=analytics"))
    #expect(file.processors[1].results == .sqlite(path: "/etc/martlet/alerts.db"))
  }

  @Test func `writes to SQLite beside it when no database is named`() throws {
    let file = try PipelineFile.parse(
      text: """
        log: {bootstrap: "a:9092, b:9092"}
        processors: [{kind: revenue}]
        """, folder: "here/")
    guard case .there(let brokers) = file.log else { throw PipelineError("the log is not there") }
    #expect(brokers == ["a:9092", "b:9092"])
    #expect(file.processors[0].results == .sqlite(path: "here/results.db"))
  }

  @Test(arguments: [
    ("", "log is missing"),
    ("log: {data: d}", "neither capture nor a processor"),
    ("log: {}\nprocessors: [{kind: revenue}]", "neither data"),
    ("log: {data: d, bootstrap: 'h:1'}\nprocessors: [{kind: revenue}]", "there or here"),
    ("log: {data: d, listen: nowhere}\nprocessors: [{kind: revenue}]", "HOST:PORT"),
    ("log: {data: d, settings: {no.such: 1}}\nprocessors: [{kind: revenue}]", "no.such"),
    ("log: {data: d}\nprocessors: [{kind: dance}]", "There is no processor 'dance'"),
    ("log: {data: d}\nprocessors: [{source: orders}]", "A processor has a kind"),
    ("log: {data: d}\nprocessors: [{kind: revenue, window: soon}]", "window is a duration"),
    ("log: {data: d}\nprocessors: [{kind: revenue, window: 99999999999999999d}]", "in bounds"),
    ("log: {data: d}\nprocessors: [{kind: low-stock, window: 5m}]", "no key 'window'"),
    ("log: {data: d}\nprocessors: [{kind: revenue}, {kind: revenue}]", "named 'revenue'"),
    (
      "log: {data: d}\nprocessors: [{kind: revenue}, {kind: revenue, name: b, table: c}]",
      "both write to the topic revenue-analytics"
    ),
    (
      "log: {data: d}\nprocessors: [{kind: revenue}, {kind: revenue, name: b, topic: c}]",
      "both write to the table revenue_analytics"
    ),
    (
      "log: {data: d}\nprocessors: [{kind: revenue, source: a, dead-letters: a}]",
      "read its own dead letters"
    ),
    ("log: {data: d}\nprocessors: [{kind: low-stock, source: dlq-topic}]", "own dead letters"),
    ("log: {data: d}\nprocessors: [{kind: low-stock, source: a, topic: a}]", "its own results"),
    ("log: {data: d}\nprocessors: [{kind: revenue, source: r-late, topic: r}]", "its own results"),
    (
      "log: {data: d}\nprocessors: [{kind: revenue, topic: a, dead-letters: a}]",
      "results and dead letters both in a"
    ),
    (
      """
      log: {data: d}
      processors:
        - {kind: revenue, source: a, topic: b}
        - {kind: low-stock, source: b, topic: c, dead-letters: a}
      """, "'revenue' would read again what it writes, through other processors"
    ),
    ("log: {data: d}\nprocessors: [{kind: revenue, name: ''}]", "empty name"),
    ("log: {data: d}\ncapture: [{}]\n", "either a file or a config"),
    ("log: {data: d}\ncapture: [{config: {name: x}}]\n", "topic.prefix"),
    ("log: {data: d}\nresults: {}\nprocessors: [{kind: revenue}]", "either postgres or sqlite"),
    ("log: {data: d}\nnonsense: 1\n", "nonsense"),
    ("log: [", "line"),
  ])
  func `that is wrong says what and where`(text: String, expected: String) {
    let error = #expect(throws: PipelineError.self) { try PipelineFile.parse(text: text) }
    #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
  }
}

@Suite struct `A processors' file` {
  private func read(_ text: String, bootstrap: String? = nil) throws -> PipelineFile {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "martlet-\(UUID().uuidString).yaml").path
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try PipelineFile.readProcessors(path: path, bootstrap: bootstrap)
  }

  private func brokers(_ file: PipelineFile) -> [String]? {
    if case .there(let brokers) = file.log { brokers } else { nil }
  }

  @Test func `has a pipeline's words, and may be JSON`() throws {
    let text = #"""
      {"log": {"bootstrap": "a:1,b:2"}, "results": {"sqlite": "/r.db"},
       "processors": [{"kind": "revenue", "grace": "1000d"}, {"kind": "low-stock"}]}
      """#
    let file = try read(text)
    #expect(brokers(file) == ["a:1", "b:2"])
    #expect(file.processors.map(\.name) == ["revenue", "low-stock"])
    #expect(file.processors.allSatisfy { $0.results == .sqlite(path: "/r.db") })
    #expect(brokers(try read(text, bootstrap: "c:3")) == ["c:3"])
  }

  @Test func `needs not say where the log is`() throws {
    #expect(brokers(try read("processors: [{kind: revenue}]")) == ["127.0.0.1:9092"])
  }

  @Test(arguments: [
    ("", "There is no processor"),
    ("log: {data: d}\nprocessors: [{kind: revenue}]", "line 1: log has data"),
    ("processors: [{kind: revenue}]\ncapture: []", "line 2: There is no key 'capture'"),
  ])
  func `that is wrong says what and where`(text: String, expected: String) {
    let error = #expect(throws: PipelineError.self) { try read(text) }
    #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
  }
}

@Suite struct `The example of store A` {
  private static let path =
    "/\(#filePath.split(separator: "/").dropLast(3).joined(separator: "/"))"
    + "/examples/store-a/pipeline.yaml"

  @Test func `is a pipeline`() throws {
    let file = try PipelineFile.read(path: Self.path)
    #expect(file.captures.map(\.name) == ["store-a"])
    #expect(file.processors.map(\.name) == ["revenue", "low-stock"])
  }

  @Test func `follows TRUNCATE`() throws {
    let file = try PipelineFile.read(path: Self.path)
    #expect(file.captures.map(\.skippedOperations) == [[]])
  }

  @Test func `has every key`() throws {
    let text = try String(contentsOfFile: Self.path, encoding: .utf8)
    let keys = PipelineFile.keys
    #expect(keys.contains("text-ids") && keys.contains("advertise"))
    // As a key of a line, given or commented out, or in the text that explains its neighbour.
    for key in keys {
      #expect(text.contains("\(key): ") || text.contains("\(key):\n"), "\(key) is missing")
    }
  }
}
