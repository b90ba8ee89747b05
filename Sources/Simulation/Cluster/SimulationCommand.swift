internal import Platform

/// What `martlet-sim` does.
package enum SimulationCommand {
  private static var usage: String {
    """
    usage: martlet-sim [--seeds N | --seconds S] [--from SEED] [--length S] [--storm]
           martlet-sim --seed X [--trace]

    Simulates whole clusters from seeds, and says what is wrong with them.

      --seeds N    so many seeds, from the first
      --seconds S  as many as there are in so much time
      --from SEED  the first; 1 if it is not given
      --length S   simulated seconds with faults, of each
      --seed X     only this one
      --trace      all that happens
      --storm      faults come ten times a second, whatever the seed says
      --twice      each seed twice: both are to do the same
      --verbose    each seed before it is tried
      --planted    mistakes made on purpose, one at a time, until each is found
    """
  }

  private struct Words {
    var values: [String: String] = [:]
    var flags: Set<String> = []

    init?(_ arguments: [String]) {
      var rest = arguments[...]
      while let word = rest.popFirst() {
        switch word {
        case "--trace", "--planted", "--storm", "--twice", "--verbose": flags.insert(word)
        case "--seeds", "--seconds", "--from", "--length", "--seed", "--only":
          guard let value = rest.popFirst() else { return nil }
          values[word] = value
        default: return nil
        }
      }
    }

    func number(_ name: String) -> UInt64? { values[name].flatMap { UInt64($0) } }
  }

  /// Answers with the code that the process is to end with.
  package static func run(_ arguments: [String], _ print: @escaping (String) -> Void) -> Int32 {
    guard let words = Words(arguments) else {
      print(usage)
      return 2
    }
    func options(_ seed: UInt64) -> SimulationOptions {
      var options = SimulationOptions(seed: seed)
      if let length = words.number("--length") { options.seconds = Int64(length) }
      if words.flags.contains("--storm") {
        options.storm([.kill, .powerCut, .pause, .partition, .transfer, .slowDisk])
      }
      return options
    }
    if words.flags.contains("--planted") {
      return planted(words.values["--only"], words.number("--seeds"), print)
    }
    if let seed = words.number("--seed") {
      let cluster = SimulatedCluster(options(seed), isTracing: true)
      if words.flags.contains("--trace") { cluster.tracer = print }
      let result = cluster.run()
      if !result.violations.isEmpty { tell(result, print) }
      print(
        "hash \(result.hash), \(result.events) events, \(result.simulatedSeconds) s,"
          + " \(result.acknowledged) acknowledged"
      )
      return result.violations.isEmpty ? 0 : 1
    }
    return many(words, options, print)
  }

  private static func many(
    _ words: Words, _ options: (UInt64) -> SimulationOptions, _ print: (String) -> Void
  ) -> Int32 {
    let from = words.number("--from") ?? 1
    let seeds = words.number("--seeds") ?? (words.number("--seconds") == nil ? 100 : .max)
    let began = MonotonicClock.milliseconds()
    let end = words.number("--seconds").map { began + Int64($0) * 1000 } ?? .max
    var simulated = 0.0
    var (done, failed, acknowledged): (UInt64, [UInt64], Int) = (0, [], 0)
    var faults: [SimulatedFault: Int] = [:]
    var elections: UInt64 = 0
    while done < seeds, MonotonicClock.milliseconds() < end, failed.count < 10 {
      let seed = from + done
      // Should the process end there, people know where.
      if words.flags.contains("--verbose") { print("seed \(seed)") }
      var result = SimulatedCluster(options(seed)).run()
      if words.flags.contains("--twice") {
        let again = SimulatedCluster(options(seed)).run()
        if again.hash != result.hash {
          result.violations.append(
            "the same seed does something else: \(result.hash), \(again.hash)")
        }
      }
      done += 1
      simulated += result.simulatedSeconds
      acknowledged += result.acknowledged
      faults.merge(result.faults, uniquingKeysWith: +)
      elections += result.elections
      guard !result.violations.isEmpty else { continue }
      failed.append(seed)
      var found = SimulatedCluster(options(seed), isTracing: true).run()
      found.violations = result.violations
      tell(found, print)
    }
    let took = Double(max(1, MonotonicClock.milliseconds() - began)) / 1000
    print(
      "\(done) seeds, \(rounded(simulated / 3600)) simulated hours in \(rounded(took)) s:"
        + " \(rounded(simulated / 3600 / took)) hours per second, \(Int(simulated / took)) times as"
        + " fast as real; \(acknowledged) records acknowledged,"
        + " \(faults.values.reduce(0, +)) faults, \(elections) elections; failed \(failed)")
    print(text(faults))
    return failed.isEmpty ? 0 : 1
  }

  private static func text(_ faults: [SimulatedFault: Int]) -> String {
    "faults: " + SimulatedFault.allCases.map { "\($0) \(faults[$0] ?? 0)" }.joined(separator: ", ")
  }

  private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

  private static func tell(_ result: SimulationResult, _ print: (String) -> Void) {
    print("---- seed \(result.options.seed) fails")
    for line in result.trace.suffix(60) { print("  \(line)") }
    print(result.options.text)
    for violation in result.violations.prefix(5) { print("VIOLATION \(violation)") }
  }

  private static func planted(_ only: String?, _ seeds: UInt64?, _ print: (String) -> Void) -> Int32
  {
    var missing = 0
    for mistake in PlantedMistake.all where only.map({ mistake.name.contains($0) }) ?? true {
      let limit = seeds ?? UInt64(mistake.seeds)
      let found = mistake.find(seeds: limit)
      if found == nil, !mistake.isOpen { missing += 1 }
      print(
        "\(mistake.name): "
          + (mistake.isOpen ? "(open) " : "")
          + (found.map {
            "found with seed \($0.seed), the \($0.seed)th: \($0.violation.prefix(120))"
          }
            ?? "NOT FOUND in \(limit) seeds"))
    }
    return missing == 0 ? 0 : 1
  }
}
