import Processors
import Testing

@Suite struct `Low stock alerts` {
  private let task = LowStock.task()

  private func row(_ store: MemoryStore) -> String {
    store.rows().map { $0.split(separator: " ").dropLast(2).joined(separator: " ") }.joined()
  }

  @Test(
    arguments: [
      (20, 20, nil), (19, 20, "MEDIUM"), (10, 20, "MEDIUM"), (9, 20, "HIGH"), (1, 20, "HIGH"),
      (0, 20, "CRITICAL"), (-3, 20, "CRITICAL"), (0, 0, nil), (-1, 0, "CRITICAL"), (2, 5, "HIGH"),
      (3, 5, "MEDIUM"), (0, nil, nil), (Int64.min, Int64.max, "CRITICAL"),
      (Int64.max - 1, Int64.max, "MEDIUM"),
    ] as [(Int64, Int64?, String?)])
  func `levels are what the thresholds say`(stock: Int64, threshold: Int64?, level: String?) throws
  {
    var script = EventScript()
    let store = try task.processed([script.product("c", 1, stock: stock, threshold: threshold)])
    #expect(store.produced.count == (level == nil ? 0 : 1))
    #expect(
      row(store) == (level.map { "1 Näme \"1\" \(stock) \(threshold ?? 0) \($0) active" } ?? ""))
  }

  @Test func `an alert begins, changes, is resolved, and begins again`() throws {
    var script = EventScript()
    var store = MemoryStore(task)
    let steps: [(InputRecord, String, Int)] = [
      (script.product("r", 1, stock: 30, threshold: 20), "", 0),
      (script.product("u", 1, stock: 15, threshold: 20), "1 Näme \"1\" 15 20 MEDIUM active", 1),
      (script.product("u", 1, stock: 15, threshold: 20), "1 Näme \"1\" 15 20 MEDIUM active", 0),
      (script.product("u", 1, stock: 5, threshold: 20), "1 Näme \"1\" 5 20 HIGH active", 1),
      (script.product("u", 1, stock: 4, threshold: 20), "1 Näme \"1\" 4 20 HIGH active", 1),
      (script.product("u", 1, stock: 25, threshold: 20), "1 Näme \"1\" 25 20 HIGH resolved", 1),
      (script.product("u", 1, stock: 26, threshold: 20), "1 Näme \"1\" 25 20 HIGH resolved", 0),
      (script.product("u", 1, stock: 0, threshold: 20), "1 Näme \"1\" 0 20 CRITICAL active", 1),
      (script.record(nil, key: "{\"product_id\":1}"), "", 1),
      (script.record(nil, key: "{\"product_id\":1}"), "", 0),
    ]
    for (record, expected, emitted) in steps {
      let before = store.produced.count
      try store.process([record])
      #expect(row(store) == expected)
      #expect(store.produced.count - before == emitted)
    }
    #expect(store.produced.last?.value == nil)
    #expect(store.produced.allSatisfy { $0.key == Array("1".utf8) })
    // In one batch: the same records, the same table.
    #expect(try task.processed(steps.map(\.0)).produced.map(\.value) == store.produced.map(\.value))
    #expect(try task.processed(steps.map(\.0)).rows() == store.rows())
  }

  @Test func `an alert keeps when it began while it changes`() throws {
    var script = EventScript()
    var store = MemoryStore(task)
    try store.process([script.product("c", 1, stock: 15, threshold: 20)])
    script.now += 1_000_000
    try store.process([script.product("u", 1, stock: 14, threshold: 20)])
    #expect(store.rows()[0].hasSuffix("2026-11-21T10:01:00.000000Z 2026-11-21T10:01:01.000000Z"))
  }

  @Test func `alerts of a truncated table go, from the topic too`() throws {
    var script = EventScript()
    script.lsn = 1
    var store = MemoryStore(task)
    try store.process((1...8).map { script.product("c", $0, stock: 0, threshold: 20) })
    script.lsn = 2
    let truncated = script.record(
      #"{"before":null,"after":null,"source":{"lsn":2,"ts_ms":1},"op":"t"}"#)
    script.lsn = 3
    try store.process([truncated, script.product("c", 3, stock: 0, threshold: 20)])
    #expect(store.rows().count == 1)
    #expect(store.rows().first?.hasPrefix("3 ") == true)
    let ends = store.records("inventory-alerts").filter { $0.value == nil }
    #expect(Set(ends.map(\.key)).count == 7)
  }

  @Test func `ids that are texts are kept as texts, with whatever is in them`() throws {
    var options = LowStock.Options()
    options.hasTextIDs = true
    var script = EventScript()
    let event = { (stock: Int) in
      #"{"after":{"product_id":"a\tb\u00e4","name":"x\ty","stock_quantity":\#(stock),"#
        + #""min_threshold":3},"op":"u"}"#
    }
    var store = MemoryStore(LowStock.task(options))
    try store.process([script.record(event(2), key: "k")])
    try store.process([script.record(event(1), key: "k")])
    #expect(store.rows()[0].hasPrefix("a\tbä x\ty 1 3 HIGH active"))
    #expect(store.counts.deadLettered == 0)
    let numbers = try task.processed([script.record(event(2), key: "k")])
    #expect(numbers.counts.deadLettered == 1)
  }
}
