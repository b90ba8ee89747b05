/// Revenue of completed orders in tumbling windows; event time is the order's `created_at`, so that
/// the source can be asked the same question:
///
/// ```sql
/// SELECT date_bin('5 minutes', created_at, '1970-01-01'), sum(total_amount), count(*)
/// FROM orders WHERE status = 'completed' GROUP BY 1
/// ```
///
/// A window that lost all its orders stays, with zero. `updated_at` is when the source committed
/// the change that contributed last. A `created_at` without time zone counts as UTC.
package enum Revenue {
  package struct Options: Hashable, Sendable {
    package var sourceTopic = "orders"
    package var resultTopic = "revenue-analytics"
    package var deadLetterTopic = "dlq-topic"
    package var table = "revenue_analytics"
    package var status = "completed"
    package var windows = TumblingWindows(sizeMicroseconds: 300_000_000)

    package init() {}
  }

  struct Order: Sendable {
    var amount: ExactDecimal
    var createdAt: EventTime
  }

  package static func task(_ options: Options = Options()) -> ProcessorTask {
    let status = options.status
    return Topology.source(options.sourceTopic, identity: ["order_id"])
      .filter { (row) throws(EventError) in
        // Of something else than an order nobody could say that it is not completed.
        guard row.has("status") else { throw .missing("status") }
        return try row.text("status") == status
      }
      .map { (row) throws(EventError) in
        Order(
          amount: try row.required("total_amount") { (row, name) throws(EventError) in
            try row.decimal(name)
          },
          createdAt: try row.required("created_at") { (row, name) throws(EventError) in
            try row.time(name)
          })
      }
      .key { _ in "revenue" }
      .window(options.windows, at: { $0.createdAt })
      .sum { $0.amount }
      .sink(
        table: table(options.table), row: row, topic: options.resultTopic,
        deadLetters: options.deadLetterTopic)
  }

  private static func table(_ name: String) -> TableDescription {
    TableDescription(
      name, key: [.init("window_start", .time)],
      [
        .init("window_end", .time), .init("total_revenue", .decimal),
        .init("order_count", .integer), .init("updated_at", .time),
      ])
  }

  @Sendable private static func row(_ total: WindowTotal) -> [ColumnValue] {
    [
      .time(total.start), .time(total.end), .decimal(total.sum), .integer(total.count),
      .time(total.updated),
    ]
  }
}
