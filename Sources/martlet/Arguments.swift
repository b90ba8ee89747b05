internal import Platform

/// A command line that cannot be followed, in one sentence that says what to do.
struct UsageError: Error {
  let text: String

  init(_ text: String) { self.text = text }

  /// `names`: those that the command has.
  static func unknown(option: String, _ names: [String]) -> UsageError {
    guard !names.isEmpty else { return UsageError("There is no option --\(option) here; none is.") }
    let known = names.map { "--\($0)" }.joined(separator: ", ")
    let nearest = Nearest.name(to: option, among: names).map { " Did you mean --\($0)?" } ?? ""
    return UsageError("There is no option --\(option) here.\(nearest) There are \(known).")
  }
}

/// The words of a command line: a command, `--name value` pairs, and the rest.
struct Arguments {
  private(set) var command: String?
  private(set) var operands: [String] = []
  private var options: [(name: String, value: String?)] = []

  init(_ words: some Sequence<String>) {
    var words = Array(words)[...]
    if let first = words.first {
      command = first
      words = words.dropFirst()
    }
    while let word = words.popFirst() {
      guard word.hasPrefix("--"), word.count > 2 else {
        operands.append(word)
        continue
      }
      let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1)
      if parts.count == 2 {
        options.append((String(parts[0]), String(parts[1])))
      } else if let next = words.first, !next.hasPrefix("--") {
        options.append((String(parts[0]), next))
        words = words.dropFirst()
      } else {
        options.append((String(parts[0]), nil))
      }
    }
  }

  /// The value of an option that is given at most once.
  func value(_ name: String) throws -> String? {
    let found = options.filter { $0.name == name }
    guard let first = found.first else { return nil }
    guard found.count == 1 else { throw UsageError("--\(name) is given twice; give it once.") }
    guard let value = first.value else { throw UsageError("--\(name) needs a value.") }
    return value
  }

  /// Whether an option without a value is given.
  func flag(_ name: String) throws -> Bool {
    guard let found = options.first(where: { $0.name == name }) else { return false }
    guard found.value == nil else { throw UsageError("--\(name) takes no value.") }
    return true
  }

  /// All values of an option that may be given several times.
  func values(_ name: String) throws -> [String] {
    try options.filter { $0.name == name }.map { option in
      guard let value = option.value else { throw UsageError("--\(name) needs a value.") }
      return value
    }
  }

  /// Refuses options and operands that a command does not know.
  func allow(_ names: [String], operandsMax: Int = 0) throws {
    for option in options where !names.contains(option.name) {
      throw UsageError.unknown(option: option.name, names)
    }
    if operands.count > operandsMax {
      throw UsageError("'\(operands[operandsMax])' is one word too many.")
    }
  }
}

/// Lines for people, on standard error.
enum Terminal {
  static func complain(_ text: String) { Console.complain("martlet: \(text)\n") }

  /// A line of the log: when, and what.
  static func log(_ text: String) { Console.complain("\(Console.timestamp()) \(text)\n") }

  static func exit(_ status: Int32) -> Never { Console.exit(status) }

  /// Ends the process though some of its threads did not end in time.
  static func abandon(_ what: String) -> Never {
    log("stopped without waiting for \(what); the next start goes on where it was")
    Console.abandon(0)
  }
}

enum Usage {
  static let version = "0.1"
  static let text = """
    martlet: an event store that speaks Kafka's protocol

      martlet serve     one node
      martlet cluster   the nodes of a cluster on this host
      martlet capture   changes of a Postgres database into topics
      martlet process   processors: tables and topics that follow captured ones
      martlet run       capture and processors as a file names them, with a node if it says so
      martlet demo      the whole pipeline on a throw-away Postgres
      martlet topic     create, list, describe, alter and delete topics
      martlet group     list, describe, reset and delete consumer groups
      martlet produce   write records from files or standard input
      martlet consume   print records
      martlet help      this, or with a command the same as 'martlet COMMAND --help'
      martlet version

    'martlet COMMAND --help' has the options of a command, with their defaults.
    """
}
