package import Broker
package import Replication

/// A mistake made on purpose, and in how many seeds it is found.
package struct PlantedMistake: Sendable {
  package var name: String
  package var raft: PlantedMistakes = []
  package var node: PlantedNodeMistakes = []
  package var seeds: Int

  package static let all: [PlantedMistake] = [
    PlantedMistake(name: "countSelfEarly", raft: .countSelfEarly, seeds: 100),
    PlantedMistake(name: "acknowledgeEarly", raft: .acknowledgeEarly, seeds: 100),
    PlantedMistake(name: "voteBeforeDurable", raft: .voteBeforeDurable, seeds: 1000),
    PlantedMistake(name: "readyWhenElected", raft: .readyWhenElected, seeds: 100),
    PlantedMistake(name: "commitUnverified", raft: .commitUnverified, seeds: 100),
    PlantedMistake(name: "voteByOffset", raft: .voteByOffset, seeds: 1000),
    PlantedMistake(name: "commitOldEpoch", raft: .commitOldEpoch, seeds: 1000),
    PlantedMistake(name: "truncateWhatMatches", raft: .truncateWhatMatches, seeds: 100),
    PlantedMistake(name: "keepEpochStarts", raft: .keepEpochStarts, seeds: 1000),
    PlantedMistake(name: "readWithoutQuorum", raft: .readWithoutQuorum, seeds: 1000),
    PlantedMistake(name: "transferBehind", raft: .transferBehind, seeds: 1000),
    PlantedMistake(name: "forgetJoining", raft: .forgetJoining, seeds: 1000),
    PlantedMistake(name: "quietTooEarly", raft: .quietTooEarly, seeds: 100),
    PlantedMistake(name: "quietForTheDead", raft: .quietForTheDead, seeds: 1000),
    PlantedMistake(name: "leaveSilently", raft: .leaveSilently, seeds: 1000),
    PlantedMistake(name: "acknowledgeAppended", node: .acknowledgeAppended, seeds: 100),
  ]

  /// The first seed, from one, that finds it.
  package func find(seeds: UInt64) -> (seed: UInt64, violation: String)? {
    for seed in 1...max(1, seeds) {
      var options = SimulationOptions(seed: seed)
      options.raftMistakes = raft
      options.mistakes = node
      let result = SimulatedCluster(options).run()
      if let violation = result.violations.first { return (seed, violation) }
    }
    return nil
  }
}
