/// The words of a client command: operands, options with values, and flags, in any order, in long
/// or short form (`--group g`, `--group=g`, `-G g`). `--` ends the options.
struct Words {
  /// An option as a command knows it.
  struct Option {
    var name: String
    var short: Character?
    var takesValue = true

    init(_ name: String, _ short: Character? = nil, takesValue: Bool = true) {
      self.name = name
      self.short = short
      self.takesValue = takesValue
    }
  }

  static let broker = Option("broker", "b")

  private(set) var operands: [String] = []
  private var found: [(name: String, value: String)] = []

  init(_ words: some Sequence<String>, _ options: [Option]) throws {
    let known = options + [Self.broker]
    var words = Array(words)[...]
    while let word = words.popFirst() {
      guard word.hasPrefix("-"), word.count > 1 else {
        operands.append(word)
        continue
      }
      if word == "--" {
        operands += words
        return
      }
      var (option, value) = try Self.match(word, known)
      if option.takesValue {
        value = value ?? words.popFirst()
        guard value != nil else { throw UsageError("--\(option.name) needs a value.") }
      } else if value != nil {
        throw UsageError("--\(option.name) takes no value.")
      }
      found.append((option.name, value ?? ""))
    }
  }

  private static func match(_ word: String, _ known: [Option]) throws -> (Option, String?) {
    if word.hasPrefix("--") {
      let parts = word.dropFirst(2).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts.first ?? "")
      if let option = known.first(where: { $0.name == name }) {
        return (option, parts.count == 2 ? String(parts[1]) : nil)
      }
    } else if let letter = word.dropFirst().first,
      let option = known.first(where: { $0.short == letter })
    {
      let rest = String(word.dropFirst(2))
      return (option, rest.isEmpty ? nil : rest)
    }
    let names = known.map(\.name)
    guard word.hasPrefix("--") else {
      let list = names.map { "--\($0)" }.joined(separator: ", ")
      throw UsageError("There is no option \(word) here. There are \(list).")
    }
    throw UsageError.unknown(option: String(word.dropFirst(2).prefix { $0 != "=" }), names)
  }

  func has(_ name: String) -> Bool { found.contains { $0.name == name } }

  func values(_ name: String) -> [String] { found.filter { $0.name == name }.map(\.value) }

  func value(_ name: String) throws -> String? {
    let all = values(name)
    guard all.count <= 1 else { throw UsageError("--\(name) is given twice; give it once.") }
    return all.first
  }

  func number<T: FixedWidthInteger>(_ name: String, _ type: T.Type) throws -> T? {
    guard let text = try value(name) else { return nil }
    guard let number = T(text), number >= 0 else {
      throw UsageError("--\(name) is a number of zero or more, not '\(text)'.")
    }
    return number
  }

  /// `NAME=VALUE` options.
  func pairs(_ name: String) throws -> [(String, String)] {
    try values(name).map { text in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw UsageError("--\(name) takes NAME=VALUE, not '\(text)'.")
      }
      return (String(parts[0]), String(parts[1]))
    }
  }

  func operands(_ what: String, _ count: ClosedRange<Int>) throws -> [String] {
    guard operands.count >= count.lowerBound else { throw UsageError("Name \(what).") }
    guard operands.count <= count.upperBound else {
      throw UsageError("'\(operands[count.upperBound])' is one word too many.")
    }
    return operands
  }
}
