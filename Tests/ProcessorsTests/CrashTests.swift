import Foundation
import Platform
import Processors
import Testing

@Suite struct `A processor that crashes` {
  private func task() -> ProcessorTask {
    var options = Revenue.Options()
    options.windows = TumblingWindows(sizeMicroseconds: 300_000_000, graceMicroseconds: 60_000_000)
    return Revenue.task(options)
  }

  /// Runs processors one after another until all records are processed; how many crashed.
  private func run(
    _ topics: MemoryTopics, count: Int, random: inout SeededRandom, sink: () -> any Sink
  ) throws -> Int {
    var crashes = 0
    while true {
      let fuse = Int.random(in: 1...60, using: &random)
      topics.contents.withLock { $0.fuse = crashes < 40 ? fuse : Int.max }
      let pollMax = Int.random(in: 1...40, using: &random)
      let sink = Handed(FragileSink(sink(), topics))
      let runner = ProcessorRunner(
        name: "revenue", task: task(), sink: { sink.value },
        transport: { MemoryTransport(topics, pollMax: pollMax) })
      runner.start()
      let isDone = runner.wait(milliseconds: 60_000) { status in
        !status.isSweeping
          && status.progress.reduce(0) { $0 + $1.nextOffset } == Int64(count)
      }
      if isDone { topics.contents.withLock { $0.fuse = Int.max } }
      runner.stop()
      let status = runner.status
      if isDone, status.phase == .stopped { return crashes }
      try #require(status.phase == .failed("crashed"), "\(status.phase)")
      crashes += 1
    }
  }

  /// Made on the test's thread, used by the processor's alone.
  private struct Handed: @unchecked Sendable {
    let value: any Sink
    init(_ value: any Sink) { self.value = value }
  }

  private func expectTruth(
    _ history: OrderHistory, _ topics: MemoryTopics, _ reader: any ResultReader
  ) throws {
    let truth = Dictionary(
      uniqueKeysWithValues: history.truth().compactMap { start, total in
        EventTime(microseconds: start).map { ($0.text, total) }
      })
    #expect(try reader.revenue() == truth)
    try expectTopicEqualsTable(topics, reader)
  }

