package import Broker
internal import Bytes
package import LogStore
package import Replication

/// What befalls a simulated cluster.
package enum SimulatedFault: String, CaseIterable, Sendable {
  /// The process is killed, and started again.
  case kill
  case powerCut
  /// All machines at once.
  case powerCutOfAll
  /// The process stands still for a while.
  case pause
  /// One node is cut off from the others, or two from each other, both ways or one.
  case partition
  /// Everything on the way to or from one node is slow.
  case clog
  case slowDisk
  /// Nothing is done by the disk for a while.
  case stalledDisk
  /// Syncs fail until the process is started anew.
  case failingSync
  /// The node comes back with an empty disk.
  case lostDisk
  /// A bit of one node's files flips, and the process is started anew.
  case bitRot
  /// Clocks of the wall jump.
  case clockJump
  /// Who leads is asked to hand over.
  case transfer
  /// Nothing more fits on one disk or several, until there is space again.
  case fullDisk
  /// The process hands over what it leads, ends by itself, and is started again.
  case plannedEnd
  /// One node comes back with its files as they were a while ago.
  case rollback

  /// Those that came after seeds had found something: they are drawn behind everything else, so
  /// that the seeds still do without them what they did.
  package static let later: [SimulatedFault] = [.fullDisk, .plannedEnd, .rollback]
}

