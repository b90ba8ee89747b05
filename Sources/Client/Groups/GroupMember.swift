package import KafkaWire

/// A member of a classic consumer group, as a core: it is told what was answered and what time it
/// is, and says what to send and what to give up. (KIP-62, KIP-345, KIP-429; Java's
/// ConsumerCoordinator.)
///
///     apart ──join──▶ joining ──▶ [counting, leader only] ──▶ syncing ──▶ member
///       ▲                                                                  │
///       └── partitions given up ◀── rebalance, error, new subscription ◀──┘
///
/// (1) Partitions are given up, and the group is joined, only while somebody polls: what an earlier
///     poll returned has been processed then. Heartbeats go on meanwhile.
/// (2) Eager members give up everything before they join. Cooperative ones keep what they have,
///     give up what the assignment takes from them, and join again so that others get it.
/// (3) A member that was told that it is none any more has lost its partitions: they are not
///     committed, only dropped.
package struct GroupMember {
  package struct Settings: Sendable {
    package var groupID = ""
    package var instanceID: String?
    package var sessionTimeoutMilliseconds: Int64 = 45_000
    package var heartbeatMilliseconds: Int64 = 3000
    package var maxPollMilliseconds: Int64 = 300_000
    package var retryBackoffMilliseconds: Int64 = 100
    package var assignors: [Assignor] = [.range, .cooperativeSticky]

    package init() {}

    /// All assignors must be able to; so a group changes over by a list of both, then of one.
    package var isCooperative: Bool { assignors.allSatisfy(\.isCooperative) }
  }

  package enum Effect: Equatable {
    case findCoordinator
    case join(JoinGroupRequest)
    /// The leader needs to know how many partitions these topics have.
    case count([String])
    case sync(SyncGroupRequest)
    case heartbeat(HeartbeatRequest)
    case leave(LeaveGroupRequest)
    /// Stop with these; answer with `revoked` when the application knows. Lost ones belong to
    /// others already.
    case revoke([TopicPartition], isLost: Bool)
    /// Everything the member has now, and what of it is new.
    case assigned([TopicPartition], added: [TopicPartition])
    case failed(ClientError)
  }

  package enum State: Equatable {
    case apart
    /// The coordinator is being found; then the group is joined.
    case finding
    /// The application is giving partitions up.
    case revoking(thenJoin: Bool)
    case joining
    case counting
    case syncing
    case member
    case ended
  }

  package static let protocolType = "consumer"

  package let settings: Settings
  package private(set) var state = State.apart
  package private(set) var memberID = ""
  package private(set) var generation: Int32 = -1
  package private(set) var owned: [TopicPartition] = []
  package private(set) var topics: [String] = []
  package private(set) var hasCoordinator = false
  private var needsJoin = false
  /// What is owned was taken away by the coordinator.
  private var hasLost = false
  private var isPolling = false
  private var lastPoll: Int64 = 0
  private var retryAt: Int64 = .min
  private var heartbeatDue: Int64 = .max
  private var isHeartbeatOpen = false
  /// When the coordinator last said that the member is alive.
  private var lastContact: Int64 = 0
  private var protocolName: String?
  /// Of the leader, while it assigns and afterwards.
  private var subscriptions: [GroupSubscription] = []
  private var counts: [String: Int32] = [:]
  package private(set) var isLeader = false
  /// Added partitions that are announced when others have been given up.
  private var pendingAdded: [TopicPartition] = []
  /// What the group gave while nobody polled, where it takes something away.
  private var pendingAssignment: [TopicPartition]?
  package private(set) var effects: [Effect] = []

  package init(_ settings: Settings) { self.settings = settings }

  package mutating func takeEffects() -> [Effect] {
    defer { effects = [] }
    return effects
  }

  /// Whether offsets can be committed as a member.
  package var isMember: Bool { generation >= 0 && !memberID.isEmpty && !hasLost }

  // MARK: What the application does

  package mutating func subscribe(_ topics: [String], now: Int64) {
    self.topics = Array(Set(topics)).sorted()
    needsJoin = true
    advance(now)
  }

  package mutating func pollBegan(now: Int64) {
    isPolling = true
    lastPoll = now
    advance(now)
  }

  package mutating func pollEnded(now: Int64) {
    isPolling = false
    lastPoll = now
  }

  /// The application knows of the partitions that were to be given up.
  package mutating func revoked(_ partitions: [TopicPartition], now: Int64) {
    guard case .revoking(let thenJoin) = state else { return }
    owned.removeAll { partitions.contains($0) }
    if owned.isEmpty { hasLost = false }
    if thenJoin {
      state = .apart
      join(now)
    } else {
      state = .member
      // Lost meanwhile: what was to be added belongs to others.
      if hasLost { pendingAdded = [] } else { announce() }
      needsJoin = true
      advance(now)
    }
  }

  /// Ends membership. A static member only goes silent: it is expected back.
  package mutating func leave() {
    guard state != .ended else { return }
    state = .ended
    guard !memberID.isEmpty, settings.instanceID == nil, hasCoordinator else { return }
    effects.append(.leave(leaveRequest("the consumer was closed")))
    memberID = ""
    generation = -1
  }

  private func leaveRequest(_ reason: String) -> LeaveGroupRequest {
    var request = LeaveGroupRequest()
    request.groupId = settings.groupID
    request.members = [
      .with {
        $0.memberId = memberID
        $0.groupInstanceId = settings.instanceID
        $0.reason = reason
      }
    ]
    return request
  }

  // MARK: Time

  package mutating func tick(_ now: Int64) {
    guard state != .ended else { return }
    let isAlive = state == .member || isRevoking
    if isAlive, generation >= 0 {
      if !isPolling, now - lastPoll > settings.maxPollMilliseconds, !memberID.isEmpty, !hasLost {
        // The application does not come back: others shall go on with its partitions.
        if settings.instanceID == nil, hasCoordinator {
          effects.append(.leave(leaveRequest("the application did not poll in time")))
        }
        lose(keepsMemberID: settings.instanceID != nil)
      } else if now - lastContact > settings.sessionTimeoutMilliseconds, !hasLost {
        lose(keepsMemberID: true)
        hasCoordinator = false
      } else if now >= heartbeatDue, !isHeartbeatOpen, hasCoordinator {
        isHeartbeatOpen = true
        heartbeatDue = now + settings.heartbeatMilliseconds
        var request = HeartbeatRequest()
        request.groupId = settings.groupID
        request.generationId = generation
        request.memberId = memberID
        request.groupInstanceId = settings.instanceID
        effects.append(.heartbeat(request))
      } else if !hasCoordinator, !isFinding, now >= retryAt {
        refind()
      }
    }
    advance(now)
  }

  /// When `tick` has something to do again.
  package func nextDue(_ now: Int64) -> Int64 {
    var due = Int64.max
    if state == .member || isRevoking {
      due = min(due, isHeartbeatOpen ? .max : heartbeatDue)
      due = min(due, lastContact + settings.sessionTimeoutMilliseconds + 1)
      if !isPolling { due = min(due, lastPoll + settings.maxPollMilliseconds + 1) }
      if !hasCoordinator { due = min(due, max(retryAt, now + 1)) }
    }
    if needsJoin || state == .apart || state == .finding, retryAt > now { due = min(due, retryAt) }
    return due
  }

  private var isRevoking: Bool { if case .revoking = state { true } else { false } }

  /// Goes on towards membership as far as it can now.
  private mutating func advance(_ now: Int64) {
    guard isPolling, !topics.isEmpty else { return }
    switch state {
    case .apart: join(now)
    case .member where pendingAssignment != nil && !hasLost:
      let assignment = pendingAssignment ?? []
      pendingAssignment = nil
      take(assignment, now)
    case .member where needsJoin || hasLost: prepare(now)
    case .finding where !hasCoordinator && now >= retryAt && !isFinding:
      find()
    default: break
    }
  }

  // MARK: Joining

  /// Gives up what has to be given up, then joins.
  private mutating func prepare(_ now: Int64) {
    let given: [TopicPartition] =
      if hasLost || !settings.isCooperative { owned } else {
        owned.filter { !topics.contains($0.topic) }
      }
    guard given.isEmpty else {
      state = .revoking(thenJoin: true)
      effects.append(.revoke(given, isLost: hasLost))
      return
    }
    hasLost = false
    state = .apart
    join(now)
  }

  private var isFinding = false

  private mutating func find() {
    state = .finding
    isFinding = true
    effects.append(.findCoordinator)
  }

  private mutating func join(_ now: Int64) {
    guard !topics.isEmpty else { return }
    // A join that could not be sent leaves everything as it is until the time has come.
    guard now >= retryAt else {
      state = .apart
      return
    }
    if hasLost || (!settings.isCooperative && !owned.isEmpty) { return prepare(now) }
    guard hasCoordinator else { return find() }
    needsJoin = false
    state = .joining
    var request = JoinGroupRequest()
    request.groupId = settings.groupID
    request.sessionTimeoutMs = Int32(clamping: settings.sessionTimeoutMilliseconds)
    request.rebalanceTimeoutMs = Int32(clamping: settings.maxPollMilliseconds)
    request.memberId = memberID
    request.groupInstanceId = settings.instanceID
    request.protocolType = Self.protocolType
    request.protocols = settings.assignors.compactMap { assignor in
      guard let metadata = try? subscription(assignor).embedded(version: 3) else { return nil }
      return .with {
        $0.name = assignor.rawValue
        $0.metadata = metadata[...]
      }
    }
    effects.append(.join(request))
  }

  private func subscription(_ assignor: Assignor) -> ConsumerProtocolSubscription {
    var subscription = ConsumerProtocolSubscription()
    subscription.topics = topics
    subscription.userData = assignor.userData(generation: generation).map { $0[...] }
    subscription.generationId = generation
    subscription.ownedPartitions = owned.byTopic { topic, numbers in
      .with {
        $0.topic = topic
        $0.partitions = numbers
      }
    }
    return subscription
  }

  package mutating func coordinatorFound(_ result: Result<Void, ClientError>, now: Int64) {
    isFinding = false
    guard state == .finding else {
      if case .success = result { hasCoordinator = true }
      retryAt = now + settings.retryBackoffMilliseconds
      return
    }
    switch result {
    case .success:
      hasCoordinator = true
      state = .apart
      join(now)
    case .failure(let error):
      guard error.isRetriable else { return fail(error) }
      retryAt = now + settings.retryBackoffMilliseconds
    }
  }

  package mutating func joined(_ result: Result<JoinGroupResponse, ClientError>, now: Int64) {
    guard state == .joining else { return }
    state = .apart
    switch result {
    case .failure(let error): failed(error, now)
    case .success(let response) where response.errorCode == .none:
      memberID = response.memberId
      generation = response.generationId
      protocolName = response.protocolName
      lastContact = now
      heartbeatDue = now + settings.heartbeatMilliseconds
      isLeader = response.leader == response.memberId
      guard isLeader, !response.skipAssignment else { return sync([]) }
      lead(response)
    case .success(let response):
      switch response.errorCode {
      case .memberIdRequired:
        memberID = response.memberId
        join(now)
      case .rebalanceInProgress: again(now)
      default: refused(response.errorCode, "joining group \(settings.groupID)", now)
      }
    }
  }

  // MARK: Leading

  private mutating func lead(_ response: JoinGroupResponse) {
    subscriptions = response.members.map { member in
      let said = try? ConsumerProtocolSubscription.decode(embedded: member.metadata)
      return GroupSubscription(
        memberID: member.memberId, instanceID: member.groupInstanceId, topics: said?.topics ?? [],
        owned: said.map { said in
          said.ownedPartitions.flatMap { topic in
            topic.partitions.map { TopicPartition(topic.topic, $0) }
          }
        } ?? [],
        generation: said.map(Assignor.generation) ?? -1)
    }
    state = .counting
    effects.append(.count(Array(Set(subscriptions.flatMap(\.topics))).sorted()))
  }

  /// How many partitions the topics of `count` have; those that do not exist are left out.
  package mutating func counted(_ result: Result<[String: Int32], ClientError>, now: Int64) {
    switch result {
    case .failure(let error):
      guard state == .counting else { return }
      state = .apart
      failed(error, now)
    case .success(let counts):
      guard state == .counting else {
        // Later: the leader sees to it that new partitions are assigned.
        let isChanged =
          self.counts.contains { counts[$0.key] != nil && counts[$0.key] != $0.value }
          || counts.contains { self.counts[$0.key] == nil }
        guard isLeader, state == .member, isChanged else { return }
        needsJoin = true
        return advance(now)
      }
      self.counts = counts
      let assignor = protocolName.flatMap { Assignor(rawValue: $0) }
      guard let assignor else {
        let name = protocolName ?? "none"
        return fail(
          ClientError(.invalidArgument, "the group chose the assignor \(name), unknown here"))
      }
      let assigned = assignor.assign(subscriptions, counts: counts)
      sync(
        subscriptions.map { member in
          var assignment = ConsumerProtocolAssignment()
          assignment.assignedPartitions = (assigned[member.memberID] ?? []).byTopic {
            topic, numbers in
            .with {
              $0.topic = topic
              $0.partitions = numbers
            }
          }
          return .with {
            $0.memberId = member.memberID
            $0.assignment = ((try? assignment.embedded(version: 3)) ?? [])[...]
          }
        })
    }
  }

  private mutating func sync(_ assignments: [SyncGroupRequest.Assignment]) {
    state = .syncing
    var request = SyncGroupRequest()
    request.groupId = settings.groupID
    request.generationId = generation
    request.memberId = memberID
    request.groupInstanceId = settings.instanceID
    request.protocolType = Self.protocolType
    request.protocolName = protocolName
    request.assignments = assignments
    effects.append(.sync(request))
  }

  package mutating func synced(_ result: Result<SyncGroupResponse, ClientError>, now: Int64) {
    guard state == .syncing else { return }
    state = .apart
    switch result {
    case .failure(let error): failed(error, now)
    case .success(let response) where response.errorCode == .none:
      lastContact = now
      heartbeatDue = now + settings.heartbeatMilliseconds
      do throws(WireError) {
        let assignment = try Self.partitions(response.assignment)
        let takesAway = owned.contains { !assignment.contains($0) }
        if takesAway, !isPolling {
          // Rule 1: with the next poll.
          state = .member
          pendingAssignment = assignment
        } else {
          take(assignment, now)
        }
      } catch {
        fail(ClientError(.corruptData, "the group's assignment cannot be read: \(error)"))
      }
    case .success(let response):
      if response.errorCode == .rebalanceInProgress { return again(now) }
      refused(response.errorCode, "joining group \(settings.groupID)", now)
    }
  }

  private static func partitions(_ bytes: ArraySlice<UInt8>) throws(WireError) -> [TopicPartition] {
    // A member that the leader left out gets nothing at all.
    guard !bytes.isEmpty else { return [] }
    let assignment = try ConsumerProtocolAssignment.decode(embedded: bytes)
    return Set(
      assignment.assignedPartitions.flatMap { topic in
        topic.partitions.map { TopicPartition(topic.topic, $0) }
      }
    ).sorted()
  }

  private mutating func take(_ assignment: [TopicPartition], _ now: Int64) {
    let given = owned.filter { !assignment.contains($0) }
    pendingAdded = assignment.filter { !owned.contains($0) }
    guard given.isEmpty else {
      state = .revoking(thenJoin: false)
      effects.append(.revoke(given, isLost: false))
      return
    }
    state = .member
    announce()
    advance(now)
  }

  private mutating func announce() {
    owned = (owned + pendingAdded).sorted()
    effects.append(.assigned(owned, added: pendingAdded))
    pendingAdded = []
  }

  // MARK: Membership

  package mutating func heartbeatAnswered(_ result: Result<ErrorCode, ClientError>, now: Int64) {
    isHeartbeatOpen = false
    guard state == .member || isRevoking else { return }
    switch result {
    case .failure(let error):
      if error.isRetriable { hasCoordinator = false }
      if !hasCoordinator { refind() }
    case .success(let code):
      switch code {
      case .none: lastContact = now
      case .rebalanceInProgress:
        lastContact = now
        needsJoin = true
      case .illegalGeneration: lose(keepsMemberID: true)
      case .unknownMemberId: lose(keepsMemberID: false)
      case .notCoordinator, .coordinatorNotAvailable:
        hasCoordinator = false
        refind()
      case .coordinatorLoadInProgress: break
      default:
        if !code.isRetriable { fail(ClientError(code, "a heartbeat of \(settings.groupID)")) }
      }
    }
    advance(now)
  }

  /// A commit was refused because the group has moved on.
  package mutating func commitRefused(_ code: ErrorCode, now: Int64) {
    switch code {
    case .unknownMemberId: lose(keepsMemberID: false)
    case .illegalGeneration: lose(keepsMemberID: true)
    case .rebalanceInProgress: needsJoin = true
    case .fencedInstanceId: fail(ClientError(code, "committing offsets of \(settings.groupID)"))
    default: return
    }
    advance(now)
  }

  private mutating func refind() {
    guard !isFinding else { return }
    isFinding = true
    effects.append(.findCoordinator)
  }

  private mutating func lose(keepsMemberID: Bool) {
    if !keepsMemberID { memberID = "" }
    generation = -1
    hasLost = true
    needsJoin = true
    isLeader = false
    pendingAssignment = nil
  }

  // MARK: Failing

  private mutating func refused(_ code: ErrorCode, _ doing: String, _ now: Int64) {
    switch code {
    case .unknownMemberId:
      lose(keepsMemberID: false)
      join(now)
    case .illegalGeneration:
      lose(keepsMemberID: true)
      join(now)
    default: failed(ClientError(code, doing), now)
    }
  }

  private mutating func failed(_ error: ClientError, _ now: Int64) {
    guard error.isRetriable else { return fail(error) }
    if error.brokerCode != .coordinatorLoadInProgress { hasCoordinator = false }
    again(now)
  }

  private mutating func again(_ now: Int64) {
    needsJoin = true
    retryAt = now + settings.retryBackoffMilliseconds
    state = .apart
  }

  private mutating func fail(_ error: ClientError) {
    state = .ended
    effects.append(.failed(error))
  }
}
