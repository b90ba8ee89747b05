extension HistoryReport {
  /// For people.
  package var text: String {
    var lines: [String] = []
    let seconds = Double(ended - min(began, ended)) / 1e9
    lines.append("\(events) events in \(Self.rounded(seconds)) s")
    lines.append(
      "records: \(recordsBegun) begun, \(recordsAcknowledged) acknowledged,"
        + " \(recordsUnknown) unknown, \(recordsFailed) refused, \(recordsPolled) polled")
    lines.append(
      "lost \(lost), duplicated \(duplicated), reordered \(reordered), trimmed \(trimmed);"
        + " \(commits) group commits")
    if tornLines > 0 { lines.append("\(tornLines) last lines are cut short") }
    lines += availabilityLines
    if !allUnjudged.isEmpty { lines.append("not judged:") }
    lines += allUnjudged.map { "  \($0)" }
    if malformedCount > 0 { lines.append("\(malformedCount) events are not what they should be:") }
    lines += malformed.map { "  \($0)" }
    for check in Check.allCases where count(check) > 0 {
      lines.append("C\(check.rawValue) violated \(count(check)) times: \(check.claim)")
      for violation in violations where violation.check == check {
        let place = violation.partition < 0 ? "" : name(.partition, violation.partition) + ": "
        let events = violation.events.map { "\($0)" }.joined(separator: ", ")
        lines.append("  \(place)\(violation.message) (events \(events))")
      }
    }
    let verdict = hasSubstance ? "clean" : "NOTHING TO JUDGE: no record was acknowledged"
    lines.append(isClean ? verdict : "NOT CLEAN")
    return lines.joined(separator: "\n") + "\n"
  }

  private var allUnjudged: [String] {
    unjudged + neverLookedAt.map { "C\($0.rawValue) was never looked at: \($0.lack)" }
  }

  private var availabilityLines: [String] {
    availability.filter { $0.count > 0 || $0.longest > 0 }.flatMap { figures in
      var line = "fault \(figures.kind): \(figures.count) times,"
      line += " longest without an acknowledgement \(Self.milliseconds(figures.longest)) ms"
      guard !figures.failovers.isEmpty else { return [line] }
      line += "; with a majority well p50 \(Self.milliseconds(figures.failover(0.5)))"
      line += ", p90 \(Self.milliseconds(figures.failover(0.9)))"
      line += ", p99 \(Self.milliseconds(figures.failover(0.99)))"
      line += ", max \(Self.milliseconds(figures.failovers.last ?? 0)) ms"
      let buckets = figures.buckets.map { bucket in
        (bucket.milliseconds.map { "< \($0)" } ?? "more") + ": \(bucket.count)"
      }
      return [line, "  \(figures.failovers.count) gaps, ms: " + buckets.joined(separator: ", ")]
    }
  }

  private static func milliseconds(_ time: UInt64) -> String { rounded(Double(time) / 1e6) }

  private static func rounded(_ value: Double) -> String {
    "\((value * 10).rounded() / 10)"
  }

  /// One object of JSON. Times are in nanoseconds.
  package var json: String {
    var fields: [String] = [
      "\"clean\":\(isClean && hasSubstance)", "\"events\":\(events)", "\"began\":\(began)",
      "\"ended\":\(ended)",
      "\"begun\":\(recordsBegun)", "\"acknowledged\":\(recordsAcknowledged)",
      "\"unknown\":\(recordsUnknown)", "\"refused\":\(recordsFailed)",
      "\"polled\":\(recordsPolled)", "\"commits\":\(commits)", "\"lost\":\(lost)",
      "\"duplicated\":\(duplicated)", "\"reordered\":\(reordered)", "\"trimmed\":\(trimmed)",
      "\"torn\":\(tornLines)", "\"malformed\":\(malformedCount)",
    ]
    let faults = availability.map { figures in
      "{\"kind\":\(Self.quoted(figures.kind)),\"count\":\(figures.count)"
        + ",\"longest\":\(figures.longest),\"gaps\":\(figures.failovers.count)"
        + ",\"p50\":\(figures.failover(0.5)),\"p90\":\(figures.failover(0.9))"
        + ",\"p99\":\(figures.failover(0.99)),\"max\":\(figures.failovers.last ?? 0)"
        + ",\"buckets\":[\(Self.buckets(figures))]}"
    }
    let counted = Check.allCases.map { check in
      "\"C\(check.rawValue)\":\(neverLookedAt.contains(check) ? "null" : "\(count(check))")"
    }
    let found = violations.map { violation in
      "{\"check\":\"C\(violation.check.rawValue)\",\"message\":\(Self.quoted(violation.message))"
        + ",\"partition\":\(violation.partition),\"offset\":\(violation.offset)"
        + ",\"events\":[\(violation.events.map { "\($0)" }.joined(separator: ","))]}"
    }
    fields.append("\"faults\":[\(faults.joined(separator: ","))]")
    fields.append("\"checks\":{\(counted.joined(separator: ","))}")
    fields.append("\"violations\":[\(found.joined(separator: ","))]")
    fields.append("\"unjudged\":[\(allUnjudged.map(Self.quoted).joined(separator: ","))]")
    return "{\(fields.joined(separator: ","))}"
  }

  /// Pairs of a bound and a count.
  private static func buckets(_ figures: FaultFigures) -> String {
    figures.buckets.map { bucket in
      "[\(bucket.milliseconds.map { "\($0 * 1_000_000)" } ?? "null"),\(bucket.count)]"
    }.joined(separator: ",")
  }

  private static func quoted(_ text: String) -> String {
    String(decoding: JSONQuoted.bytes(text), as: UTF8.self)
  }
}
