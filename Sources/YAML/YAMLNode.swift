/// A part of a YAML document, and the line it begins on, so that whoever finds a mistake in its
/// meaning can say where.
package struct YAMLNode: Equatable, Sendable {
  package indirect enum Content: Equatable, Sendable {
    /// The text; nil if nothing or `null` or `~` stands there without quotes.
    case scalar(String?)
    case sequence([YAMLNode])
    /// In the order of the document; no key is there twice.
    case mapping([Entry])
  }

  package struct Entry: Equatable, Sendable {
    package var key: String
    /// Counted from one.
    package var line: Int
    package var value: YAMLNode

    package init(key: String, line: Int, value: YAMLNode) {
      self.key = key
      self.line = line
      self.value = value
    }
  }

  package var content: Content
  /// Counted from one.
  package var line: Int

  package init(_ content: Content, line: Int) {
    self.content = content
    self.line = line
  }
}

/// What is wrong with a YAML document, and on which line.
package struct YAMLError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Counted from one; zero where no line is to blame.
  package var line: Int
  package var text: String

  package init(line: Int, _ text: String) {
    self.line = line
    self.text = text
  }

  package var description: String { line > 0 ? "line \(line): \(text)" : text }
}

// MARK: - What a program asks a document

extension YAMLNode {
  package var isNull: Bool { content == .scalar(nil) }

  /// The entries of a mapping, of which only those in `known` may be there (any, if nil).
  /// `what` names the mapping for people.
  package func entries(
    of what: String, known: [String]? = nil
  ) throws(YAMLError) -> [Entry] {
    if isNull { return [] }
    guard case .mapping(let entries) = content else {
      throw YAMLError(line: line, "\(what) is a mapping of keys to values.")
    }
    if let known, let other = entries.first(where: { !known.contains($0.key) }) {
      throw YAMLError(
        line: other.line,
        "There is no key '\(other.key)' in \(what); there are \(known.joined(separator: ", ")).")
    }
    return entries
  }

  /// The text of a scalar. `what` names it for people.
  package func text(of what: String) throws(YAMLError) -> String {
    guard case .scalar(let text?) = content else {
      throw YAMLError(line: line, "\(what) is one value.")
    }
    return text
  }

  package func items(of what: String) throws(YAMLError) -> [YAMLNode] {
    if isNull { return [] }
    guard case .sequence(let items) = content else {
      throw YAMLError(line: line, "\(what) is a list.")
    }
    return items
  }

  /// A whole number. `what` names it for people.
  package func integer<I: FixedWidthInteger>(
    of what: String, _ range: ClosedRange<I>
  ) throws(YAMLError) -> I {
    let text = try text(of: what)
    guard let value = I(text), range.contains(value) else {
      throw YAMLError(
        line: line,
        "\(what) is a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'.")
    }
    return value
  }
}