  /// Positions increase in every partition, and the last record of every window is its row.
  private func expectTopicEqualsTable(_ topics: MemoryTopics, _ reader: any ResultReader) throws {
    var last: [String: String] = [:]
    for partition in topics.written("revenue-analytics") {
      let positions = partition.map { [$0.sequence, Int64($0.index)] }
      #expect(zip(positions, positions.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
      for written in partition {
        let value = try #require(written.record.value)
        let row = try #require(
          try JSONSerialization.jsonObject(with: Data(value)) as? [String: Any])
        let start = try #require(row["window_start"] as? String)
        last[start] = "\(row["total_revenue"] ?? "") \(row["order_count"] ?? "")"
      }
    }
    let rows = try reader.query(
      "SELECT \(reader.start), total_revenue, order_count FROM revenue_analytics")
    #expect(
      Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", "\($0[1] ?? "") \($0[2] ?? "")") })
        == last)
    let late = topics.written("revenue-analytics-late").flatMap { $0 }
    #expect(
      try reader.query("SELECT count(*) FROM revenue_analytics_late") == [["\(late.count)"]])
    #expect(Set(late.map(\.record.headers)).count <= late.count)
  }

  @Test(arguments: 0..<12)
  func `at any of its steps goes on as if it had not, with SQLite`(seed: UInt64) throws {
    var random = SeededRandom(seed)
    let history = OrderHistory(&random, count: 600, poison: 20, truncation: 170)
    let topics = MemoryTopics(history.records, partitions: OrderHistory.partitions)
    let directory = try TemporaryDirectory()
    let path = directory.path + "/results.db"
    let crashes = try run(topics, count: history.records.count, random: &random) {
      SQLiteSink(path: path)
    }
    #expect(crashes > 5)
    try expectTruth(history, topics, SQLiteReader(path: path))
    let letters = topics.written("dlq-topic").flatMap { $0 }.map(\.record.headers)
    #expect(letters.count == history.poisonCount)
    #expect(Set(letters).count == history.poisonCount)
  }

  @Test func `with a database that was lost fills it again`() throws {
    var random = SeededRandom(99)
    let history = OrderHistory(&random, count: 300)
    let topics = MemoryTopics(history.records, partitions: OrderHistory.partitions)
    let directory = try TemporaryDirectory()
    let path = directory.path + "/results.db"
    for _ in 0..<2 {
      _ = try run(topics, count: history.records.count, random: &random) { SQLiteSink(path: path) }
      try expectTruth(history, topics, SQLiteReader(path: path), isFirst: false)
      for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: path + suffix)
      }
    }
  }

  private func expectTruth(
    _ history: OrderHistory, _ topics: MemoryTopics, _ reader: any ResultReader, isFirst: Bool
  ) throws {
    let truth = history.truth().values.reduce(0) { $0 + $1[0] }
    #expect(try reader.revenue().values.reduce(0) { $0 + $1[0] } == truth)
  }

  @Test func `and runs twice is stopped by the other one`() throws {
    var random = SeededRandom(5)
    let history = OrderHistory(&random, count: 100)
    let topics = MemoryTopics(history.records, partitions: OrderHistory.partitions)
    let directory = try TemporaryDirectory()
    let path = directory.path + "/results.db"
    let make = {
      ProcessorRunner(
        name: "revenue", task: self.task(), sink: { SQLiteSink(path: path) },
        transport: { MemoryTransport(topics) })
    }
    let first = make()
    first.start()
    let count = Int64(history.records.count)
    let isDone = { (status: ProcessorStatus) in
      status.progress.reduce(0) { $0 + $1.nextOffset } == count
    }
    try #require(first.wait(milliseconds: 60_000, until: isDone))
    let second = make()
    second.start()
    try #require(second.wait(milliseconds: 60_000) { $0.phase == .running })
    var script = EventScript()
    script.offset = Int64(topics.contents.withLock { $0.source[0].count })
    let order = script.order("c", 1_000_000, "1", "completed", seconds: 5)
    topics.contents.withLock { $0.source[0].append(order) }
    let isFailed = first.wait(milliseconds: 60_000) { status in
      if case .failed(let text) = status.phase { text.contains("nother instance") } else { false }
    }
    #expect(isFailed)
    #expect(second.wait(milliseconds: 60_000) { $0.counts.processed == 1 })
    second.stop()
    first.stop()
  }
}

@Suite(.enabled(if: ThrowawayPostgres.isInstalled, "needs Postgres 15"), WithPostgres())
struct `A processor whose Postgres crashes` {
  @Test func `waits for it and goes on as if it had not`() throws {
    let server = try #require(WithPostgres.server)
    var random = SeededRandom(7)
    let history = OrderHistory(&random, count: 3000, truncation: 900)
    let topics = MemoryTopics(history.records, partitions: OrderHistory.partitions)
    let runner = ProcessorRunner(
      name: "revenue", task: Revenue.task(), sink: { PostgresSink(conninfo: server.conninfo) },
      transport: { MemoryTransport(topics, pollMax: 3) })
    runner.start()
    defer { runner.stop() }
    var crashes = 0
    let count = Int64(history.records.count)
    func processed(_ status: ProcessorStatus) -> Int64 {
      status.progress.reduce(0) { $0 + $1.nextOffset }
    }
    while crashes < 3 {
      let before = processed(runner.status)
      try #require(runner.wait(milliseconds: 60_000) { processed($0) > before + 50 })
      try server.stop()
      crashes += 1
      try server.start()
    }
    try #require(
      runner.wait(milliseconds: 60_000) { processed($0) == count && !$0.isSweeping })
    let reader = PostgresReader(conninfo: server.conninfo)
    let truth = Dictionary(
      uniqueKeysWithValues: history.truth().compactMap { start, total in
        EventTime(microseconds: start).map { ($0.text, total) }
      })
    #expect(try reader.revenue() == truth)
    #expect(runner.status.sequence == Int64(runner.status.batches))
  }
}
