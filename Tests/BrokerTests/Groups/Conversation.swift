import Broker
import KafkaWire
import Testing

typealias Effect = GroupCoordinator.Effect
typealias Reply = GroupCoordinator.Reply

/// Talks to a coordinator as clients, a log and a clock would, and checks after each step what must
/// hold after every step.
struct Conversation {
  var coordinator: GroupCoordinator
  /// By the steady clock. The wall clock says the same unless `clockStep` says otherwise.
  var now: Int64 = 1_000_000
  var clockStep: Int64 = 0
  /// Answers to requests that were held, by their tokens.
  var replies: [ReplyToken: Reply] = [:]
  /// Written, not committed yet.
  var appends: [(token: AppendToken, records: [GroupRecord])] = []
  /// Committed, in the order of the log.
  var log: [(partition: Int32, record: GroupRecord)] = []
  /// Commits what is written at once.
  var commitsAtOnce = true
  private var lastToken: UInt64 = 0
  private var lastID = 0

  init(loading: Bool = true, _ set: (inout GroupOptions) -> Void = { _ in }) {
    var options = GroupOptions()
    options.partitionCount = 4
    set(&options)
    coordinator = GroupCoordinator(options: options)
    guard loading else { return }
    for partition in 0..<options.partitionCount {
      tell(.elected(partition: partition))
      tell(.loaded(partition: partition))
    }
  }

  @discardableResult
  mutating func tell(_ input: GroupCoordinator.Input) -> [Effect] {
    var effects: [Effect] = []
    coordinator.step(
      input, now: NodeTime(steady: now, wall: now + clockStep), into: &effects)
    for effect in effects {
      switch effect {
      case .reply(let token, let reply):
        #expect(replies[token] == nil, "\(token) is answered twice")
        replies[token] = reply
      case .append(let token, let records): appends.append((token, records))
      }
    }
    #expect(coordinator.brokenInvariants == [], "after \(input)")
    if commitsAtOnce { commit() }
    return effects
  }

  /// Decides all appends, the oldest first.
  mutating func commit(_ outcome: ErrorCode = .none) {
    while !appends.isEmpty {
      let append = appends.removeFirst()
      if outcome == .none { log += append.records.map { (append.token.partition, $0) } }
      tell(.appended(append.token, outcome))
    }
  }

  /// Lets time pass, meeting deadlines when they are due.
  mutating func pass(_ milliseconds: Int64) {
    let end = now + milliseconds
    while let deadline = coordinator.nextDeadline, deadline <= end {
      now = max(now, deadline)
      tell(.tick)
    }
    now = end
  }

  mutating func ask(
    _ request: GroupCoordinator.Request, version: Int16, client: String = "c"
  ) -> ReplyToken {
    lastToken += 1
    let source = RequestSource(
      token: ReplyToken(lastToken), version: version, clientID: client, clientHost: "/10.0.0.1")
    tell(.request(request, from: source))
    return source.token
  }

  mutating func freshID() -> String {
    lastID += 1
    return "id\(lastID)"
  }

  /// A coordinator that knows no more than the log.
  func restarted() -> Conversation {
    var other = Conversation(loading: false) { [options = coordinator.options] in $0 = options }
    other.now = now
    other.load(log)
    return other
  }

  mutating func load(_ log: [(partition: Int32, record: GroupRecord)]) {
    for partition in 0..<coordinator.options.partitionCount {
      tell(.elected(partition: partition))
      for entry in log where entry.partition == partition {
        tell(
          .load(partition: partition, key: entry.record.key[...], value: entry.record.value?[...]))
      }
      tell(.loaded(partition: partition))
    }
    self.log = log
  }
}

// MARK: Requests

extension Conversation {
  mutating func join(
    _ member: String = "", group: String = "g", instance: String? = nil, version: Int16 = 3,
    protocols: [(String, [UInt8])] = [("range", subscription("t"))], type: String = "consumer",
    session: Int32 = 10_000, rebalance: Int32 = 60_000, client: String = "c"
  ) -> ReplyToken {
    var request = JoinGroupRequest()
    request.groupId = group
    request.memberId = member
    request.groupInstanceId = instance
    request.protocolType = type
    request.sessionTimeoutMs = session
    request.rebalanceTimeoutMs = rebalance
    request.protocols = protocols.map { name, metadata in
      var entry = JoinGroupRequest.GroupProtocol()
      entry.name = name
      entry.metadata = metadata[...]
      return entry
    }
    return ask(.joinGroup(request, freshID: freshID()), version: version, client: client)
  }

  mutating func sync(
    _ member: String, _ generation: Int32, group: String = "g", instance: String? = nil,
    version: Int16 = 3, type: String? = nil, name: String? = nil,
    _ assignments: [(String, [UInt8])] = []
  ) -> ReplyToken {
    var request = SyncGroupRequest()
    request.groupId = group
    request.memberId = member
    request.generationId = generation
    request.groupInstanceId = instance
    request.protocolType = type
    request.protocolName = name
    request.assignments = assignments.map { member, bytes in
      var assignment = SyncGroupRequest.Assignment()
      assignment.memberId = member
      assignment.assignment = bytes[...]
      return assignment
    }
    return ask(.syncGroup(request), version: version)
  }

