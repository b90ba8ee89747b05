internal import Platform

/// What `martlet-sim` does.
package enum SimulationCommand {
  /// Answers with the code that the process is to end with.
  package static func run(_ arguments: [String], _ print: @escaping (String) -> Void) -> Int32 {
    let words: SimulationWords
    do throws(SimulationWords.Refusal) {
      words = try SimulationWords(arguments)
    } catch {
      print("martlet-sim: \(error.text)\n\n\(SimulationWords.usage)")
      return 2
    }
    if words.wantsHelp {
      print(SimulationWords.usage)
      return 0
    }
    return switch words.mode {
    case .one: one(words, words.number("--seed") ?? 1, print)
    case .many: many(words, print)
    case .planted: planted(words.text("--only"), words.number("--seeds"), print)
    }
  }

  private static func one(
    _ words: SimulationWords, _ seed: UInt64, _ print: @escaping (String) -> Void
  ) -> Int32 {
    let cluster = SimulatedCluster(words.options(seed), isTracing: true)
    if words.has("--trace") { cluster.tracer = print }
    let result = cluster.run()
    if !result.violations.isEmpty { tell(result, print) }
    print(
      "hash \(result.hash), \(result.events) events, \(result.simulatedSeconds) s,"
        + " \(result.acknowledged) acknowledged")
    return result.violations.isEmpty ? 0 : 1
  }

  private static func many(_ words: SimulationWords, _ print: (String) -> Void) -> Int32 {
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
      if words.has("--verbose") { print("seed \(seed)") }
      var result = SimulatedCluster(words.options(seed)).run()
      if words.has("--twice") {
        let again = SimulatedCluster(words.options(seed)).run()
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
      var found = SimulatedCluster(words.options(seed), isTracing: true).run()
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
      if found == nil { missing += 1 }
      print(
        "\(mistake.name): "
          + (found.map {
            "found with seed \($0.seed) of \(limit): \($0.violation.prefix(120))"
          }
            ?? "NOT FOUND in \(limit) seeds"))
    }
    return missing == 0 ? 0 : 1
  }
}
