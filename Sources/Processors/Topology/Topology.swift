/// A processor as a value: a table's changes, mapped and filtered, and what becomes of them.
///
/// ```swift
/// Topology.source("orders", identity: ["order_id"])
///   .filter { row in try row.text("status") == "completed" }
///   .map(Order.init)
///   .key(by: { _ in "revenue" })
///   .window(.init(sizeMicroseconds: 300_000_000), at: { $0.createdAt })
///   .sum { $0.amount }
///   .sink(table: table, row: row, topic: "revenue-analytics")
/// ```
///
/// Every stage is about rows, not about events: what a row's earlier version contributed is taken
/// back when it changes, stops passing the filter, or is deleted.
package enum Topology {
  /// The changes of the rows of one table, as the capture of it writes them to `topic`. `identity`
  /// are the fields of its key.
  package static func source(_ topic: String, identity: [String]) -> RowStream<Row> {
    precondition(!identity.isEmpty, "a row has a key")
    return RowStream(topic: topic, identity: identity, transform: { row, _ in row })
  }
}

/// When the source committed a row's version.
package typealias SourceTime = EventTime

/// The rows of a table, each as a `Value`; a row that was filtered out counts as not there.
package struct RowStream<Value: Sendable>: Sendable {
  let topic: String
  let identity: [String]
  let transform: @Sendable (Row, SourceTime) throws(EventError) -> Value?

  package func map<T>(
    _ body: @escaping @Sendable (Value) throws(EventError) -> T
  ) -> RowStream<T> {
    let transform = transform
    return RowStream<T>(topic: topic, identity: identity) { (row, time) throws(EventError) in
      guard let value = try transform(row, time) else { return nil }
      return try body(value)
    }
  }

  /// As `map`, with the time of the source's commit.
  package func mapWithTime<T>(
    _ body: @escaping @Sendable (Value, SourceTime) throws(EventError) -> T
  ) -> RowStream<T> {
    let transform = transform
    return RowStream<T>(topic: topic, identity: identity) { (row, time) throws(EventError) in
      guard let value = try transform(row, time) else { return nil }
      return try body(value, time)
    }
  }

  package func filter(
    _ isKept: @escaping @Sendable (Value) throws(EventError) -> Bool
  ) -> RowStream<Value> {
    let transform = transform
    return RowStream(topic: topic, identity: identity) { (row, time) throws(EventError) in
      guard let value = try transform(row, time), try isKept(value) else { return nil }
      return value
    }
  }

  /// Groups the rows for an aggregate.
  package func key(
    by group: @escaping @Sendable (Value) throws(EventError) -> String
  ) -> GroupedRows<Value> {
    GroupedRows(rows: self, group: group)
  }

  /// Keeps for each row a state that follows it, and emits it whenever it changes.
  package func fold<State: StateText>(
    _ next: @escaping @Sendable (_ previous: State?, _ current: Value?, SourceTime) -> State?
  ) -> FoldedRows<Value, State> {
    FoldedRows(rows: self, next: next)
  }
}

package struct GroupedRows<Value: Sendable>: Sendable {
  let rows: RowStream<Value>
  let group: @Sendable (Value) throws(EventError) -> String

  package func window(
    _ windows: TumblingWindows, at time: @escaping @Sendable (Value) -> EventTime
  ) -> WindowedRows<Value> {
    WindowedRows(grouped: self, windows: windows, time: time)
  }
}

package struct WindowedRows<Value: Sendable>: Sendable {
  let grouped: GroupedRows<Value>
  let windows: TumblingWindows
  let time: @Sendable (Value) -> EventTime

  /// Sums and counts the rows of each group and window.
  package func sum(
    _ amount: @escaping @Sendable (Value) -> ExactDecimal
  ) -> WindowedSums<Value> {
    WindowedSums(windowed: self, amount: amount)
  }
}

/// State that is stored as text, which people can read in the state table.
package protocol StateText: Hashable, Sendable {
  var stateText: String { get }
  init?(stateText: String)
}
