import Processors
import Testing

@Suite struct `Revenue in windows` {
  private let task = Revenue.task()
  private let window = "2026-11-21T10:00:00.000000Z 2026-11-21T10:05:00.000000Z"

  /// Processed, late, dead-lettered, ignored.
  private func numbers(_ store: MemoryStore) -> [UInt64] {
    let counts = store.counts
    return [counts.processed, counts.late, counts.deadLettered, counts.ignored]
  }

  private func totals(_ store: MemoryStore) -> [String] {
    // Without the last column, updated_at.
    store.rows().map { $0.split(separator: " ").dropLast().joined(separator: " ") }
  }

  @Test func `completed orders are summed by their window, bounds included and excluded`() throws {
    var script = EventScript()
    let store = try task.processed([
      script.order("c", 1, "10.10", "completed", seconds: 0),
      script.order("c", 2, "\"0.20\"", "completed", seconds: 299),
      script.order("c", 3, "5", "completed", seconds: 300),
      script.order("c", 4, "7", "pending", seconds: 1),
    ])
    #expect(
      totals(store) == [
        "\(window) 10.30 2", "2026-11-21T10:05:00.000000Z 2026-11-21T10:10:00.000000Z 5.00 1",
      ])
    #expect(numbers(store) == [4, 0, 0, 0])
    let first = try #require(store.produced.first)
    #expect(first.key == Array("revenue-\(EventScript.base / 1000)".utf8))
    #expect(
      first.value.map { String(decoding: $0, as: UTF8.self) }
        == #"{"window_start":"2026-11-21T10:00:00.000000Z","#
        + #""window_end":"2026-11-21T10:05:00.000000Z","#
        + #""total_revenue":"10.30","order_count":2,"updated_at":"2026-11-21T10:01:00.000000Z"}"#)
    #expect(first.headers.map(\.name).contains("martlet.source.offset"))
    #expect(first.headers.last?.value == Array("1".utf8))
  }

  @Test func `an order that enters, changes and leaves completed takes its amount along`() throws {
    var script = EventScript()
    var store = MemoryStore(task)
    let steps: [(InputRecord, String)] = [
      (script.order("c", 1, "10", "pending", seconds: 0), ""),
      (script.order("u", 1, "10", "completed", seconds: 0), "\(window) 10.00 1"),
      (script.order("u", 1, "12.5", "completed", seconds: 0), "\(window) 12.50 1"),
      (script.order("u", 1, "12.5", "cancelled", seconds: 0), "\(window) 0.00 0"),
      (script.order("u", 1, "11", "completed", seconds: 0), "\(window) 11.00 1"),
      (script.order("u", 1, "11", "completed", seconds: 0), "\(window) 11.00 1"),
      (script.deletedOrder(1), "\(window) 0.00 0"),
      (script.record(nil, key: "{\"order_id\":1}"), "\(window) 0.00 0"),
    ]
    for (record, expected) in steps {
      try store.process([record])
      #expect(totals(store).joined() == expected)
    }
    // What changed nothing emitted nothing.
    #expect(store.produced.count == 5)
    #expect(store.state.keys.filter { $0.hasPrefix("row/") }.isEmpty)
  }

  @Test func `a new created_at moves an order to its window, a new key to its own row`() throws {
    var script = EventScript()
    let store = try task.processed([
      script.order("c", 1, "10", "completed", seconds: 0),
      script.order("u", 1, "10", "completed", seconds: 600),
      // A key that changes is a delete, a tombstone and a create.
      script.deletedOrder(1), script.record(nil, key: "{\"order_id\":1}"),
      script.order("c", 2, "10", "completed", seconds: 600),
    ])
    #expect(
      totals(store) == [
        "\(window) 0.00 0", "2026-11-21T10:10:00.000000Z 2026-11-21T10:15:00.000000Z 10.00 1",
      ])
  }

  private func withGrace(_ seconds: Int64) -> ProcessorTask {
    var options = Revenue.Options()
    options.windows = TumblingWindows(
      sizeMicroseconds: 300_000_000, graceMicroseconds: seconds * 1_000_000)
    return Revenue.task(options)
  }

  @Test func `what comes after the grace is kept apart, and both together are the truth`() throws {
    var script = EventScript()
    script.now = EventScript.base + 86_400_000_000
    let store = try withGrace(60).processed([
      script.order("c", 1, "10", "completed", seconds: 10),
      // Stream time 359: the first window closes at 360.
      script.order("c", 2, "1", "completed", seconds: 359),
      script.order("c", 3, "20", "completed", seconds: 11),
      script.order("c", 4, "1", "completed", seconds: 360),
      script.order("c", 5, "40", "completed", seconds: 12),
      script.order("u", 1, "10", "cancelled", seconds: 10),
      script.order("u", 3, "25", "completed", seconds: 11),
    ])
    #expect(totals(store).first == "\(window) 30.00 2")
    #expect(store.counts.late == 3)
    #expect(store.rows(1).count == 3)
    #expect(store.rows(1)[0].hasPrefix("orders 0 4 2026-11-21T10:00:00.000000Z revenue"))
    #expect(store.rows(1).map { $0.contains(" 40.00 1 ") } == [true, false, false])
    #expect(store.rows(1)[1].contains(" 1 -10.00 -1 2026-11-21T10:06:00"))
    #expect(store.rows(1)[2].contains(" 3 5.00 0 "))
    #expect(store.records("revenue-analytics-late").count == 3)
  }

  @Test func `each partition has its own stream time, which restarts keep`() throws {
    var first = EventScript()
    first.now = EventScript.base + 86_400_000_000
    var second = first
    second.partition = 1
    var store = MemoryStore(withGrace(0))
    try store.process([first.order("c", 1, "1", "completed", seconds: 3000)])
    try store.process([
      first.order("c", 2, "2", "completed", seconds: 0),
      second.order("c", 3, "4", "completed", seconds: 0),
    ])
    #expect(totals(store).first == "\(window) 4.00 1")
    #expect(store.counts.late == 1)
  }

  @Test func `a snapshot's rows neither are late nor make others late`() throws {
    var script = EventScript()
    script.now = EventScript.base + 86_400_000_000
    let store = try withGrace(0).processed([
      script.order("r", 1, "1", "completed", seconds: 3000),
      script.order("c", 2, "2", "completed", seconds: 0),
      script.order("c", 3, "0", "completed", seconds: 3000),
      script.order("r", 4, "4", "completed", seconds: 0),
    ])
    #expect(totals(store).first == "\(window) 6.00 2")
    #expect(store.counts.late == 0)
  }

  @Test func `an order of the far future makes no other order late`() throws {
    var script = EventScript()
    let store = try withGrace(0).processed([
      script.order("c", 1, "1", "completed", seconds: 90_000_000_000),
      script.order("c", 2, "2", "completed", seconds: 0),
    ])
    #expect(totals(store).first == "\(window) 2.00 1")
    #expect(store.counts.late == 0)
  }

  @Test func `what cannot be processed goes to the dead letters with where it came from`() throws {
    var script = EventScript()
    let store = try task.processed([
      script.record("{\"after\":"), script.order("c", 1, "10", "completed", seconds: 0),
      script.order("c", 2, "null", "completed", seconds: 0),
      script.order("c", 3, "\"NaN\"", "completed", seconds: 0),
      script.record("{\"before\":null,\"after\":null,\"op\":\"t\",\"source\":{}}"),
      script.record("{\"before\":null,\"after\":{\"status\":\"x\"},\"op\":\"c\"}"),
      script.record("{\"before\":null,\"after\":null,\"op\":\"m\",\"source\":{}}"),
      script.order("c", 4, "999999999999999999", "completed", seconds: 0),
      script.record(
        #"{"after":{"order_id":5,"status":"completed","total_amount":1,"#
          + #""created_at":"infinity"},"op":"c"}"#
      ),
      script.record(nil),
    ])
    #expect(totals(store) == ["\(window) 1000000000000000009.00 2"])
    #expect(numbers(store) == [10, 0, 6, 2])
    let letters = store.records("dlq-topic")
    let types = letters.map { letter in
      letter.headers.first { $0.name == "martlet.error.type" }.map {
        String(decoding: $0.value, as: UTF8.self)
      }
    }
    #expect(
      types == [
        "invalid-json", "unsupported-operation", "missing-field", "missing-field", "invalid-field",
        "invalid-field",
      ])
    #expect(letters[0].value == Array("{\"after\":".utf8))
    #expect(letters[0].headers.last == .init("martlet.source.offset", Array("0".utf8)))
    #expect(store.progress[0]?.nextOffset == 10)
  }

  @Test func `stored state that is not ours stops the processor`() throws {
    var script = EventScript()
    var store = MemoryStore(task)
    store.state["row/1"] = "nonsense"
    #expect(throws: StateError.self) {
      try store.process([script.order("c", 1, "1", "completed", seconds: 0)])
    }
  }

  @Test(arguments: 0..<30)
  func `however a history is cut into batches, the tables are the same`(seed: UInt64) throws {
    var random = SeededRandom(seed)
    let history = OrderHistory(&random, count: 400)
    let whole = try withGrace(60).processed(history.records)
    var cut = MemoryStore(withGrace(60))
    var rest = history.records[...]
    while !rest.isEmpty {
      let count = Int.random(in: 1...40, using: &random)
      try cut.process(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    #expect(cut.rows() == whole.rows())
    #expect(cut.rows(1) == whole.rows(1))
    #expect(cut.state == whole.state)
    #expect(cut.counts == whole.counts)
    #expect(whole.counts.late > 0)
    #expect(try history.truth() == OrderHistory.total(whole))
  }

  @Test(arguments: 0..<30)
  func `a truncated table's rows are taken back, whatever was read of other partitions before`(
    seed: UInt64
  ) throws {
    var random = SeededRandom(seed)
    let history = OrderHistory(&random, count: 400, truncation: 90)
    var parts = (0..<OrderHistory.partitions).map { partition in
      history.records.filter { $0.partition == partition }[...]
    }
    var store = MemoryStore(withGrace(60))
    while parts.contains(where: { !$0.isEmpty }) {
      var batch: [InputRecord] = []
      for _ in 0..<Int.random(in: 1...60, using: &random) {
        let partition = parts.indices.randomElement(using: &random) ?? 0
        for _ in 0..<Int.random(in: 1...20, using: &random) {
          if let record = parts[partition].popFirst() { batch.append(record) }
        }
      }
      try store.process(batch)
    }
    #expect(store.counts.deadLettered == 0)
    #expect(store.counts.late > 0)
    #expect(try history.truth() == OrderHistory.total(store))
    #expect(store.state[Truncation.stateKey] == "360")
  }

  @Test func `a truncation is about what came before it, in windows that are over as well`() throws
  {
    var script = EventScript()
    script.lsn = 10
    var store = MemoryStore(withGrace(0))
    try store.process([
      script.order("c", 1, "1.00", "completed", seconds: 0),
      script.order("r", 2, "2.00", "completed", seconds: 10),
      script.order("c", 3, "4.00", "completed", seconds: 4000),
    ])
    script.lsn = 30
    let later = script.order("c", 1, "1.00", "completed", seconds: 4000)
    script.lsn = 20
    script.partition = 1
    try store.process([later, script.truncated()])
    #expect(store.counts.deadLettered == 0)
    #expect(try OrderHistory.total(store).values.map { $0 } == [[100, 1]])
    // Read late: it was before the truncation.
    script.lsn = 15
    script.partition = 2
    try store.process([script.order("c", 4, "8.00", "completed", seconds: 4000)])
    #expect(try OrderHistory.total(store).values.map { $0 } == [[100, 1]])
    // Without an LSN nobody knows what came before it.
    script.lsn = 0
    try store.process([
      script.record(#"{"before":null,"after":null,"source":{"ts_ms":1},"op":"t"}"#)
    ])
    #expect(store.counts.deadLettered == 1)
  }
}
