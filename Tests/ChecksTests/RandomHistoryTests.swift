import Bytes
import Checks
import Testing

@Suite struct `Random histories` {
  @Test(arguments: 0..<50)
  func `of a correct cluster are never blamed`(part: Int) {
    var acknowledged = 0
    for seed in part * 60..<(part + 1) * 60 {
      let history = RandomHistory(seed: UInt64(seed), steps: 50 + seed % 400)
      let report = HistoryScript.judge(history.events, longestGapMax: 1 << 40)
      #expect(report.isClean, "seed \(seed): \(report.text)")
      #expect(report.unjudged == [])
      acknowledged += report.recordsAcknowledged
    }
    #expect(acknowledged > 300)
  }

  /// Each mutation is tried until it has found a place in 40 histories.
  @Test(arguments: Mutation.all)
  func `with one thing changed are found out by the check that names it`(mutation: Mutation) {
    var done = 0
    var seed: UInt64 = 0
    while done < 40, seed < 4000 {
      seed += 1
      let history = RandomHistory(seed: seed, steps: 150)
      var random = SeededGenerator(seed: seed &* 31)
      guard let mutant = mutation.apply(history.events, &random) else { continue }
      done += 1
      let report = HistoryScript.judge(mutant, longestGapMax: 1 << 40)
      #expect(
        report.count(mutation.check) > 0, "seed \(seed), \(mutation): \(report.text)")
    }
    #expect(done == 40, "\(mutation): a place in \(done) histories")
  }
}
