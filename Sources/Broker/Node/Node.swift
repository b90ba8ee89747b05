internal import Bytes
package import KafkaWire
package import LogStore
package import Platform
internal import Records
internal import Replication

/// Where a request came from and which of its connection's requests it is.
package struct RequestOrigin: Hashable, Sendable {
  package var connection: ConnectionID
  /// Counted per connection; answers leave in this order.
  package var sequence: UInt64
  package var clientHost: String
  /// The node whose client it is of, if not this one's; `sequence` is that node's number for it.
  var forwardedBy: Int32?

  package init(connection: ConnectionID, sequence: UInt64, clientHost: String) {
    self.connection = connection
    self.sequence = sequence
    self.clientHost = clientHost
  }
}

/// What becomes of a request.
package struct NodeAnswer {
  package enum Content {
    /// A response; the slices fill its holes, in order.
    case frame(EncodedFrame, [LogSlice])
    /// None: a produce request with acks = 0.
    case nothing
    /// The connection is to be closed, and why, for the log.
    case close(String)
  }

  package var origin: RequestOrigin
  /// Nil if the header could not be read.
  package var api: APIKey?
  package var content: Content
}

/// A request whose header has been read.
struct Request {
  let origin: RequestOrigin
  let frame: RequestFrame
  /// All of it. Shares its storage with the frame.
  let bytes: ArraySlice<UInt8>
  var version: Int16 { frame.version }
  var clientId: String { frame.header.clientId ?? "" }
}

/// One partition as this node has it.
struct Partition {
  let log: LogID
  var epoch: LeaderEpoch
  /// This node leads it: it takes records.
  var leads = false
  /// And has all that was ever committed: it is read from.
  var isReady = false
}

/// What a request finds of a partition at this node.
enum PartitionAccess {
  /// Led here.
  case here(Partition)
  /// There is one, and another node leads it, or nobody.
  case elsewhere
  /// There is none.
  case unknown
}

/// A topic as this node has it.
struct NodeTopic {
  let name: String
  let id: UUID16
  var config: TopicConfig
  /// By partition; nil where the log is on other nodes, or is not made yet.
  var partitions: [Partition?] = []

  var isInternal: Bool { TopicName.isInternal(name) }

  /// There is such a partition, here or elsewhere.
  func has(_ index: Int32) -> Bool { partitions.indices.contains(Int(index)) }

  mutating func register(_ index: Int32) {
    while partitions.count <= Int(index) { partitions.append(nil) }
  }

  mutating func set(_ partition: Partition, at index: Int) {
    register(Int32(index))
    partitions[index] = partition
  }

  mutating func remove(_ index: Int32) {
    if has(index) { partitions[Int(index)] = nil }
  }

  mutating func update(_ index: Int32, _ change: (inout Partition) -> Void) {
    guard var partition = partition(index) else { return }
    change(&partition)
    partitions[Int(index)] = partition
  }

  func partition(_ index: Int32) -> Partition? {
    partitions.indices.contains(Int(index)) ? partitions[Int(index)] : nil
  }
}