  mutating func heartbeat(
    _ member: String, _ generation: Int32, group: String = "g", instance: String? = nil
  ) -> ErrorCode? {
    var request = HeartbeatRequest()
    request.groupId = group
    request.memberId = member
    request.generationId = generation
    request.groupInstanceId = instance
    let token = ask(.heartbeat(request), version: 4)
    guard case .heartbeat(let response)? = replies[token]
    else { return nil }
    return response.errorCode
  }

  mutating func leave(
    _ members: [(id: String, instance: String?)], group: String = "g", version: Int16 = 4
  ) -> LeaveGroupResponse? {
    var request = LeaveGroupRequest()
    request.groupId = group
    if version < 3 { request.memberId = members.first?.id ?? "" }
    request.members =
      version < 3
      ? []
      : members.map { member in
        var entry = LeaveGroupRequest.Member()
        entry.memberId = member.id
        entry.groupInstanceId = member.instance
        return entry
      }
    let token = ask(.leaveGroup(request), version: version)
    guard case .leaveGroup(let response)? = replies[token]
    else { return nil }
    return response
  }

  mutating func commit(
    _ offsets: [(topic: String, partition: Int32, offset: Int64)], group: String = "g",
    member: String = "", generation: Int32 = -1, instance: String? = nil, metadata: String? = "",
    retention: Int64 = -1, version: Int16 = 8
  ) -> ReplyToken {
    var request = OffsetCommitRequest()
    request.groupId = group
    request.memberId = member
    request.generationIdOrMemberEpoch = generation
    request.groupInstanceId = instance
    request.retentionTimeMs = retention
    for (topic, partition, offset) in offsets {
      if request.topics.last?.name != topic {
        request.topics.append(.with { $0.name = topic })
      }
      var entry = OffsetCommitRequest.Partition()
      entry.partitionIndex = partition
      entry.committedOffset = offset
      entry.committedMetadata = metadata
      request.topics[request.topics.count - 1].partitions.append(entry)
    }
    return ask(.offsetCommit(request), version: version)
  }

  /// Lines of topic, partition, offset and error.
  mutating func fetch(
    group: String = "g", _ topics: [(String, [Int32])]? = nil, stable: Bool = false
  ) -> [String] {
    var entry = OffsetFetchRequest.Group()
    entry.groupId = group
    entry.topics = topics?.map { name, partitions in
      var topic = OffsetFetchRequest.GroupTopic()
      topic.name = name
      topic.partitionIndexes = partitions
      return topic
    }
    var request = OffsetFetchRequest()
    request.groups = [entry]
    request.requireStable = stable
    let token = ask(.offsetFetch(request), version: 8)
    guard case .offsetFetch(let response)? = replies[token],
      let fetched = response.groups.first
    else { return ["no answer"] }
    if fetched.errorCode != .none { return [fetched.errorCode.description] }
    return fetched.topics.flatMap { topic in
      topic.partitions.map { partition in
        let error = partition.errorCode == .none ? "" : " \(partition.errorCode)"
        return "\(topic.name)/\(partition.partitionIndex) \(partition.committedOffset)\(error)"
      }
    }
  }

  mutating func describe(_ group: String = "g", version: Int16 = 6)
    -> DescribeGroupsResponse.Group?
  {
    var request = DescribeGroupsRequest()
    request.groups = [group]
    let token = ask(.describeGroups(request), version: version)
    guard case .describeGroups(let response)? = replies[token] else { return nil }
    return response.groups.first
  }
}

// MARK: Answers

extension Conversation {
  func joined(_ token: ReplyToken) -> JoinGroupResponse? {
    if case .joinGroup(let response)? = replies[token] { response } else { nil }
  }

  func synced(_ token: ReplyToken) -> SyncGroupResponse? {
    if case .syncGroup(let response)? = replies[token] { response } else { nil }
  }

  mutating func syncError(
    _ member: String, _ generation: Int32, group: String = "g"
  ) -> ErrorCode? {
    let token = sync(member, generation, group: group)
    return synced(token)?.errorCode
  }

  /// The errors of all partitions, in order.
  func committed(_ token: ReplyToken) -> [ErrorCode]? {
    guard case .offsetCommit(let response)? = replies[token] else { return nil }
    return response.topics.flatMap { $0.partitions.map(\.errorCode) }
  }

  var summary: GroupCoordinator.GroupSummary? { coordinator.summaries.first }

  /// A stable group of so many dynamic members, the first of them its leader.
  mutating func stableGroup(
    of count: Int, group: String = "g", session: Int32 = 10_000, rebalance: Int32 = 60_000,
    protocols: [(String, [UInt8])] = [("range", subscription("t"))]
  ) -> [String] {
    let tokens = (0..<count).map { _ in
      join(group: group, protocols: protocols, session: session, rebalance: rebalance)
    }
    pass(Int64(coordinator.options.initialRebalanceDelayMs))
    pass(Int64(coordinator.options.initialRebalanceDelayMs))
    let members = tokens.compactMap { joined($0)?.memberId }
    let generation = joined(tokens[0])?.generationId ?? -1
    for member in members.reversed() {
      _ = sync(
        member, generation, group: group,
        member == members[0] ? members.map { ($0, Array($0.utf8)) } : [])
    }
    return members
  }
}

/// What a consumer says of itself: version 1 of its protocol, these topics.
func subscription(_ topics: String...) -> [UInt8] {
  var subscription = ConsumerProtocolSubscription()
  subscription.topics = topics
  return (try? subscription.embedded(version: 1)) ?? []
}
