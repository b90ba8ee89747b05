import Simulation
import Testing

/// Whole clusters from seeds: the short form of `martlet-sim`.
@Suite struct `Simulated clusters` {
  private func run(_ seed: UInt64, seconds: Int64 = 5) -> SimulationResult {
    var options = SimulationOptions(seed: seed)
    options.seconds = seconds
    return SimulatedCluster(options).run()
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `keep what they acknowledge, and are well again when nothing breaks any more`(seed: UInt64) {
    let result = run(seed)
    #expect(result.violations.isEmpty, "seed \(seed)")
    #expect(result.acknowledged > 0)
  }

  @Test func `do the same for the same seed`() {
    for seed in 1...5 as ClosedRange<UInt64> {
      let (one, other) = (run(seed, seconds: 3), run(seed, seconds: 3))
      #expect(one.hash == other.hash, "seed \(seed)")
      #expect(one.events == other.events)
    }
  }

  @Test func `have all that befalls them, sooner or later`() {
    var faults: [SimulatedFault: Int] = [:]
    for seed in 1...80 as ClosedRange<UInt64> {
      faults.merge(run(seed, seconds: 3).faults, uniquingKeysWith: +)
    }
    for fault in SimulatedFault.allCases { #expect(faults[fault] ?? 0 > 0, "\(fault)") }
  }

  @Test func `try different things`() {
    let all = (1...100 as ClosedRange<UInt64>).map { SimulationOptions(seed: $0) }
    for fault in SimulatedFault.allCases {
      #expect(all.contains { $0.faults.contains(fault) }, "\(fault)")
    }
    #expect(Set(all.map(\.nodes)) == [1, 3, 5])
    #expect(Set(all.map(\.segmentBytes)) == [16 << 10, 64 << 10, 1 << 20])
    #expect(Set(all.map(\.retentionBytes)) == [nil, 20_000, 100_000])
    #expect(Set(all.map(\.snapshotBytesMin)) == [2 << 10, 16 << 10, 4 << 20])
    #expect(Set(all.map(\.deleters)) == [0, 1])
  }
}

/// Seeds that once found something.
@Suite struct `Seeds that once failed` {
  struct Case: Sendable, CustomTestStringConvertible {
    var seed: UInt64
    var what: String
    /// It was found when there were not all faults yet.
    var isEarly = true
    var testDescription: String { "\(what), seed \(seed)" }
  }

  static let all: [Case] = [
    Case(seed: 1, what: "a member of group 0 that is behind a change is sent what it lacks"),
    Case(seed: 4, what: "a learner that was promoted while it was away is sent what it lacks"),
    Case(seed: 3, what: "who was taken in does not take itself for alone after a start"),
    Case(seed: 11, what: "a replica whose store has failed commits no more"),
    Case(seed: 16, what: "what a follower is sent at once fits its journal"),
    Case(seed: 229, what: "group 0 has a leader after all were killed while it grew"),
    Case(seed: 248, what: "group 0 has a leader after kills while it grew"),
    Case(seed: 340, what: "a node that has not started knows who is in group 0"),
    Case(seed: 345, what: "a log that is found damaged by a reader is reported"),
    Case(seed: 430, what: "the pre-vote of who is in an older epoch counts"),
    Case(seed: 13, what: "a node whose checkpoint is damaged joins again"),
    Case(seed: 19, what: "a damaged log of the metadata is made anew"),
    Case(seed: 1065, what: "a voter that knows of no membership after a start votes"),
    Case(seed: 1145, what: "the same, after the power was cut"),
    Case(seed: 3382, what: "what the last reads find damaged is mended"),
    Case(seed: 10508, what: "what is reported to a leader before it has read all counts"),
    Case(seed: 281, what: "a node that is behind the metadata's start deletes no logs"),
    Case(seed: 622, what: "who made the cluster does not take itself for alone after a reset"),
    Case(seed: 10617, what: "who came in with one version hears another who came in with it"),
    Case(seed: 121, what: "older files miss what was made since", isEarly: false),
    Case(seed: 229, what: "the same, of five nodes", isEarly: false),
    Case(seed: 134, what: "a log that is handed over is not shortened", isEarly: false),
    Case(seed: 673, what: "a reset to the middle of a batch is no damage", isEarly: false),
    Case(seed: 61604, what: "who forgot the membership is sent what it lacks", isEarly: false),
    Case(seed: 44285, what: "offsets are kept when a commit is cut off", isEarly: false),
    Case(seed: 20994, what: "who waited for room and leads no more sends nothing", isEarly: false),
  ]

  @Test(arguments: all)
  func `do not fail any more`(found: Case) {
    var options = SimulationOptions(seed: found.seed)
    if found.isEarly { options.removeLaterFaults() }
    #expect(SimulatedCluster(options).run().violations.isEmpty)
  }
}

@Suite struct `Mistakes planted in nodes` {
  /// All of them are in `martlet-sim --planted`.
  @Test(arguments: [
    "forgetDuplicates", "acknowledgeAppended", "forgetsSyncs", "readyWhenElected",
    "voteBeforeDurable", "transferBehind", "ignoreTruncations", "commitOldEpoch", "quietTooEarly",
    "truncateAtDamage",
  ])
  func `are found`(name: String) throws {
    let mistake = try #require(PlantedMistake.all.first { $0.name == name })
    #expect(mistake.find(seeds: UInt64(mistake.seeds)) != nil)
  }
}
