/// What `--help` prints: a screen for the program, for each command and for each thing it does.
///
/// A test holds that every option a command takes is on its page.
struct Help {
  /// The words of a command, such as `topic create`.
  let command: String
  /// What follows them.
  let usage: String
  let does: String
  /// An option, or what follows the command, and what it means with its default.
  var rows: [(String, String)] = []

  /// The page that these words ask for: `--help` among them, or `help` before them. Nil if they ask
  /// for none.
  static func page(_ words: [String]) -> String? {
    var names = words
    if words.first == "help" {
      names = Array(words.dropFirst())
    } else {
      let options = words.prefix { $0 != "--" }
      // There it can be no option's value.
      let isSecond = options.dropFirst().drop { !$0.hasPrefix("-") }.first == "-h"
      guard options.contains("--help") || words.first == "-h" || isSecond else { return nil }
    }
    let command = names.first { !$0.hasPrefix("-") } ?? ""
    let verb = names.drop { $0 != command }.dropFirst().first ?? ""
    if let page = pages.first(where: { $0.command == "\(command) \(verb)" }) { return page.text }
    let verbs = pages.filter { $0.command.hasPrefix("\(command) ") }
    if !verbs.isEmpty { return overview(command, verbs) }
    if let page = pages.first(where: { $0.command == command }) { return page.text }
    return command.isEmpty || command == "help" ? Usage.text : nil
  }

  static var commands: [String] {
    var names: [String] = []
    for page in pages {
      let name = String(page.command.prefix { $0 != " " })
      if !names.contains(name) { names.append(name) }
    }
    return names + ["help", "version"]
  }

  private var text: String {
    let width = rows.map(\.0.count).max() ?? 0
    let lines = rows.map { row in
      let indent = "\n" + String(repeating: " ", count: width + 4)
      let meaning = row.1.split(separator: "\n").joined(separator: indent)
      return "  \(row.0)\(String(repeating: " ", count: width - row.0.count))  \(meaning)"
    }
    return "usage: martlet \(command) \(usage)\n\n\(does)\n\n\(lines.joined(separator: "\n"))"
  }

  private static func overview(_ command: String, _ pages: [Help]) -> String {
    let width = pages.map(\.command.count).max() ?? 0
    let lines = pages.map { page in
      let gap = String(repeating: " ", count: width - page.command.count)
      return "  martlet \(page.command)\(gap)  \(page.does)\n"
    }
    return "usage: martlet \(command) WHAT ... [OPTIONS]\n\n\(lines.joined())\n"
      + "'martlet \(command) WHAT --help' has the options."
  }
}

extension Help {
  private static let broker = ("-b, --broker HOST:PORT", "a broker of the cluster; 127.0.0.1:9092")
  private static let json = ("-J, --json", "JSON instead of text")
  private static let http = ("--http HOST:PORT", "where /health and /metrics are; nowhere")
  private static let node = [
    ("--node NUMBER", "its id; 1"),
    ("--listen HOST:PORT", "where Kafka clients connect; 127.0.0.1:9092"),
    ("--advertise HOST:PORT", "what clients are told; what --listen says"),
    http,
    ("--set NAME=VALUE", "a broker setting, by Kafka's name; any number of times"),
  ]

  static let pages: [Help] = servers + topics + groups + records

  private static let servers = [
    Help(
      command: "serve", usage: "--data DIR [OPTIONS]", does: "One node, until SIGTERM or Ctrl-C.",
      rows: [
        ("--data DIR", "where the data is; needed here or in --config"),
        ("--config FILE", "martlet.yaml: the same in a file; the command line wins"),
        ("--cluster NODES", "all nodes, this one among them:\nID@HOST:PORT/PEERPORT,..."),
      ] + node),
    Help(
      command: "cluster", usage: "--data DIR [OPTIONS]",
      does: "The nodes of a cluster on this host, until SIGTERM or Ctrl-C: shown on a\n"
        + "terminal, and elsewhere a line for each thing that happens.",
      rows: [
        ("--data DIR", "where their data is, in DIR/1, DIR/2, ..."),
        ("--nodes NUMBER", "how many, an odd number; 3"),
        ("--listen HOST:PORT", "where clients of the first connect; 127.0.0.1:9092"),
        ("--http HOST:PORT", "where /health and /metrics of the first are; nowhere"),
        ("--set NAME=VALUE", "a broker setting, by Kafka's name; any number of times"),
      ]),
    Help(
      command: "run", usage: "PIPELINE.yaml [OPTIONS]",
      does: "Capture and processors as a file names them, until SIGTERM or Ctrl-C.",
      rows: [
        ("PIPELINE.yaml", "where the log is, what is captured, and what is made of it"),
        ("--http HOST:PORT", "where /health and /metrics of everything are;\nwhat the file says"),
      ]),
    Help(
      command: "capture", usage: "--config FILE --bootstrap HOST:PORT|--data DIR [OPTIONS]",
      does: "Changes of a Postgres database into topics, until SIGTERM or Ctrl-C.",
      rows: [
        ("--config FILE", "a connector as Kafka Connect has it, or properties"),
        ("--bootstrap HOST:PORT", "a node that runs elsewhere; or"),
        ("--data DIR", "a node in this process, with the options of 'serve'"),
        ("--check", "say what is missing, and end"),
        ("--forget", "forget how far it is, drop the slot, and end"),
      ] + node),
    Help(
      command: "process", usage: "--config FILE [OPTIONS]",
      does: "Processors alone, until SIGTERM or Ctrl-C.",
      rows: [
        ("--config FILE", "what a pipeline's file says of processors"),
        ("--bootstrap HOST:PORT", "where the log is; what the file says, or 127.0.0.1:9092"),
        http,
      ]),
    Help(
      command: "demo", usage: "[OPTIONS]",
      does: "The whole pipeline on a throw-away Postgres, and what came of it.",
      rows: [
        ("--seconds NUMBER", "how long rows are written; 30"),
        ("--rate NUMBER", "transactions a second; 500"),
        ("--nodes NUMBER", "of three or more, one is killed in the middle; 3"),
        ("--kill-every SECONDS", "another is killed again and again, once all are whole"),
        ("--listen HOST:PORT", "where Kafka clients read along; 127.0.0.1:9092"),
        ("--json", "one object at the end, and nothing before"),
      ]),
  ]

