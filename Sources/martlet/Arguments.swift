internal import Platform

/// A command line that cannot be followed, in one sentence that says what to do.
struct UsageError: Error {
  let text: String

  init(_ text: String) { self.text = text }
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
      let known = names.map { "--\($0)" }.joined(separator: ", ")
      throw UsageError("There is no option --\(option.name) here; there are \(known).")
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

      martlet serve --data DIR          one node, until SIGTERM or Ctrl-C
                    [--node 1]                        its id
                    [--listen 127.0.0.1:9092]         where Kafka clients connect
                    [--advertise HOST:PORT]           what clients are told, if not --listen
                    [--http 127.0.0.1:8080]           /health and /metrics
                    [--set NAME=VALUE]...             broker settings, by Kafka's names
                    [--config martlet.yaml]           the same in a file; the command line wins
      martlet capture --config FILE     changes of a Postgres database into topics, until SIGTERM;
                                        FILE: a connector's JSON, or properties
                    --bootstrap HOST:PORT             of a node that runs, or
                    --data DIR [--listen ...]         with a node in this process, as for serve
                    [--check]                         say what is missing, and end
                    [--forget]                        forget how far it is, drop the slot, and end
      martlet run PIPELINE.yaml         capture and processors as a file names them, until SIGTERM
      martlet process --config FILE     processors alone, until SIGTERM or Ctrl-C; FILE: what a
                                        pipeline's file says of them
                    [--bootstrap HOST:PORT]           where the log is; the command line wins
      martlet demo [--seconds 30]       the whole pipeline on a throw-away Postgres
                    [--rate 500]                      transactions a second
                    [--listen 127.0.0.1:9092]         where Kafka clients read along
                    [--json]                          one object at the end, and nothing before
      martlet topic create NAME... [--partitions N] [--config NAME=VALUE]... [--if-not-exists]
      martlet topic list [--internal] | describe NAME... | delete NAME...        [--json]
      martlet topic alter NAME [--partitions N] [--config NAME=VALUE]... [--unset NAME]...
      martlet group list | describe ID                                           [--json]
      martlet group reset ID --topic T [--partition N] --to PLACE | delete ID...
      martlet produce TOPIC [FILE]...   a record for each line of the files or standard input
                    [-K SEPARATOR] [-k KEY] [-p PARTITION] [-H NAME=VALUE]... [-z CODEC]
                    [-D DELIMITER] [-Z: empty is null] [--whole: one record a file] [--acks 0|1|all]
      martlet consume TOPIC...          prints values, a line each, until Ctrl-C
                    [-o PLACE] [-p PARTITION]... [-c COUNT] [-e: exit at the end]
                    [-G GROUP [--assignor NAME] [--instance NAME]] [--read-committed]
                    [-f FORMAT: %t %p %o %k %s %K %S %T %h] [-J: JSON] [-K SEPARATOR]
                    PLACE: beginning, end, an offset, -N before the end, @ms since 1970
          each of these with            [-b HOST:PORT], 127.0.0.1:9092 if left out
      martlet help | version
    """
}
