/// The nodes of a cluster and what has happened, for a terminal of 80 columns.
package enum ClusterScreen {
  package static let columns = 80

  /// A line of titles and a line for each node.
  package static func rows(_ rows: [ClusterWatch.Row]) -> [String] {
    let title = line("node", "state", "leads", "follows", "lag", "process", "starts", "clients")
    return [title]
      + rows.map { row in
        line(
          "\(row.node)", row.state.rawValue, row.leads.map { "\($0)" } ?? "-",
          row.follows.map { "\($0)" } ?? "-", row.lag.map { "\($0)" } ?? "-",
          row.process.map { "\($0)" } ?? "-", "\(row.restarts + 1)", row.address)
      }
  }

  private static func line(
    _ node: String, _ state: String, _ leads: String, _ follows: String, _ lag: String,
    _ process: String, _ starts: String, _ clients: String
  ) -> String {
    let numbers = [(leads, 7), (follows, 9), (lag, 9), (process, 9), (starts, 8)]
    let cells = numbers.map { text, width in
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    return cut(
      node + gap(node, 6) + state + gap(state, 12) + cells.joined() + "  " + clients)
  }

  private static func gap(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count))
  }

  private static func cut(_ line: String) -> String { String(line.prefix(columns)) }

  /// The newest of the events, oldest first; each is as long as it is, in lines of its own.
  package static func events(_ events: [(time: String, text: String)], lines: Int) -> [String] {
    var shown: [String] = []
    for event in events.reversed() {
      let part = wrapped("\(event.time)  \(event.text)", indent: event.time.count + 2)
      guard shown.count + part.count <= lines else { break }
      shown = part + shown
    }
    return shown
  }

  private static func wrapped(_ text: String, indent: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      if !line.isEmpty, line.count + 1 + word.count > columns {
        lines.append(line)
        line = String(repeating: " ", count: indent) + word
      } else {
        line += (line.isEmpty ? "" : " ") + word
      }
    }
    return (lines + [line]).map(cut)
  }

  /// The whole screen of `martlet cluster`.
  package static func lines(
    _ watch: ClusterWatch, directory: String, events: [(time: String, text: String)],
    eventLines: Int
  ) -> [String] {
    let rows = watch.rows
    var summary = "\(watch.leads) partitions led"
    if watch.leaderless > 0 { summary += ", \(watch.leaderless) without a leader" }
    if watch.underReplicated > 0 { summary += ", \(watch.underReplicated) under-replicated" }
    return [
      cut("martlet cluster   \(summary)   data in \(directory)"),
      String(repeating: "─", count: columns),
    ] + self.rows(rows) + [""] + self.events(events, lines: eventLines)
  }
}
