/// What a demonstration did, and whether its result is right.
package struct DemoReport {
  package struct Window: Equatable {
    /// Seconds since 1970.
    package var start: Int64
    package var cents: Int64
    package var orders: Int64

    package init(start: Int64, cents: Int64, orders: Int64) {
      self.start = start
      self.cents = cents
      self.orders = orders
    }
  }

  package struct Topic {
    package var name: String
    package var captured: Int
    package var source: Int

    package init(name: String, captured: Int, source: Int) {
      self.name = name
      self.captured = captured
      self.source = source
    }
  }

  /// A node that was killed, and what became of what it led.
  package struct Failover: Equatable {
    package var node: Int32
    /// Partitions that others lead since, and after how long.
    package var moved: Int?
    package var milliseconds: Int64?
    /// From its end until it had all that the others have.
    package var caughtUpMilliseconds: Int64?

    package init(
      node: Int32, moved: Int? = nil, milliseconds: Int64? = nil,
      caughtUpMilliseconds: Int64? = nil
    ) {
      self.node = node
      self.moved = moved
      self.milliseconds = milliseconds
      self.caughtUpMilliseconds = caughtUpMilliseconds
    }
  }

  /// Of those that are equal, the newest; the others are counted.
  private static let windowsShown = 6

  package var seconds: Int
  package var topics: [Topic]
  package var processed: Int
  package var late: Int
  package var stored: Int
  package var p50Milliseconds: Double
  package var p99Milliseconds: Double
  package var atSource: [Window]
  package var inResults: [Window]
  package var alertsAtSource: Int
  package var alertsInResults: Int
  package var alertsAreEqual: Bool
  package var nodes: Int
  /// The last; nil if nobody was killed.
  package var failover: Failover?
  /// How often a node was killed.
  package var kills: Int

  package init(
    seconds: Int, topics: [Topic], processed: Int, late: Int, stored: Int, p50Milliseconds: Double,
    p99Milliseconds: Double, atSource: [Window], inResults: [Window], alertsAtSource: Int,
    alertsInResults: Int, alertsAreEqual: Bool, nodes: Int = 1, failover: Failover? = nil,
    kills: Int = 0
  ) {
    self.seconds = seconds
    self.topics = topics
    self.processed = processed
    self.late = late
    self.stored = stored
    self.p50Milliseconds = p50Milliseconds
    self.p99Milliseconds = p99Milliseconds
    self.atSource = atSource
    self.inResults = inResults
    self.alertsAtSource = alertsAtSource
    self.alertsInResults = alertsInResults
    self.alertsAreEqual = alertsAreEqual
    self.nodes = nodes
    self.failover = failover
    self.kills = kills
  }

  package var captured: Int { topics.reduce(0) { $0 + $1.captured } }

  /// Every window has the same amount, to the cent, and the same number of orders.
  package var isEqual: Bool { atSource == inResults && alertsAreEqual }

  package var text: String {
    var lines = ["", "captured"]
    for topic in topics {
      lines.append(
        "  \(DemoScreen.padded(topic.name, 24))\(right(topic.captured, 12)) events"
          + "\(right(topic.source, 12)) expected")
    }
    lines.append("processed \(right(processed, 28)) events, \(late) late")
    lines.append("stored    \(right(stored, 28)) rows")
    lines.append(
      "latency, commit in Postgres to committed result: p50 \(DemoScreen.tenths(p50Milliseconds))"
        + " ms, p99 \(DemoScreen.tenths(p99Milliseconds)) ms")
    lines += failoverLines
    lines.append("")
    lines.append("revenue of completed orders, five-minute windows (UTC)")
    lines.append("  window            source       orders       Martlet       orders")
    let starts = Set((atSource + inResults).map(\.start)).sorted()
    let shown = starts.filter { isDifferent($0) || starts.suffix(Self.windowsShown).contains($0) }
    if shown.count < starts.count {
      lines.append("  \(starts.count - shown.count) earlier windows are equal")
    }
    for start in shown { lines.append(comparison(start)) }
    lines.append(
      "alerts: \(alertsAtSource) products below their threshold at the source, "
        + "\(alertsInResults) in the results")
    lines.append(isEqual ? "equal to the cent" : "NOT EQUAL")
    return lines.joined(separator: "\n")
  }

  private var failoverLines: [String] {
    guard let failover else { return [] }
    var lines = ["node \(failover.node) of \(nodes) was killed"]
    if kills > 1 { lines = ["nodes were killed \(kills) times, the last of them \(failover.node)"] }
    if let moved = failover.moved, let milliseconds = failover.milliseconds {
      lines.append("  others led its \(moved) partitions after \(milliseconds) ms")
    }
    if let milliseconds = failover.caughtUpMilliseconds {
      let seconds = DemoScreen.tenths(Double(milliseconds) / 1000)
      lines.append("  it was back and had caught up after \(seconds) s")
    }
    return lines
  }

  private func isDifferent(_ start: Int64) -> Bool {
    atSource.first { $0.start == start } != inResults.first { $0.start == start }
  }

  private func comparison(_ start: Int64) -> String {
    let source = atSource.first { $0.start == start }
    let result = inResults.first { $0.start == start }
    func cells(_ window: Window?) -> String {
      guard let window else { return right("-", 13) + right("-", 13) }
      return right(DemoScreen.money(window.cents), 13) + right(Int(window.orders), 13)
    }
    return "  \(DemoScreen.clock(start))-\(DemoScreen.clock(start + 300))" + cells(source)
      + cells(result) + (source == result ? "" : "  different")
  }

  private func right(_ value: Int, _ width: Int) -> String {
    right(DemoScreen.grouped(value), width)
  }

  private func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  /// One object, for scripts.
  package var json: String {
    """
    {"seconds": \(seconds), "captured": \(captured), "processed": \(processed), "late": \(late), \
    "stored": \(stored), "p50_ms": \(DemoScreen.tenths(p50Milliseconds)), \
    "p99_ms": \(DemoScreen.tenths(p99Milliseconds)), "windows": \(inResults.count), \
    "revenue": "\(plain(inResults))", "source_revenue": "\(plain(atSource))", \
    "alerts": \(alertsInResults), "nodes": \(nodes), \
    "killed": \(number(failover?.node)), "moved": \(number(failover?.moved)), \
    "failover_ms": \(number(failover?.milliseconds)), \
    "caught_up_ms": \(number(failover?.caughtUpMilliseconds)), "kills": \(kills), \
    "equal": \(isEqual)}
    """
  }

  private func number(_ value: (some BinaryInteger)?) -> String { value.map { "\($0)" } ?? "null" }

  private func plain(_ windows: [Window]) -> String {
    let cents = windows.reduce(0) { $0 + $1.cents }
    return "\(cents / 100).\(cents % 100 < 10 ? "0" : "")\(cents % 100)"
  }
}
