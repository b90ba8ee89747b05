package import Broker
package import LogStore
package import Replication

/// A mistake made on purpose, and in how many seeds it is found.
package struct PlantedMistake: Sendable {
  package var name: String
  package var raft: PlantedMistakes = []
  package var node: PlantedNodeMistakes = []
  package var store: PlantedStoreMistakes = []
  package var forgetsSyncs = false
  /// What it takes to see it.
  package var faults: [SimulatedFault] = []
  /// And what else.
  package var change: @Sendable (inout SimulationOptions) -> Void = { _ in }
  /// They come as in a storm.
  package var isStorm = false
  /// At least three times as many as it took when that was measured, and at least these.
  package var seeds = 20

  package static let all: [PlantedMistake] = [
    PlantedMistake(name: "countSelfEarly", raft: .countSelfEarly),
    PlantedMistake(name: "acknowledgeEarly", raft: .acknowledgeEarly),
    PlantedMistake(
      name: "voteBeforeDurable", raft: .voteBeforeDurable,
      faults: [.powerCut, .transfer, .partition], isStorm: true),
    PlantedMistake(name: "readyWhenElected", raft: .readyWhenElected, seeds: 24),
    PlantedMistake(
      name: "commitUnverified", raft: .commitUnverified,
      faults: [.partition, .pause, .kill, .transfer], isStorm: true, seeds: 90),
    PlantedMistake(name: "voteByOffset", raft: .voteByOffset, seeds: 24),
    PlantedMistake(name: "commitOldEpoch", raft: .commitOldEpoch),
    PlantedMistake(name: "truncateWhatMatches", raft: .truncateWhatMatches),
    PlantedMistake(name: "keepEpochStarts", raft: .keepEpochStarts, seeds: 225),
    PlantedMistake(
      name: "transferBehind", raft: .transferBehind,
      faults: [.transfer], isStorm: true),
    PlantedMistake(
      name: "quietTooEarly", raft: .quietTooEarly,
      faults: [.partition, .transfer, .kill],
      change: {
        $0.idlePartitions = 6
        $0.losesOneIn = 5
      }, isStorm: true),
    PlantedMistake(name: "quietForTheDead", raft: .quietForTheDead),
    PlantedMistake(name: "acknowledgeAppended", node: .acknowledgeAppended),
    PlantedMistake(name: "acknowledgeDurableHere", node: .acknowledgeDurableHere),
    PlantedMistake(
      name: "acknowledgeDuplicatesEarly", node: .acknowledgeDuplicatesEarly, seeds: 30),
    PlantedMistake(name: "forgetDuplicates", node: .forgetDuplicates, seeds: 21),
    PlantedMistake(
      name: "serveBeforeReady", node: .serveBeforeReady,
      faults: [.transfer, .kill, .clog], isStorm: true, seeds: 66),
    PlantedMistake(name: "offsetsBeforeLoaded", node: .offsetsBeforeLoaded),
    PlantedMistake(name: "answerForwardsEarly", node: .answerForwardsEarly),
    PlantedMistake(
      name: "nodeForgetsVotes", node: .forgetVotes,
      faults: [.kill, .transfer, .partition], isStorm: true),
    PlantedMistake(name: "tellDurableEarly", node: .tellDurableEarly),
    PlantedMistake(name: "skipEpochStarts", node: .skipEpochStarts),
    PlantedMistake(name: "skipBarrier", node: .skipBarrier),
    PlantedMistake(
      name: "ignoreIncarnations", node: .ignoreIncarnations,
      change: {
        // Back before the others miss it, and with nothing.
        $0.faults = [.lostDisk]
        $0.faultPause = 1500
        $0.faultTime = 10
        $0.silence = 1000
        $0.diskSlowness = 50
        $0.nodes = 3
      }, seeds: 60),
    PlantedMistake(
      name: "endWithoutQuorum", node: .endWithoutQuorum,
      faults: [.pause],
      change: {
        // Long enough for another to be elected.
        $0.faultPause = 700
        $0.faultTime = 1500
        $0.clientTimeout = 500
        $0.plainProducers = 3
      }, seeds: 360),
    PlantedMistake(
      name: "acknowledgeOffsetsEarly", node: .acknowledgeOffsetsEarly,
      faults: [.kill, .powerCutOfAll],
      change: {
        $0.faultPause = 1000
        $0.diskSlowness = 50
        $0.groups = 3
      }, seeds: 40),
    PlantedMistake(name: "forgetsSyncs", forgetsSyncs: true),
    PlantedMistake(
      name: "truncateAtDamage", store: .truncateAtDamage,
      change: {
        // What is damaged has to be the last that a log has in the journal: of what is in the
        // middle, the gap is seen without this. So there are many logs, and little in each.
        $0.faults = [.bitRot]
        $0.faultPause = 4000
        $0.seconds = 8
        $0.nodes = 3
        $0.idlePartitions = 20
        $0.partitions = 1
        $0.producers = 1
        $0.plainProducers = 0
        $0.consumers = 0
        $0.groups = 0
        $0.deleters = 0
        $0.batchesInFlight = 1
        $0.recordsMax = 1
        $0.paddingMax = 0
        $0.producePause = 3000
        $0.retentionBytes = nil
        $0.diskSlowness = 1
        $0.journalBytes = 128 << 10
      }, seeds: 100),
    PlantedMistake(name: "followersForgetProducers", store: .followersForgetProducers),
    PlantedMistake(
      name: "ignoreTruncations", store: .ignoreTruncations,
      faults: [.partition, .transfer],
      change: {
        // What a leader took that was cut off is on its way to its disk still when it hears of
        // another.
        $0.diskSlowness = 1000
        $0.silence = 50
        $0.faultTime = 200
        $0.plainProducers = 3
      }, isStorm: true, seeds: 21),
    PlantedMistake(name: "storeForgetsVotes", store: .forgetVotes),
    PlantedMistake(name: "forgetEpochStarts", store: .forgetEpochStarts),
    PlantedMistake(name: "forgetProducers", store: .forgetProducers),
  ]

  /// A run of the seed with it, or the same without.
  package func options(_ seed: UInt64, isPlanted: Bool = true) -> SimulationOptions {
    var options = SimulationOptions(seed: seed)
    options.seconds = 10
    if isPlanted {
      options.raftMistakes = raft
      options.mistakes = node
      options.storeMistakes = store
      options.forgetsSyncs = forgetsSyncs
    }
    if isStorm {
      options.storm(faults)
    } else {
      for fault in faults where !options.faults.contains(fault) { options.faults.append(fault) }
      // Alone, what is lost is lost.
      if !faults.isEmpty { options.nodes = max(3, options.nodes) }
    }
    change(&options)
    return options
  }

  /// The first seed, from one, that finds it: with the mistake something is wrong, and without it
  /// nothing.
  package func find(seeds: UInt64) -> (seed: UInt64, violation: String)? {
    for seed in 1...max(1, seeds) {
      let result = SimulatedCluster(options(seed)).run()
      guard let violation = result.violations.first else { continue }
      let clean = SimulatedCluster(options(seed, isPlanted: false)).run()
      if clean.violations.isEmpty { return (seed, violation) }
    }
    return nil
  }
}
