import Broker
import Bytes
import KafkaWire
import Testing

/// Clients that do anything in any order, a log that fails at times and answers late, a clock that
/// jumps. Their choices depend on the seed and on what they are told, so that most requests make
/// sense.
struct RandomConversation {
  var random: SeededGenerator
  var coordinator: GroupCoordinator
  var now: Int64 = 0
  var time: NodeTime { NodeTime(steady: now, wall: now + 1_000_000_000) }
  /// Of all steps, in order.
  var effects: [GroupCoordinator.Effect] = []
  private var unanswered: Set<ReplyToken> = []
  private var appends: [AppendToken] = []
  private var records: [AppendToken: [GroupRecord]] = [:]
  /// What is committed, by token: a partition's log is in the order of the numbers.
  private var committed: Set<AppendToken> = []
  /// How often each state was seen after a step, and each error in a reply.
  private(set) var seen: [String: Int] = [:]
  private var memberIDs = ["", "", ""]
  private var generations: [String: Int32] = [:]
  private var lastToken: UInt64 = 0
  private var isLoading = false

  private let groups = ["a", "b", "c"]
  private let instances = ["i", "j"]

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    var options = GroupOptions()
    options.partitionCount = 2
    options.membersMax = 6
    options.pendingMembersMax = 3
    options.offsetsMax = 5
    options.appendsInFlightMax = 10
    options.offsetsRetentionMs = 400_000
    options.expiryCheckIntervalMs = 50_000
    coordinator = GroupCoordinator(options: options)
    for partition in 0..<options.partitionCount {
      tell(.elected(partition: partition))
      tell(.loaded(partition: partition))
    }
  }

  private mutating func chance(_ percent: Int) -> Bool {
    Int.random(in: 0..<100, using: &random) < percent
  }

  private mutating func pick<T>(_ values: [T]) -> T {
    values[Int.random(in: 0..<values.count, using: &random)]
  }

  mutating func step() {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<70: ask()
    case 70..<85:
      if !appends.isEmpty {
        // Mostly in order; the machine must not count on it.
        let token = appends.remove(at: chance(80) ? 0 : appends.count - 1)
        decide(token, chance(90) ? .none : .notEnoughReplicas)
      }
    case 85..<98:
      now += pick([0, 10, 500, 3_000, 7_000, 60_000])
      tell(.tick)
    case 98: tell(.topicDeleted(pick(["t", "u"])))
    default:
      let partition = Int32.random(in: 0..<2, using: &random)
      isLoading = true
      tell(.resigned(partition: partition))
      // The log has them or has not; the coordinator that was does not learn of it.
      for token in appends where token.partition == partition {
        if chance(50) { committed.insert(token) }
      }
      appends.removeAll { $0.partition == partition }
      tell(.elected(partition: partition))
      if chance(30) { ask() }
      for record in log(of: partition) {
        tell(.load(partition: partition, key: record.key[...], value: record.value?[...]))
      }
      // A rebalance under way is forgotten, and its generation with it.
      generations = [:]
      isLoading = false
      tell(.loaded(partition: partition))
    }
  }

  private func log(of partition: Int32) -> [GroupRecord] {
    committed.filter { $0.partition == partition }.sorted { $0.number < $1.number }
      .flatMap { records[$0] ?? [] }
  }

  private mutating func decide(_ token: AppendToken, _ outcome: ErrorCode) {
    if outcome == .none { committed.insert(token) }
    tell(.appended(token, outcome))
  }

  /// The offsets in memory are those that a restart would find.
  mutating func checkAgainstLog() {
    while !appends.isEmpty { decide(appends.removeFirst(), .none) }
    var other = GroupCoordinator(options: coordinator.options)
    var loading: [GroupCoordinator.Effect] = []
    for partition in 0..<coordinator.options.partitionCount {
      other.step(.elected(partition: partition), now: time, into: &loading)
      for record in log(of: partition) {
        other.step(
          .load(partition: partition, key: record.key[...], value: record.value?[...]), now: time,
          into: &loading)
      }
      other.step(.loaded(partition: partition), now: time, into: &loading)
    }
    #expect(other.unreadableRecordCount == 0)
    var request = OffsetFetchRequest()
    request.groups = groups.map { id in
      .with {
        $0.groupId = id
        $0.topics = nil
      }
    }
    let source = RequestSource(
      token: ReplyToken(0), version: 8, clientID: "", clientHost: "")
    var mine: [GroupCoordinator.Effect] = []
    var theirs: [GroupCoordinator.Effect] = []
    coordinator.step(.request(.offsetFetch(request), from: source), now: time, into: &mine)
    other.step(.request(.offsetFetch(request), from: source), now: time, into: &theirs)
    #expect(mine == theirs)
    let stable = coordinator.summaries.filter { $0.state == "Stable" }
    let restored = other.summaries.filter { group in stable.contains { $0.id == group.id } }
    #expect(stable == restored)
  }

  /// Commits everything and lets time pass until nobody can be waiting.
  mutating func settle() {
    for _ in 0..<100 {
      while !appends.isEmpty { decide(appends.removeFirst(), .none) }
      now += 60_000
      tell(.tick)
    }
    #expect(unanswered == [], "never answered")
    #expect(coordinator.appendsInFlightCount == 0)
  }

  private mutating func tell(_ input: GroupCoordinator.Input) {
    let first = effects.count
    coordinator.step(input, now: time, into: &effects)
    for effect in effects[first...] {
      switch effect {
      case .append(let token, let written):
        appends.append(token)
        records[token] = written
      case .reply(let token, let reply):
        #expect(unanswered.remove(token) != nil, "\(token) is answered twice")
        if case .joinGroup(let response) = reply {
          seen["join \(response.errorCode)", default: 0] += 1
        }
        if case .syncGroup(let response) = reply {
          seen["sync \(response.errorCode)", default: 0] += 1
        }
        if case .joinGroup(let response) = reply, response.memberId != "" {
          memberIDs.append(response.memberId)
          if memberIDs.count > 16 { memberIDs.remove(at: 3) }
        }
      }
    }
    #expect(coordinator.brokenInvariants == [], "after \(input)")
    #expect(coordinator.heldTokens.isSubset(of: unanswered))
    for group in coordinator.summaries {
      seen[group.state, default: 0] += 1
      #expect(
        isLoading || group.generation >= generations[group.id, default: 0],
        "\(group.id) went back")
      #expect(Set(group.memberIDs).count == group.memberIDs.count)
      #expect(group.offsetCount <= coordinator.options.offsetsMax)
    }
    generations = Dictionary(
      uniqueKeysWithValues: coordinator.summaries.map { ($0.id, $0.generation) })
  }

  private mutating func ask() {
    lastToken += 1
    let source = RequestSource(
      token: ReplyToken(lastToken), version: Int16.random(in: 0...5, using: &random),
      clientID: pick(["x", "y"]), clientHost: "/h")
    unanswered.insert(source.token)
    tell(.request(request(), from: source))
  }

  private mutating func request() -> GroupCoordinator.Request {
    let group = pick(groups)
    let summary = coordinator.summaries.first { $0.id == group }
    let inside = summary?.memberIDs ?? []
    let member = chance(70) && !inside.isEmpty ? pick(inside) : pick(memberIDs)
    let generation = chance(90) ? summary?.generation ?? -1 : pick([-1, 0, 1, 2])
    let instance = chance(20) ? pick(instances) : nil
    switch Int.random(in: 0..<24, using: &random) {
    case 0..<8:
      let isNew = chance(35)
      return .joinGroup(
        join(group, isNew ? "" : member, isNew ? instance : nil), freshID: "\(lastToken)")
    case 8..<14:
      var request = SyncGroupRequest()
      request.groupId = group
      request.memberId = member
      request.generationId = generation
      request.assignments = inside.map { id in .with { $0.memberId = id } }
      return .syncGroup(request)
    case 14..<17:
      var request = HeartbeatRequest()
      request.groupId = group
      request.memberId = member
      request.generationId = generation
      return .heartbeat(request)
    case 17:
      var request = LeaveGroupRequest()
      request.groupId = group
      request.memberId = member
      request.members = [.with { $0.memberId = member }]
      request.members[0].groupInstanceId = instance
      return .leaveGroup(request)
    case 18..<21: return .offsetCommit(commit(group, chance(30) ? "" : member, generation))
    default: return administration(group)
    }
  }

  private mutating func join(
    _ group: String, _ member: String, _ instance: String?
  ) -> JoinGroupRequest {
    var request = JoinGroupRequest()
    request.groupId = group
    request.memberId = member
    request.groupInstanceId = instance
    request.protocolType = chance(97) ? "consumer" : "connect"
    request.sessionTimeoutMs = pick([6_000, 10_000, 30_000])
    request.rebalanceTimeoutMs = pick([-1, 0, 8_000, 60_000])
    let offers = pick([["r"], ["r", "s"], ["s", "r"], ["s"]])
    request.protocols = offers.map { name in .with { $0.name = name } }
    for index in request.protocols.indices {
      request.protocols[index].metadata = subscription(pick(["t", "u"]))[...]
    }
    return request
  }

  private mutating func commit(
    _ group: String, _ member: String, _ generation: Int32
  ) -> OffsetCommitRequest {
    var request = OffsetCommitRequest()
    request.groupId = group
    request.memberId = member
    request.generationIdOrMemberEpoch = member.isEmpty ? -1 : generation
    request.retentionTimeMs = pick([-1, -1, 20_000])
    var topic = OffsetCommitRequest.Topic()
    topic.name = pick(["t", "u"])
    topic.partitions = (0...pick([0, 1, 2])).map { index in
      .with { $0.partitionIndex = Int32(index) }
    }
    request.topics = [topic]
    return request
  }

  private mutating func administration(_ group: String) -> GroupCoordinator.Request {
    switch Int.random(in: 0..<5, using: &random) {
    case 0: return .describeGroups(.with { $0.groups = [group] })
    case 1: return .listGroups(ListGroupsRequest())
    case 2: return .deleteGroups(.with { $0.groupsNames = groups })
    case 3:
      var topic = OffsetDeleteRequest.Topic()
      topic.name = pick(["t", "u"])
      topic.partitions = [OffsetDeleteRequest.Partition()]
      return .offsetDelete(
        .with {
          $0.groupId = group
          $0.topics = [topic]
        })
    default:
      return .offsetFetch(
        .with {
          $0.groupId = group
          $0.topics = nil
        })
    }
  }
}

@Suite struct `Whatever clients do` {
  @Test(arguments: 0..<40 as Range<UInt64>)
  func `the coordinator stays sound, and answers everybody once`(seed: UInt64) {
    var talk = RandomConversation(seed: seed)
    for step in 0..<2_000 {
      talk.step()
      if step % 200 == 0 { talk.checkAgainstLog() }
    }
    talk.settle()
    // Or it would prove little.
    for sight in ["Stable", "CompletingRebalance", "Dead", "join NONE(0)", "sync NONE(0)"] {
      #expect(talk.seen[sight, default: 0] > 0, "\(sight) was never seen")
    }
  }

  @Test(arguments: 100..<104 as Range<UInt64>)
  func `the same happens when the same is said`(seed: UInt64) {
    var one = RandomConversation(seed: seed)
    var two = RandomConversation(seed: seed)
    for _ in 0..<1_500 {
      one.step()
      two.step()
    }
    #expect(one.effects == two.effects)
  }
}