/// How one simulation is: drawn from its seed, so that each tries something else.
package struct SimulationOptions: Sendable {
  package var seed: UInt64
  package var nodes = 3
  /// With faults; then everything is mended.
  package var seconds: Int64 = 20
  package var partitions: Int32 = 1
  package var producers = 1
  package var plainProducers = 0
  package var consumers = 1
  package var groups = 0
  /// Topics come and go.
  package var changesTopics = false
  /// Of a topic to which nothing is written.
  package var idlePartitions: Int32 = 0
  package var batchesInFlight = 1
  package var recordsMax = 4
  package var paddingMax = 100
  /// Between two batches of a producer, milliseconds, on average.
  package var producePause = 50
  /// Milliseconds after which clients wait for an answer no more.
  package var clientTimeout = 3000
  /// With less space than this a node takes no more.
  package var freeSpaceMin: Int64 = 0
  package var reserveBytes: Int64 = 4096
  package var faults: [SimulatedFault] = []
  /// Milliseconds, on average.
  package var faultPause = 2000
  package var faultTime = 1000
  /// Microseconds.
  package var delayLeast = 50
  package var delayMean = 100
  /// Milliseconds after which who is not heard of is lost.
  package var silence = 300
  /// Of replication frames, one in so many is lost, repeated, or overtaken; zero is none.
  package var losesOneIn = 0
  package var repeatsOneIn = 0
  package var reordersOneIn = 0
  /// Parts in a thousand by which clocks are fast or slow at most.
  package var drift = 0
  package var diskSlowness: Int64 = 1
  package var journalBytes: Int64 = 256 << 10
  package var groupBytes = 32 << 10
  package var segmentBytes: Int64 = 1 << 20
  /// Of the clients' topics; nil keeps everything.
  package var retentionBytes: Int?
  /// Milliseconds between two looks at what may be deleted.
  package var retentionPause = 1000
  /// Logs of metadata and of groups that have grown over this are shortened.
  package var snapshotBytesMin = 4 << 20
  /// Clients that delete records.
  package var deleters = 0
  /// Also those before the middle of a batch.
  package var deletesWithinBatches = false
  package var raftMistakes: PlantedMistakes = []
  package var mistakes: PlantedNodeMistakes = []
  package var storeMistakes: PlantedStoreMistakes = []
  /// Disks say that things are durable which are not.
  package var forgetsSyncs = false

  /// All of it from the seed.
  package init(seed: UInt64) {
    self.seed = seed
    var random = SeededGenerator(seed: seed &* 0x2545_f491_4f6c_dd1d &+ 1)
    func pick<T>(_ values: [T]) -> T { values[random.below(values.count)] }
    nodes = pick([3, 3, 3, 3, 3, 3, 5, 1])
    partitions = pick([1, 1, 2, 4])
    producers = pick([1, 1, 2, 3])
    plainProducers = pick([0, 0, 1])
    consumers = pick([0, 1, 2])
    groups = pick([0, 0, 1, 2])
    changesTopics = random.oneIn(4)
    batchesInFlight = pick([1, 2, 5])
    recordsMax = pick([1, 4, 16])
    paddingMax = pick([0, 100, 1000])
    producePause = pick([20, 150, 500])
    let first = SimulatedFault.allCases.filter { !SimulatedFault.later.contains($0) }
    for fault in first where random.oneIn(3) { faults.append(fault) }
    if nodes == 1 { faults.removeAll { [.lostDisk, .bitRot, .transfer].contains($0) } }
    faultPause = pick([300, 1000, 3000])
    faultTime = pick([50, 300, 1500])
    delayLeast = pick([20, 100, 1000])
    delayMean = pick([30, 200, 3000])
    silence = pick([150, 400, 1000])
    if random.oneIn(4) {
      losesOneIn = pick([0, 20, 100])
      repeatsOneIn = pick([0, 20, 100])
      reordersOneIn = pick([0, 20, 100])
    }
    drift = pick([0, 0, 10, 100])
    diskSlowness = pick([1, 1, 10, 50])
    journalBytes = pick([128 << 10, 256 << 10, 1 << 20])
    groupBytes = pick([16 << 10, 32 << 10, 64 << 10])
    segmentBytes = pick([16 << 10, 64 << 10, 1 << 20])
    retentionBytes = pick([nil, nil, 20_000, 100_000])
    retentionPause = pick([500, 1000, 2000])
    snapshotBytesMin = pick([2 << 10, 16 << 10, 4 << 20])
    deleters = pick([0, 0, 1])
    deletesWithinBatches = random.oneIn(2)
    idlePartitions = pick([0, 0, 3])
    clientTimeout = pick([500, 3000])
    for fault in SimulatedFault.later where random.oneIn(3) { faults.append(fault) }
    if nodes == 1 { faults.removeAll { $0 == .rollback } }
    freeSpaceMin = pick([0, 32 << 10])
    reserveBytes = pick([4096, 64 << 10])
  }

  /// As the seed was before there were the later ones.
  package mutating func removeLaterFaults() {
    faults.removeAll { SimulatedFault.later.contains($0) }
    freeSpaceMin = 0
    reserveBytes = 4096
  }

  /// Logs lose their beginnings.
  var trims: Bool { retentionBytes != nil || deleters > 0 }
  var replicas: Int { min(3, nodes) }

  /// Faults come so fast that hardly anything is done between two of them, on slow disks.
  package mutating func storm(_ faults: [SimulatedFault]) {
    nodes = max(3, nodes)
    self.faults = faults
    faultPause = 100
    faultTime = 10
    silence = 150
    diskSlowness = 50
    plainProducers = max(1, plainProducers)
    producePause = 20
    losesOneIn = 20
    reordersOneIn = 20
  }

  package var text: String {
    var lines = [
      "seed \(seed): \(nodes) nodes, \(seconds) s, \(partitions) partitions, \(producers)"
        + " idempotent"
        + " and \(plainProducers) plain producers, \(consumers) consumers, \(groups) groups"
        + (changesTopics ? ", topics come and go" : "") + ", \(idlePartitions) idle partitions",
      "  \(batchesInFlight) batches in flight, up to \(recordsMax) records of up to \(paddingMax)"
        + " bytes, one batch in \(producePause) ms, no answer after \(clientTimeout) ms",
      "  faults \(faults.map(\.rawValue)) one in \(faultPause) ms for \(faultTime) ms; delay"
        + " \(delayLeast) + \(delayMean) us, silence \(silence) ms",
      "  one frame in \(losesOneIn) lost, \(repeatsOneIn) repeated, \(reordersOneIn) overtaken;"
        + " drift \(drift)/1000; disk \(diskSlowness) times as slow",
      "  journal files of \(journalBytes), groups of \(groupBytes), segments of \(segmentBytes),"
        + " \(freeSpaceMin) bytes to be free, \(reserveBytes) in reserve",
      "  retention of \(retentionBytes.map { "\($0) bytes" } ?? "everything") every"
        + " \(retentionPause) ms, \(deleters) clients delete records"
        + (deletesWithinBatches ? ", within batches too" : "") + ", snapshots over"
        + " \(snapshotBytesMin) bytes",
    ]
    if raftMistakes.rawValue != 0 || mistakes.rawValue != 0 || storeMistakes.rawValue != 0
      || forgetsSyncs
    {
      lines.append(
        "  planted: raft \(raftMistakes.rawValue), node \(mistakes.rawValue), store"
          + " \(storeMistakes.rawValue)" + (forgetsSyncs ? ", disks forget syncs" : ""))
    }
    return lines.joined(separator: "\n")
  }

  var storeOptions: LogStoreOptions {
    var options = LogStoreOptions()
    options.journal.fileBytes = journalBytes
    options.journal.groupBytesMax = groupBytes
    options.tails.bytesMax = 2 << 20
    options.reads.bytesMax = 1 << 20
    options.reads.blockBytes = 64 << 10
    options.segmentBytesMax = segmentBytes
    options.planted = storeMistakes
    options.freeSpaceMin = freeSpaceMin
    options.reserveBytes = reserveBytes
    return options
  }
}
