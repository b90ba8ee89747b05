import Processors

/// Where a task's effects go in a test: the tables as dictionaries, what is produced as a list.
struct MemoryStore {
  let task: ProcessorTask
  var state: [String: String] = [:]
  /// By table, then by the row's key.
  var tables: [[[ColumnValue]: [ColumnValue]]]
  var produced: [OutboxRecord] = []
  var progress: [Int32: SourceProgress] = [:]
  var counts = Effects.Counts()
  private var truncation = Truncation.none
  private let decoder = EventDecoder()

  init(_ task: ProcessorTask) {
    self.task = task
    tables = task.tables.map { _ in [:] }
  }

  mutating func process(_ records: [InputRecord]) throws {
    try finish(
      task.begin(records, progress: progress, decoder: decoder, truncation: truncation))
    while let sweep = truncation.sweep {
      let rows = state.filter { $0.key.hasPrefix("row/") && $0.key > sweep.after }
        .sorted { $0.key < $1.key }.prefix(3)
      try finish(
        task.begin(
          sweeping: rows.map { StoredState(key: $0.key, value: $0.value) },
          isLast: rows.count < 3, truncation: truncation))
    }
  }

  private mutating func finish(_ work: consuming Work) throws {
    while !work.needs.isEmpty { work.supply(work.needs.map { state[$0] }) }
    let effects = try work.finish()
    for write in effects.state { state[write.key] = write.value }
    truncation = effects.truncation ?? truncation
    for change in effects.tables {
      let keyCount = task.tables[change.table].keyCount
      let key = Array(change.values[..<keyCount])
      tables[change.table][key] = change.isRemoval ? nil : change.values
    }
    produced += effects.outbox
    for part in effects.progress { progress[part.partition] = part }
    counts += effects.counts
  }

  /// The rows of a table as text, sorted.
  func rows(_ table: Int = 0) -> [String] {
    tables[table].values.map { row in row.map(text).joined(separator: " ") }.sorted()
  }

  private func text(_ value: ColumnValue) -> String {
    switch value {
    case .null: "null"
    case .text(let text): text
    case .integer(let number): "\(number)"
    case .decimal(let decimal): decimal.text(placesMin: 2)
    case .time(let time): time.text
    }
  }

  func records(_ topic: String) -> [OutboxRecord] { produced.filter { $0.topic == topic } }
}

extension ProcessorTask {
  /// A store that has processed these events, one partition, one batch.
  func processed(_ events: [InputRecord]) throws -> MemoryStore {
    var store = MemoryStore(self)
    try store.process(events)
    return store
  }
}

/// Events as Debezium writes them, with offsets that count up.
struct EventScript {
  var offset: Int64 = 0
  var partition: Int32 = 0
  /// Commit time of the next event, in microseconds.
  var now: Int64 = base + 60_000_000
  /// Of the next event; 0: events have none.
  var lsn: UInt64 = 0

  /// 2026-11-21T10:00:00Z
  static let base: Int64 = 1_795_255_200_000_000

  mutating func record(_ value: String?, key: String? = nil) -> InputRecord {
    defer { offset += 1 }
    return InputRecord(
      partition: partition, offset: offset, timestamp: now / 1000,
      key: key.map { Array($0.utf8)[...] },
      value: value.map { Array($0.utf8)[...] })
  }

  private mutating func envelope(_ op: String, _ id: Int, before: String, after: String)
    -> InputRecord
  {
    record(
      """
      {"before":\(before),"after":\(after),"source":{"version":"1","ts_ms":\(now / 1000),\
      "ts_us":\(now),\(lsn > 0 ? "\"lsn\":\(lsn)," : "")\
      "table":"t","sequence":"[\\"1\\",\\"2\\"]"},"transaction":null,"op":"\(op)","ts_ms":1}
      """, key: "{\"order_id\":\(id)}")
  }

  /// The table was truncated.
  mutating func truncated() -> InputRecord {
    record(
      """
      {"before":null,"after":null,"source":{"version":"1","ts_ms":\(now / 1000),"ts_us":\(now),\
      "lsn":\(lsn),"table":"t"},"transaction":null,"op":"t","ts_ms":1}
      """)
  }

  /// An order; `seconds` after `base` is its `created_at`.
  mutating func order(
    _ op: String, _ id: Int, _ amount: String, _ status: String, seconds: Int64
  ) -> InputRecord {
    let row =
      "{\"order_id\":\(id),\"user_id\":7,\"total_amount\":\(amount),\"status\":\"\(status)\","
      + "\"created_at\":\(Self.base + seconds * 1_000_000)}"
    return envelope(op, id, before: "null", after: row)
  }

  /// Replica identity DEFAULT: of the old row only the key is there.
  mutating func deletedOrder(_ id: Int) -> InputRecord {
    envelope(
      "d", id, before: "{\"order_id\":\(id),\"total_amount\":null,\"status\":null}", after: "null")
  }

  mutating func product(_ op: String, _ id: Int, stock: Int64, threshold: Int64?) -> InputRecord {
    let row =
      "{\"product_id\":\(id),\"name\":\"Näme \\\"\(id)\\\"\",\"stock_quantity\":\(stock),"
      + "\"min_threshold\":\(threshold.map { "\($0)" } ?? "null")}"
    return envelope(op, id, before: "null", after: op == "d" ? "null" : row)
  }
}
