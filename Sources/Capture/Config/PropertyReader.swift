/// Properties that are read once each, so that what nobody asked for can be reported.
package struct PropertyReader {
  /// What these do changes which data is published: to go on without it would publish too much.
  private static let refused = [
    "column.mask.", "column.truncate.",
    "message.key.columns", "converters", "predicates", "post.processors", "signal.data.collection",
    "snapshot.select.statement.overrides", "snapshot.include.collection.list",
  ]
  /// What these tune is not here, or needs no tuning.
  private static let ignored = [
    "tasks.max", "max.batch.size", "max.queue.size", "poll.interval.ms",
    "poll.dispatch.interval.ms",
    "offset.", "errors.", "snapshot.", "slot.max.retries", "slot.retry.delay.ms", "lsn.flush.",
    "retriable.restart.connector.wait.ms", "database.tcpKeepAlive", "database.initial.statements",
    "database.query.timeout.ms", "flush.lsn.source", "xmin.fetch.interval.ms",
    "schema.refresh.mode",
    "topic.heartbeat.", "exactly.once.support", "transaction.boundary", "custom.metric.tags",
    "signal.", "notification.", "event.processing.failure.handling.mode", "include.schema.changes",
    "internal.", "guardrail.", "producer.override.", "config.action.reload", "tombstones.",
    "schema.name.adjustment.mode", "field.name.adjustment.mode", "database.history.",
    "schema.history.",
  ]

  let properties: [String: String]
  private var used: Set<String> = []
  private var usedPrefixes: [String] = []
  private var notes: [String] = []

  init(_ properties: [String: String]) { self.properties = properties }

  /// A value that is there and not empty, without the spaces around it.
  mutating func text(_ name: String) -> String? {
    used.insert(name)
    guard let text = properties[name]?.trimmingSpaces(), !text.isEmpty else { return nil }
    return text
  }

  mutating func alias(_ old: String, of name: String) -> String? {
    guard let text = text(old) else { return nil }
    note("\(old) is an old name of \(name).")
    return text
  }

  mutating func required(_ name: String) throws(CaptureConfigError) -> String {
    guard let text = text(name) else { throw CaptureConfigError("\(name) is missing.") }
    return text
  }

  mutating func list(_ name: String, old: String? = nil) throws(CaptureConfigError) -> [String] {
    let text = text(name) ?? old.flatMap { alias($0, of: name) }
    return text.map(Self.split) ?? []
  }

  /// At commas that are not escaped: `\,` is a comma within a regular expression.
  package static func split(_ text: String) -> [String] {
    var parts: [String] = [""]
    var isEscaped = false
    for character in text {
      if character == ",", !isEscaped {
        parts.append("")
      } else {
        if character == ",", isEscaped { parts[parts.count - 1].removeLast() }
        parts[parts.count - 1].append(character)
      }
      isEscaped = character == "\\" && !isEscaped
    }
    return parts.map { $0.trimmingSpaces() }.filter { !$0.isEmpty }
  }

  mutating func flag(_ name: String) throws(CaptureConfigError) -> Bool? {
    switch text(name)?.lowercased() {
    case nil: return nil
    case "true": return true
    case "false": return false
    case let other?: throw CaptureConfigError("\(name) is '\(other)'; it is true or false.")
    }
  }

  mutating func number(
    _ name: String, _ range: ClosedRange<Int64>
  ) throws(CaptureConfigError) -> Int64? {
    guard let text = text(name) else { return nil }
    guard let number = Int64(text), range.contains(number) else {
      throw CaptureConfigError(
        "\(name) is '\(text)'; it is a number from \(range.lowerBound) to \(range.upperBound).")
    }
    return number
  }

  mutating func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: String
  ) throws(CaptureConfigError) -> Choice? where Choice.RawValue == String {
    guard let text = text(name) else { return nil }
    guard let choice = Choice(rawValue: text.lowercased()) else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw CaptureConfigError("\(name) is '\(text)'; it is one of \(known).")
    }
    return choice
  }

  /// All that begin so and were not read yet, by what is behind it.
  mutating func all(prefix: String) -> [(name: String, value: String)] {
    let names = properties.keys.filter { $0.hasPrefix(prefix) && !used.contains($0) }.sorted()
    used.formUnion(names)
    return names.compactMap { name in
      properties[name].map { (String(name.dropFirst(prefix.count)), $0) }
    }
  }

  mutating func ignore(prefix: String) { usedPrefixes.append(prefix) }

  mutating func note(_ text: String) { notes.append(text) }

  /// What is left: refused, ignored or unknown.
  func finish() throws(CaptureConfigError) -> [String] {
    var notes = notes
    let left = properties.keys.sorted().filter { name in
      !used.contains(name) && !usedPrefixes.contains { name.hasPrefix($0) }
    }
    for name in left {
      if Self.refused.contains(where: name.hasPrefix) {
        throw CaptureConfigError(
          "\(name) is not supported yet, and without it other data would be published; remove it.")
      }
      if Self.ignored.contains(where: name.hasPrefix) {
        notes.append("\(name) has no effect here.")
      } else {
        notes.append("\(name) is not known and has no effect.")
      }
    }
    return notes
  }
}

extension StringProtocol {
  /// Without spaces, tabs and line ends at both ends.
  func trimmingSpaces() -> String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
    guard let first = firstIndex(where: { !isSpace($0) }),
      let last = lastIndex(where: { !isSpace($0) })
    else { return "" }
    return String(self[first...last])
  }
}