/// A node without its sockets: frames and disk completions in, answers out.
///
/// A core: it has no thread and no clock. It owns the store and the machines whose state is in it:
/// the controller (topics, configurations, producer ids) and the group coordinator. Every log is a
/// replica of a Raft group; alone, a node is the only voter of all, and what is on its disk is
/// committed.
///
/// (1) Nothing is acknowledged before it is on the disks of a majority.
/// (2) Whatever waits for the journal to have room waits in the order in which it came.
package final class Node {
  let store: LogStore
  var options: NodeOptions
  var controller: Controller
  var groups: GroupCoordinator
  /// By name, which is ASCII.
  var topics: [String: NodeTopic] = [:]
  var topicNames: [UUID16: String] = [:]
  var metadataLog: LogID
  /// As of the last call.
  var time: NodeTime
  /// Milliseconds of the steady clock: for deadlines and pauses.
  var now: Int64 { time.steady }
  /// Milliseconds since 1970: for what is stored, and what is compared with it.
  var wallNow: Int64 { time.wall }

  var answers: [NodeAnswer] = []
  var produces = ProduceQueue()
  var fetches = FetchQueue()
  var sessions: FetchSessions
  var replies: [ReplyToken: Request] = [:]
  /// Offset commits some of whose topics are not there: what was asked.
  var partialCommits: [ReplyToken: [OffsetCommitRequest.Topic]] = [:]
  /// The same of deletions of offsets.
  var partialDeletions: [ReplyToken: [OffsetDeleteRequest.Topic]] = [:]
  /// FindCoordinator requests that wait for the topic of the offsets to be made and to be led.
  var waitingForCoordinators = WaitingRequests<FindCoordinatorRequest>()
  /// Metadata requests that wait for elections, and answers that do.
  var awaitingLeaders = WaitingRequests<MetadataRequest>()
  var awaitingNewLeaders = WaitingRequests<MadePartitions>()
  /// One was decided since they were looked at.
  var haveLeadersChanged = false
  /// ListOffsets requests whose search would miss what is on its way to the files.
  var waitingForFiles: [OffsetSearch] = []
  /// Those that wait for bytes to be read into memory.
  var waitingForReads: [OffsetSearch] = []
  /// Partitions of the offsets that are led here and not read yet, by their logs.
  var loadingGroups: [LogID: LoadingGroups] = [:]
  /// What waits for its log to be committed, in order.
  var appends: [LogID: [AppendInFlight]] = [:]
  /// Records of the machines, for which the journal had no room.
  var stuckRecords: [RecordsAppend] = []
  /// Partitions whose logs the journal had no room for.
  var stuckPartitions: [PartitionToMake] = []
  /// Records on their way into the metadata log: who waits for them.
  var metadataAppends: Set<UInt64> = []
  /// Records of the metadata log were refused while earlier ones were on their way.
  var metadataLoss: ErrorCode?
  /// The logs of the machines, by how long they have grown.
  var machineLogs: [LogID: MachineLog] = [:]
  /// Logs without a topic, whose deletion the store had no room for, in order.
  var logsToDelete: [LogID] = []
  /// Damaged logs that this node has to be without before it gets them again, the same.
  var logsToSetAside: [LogID] = []
  // MARK: Of the cluster
  var replicas: [LogID: Replica] = [:]
  /// Their logs, ascending.
  var replicaLogs: [LogID] = []
  var replicasByGroup: [GroupID: Replica] = [:]
  /// Replicas that wait for room.
  var stuckReplicas: Set<LogID> = []
  var peers: Peers
  /// When those that are away were lost, in milliseconds of the steady clock.
  var peersLostAt: [Int32: Int64] = [:]
  /// Who leads which group, as far as this node has heard.
  var leaders: [GroupID: KnownLeader] = [:]
  var forwards: [UInt64: Forward] = [:]
  /// Reads of the metadata's commit that other nodes have asked for: who, and their token.
  var peerReads: [UInt64: (Int32, UInt64)] = [:]
  /// Reads of this node's own clients, by the tokens that their groups were asked with.
  var confirmedReads: [UInt64: ConfirmedRead] = [:]
  /// Of transactional ids, whose fences are not in force everywhere, by their tokens.
  var fenceInquiries: [UInt64: FenceInquiry] = [:]
  var fenceQuestions: [FenceQuestion] = []
  var fenceKnowledge = FenceKnowledge()
  /// What waits for its partition to be open, by log, in order.
  var heldBatches: [LogID: [HeldBatch]] = [:]
  var isAdvancingHeld = false
  var lastReplicaTick: Int64
  /// The version with which this node came into the group of the metadata, if it came later.
  var metadataJoined: Int64 = 0
  /// Of the metadata's log everything below was taken in; see `metadataInForce`.
  var metadataApplied = Offset.zero
  var isApplyingMetadata = false
  var metadataParts = MetadataSnapshotParts()
  var metadataNeedsSnapshot = false
  var metadataProblem: String?
  /// The epoch in which this node leads the metadata and has applied all of it.
  var controllerEpoch: LeaderEpoch?
  /// The partitions' replicas are made: what was committed before this start is known.
  package internal(set) var hasStarted = false
  /// What was reported between this node's election and its having applied all: nobody says it
  /// twice.
  var earlyReports: [GroupKey: GroupReport] = [:]
  var barrier: Offset?
  var barrierToken: UInt64 = 0
  /// The last group of its journal when it started.
  let startGroup: UInt64
  var rollbackWatch = RollbackWatch()
  /// Bounded by the requests that are open.
  var startsInFlight: [StartInFlight] = []
  /// This node has come back with less than it had.
  var rollback: Rollback?
  /// While it ends: until then others are waited for that are to lead.
  var handOverUntil: Int64?
  /// Who votes where in the partitions, each set once; nil when that may have changed.
  var votersOfPartitions: [[Int32]]?
  var barrierAskedAt: Int64 = 0
  var balance = LeaderBalance()
  var lastBalance: Int64 = 0
  /// When this node, while its disk was full, looked last who else could lead.
  var lastLeaving: Int64?
  /// Replicas may have been told that others are to lead.
  var hasYielded = false

  var scrub = Scrub()

  private var notices: [String] = []
  /// Logs whose failure people were told of, and those that could not be read.
  var failuresTold: Set<LogID> = []
  var unreadableTold: Set<LogID> = []
  /// The epochs below which transactional producers are fenced, on all partitions.
  var fencedEpochs: [ProducerID: ProducerEpoch] = [:]
  var decompressor = Decompressor()
  var compressor = Compressor()
  package internal(set) var metrics = NodeMetrics()
  var random: any RandomNumberGenerator
  private var nextNumber: UInt64 = 0
  private var lastTick: Int64
  private var lastRetention: Int64
  /// How long the journal's writes took, if the driver knows.
  package var journalLatency: (() -> LatencyHistogram)?
  /// What went between this node and each other, if the driver knows.
  package var peerMetrics: (() -> [PeerMetrics])?
  /// The driver's clock, for metrics only.
  package var nanoseconds: (() -> UInt64)?

  struct PartitionToMake {
    var topic: String
    var id: UUID16
    var index: Int32
    var membership: GroupMembership
    var options: LogOptions
    /// It was decided before this start: its log is there, or was.
    var isOld = false
  }

  /// Starts on a store that was just opened. Loads what the machines know from their logs; throws
  /// if that cannot be read. `random` makes ids.
  package init(
    store: LogStore, options: NodeOptions, file: [(String, String)] = [],
    random: any RandomNumberGenerator, now: NodeTime
  ) throws(NodeStartError) {
    self.store = store
    startGroup = store.journalGroup
    self.options = options
    sessions = FetchSessions(sessionsMax: options.fetchSessionsMax)
    peers = Peers(nodes: options.cluster.members.map(\.id).filter { $0 != options.id })
    rollbackWatch = RollbackWatch(notes: store.notes, of: peers.nodes)
    self.random = random
    time = now
    lastTick = now.steady
    lastReplicaTick = now.steady
    lastRetention = now.steady
    groups = GroupCoordinator(options: options.groups)
    do throws(ConfigFault) {
      controller = try Controller(nodeId: options.id, file: file, isLeading: false)
    } catch {
      throw .configuration("\(error)")
    }
    do throws(LogError) {
      let found = Self.metadataLogs(in: store)
      logsToSetAside = found.dropLast().map(\.log)
      if let newest = found.last {
        metadataLog = newest.log
        metadataJoined = newest.joined
        // A store that is full or failed is told when it is opened the next time.
        try? store.configure(newest.log, Self.metadataLogOptions)
      } else {
        metadataLog = try store.createLog(
          named: Self.metadataLogName, options: Self.metadataLogOptions)
        if store.mayMissLogs, !options.cluster.isAlone {
          try store.failAsCutShort(
            metadataLog, "it is missing; the damaged part of the journal may have had it")
        }
      }
      machineLogs[metadataLog] = MachineLog(kind: .metadata)
      metadataWasReset(to: try store.bounds(of: metadataLog).start)
      try joinMetadata()
    } catch {
      throw .log(error)
    }
    if let metadataProblem { throw .metadata(metadataProblem) }
    let others = controller.state.nodes.map(\.id).filter { $0 != options.id }
    if options.cluster.isAlone, !others.isEmpty { throw .ofCluster([options.id] + others) }
  }

  /// Small segments, so that what is below the log's start takes little room.
  static var metadataLogOptions: LogOptions {
    var options = LogOptions()
    options.retentionMilliseconds = nil
    options.segmentBytes = 16 << 20
    return options
  }

  /// The partition, as a request that its leader answers finds it.
  func access(_ topic: String, _ index: Int32) -> PartitionAccess {
    guard let topic = topics[topic], topic.has(index) else { return .unknown }
    guard let partition = topic.partition(index), partition.leads else { return .elsewhere }
    return .here(partition)
  }

  /// A number that was not handed out before.
  func freshNumber() -> UInt64 {
    nextNumber += 1
    return nextNumber
  }

  func token(for request: Request) -> ReplyToken {
    let token = ReplyToken(freshNumber())
    replies[token] = request
    return token
  }

  // MARK: Out

  /// What became of requests since the last call.
  package func takeAnswers() -> [NodeAnswer] {
    defer { answers.removeAll(keepingCapacity: true) }
    return answers
  }

  func reply<R: WireResponse>(_ request: Request, _ body: R, _ slices: [LogSlice] = []) {
    do throws(WireError) {
      let frame = try Frame.response(
        body, version: request.version, correlationId: request.frame.header.correlationId)
      metrics.answered(request.frame.api, frame.error)
      answer(request, .frame(frame, slices))
    } catch {
      // Ours, not the client's: but one client's connection, not everybody's broker.
      answer(request, .close("its \(R.api) answer cannot be encoded: \(error)"))
    }
  }

  func answer(_ request: Request, _ content: NodeAnswer.Content) {
    if let peer = request.origin.forwardedBy { return answerForwarded(request, to: peer, content) }
    if !mustAwaitNewLeaders(request, content) { deliver(request, content) }
  }

  func deliver(_ request: Request, _ content: NodeAnswer.Content) {
    answers.append(NodeAnswer(origin: request.origin, api: request.frame.api, content: content))
  }

  /// Lines for people, since the last call.
  package func takeNotices() -> [String] {
    defer { notices = [] }
    return notices
  }

  func tell(_ notice: String) { notices.append(notice) }

  // MARK: Turn

  package func complete(_ completion: DiskCompletion) { store.complete(completion) }

  /// Does what can be done now. Answers how many milliseconds the next turn can wait.
  package func turn(now time: NodeTime) -> Int64 {
    self.time = time
    if now - lastTick >= 100 {
      lastTick = now
      store.tick(now: wallNow)
      step(GroupCoordinator.Input.tick)
      if isController {
        step(Controller.Input.tick(now: now))
        inviteLearners()
        reportDamagedMetadata()
        passBarrier()
      }
      if !options.cluster.isAlone { reportAll() }
      leaveLeadershipsWhileFull()
      yieldElections()
      balanceLeaders()
      advanceRollback()
      noteLostPeers()
      timeOutProduces()
      deleteLogs()
      shortenMachineLogs()
      if now - lastRetention >= retentionPause { retain() }
      scrubLogs()
      tellRemoved()
      timeOutCoordinators()
    }
    let tickPause = tickReplicas()
    if haveLeadersChanged {
      haveLeadersChanged = false
      advanceAwaitingLeaders()
    }
    if fetchIsOver { timeOutFetches() }
    repeat {
      store.flush(now: wallNow)
      for event in store.takeEvents() { take(event) }
      settleStarts()
      advanceFetches()
      advanceSearches()
    } while store.hasEvents
    return min(fetches.nextDeadline.map { max(0, $0 - now) } ?? 100, tickPause)
  }

  /// For tests and pages.
  package func topicConfig(_ name: String) -> TopicConfig? { topics[name]?.config }

  /// A failed store serves reads and waits to be restarted.
  package var failure: String? { store.failureText }

  package func connectionClosed(_ connection: ConnectionID) {
    for operation in fetches.open where operation.request.origin.connection == connection {
      operation.isAnswered = true
      fetches.remove(operation)
    }
  }

  private var fetchIsOver: Bool { fetches.nextDeadline.map { $0 <= now } ?? false }

  /// Who has lowered retention because the disk is full does not wait for long.
  private var retentionPause: Int64 {
    let pause = options.retentionCheckMilliseconds
    return store.isFullOfRecords ? min(pause, 1000) : pause
  }

  private func retain() {
    lastRetention = now
    for log in replicaLogs {
      guard let replica = replicas[log], replica.isReady,
        let start = try? store.retentionStart(of: log, now: wallNow),
        let bounds = try? store.bounds(of: log), start > bounds.start,
        (try? store.advanceStart(log, to: start)) != nil
      else { continue }
      startAdvanced(replica, to: start)
    }
    store.evictProducers(idleSince: wallNow - options.producerExpirationMilliseconds)
  }

  private func take(_ event: LogStoreEvent) {
    switch event {
    case .durable(let log, let position): durable(log, position)
    case .voted(let log, let vote):
      if let replica = replicas[log] { step(replica, .voted(vote)) }
    case .readable(let log, _):
      fetches.wake(log)
      if log == metadataLog, let replica = replicas[log] {
        applyMetadata()
        settle(appendsOf: replica)
      }
      if loadingGroups[log] != nil { loadGroups(of: log) }
    case .room:
      advanceReplicas()
      deleteLogs()
      setLogsAside()
      advancePartitions()
      advanceRecords()
      advanceProduces()
    case .logFailed(let log, _):
      tellFailure(of: log)
      failAppends(log, failedCode(log))
      if let replica = replicas[log], !isSole(replica) { step(replica, .fenced) }
    case .storeFailed:
      for log in replicaLogs {
        if let replica = replicas[log], !isSole(replica) { step(replica, .fenced) }
      }
      for log in appends.keys.sorted() { failAppends(log, failedCode(log)) }
      advanceRecords()
      advanceProduces()
    case .full:
      tellSpace()
      lastLeaving = nil
      leaveLeadershipsWhileFull()
      yieldElections()
      advanceReplicas()
      // When it begins, too: what waits for room is refused, or its clients would wait for a disk
      // that may stay full.
      advancePartitions()
      advanceRecords()
      advanceProduces()
    case .readAhead(let read):
      fetches.wake(read)
      wakeSearches(read)
      wakeSends(read)
    case .deleted, .checkpointed: break
    }
  }

  private func durable(_ log: LogID, _ position: LogPosition) {
    guard let replica = replicas[log] else { return }
    if !replica.undurable.isEmpty {
      let time = nanoseconds?() ?? 0
      replica.undurable.durable(through: position) { since in
        metrics.appendLatency.add(Int64((time - since) / 1000))
      }
    }
    step(replica, .durable(position))
    // Where the log's end has not moved, but its start.
    settle(appendsOf: replica)
  }

  /// For what was appended to a log whose disk has failed since. The others may have it: a producer
  /// that is told of a storage error takes it for not written, and writes it once more.
  private func failedCode(_ log: LogID) -> ErrorCode {
    guard let replica = replicas[log], !isSole(replica) else { return .kafkaStorageError }
    return .notEnoughReplicasAfterAppend
  }

  func failAppends(_ log: LogID, _ code: ErrorCode) {
    guard let waiting = appends.removeValue(forKey: log) else { return }
    for append in waiting { decided(append, code) }
  }

  func decided(_ append: AppendInFlight, _ code: ErrorCode?) {
    switch append.owner {
    case .produce(let operation, let topic, let partition):
      produced(operation, topic, partition, code)
    case .records(let records):
      decided(records.owner, code ?? .none)
    }
  }

  func decided(_ owner: RecordsAppend.Owner, _ code: ErrorCode) {
    switch owner {
    case .metadata(let number): metadataDecided(number, code)
    case .group(let token): step(.appended(token, code))
    case .snapshot(let snapshot): snapshotDecided(snapshot, code)
    }
  }

  /// What a client is told of a log's error.
  func errorCode(for error: LogError) -> ErrorCode {
    switch error {
    case .outOfRange, .noSuchPrefix: .offsetOutOfRange
    case .unknownLog: .unknownTopicOrPartition
    case .invalidBatch: .invalidRecord
    case .tooLarge: .messageTooLarge
    case .busy, .diskFull, .logFailed, .storeFailed, .noSpace, .disk, .nameTaken:
      .kafkaStorageError
    }
  }
}

/// Why a node does not start.
package enum NodeStartError: Error, Equatable, Sendable, CustomStringConvertible {
  case configuration(String)
  case log(LogError)
  case metadata(String)
  /// Of these nodes, this one first, and it was to start alone.
  case ofCluster([Int32])

  package var description: String {
    switch self {
    case .configuration(let why): "The configuration cannot be used: \(why)"
    case .log(let error): "\(error)"
    case .metadata(let why):
      "The cluster's metadata cannot be read: \(why). Restore the data directory from a backup."
    case .ofCluster(let nodes):
      "The data is of node \(nodes[0]) of a cluster with the nodes "
        + "\(nodes.sorted().map(String.init).joined(separator: ", ")); start it with --cluster, "
        + "which names them all, or with martlet cluster."
    }
  }
}
