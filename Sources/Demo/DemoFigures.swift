package import LocalCluster

/// What there is to see of a running demonstration.
package struct DemoFigures {
  package struct Window {
    /// Seconds since 1970.
    package var start: Int64
    package var end: Int64
    package var cents: Int64
    package var orders: Int64

    package init(start: Int64, end: Int64, cents: Int64, orders: Int64) {
      self.start = start
      self.end = end
      self.cents = cents
      self.orders = orders
    }
  }

  package struct Alert {
    package var product: String
    package var name: String
    package var stock: Int64
    package var threshold: Int64
    package var level: String

    package init(product: String, name: String, stock: Int64, threshold: Int64, level: String) {
      self.product = product
      self.name = name
      self.stock = stock
      self.threshold = threshold
      self.level = level
    }
  }

  package enum Phase: String {
    case snapshot = "reading what is there"
    case streaming = "following changes"
    case finishing = "the shop is closed, finishing"
  }

  package var phase = Phase.snapshot
  package var elapsedSeconds = 0.0
  package var seconds = 0
  package var address = ""
  package var roundsPerSecond = 0
  /// Rows that the generator changed.
  package var changed = 0
  /// Events in the topics.
  package var captured = 0
  /// Events that went through a processor.
  package var processed = 0
  package var eventsPerSecond = 0.0
  /// From the commit in Postgres to the committed result, in milliseconds.
  package var p50Milliseconds: Double?
  package var p99Milliseconds: Double?
  package var window: Window?
  package var alerts: [Alert] = []
  /// If there are several.
  package var nodes: [ClusterWatch.Row] = []
  /// What happened to them.
  package var events: [(time: String, text: String)] = []

  package init() {}
}

/// Text for a terminal of 80 columns.
package enum DemoScreen {
  package static let columns = 80
  package static let alertsShown = 5
  /// Beside nodes, so that all of it is on a screen of 24 lines.
  package static let alertsBesideNodes = 2
  package static let eventLines = 4

  package static func lines(_ figures: DemoFigures) -> [String] {
    var lines = [
      "martlet demo   \(figures.phase.rawValue)   "
        + "\(Int(figures.elapsedSeconds)) of \(figures.seconds) s",
      String(repeating: "─", count: columns),
      row(
        "source",
        "\(grouped(figures.changed)) rows changed, \(figures.roundsPerSecond) "
          + "transactions/s asked for"),
      row("captured", "\(grouped(figures.captured)) events"),
      row(
        "processed",
        "\(grouped(figures.processed)) events, "
          + "\(grouped(Int(figures.eventsPerSecond))) events/s now"),
      row("latency", latency(figures)),
      "",
    ]
    if let window = figures.window {
      lines.append(
        row(
          "revenue",
          "\(clock(window.start)) - \(clock(window.end)) UTC   "
            + "\(money(window.cents)) of \(grouped(Int(window.orders))) completed orders"))
    } else {
      lines.append(row("revenue", "no completed order yet"))
    }
    lines.append("")
    lines.append(row("alerts", figures.alerts.isEmpty ? "none" : "the newest"))
    for alert in figures.alerts.prefix(figures.nodes.isEmpty ? alertsShown : alertsBesideNodes) {
      lines.append(
        "  \(padded(alert.level, 9))\(padded(alert.name, 30))"
          + "\(alert.stock) in stock, threshold \(alert.threshold)")
    }
    if !figures.nodes.isEmpty {
      lines += [""] + ClusterScreen.rows(figures.nodes)
      lines += ClusterScreen.events(figures.events, lines: eventLines)
    }
    lines.append("")
    lines.append("kcat -b \(figures.address) -C -t orders -o end    reads along")
    return lines.map { String($0.prefix(columns)) }
  }

  /// The same in one line, where the output is no terminal.
  package static func line(_ figures: DemoFigures) -> String {
    let revenue = figures.window.map { money($0.cents) } ?? "-"
    return "\(Int(figures.elapsedSeconds)) s: \(grouped(figures.changed)) changed, "
      + "\(grouped(figures.captured)) captured, \(grouped(figures.processed)) processed, "
      + "latency \(latency(figures)), revenue of this window \(revenue)"
  }

  package static func latency(_ figures: DemoFigures) -> String {
    guard let p50 = figures.p50Milliseconds, let p99 = figures.p99Milliseconds else { return "-" }
    return "p50 \(tenths(p50)) ms, p99 \(tenths(p99)) ms"
  }

  private static func row(_ name: String, _ text: String) -> String { padded(name, 12) + text }

  package static func padded(_ text: String, _ width: Int) -> String {
    let cut = String(text.prefix(width - 1))
    return cut + String(repeating: " ", count: width - cut.count)
  }

  package static func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }

  /// 1234567 as 1,234,567.
  package static func grouped(_ value: Int) -> String {
    var digits = Array(String(value.magnitude))
    var index = digits.count - 3
    while index > 0 {
      digits.insert(",", at: index)
      index -= 3
    }
    return (value < 0 ? "-" : "") + String(digits)
  }

  package static func money(_ cents: Int64) -> String {
    let part = cents.magnitude % 100
    return (cents < 0 ? "-" : "") + grouped(Int(cents.magnitude / 100))
      + (part < 10 ? ".0\(part)" : ".\(part)")
  }

  /// The time of day of a moment in seconds since 1970, in UTC.
  package static func clock(_ seconds: Int64) -> String {
    let minutes = (seconds / 60) % (24 * 60)
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "\(two(minutes / 60)):\(two(minutes % 60))"
  }
}
