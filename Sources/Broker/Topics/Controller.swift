internal import Bytes
package import KafkaWire
package import LogStore

// The controller: topics, their settings, producer ids. A value, with no clock, socket or thread.
//
//     request --decide--> records --append--> metadata log --committed--> apply --> changes, reply
//
// A request is decided into records against the state as it will be when everything decided before
// it is in force (`decided`). Only a record that came back from the metadata log changes the state
// that is in force (`state`), makes partitions and lets the reply go.
//
// (1) `decided` is `state` with the records of `appends` applied, in order.
// (2) No answer tells of something that is not in the log: what was decided against records under
//     way waits for the last of them, also if it decided nothing itself ("the topic exists").
//     Metadata, DescribeConfigs and DescribeCluster answer from `state` and never wait.
// (3) When the appends are lost (the disk failed, another node leads), `decided` falls back to
//     `state`, and everyone who waited is told.
// (4) A record means the same on every node: what depends on a node's own settings (the default
//     number of partitions) is in the record, not in how it is applied.
// (5) Only the leader of group 0 decides. What a node decided that does not lead any more may be in
//     the log all the same; it is then taken in like another node's.
// (6) Producer ids are handed out of blocks taken by a record. What a node had left of its block
//     when it stopped is never handed out.
package struct Controller: Sendable {
  /// What the controller is told.
  package enum Input: Sendable {
    case request(Submission)
    /// The metadata log has these, in the order of the log: on a majority, for ever.
    case committed([MetadataRecord])
    /// Appends that were not reported committed may never be; whoever waits gets this code.
    case appendsLost(ErrorCode)
    /// This node leads group 0, and all that is committed was told.
    case lead
    /// It does not any more; whoever waits gets this code.
    case resign(ErrorCode)
    /// The metadata log begins anew here: this is what all before it adds up to. A node that leads
    /// is never told that.
    case snapshot(MetadataState)
    /// Who leads a group, as it is heard; nil while nobody does.
    case leaderReported(GroupKey, Int32?)
    /// The leader of a group says how it is: when it begins to serve, whenever that changes, and to
    /// each new leader of group 0.
    case report(GroupReport)
    /// This node leads group 0, of which nothing was decided yet: these are in it.
    case metadataBegins(GroupMembership)
    /// A node lives, has this disk and is there; also to each new leader of group 0.
    case nodeSeen(RegisteredNode)
    case nodeLost(Int32)
    /// A node's replica of the group is damaged: said again while the node is in a later version.
    case replicaDamaged(GroupKey, node: Int32, version: Int64)
    /// Milliseconds of a clock that only goes forward.
    case tick(now: Int64)
  }

  /// A request with all it takes to answer it.
  package struct Submission: Sendable {
    package var request: ControllerRequest
    package var version: Int16
    package var token: ReplyToken
    /// As many ids as `freshIdsCount` says that were never used, none of them zero.
    package var freshIds: [UUID16]
    package var cluster: ClusterView
    /// Only where this node leads group 0.
    package var quorum: QuorumStatus?

    package init(
      _ request: ControllerRequest, version: Int16, token: ReplyToken, freshIds: [UUID16] = [],
      cluster: ClusterView, quorum: QuorumStatus? = nil
    ) {
      self.request = request
      self.version = version
      self.token = token
      self.freshIds = freshIds
      self.cluster = cluster
      self.quorum = quorum
    }
  }

  /// What is to be done, in this order.
  package enum Effect: Equatable, Sendable {
    /// Into the metadata log, all of them or none; the token is that of the request, if it was one.
    case append([MetadataRecord], ReplyToken?)
    case reply(ReplyToken, ControllerResponse)
    /// Submit this request once more, after the effects before this one: topics it asks for were
    /// created, and it can be answered as soon as they have leaders.
    case askAgain(ReplyToken, ControllerRequest, version: Int16)
    /// A partition exists from here on; it is for the nodes of `membership` to make its log.
    case createPartition(
      topic: String, id: UUID16, index: Int32, replicas: [Int32], options: LogOptions,
      membership: GroupMembership)
    case deletePartition(topic: String, id: UUID16, index: Int32)
    case configChanged(topic: String, id: UUID16)
    /// The broker's settings changed, and with them what topics fall back on.
    case brokerConfigChanged
    /// A node made itself known, or is another incarnation or elsewhere.
    case nodeRegistered(RegisteredNode)
    case membershipChanged(GroupKey, GroupMembership)
    /// Whoever leads the group is to hand over.
    case transferLeadership(GroupKey, to: Int32)
    /// A sentence for people.
    case notice(String)
  }

  /// Requests that may wait for the metadata log.
  package static let waitingMax = 1024
  package static let topicsMax = 50_000
  /// Of all topics together.
  package static let partitionsMax = 200_000
  /// That one request may create, as in Kafka.
  package static let requestPartitionsMax = 10_000
  package static let transactionalIdsMax = 100_000
  package static let transactionalIdBytesMax = 1024
  package static let producerIdsBlock: Int32 = 1000

  package let nodeId: Int32
  /// The settings of this node's file.
  package let file: ConfigValues
  /// (5)
  package private(set) var isLeading: Bool
  /// What is in force.
  package private(set) var state: MetadataState
  /// (1)
  private(set) var decided: MetadataState
  private var appends: [Append] = []
  private var waitingCount = 0
  /// Producer ids that were taken and not handed out yet.
  var producerIdsLeft: Range<Int64> = 0..<0
  var elections = Elections()
  var changes = MembershipChanges()
  /// As of the last tick.
  var now: Int64 = 0

  private struct Append: Sendable {
    var records: [MetadataRecord]
    /// How many of them are committed.
    var committedCount = 0
    var waiting: [Waiting] = []
  }

  private struct Waiting: Sendable {
    var token: ReplyToken
    var request: ControllerRequest
    var version: Int16
    var outcome: Outcome
  }

  /// What becomes of a request when its records are in force.
  enum Outcome: Equatable, Sendable {
    case reply(ControllerResponse)
    case askAgain(ControllerRequest)
  }

  /// A request, decided.
  struct Decision: Equatable, Sendable {
    var records: [MetadataRecord] = []
    var outcome: Outcome
  }

  /// `snapshot` is what the metadata log before the first record to be loaded adds up to. Fails if
  /// `file` has a setting that there is not, or a value it cannot have.
  package init(
    nodeId: Int32, file: [(String, String)] = [], isLeading: Bool = true,
    snapshot: MetadataState = MetadataState()
  ) throws(ConfigFault) {
    var values = ConfigValues()
    for (name, value) in file {
      guard let definition = BrokerConfigTable.definition(name) else {
        throw ConfigFault("Unknown broker config name: \(name)")
      }
      values[name] = try definition.canonical(value)
    }
    self.nodeId = nodeId
    self.isLeading = isLeading
    if isLeading { changes.rescan() }
    self.file = values
    state = snapshot
    decided = snapshot
  }

  /// This broker's settings in force.
  package var brokerConfigs: BrokerConfigs { brokerConfigs(in: state) }

  func brokerConfigs(in state: MetadataState) -> BrokerConfigs {
    BrokerConfigs(
      node: state.nodeConfigs[nodeId] ?? ConfigValues(), cluster: state.clusterConfigs, file: file)
  }

  /// A topic's settings in force on this broker.
  package func config(of topic: TopicState) -> TopicConfig {
    var config = TopicConfig(topic.configs, on: brokerConfigs)
    // Also one that was made before its policy was checked.
    if TopicName.isInternal(topic.name) { config.isDeleted = false }
    return config
  }

  /// Takes in a record of the log that is replayed at the start. The owner makes the logs of the
  /// topics in `state` when all are loaded.
  package mutating func load(_ record: MetadataRecord) throws(MetadataError) {
    precondition(appends.isEmpty, "the log is replayed before requests are taken")
    try state.load(record)
    // Not a copy of `state`: the two would be taken apart again by every record.
    settle(record)
  }

  /// Takes in a snapshot of the log that is replayed: what all records before it add up to.
  package mutating func load(snapshot: MetadataState) {
    precondition(appends.isEmpty, "the log is replayed before requests are taken")
    state = snapshot
    decided = snapshot
  }

  /// How many unused ids have to come with a request.
  package func freshIdsCount(_ request: ControllerRequest, version: Int16) -> Int {
    switch request {
    case .metadata(let request):
      wantsCreation(request, version) ? request.topics?.count ?? 0 : 0
    case .createTopics(let request): request.topics.count
    case .ensureInternalTopic: 1
    case .describeCluster, .describeConfigs, .deleteTopics, .createPartitions, .alterConfigs,
      .incrementalAlterConfigs, .initProducerId, .identifyCluster, .electLeaders,
      .alterPartitionReassignments, .listPartitionReassignments, .describeQuorum,
      .describeTopicPartitions:
      0
    }
  }

  /// Whether it takes the controller to answer: all else every node answers from what it has.
  package func needsController(_ request: ControllerRequest, version: Int16) -> Bool {
    switch request {
    case .metadata(let request): wantsCreation(request, version)
    // The quorum is known where group 0 is led.
    case .describeQuorum: !isLeading
    case .describeCluster, .describeConfigs, .describeTopicPartitions, .listPartitionReassignments:
      false
    case .createTopics, .deleteTopics, .createPartitions, .alterConfigs,
      .incrementalAlterConfigs, .initProducerId, .identifyCluster, .ensureInternalTopic,
      .electLeaders, .alterPartitionReassignments:
      true
    }
  }

  package mutating func step(_ input: Input, into effects: inout [Effect]) {
    switch input {
    case .request(let submission): take(submission, into: &effects)
    case .committed(let records):
      for record in records { commit(record, into: &effects) }
    case .appendsLost(let code): drop(code, into: &effects)
    case .lead:
      precondition(appends.isEmpty, "who does not lead has nothing under way")
      isLeading = true
      changes = MembershipChanges(alive: changes.alive)
      changes.rescan()
    case .resign(let code):
      isLeading = false
      drop(code, into: &effects)
      elections.drop(code, into: &effects)
      changes = MembershipChanges(alive: changes.alive)
    case .snapshot(let snapshot): take(snapshot, into: &effects)
    case .leaderReported(let group, let leader):
      led(group, by: leader)
      elections.reported(group, leader, into: &effects)
    case .report(let report): reported(report, into: &effects)
    case .metadataBegins(let membership):
      guard isLeading, decided.membership(of: .metadata) == nil else { break }
      propose([.membershipChanged(.metadata, membership)], into: &effects)
    case .nodeSeen(let node): nodeSeen(node, into: &effects)
    case .nodeLost(let node): nodeLost(node)
    case .replicaDamaged(let group, let node, let version):
      replicaDamaged(group, node, version: version)
    case .tick(let now):
      elections.tick(now, into: &effects)
      changeMemberships(now, into: &effects)
    }
  }

  private mutating func take(_ submission: Submission, into effects: inout [Effect]) {
    precondition(
      submission.freshIds.count
        >= freshIdsCount(submission.request, version: submission.version),
      "every new topic gets an id")
    precondition(!submission.freshIds.contains(.zero), "a topic's id is never zero")
    let token = submission.token
    if let response = answer(submission) {
      effects.append(.reply(token, response))
      return
    }
    guard isLeading else {
      effects.append(.reply(token, submission.request.refusedForNow(.notController)))
      return
    }
    guard waitingCount + elections.open.count < Self.waitingMax else {
      let refusal = submission.request.refused(
        submission.request.busyCode, "Too many requests wait for the metadata log; try again.")
      effects.append(.reply(token, refusal))
      return
    }
    if case .electLeaders(let request) = submission.request {
      return elect(request, submission, into: &effects)
    }
    let decision = decide(submission)
    let waiting = Waiting(
      token: token, request: submission.request, version: submission.version,
      outcome: decision.outcome)
    if !decision.records.isEmpty {
      for record in decision.records { settle(record) }
      effects.append(.append(decision.records, token))
      appends.append(Append(records: decision.records, waiting: [waiting]))
      waitingCount += 1
    } else if appends.isEmpty {
      finish(waiting, into: &effects)
    } else {
      // (2)
      appends[appends.count - 1].waiting.append(waiting)
      waitingCount += 1
    }
  }

  /// Decides something that nobody asked for.
  mutating func propose(_ records: [MetadataRecord], into effects: inout [Effect]) {
    for record in records { settle(record) }
    effects.append(.append(records, nil))
    appends.append(Append(records: records))
  }

  /// Answers that need no decision: they come from what is in force.
  private func answer(_ submission: Submission) -> ControllerResponse? {
    guard !needsController(submission.request, version: submission.version) else { return nil }
    switch submission.request {
    case .metadata(let request):
      return .metadata(metadata(request, version: submission.version, on: submission.cluster))
    case .describeCluster(let request):
      return .describeCluster(describeCluster(request, on: submission.cluster))
    case .describeConfigs(let request):
      return .describeConfigs(describeConfigs(request))
    case .listPartitionReassignments(let request):
      return .listPartitionReassignments(listReassignments(request))
    case .describeQuorum(let request):
      return .describeQuorum(describeQuorum(request, submission))
    case .describeTopicPartitions(let request):
      return .describeTopicPartitions(describeTopicPartitions(request, on: submission.cluster))
    case .createTopics, .deleteTopics, .createPartitions, .alterConfigs,
      .incrementalAlterConfigs, .initProducerId, .identifyCluster, .ensureInternalTopic,
      .electLeaders, .alterPartitionReassignments:
      return nil
    }
  }

  private mutating func decide(_ submission: Submission) -> Decision {
    switch submission.request {
    case .metadata(let request): decideCreation(request, submission)
    case .createTopics(let request): decide(request, submission)
    case .deleteTopics(let request): decide(request, version: submission.version)
    case .createPartitions(let request): decide(request, on: submission.cluster)
    case .alterConfigs(let request): decide(request, on: submission.cluster)
    case .incrementalAlterConfigs(let request): decide(request, on: submission.cluster)
    case .initProducerId(let request): decide(request, version: submission.version)
    case .identifyCluster(let id): decideIdentity(id)
    case .ensureInternalTopic(let name): decideInternalTopic(name, submission)
    case .alterPartitionReassignments(let request): decide(request, on: submission.cluster)
    case .describeCluster, .describeConfigs, .listPartitionReassignments, .describeQuorum,
      .describeTopicPartitions, .electLeaders:
      preconditionFailure("reads are answered, not decided")
    }
  }

  private func decideIdentity(_ id: UUID16) -> Decision {
    precondition(id != .zero, "a cluster's id is never zero")
    let records: [MetadataRecord] = decided.clusterId == nil ? [.clusterIdentified(id)] : []
    return Decision(records: records, outcome: .reply(.done(.none)))
  }

  private mutating func settle(_ record: MetadataRecord) {
    do throws(MetadataError) {
      try decided.load(record)
    } catch {
      preconditionFailure("a decision contradicts the state it was made in: \(error)")
    }
  }

  private mutating func commit(_ record: MetadataRecord, into effects: inout [Effect]) {
    let change: MetadataState.Change
    do throws(MetadataError) {
      // Not as an argument: the call would hold a copy of `self`, and applying copy its maps.
      change = try state.apply(record)
    } catch {
      preconditionFailure("a committed record contradicts those before it: \(error)")
    }
    announce(change, into: &effects)
    noteForMemberships(change)
    guard !appends.isEmpty else {
      // Decided by another node.
      settle(record)
      return
    }
    let index = appends[0].committedCount
    precondition(
      appends[0].records[index] == record, "the metadata log returns what was appended to it")
    appends[0].committedCount += 1
    guard appends[0].committedCount == appends[0].records.count else { return }
    let append = appends.removeFirst()
    waitingCount -= append.waiting.count
    for waiting in append.waiting { finish(waiting, into: &effects) }
  }

  private func announce(_ change: MetadataState.Change, into effects: inout [Effect]) {
    switch change {
    case .none: break
    case .topicCreated(let topic): announce(topic, from: 0, into: &effects)
    case .partitionsAdded(let topic, let first): announce(topic, from: first, into: &effects)
    case .topicDeleted(let topic):
      for index in 0..<topic.partitionsCount {
        effects.append(.deletePartition(topic: topic.name, id: topic.id, index: index))
      }
    case .topicConfigured(let topic):
      effects.append(.configChanged(topic: topic.name, id: topic.id))
    case .brokerConfigured(let node):
      if node == nil || node == nodeId { effects.append(.brokerConfigChanged) }
    case .nodeRegistered(let node, let opened):
      effects.append(.nodeRegistered(node))
      for group in opened {
        guard let membership = state.membership(of: group) else { continue }
        effects.append(.membershipChanged(group, membership))
      }
    case .membershipChanged(let group, let membership):
      effects.append(.membershipChanged(group, membership))
    case .reassigned: break
    }
  }

  private func announce(_ topic: TopicState, from first: Int32, into effects: inout [Effect]) {
    let options = config(of: topic).logOptions
    for index in first..<topic.partitionsCount {
      guard let membership = state.membership(of: topic.id, index) else { continue }
      effects.append(
        .createPartition(
          topic: topic.name, id: topic.id, index: index,
          replicas: Array(topic.replicas(ofPartition: index)), options: options,
          membership: membership))
    }
  }

  private func finish(_ waiting: Waiting, into effects: inout [Effect]) {
    switch waiting.outcome {
    case .reply(let response): effects.append(.reply(waiting.token, response))
    case .askAgain(let request):
      effects.append(.askAgain(waiting.token, request, version: waiting.version))
    }
  }

  /// (3)
  private mutating func drop(_ code: ErrorCode, into effects: inout [Effect]) {
    let lost = appends
    appends = []
    waitingCount = 0
    decided = state
    // The block may be one of the records that were lost.
    producerIdsLeft = 0..<0
    for waiting in lost.flatMap(\.waiting) {
      effects.append(.reply(waiting.token, waiting.request.refusedForNow(code)))
    }
  }

  private mutating func take(_ snapshot: MetadataState, into effects: inout [Effect]) {
    precondition(!isLeading && appends.isEmpty, "who leads has the whole log")
    let changes = state.changes(to: snapshot, on: nodeId)
    state = snapshot
    decided = snapshot
    for change in changes { announce(change, into: &effects) }
  }
}

extension ControllerRequest {
  /// As `refused`, in a way that makes the client come again. NOT_CONTROLLER does with those that
  /// look for the controller; the others know codes of their own.
  fileprivate func refusedForNow(_ code: ErrorCode) -> ControllerResponse {
    switch self {
    case .metadata, .initProducerId: refused(code == .notController ? busyCode : code, nil)
    default: refused(code, nil)
    }
  }

  /// What makes a client try again.
  fileprivate var busyCode: ErrorCode {
    switch self {
    case .initProducerId: .coordinatorLoadInProgress
    case .metadata: .leaderNotAvailable
    default: .requestTimedOut
    }
  }
}