  private static let topics = [
    Help(
      command: "topic create", usage: "NAME... [OPTIONS]", does: "Makes topics.",
      rows: [
        ("-p, --partitions NUMBER", "what the broker's num.partitions says"),
        ("--replication-factor NUMBER", "what the broker says"),
        ("-c, --config NAME=VALUE", "a setting of the topic; any number of times"),
        ("--if-not-exists", "a topic that is there is no error"), broker,
      ]),
    Help(
      command: "topic list", usage: "[OPTIONS]", does: "Lists topics.",
      rows: [("--internal", "those of the broker, too"), json, broker]),
    Help(
      command: "topic describe", usage: "NAME... [OPTIONS]",
      does: "Shows who leads which partition and has it, offsets, and settings of topics.",
      rows: [json, broker]),
    Help(
      command: "topic alter", usage: "NAME [OPTIONS]", does: "Changes a topic.",
      rows: [
        ("-p, --partitions NUMBER", "more partitions than it has"),
        ("-c, --config NAME=VALUE", "a setting; any number of times"),
        ("--unset NAME", "back to the broker's default; any number of times"), broker,
      ]),
    Help(
      command: "topic delete", usage: "NAME... [OPTIONS]",
      does: "Deletes topics with their records.",
      rows: [broker]),
  ]

  private static let groups = [
    Help(
      command: "group list", usage: "[OPTIONS]", does: "Lists consumer groups.",
      rows: [json, broker]),
    Help(
      command: "group describe", usage: "GROUP [OPTIONS]",
      does: "Shows the members of a group, its offsets and how far they are behind.",
      rows: [json, broker]),
    Help(
      command: "group reset", usage: "GROUP --topic TOPIC --to PLACE [OPTIONS]",
      does: "Has a group without members go on elsewhere.",
      rows: [
        ("-t, --topic TOPIC", "needed"),
        ("-p, --partition NUMBER", "one of its partitions, any number of times; all"),
        ("-o, --to PLACE", place), broker,
      ]),
    Help(
      command: "group delete", usage: "GROUP... [OPTIONS]",
      does: "Deletes groups without members, with their offsets.", rows: [broker]),
  ]

  private static let place =
    "beginning, end, an offset, -N before the end,\nor @ms: milliseconds since 1970"

  private static let records = [
    Help(
      command: "produce", usage: "TOPIC [FILE]... [OPTIONS]",
      does: "Writes a record for each line of the files, or of standard input.",
      rows: [
        ("-k, --key KEY", "the key of every record; none"),
        ("-K, --key-separator TEXT", "what is before it in a line is the record's key"),
        ("-p, --partition NUMBER", "by the key, or in turn"),
        ("-H, --header NAME=VALUE", "a header of every record; any number of times"),
        ("-D, --delimiter TEXT", "what ends a record; \\n"),
        ("-Z, --null", "an empty value or key is null"),
        ("--whole", "each file is one record"),
        ("-z, --compression CODEC", "none, gzip, snappy, lz4 or zstd; none"),
        ("--acks 0|1|all", "who acknowledges; all, and a retry repeats nothing"), broker,
      ]),
    Help(
      command: "consume", usage: "TOPIC... [OPTIONS]", does: "Prints records, until Ctrl-C.",
      rows: [
        ("-o, --from PLACE", "\(place); beginning"),
        ("-p, --partition NUMBER", "one of them, any number of times; all"),
        ("-c, --count NUMBER", "end after so many records"),
        ("-e, --exit", "end at the end"),
        ("-G, --group GROUP", "as a member of a group, whose offsets are committed"),
        ("--assignor NAME", "range or cooperative-sticky; what the group has"),
        ("--instance NAME", "a static member, whose partitions wait for it"),
        ("--read-committed", "no records of transactions that were aborted"),
        (
          "-f, --format TEXT",
          "%t topic, %p partition, %o offset, %k key, %s value,\n"
            + "%K and %S their sizes, %T timestamp, %h headers,\n%% a percent sign; %s"
        ),
        json,
        ("-K, --key-separator TEXT", "the key and this before each value"),
        ("-D, --delimiter TEXT", "what ends a record; \\n"), broker,
      ]),
  ]
}

enum Nearest {
  /// The name that was probably meant, if there is one that is near.
  static func name(to word: String, among names: [String]) -> String? {
    let found = names.map { (name: $0, distance: distance(word, $0)) }
      .min { $0.distance < $1.distance }
    guard let found, found.distance <= max(1, word.count / 3) else { return nil }
    return found.name
  }

  /// Letters to put in, leave out, change or swap (optimal string alignment).
  private static func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        let change = last[j] + (a[i] == b[j] ? 0 : 1)
        var best = min(change, last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
        row.append(best)
      }
      (before, last) = (last, row)
    }
    return last[b.count]
  }
}
