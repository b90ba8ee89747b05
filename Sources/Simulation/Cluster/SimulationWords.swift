/// What `martlet-sim` was asked for. Every word is understood or refused: a run that is not what
/// was meant says nothing.
struct SimulationWords {
  enum Mode: String {
    case one = "--seed"
    case many = "--seeds"
    case planted = "--planted"
  }

  struct Refusal: Error, Equatable {
    var text: String
  }

  private enum Value {
    case none, text
    /// Up to a bound that no sum of it overflows from.
    case number(atMost: UInt64)
  }

  private static let known: [(word: String, value: Value, modes: [Mode])] = [
    ("--seed", .number(atMost: .max), [.one]),
    ("--trace", .none, [.one]),
    ("--seeds", .number(atMost: 1 << 62), [.many, .planted]),
    ("--seconds", .number(atMost: 1 << 32), [.many]),
    ("--from", .number(atMost: 1 << 62), [.many]),
    ("--twice", .none, [.many]),
    ("--verbose", .none, [.many]),
    ("--length", .number(atMost: 1 << 20), [.one, .many]),
    ("--storm", .none, [.one, .many]),
    ("--planted", .none, [.planted]),
    ("--only", .text, [.planted]),
  ]

  static let usage = """
    usage: martlet-sim [--seeds N] [--seconds S] [--from SEED] [--length S]
                       [--storm] [--twice] [--verbose]
           martlet-sim --seed X [--length S] [--storm] [--trace]
           martlet-sim --planted [--only NAME] [--seeds N]
           martlet-sim --help

    Simulates whole clusters from seeds, and says what is wrong with them.

      --seeds N    so many seeds; 100 if nothing is said
      --seconds S  as many as there are in so much time
      --from SEED  the first; 1 if it is not given
      --seed X     only this one
      --length S   simulated seconds with faults, of each; 20 if not given
      --storm      faults come ten times a second, whatever the seed says
      --twice      each seed twice: both are to do the same
      --verbose    each seed before it is tried
      --trace      all that happens
      --planted    mistakes made on purpose, one at a time, until each is found
      --only NAME  of these, those whose names contain it

    Ends with 0 if all is well, with 1 if something is wrong with a cluster or a
    mistake is not found, and with 2 if it does not understand what is asked.
    """

  private(set) var mode = Mode.many
  private(set) var wantsHelp = false
  private var numbers: [String: UInt64] = [:]
  private var texts: [String: String] = [:]
  private var flags: Set<String> = []

  init(_ arguments: [String]) throws(Refusal) {
    var rest = arguments[...]
    var given: [String] = []
    while let word = rest.popFirst() {
      if word == "--help" || word == "-h" {
        wantsHelp = true
        return
      }
      guard let (_, value, _) = Self.known.first(where: { $0.word == word }) else {
        throw Refusal(text: "what is '\(word)'?")
      }
      guard !given.contains(word) else { throw Refusal(text: "\(word) is given twice") }
      given.append(word)
      switch value {
      case .none: flags.insert(word)
      case .text:
        guard let text = rest.popFirst() else { throw Refusal(text: "\(word) wants a name") }
        texts[word] = text
      case .number(let most):
        let text = rest.popFirst() ?? ""
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt64(text),
          number <= most
        else { throw Refusal(text: "\(word) wants a number, not '\(text)'") }
        numbers[word] = number
      }
    }
    for possible in [Mode.one, .planted] where given.contains(possible.rawValue) {
      mode = possible
    }
    for (word, _, modes) in Self.known where given.contains(word) && !modes.contains(mode) {
      let why = mode == .many ? "needs \(modes[0].rawValue)" : "does not go with \(mode.rawValue)"
      throw Refusal(text: "\(word) \(why)")
    }
  }

  func number(_ word: String) -> UInt64? { numbers[word] }
  func text(_ word: String) -> String? { texts[word] }
  func has(_ flag: String) -> Bool { flags.contains(flag) }

  func options(_ seed: UInt64) -> SimulationOptions {
    var options = SimulationOptions(seed: seed)
    if let length = numbers["--length"] { options.seconds = Int64(length) }
    if has("--storm") {
      options.storm([.kill, .powerCut, .pause, .partition, .transfer, .slowDisk])
    }
    return options
  }
}
