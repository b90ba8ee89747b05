import KafkaWire

// One classic consumer group: who is in it, which generation it is at, what it has committed.
//
//                 a member joins                          all have joined, or time is up
//       Empty ────────────────────▶ PreparingRebalance ───────────────────▶ CompletingRebalance
//       │  ▲                          │     ▲      ▲                              │     │
//       │  └──────────────────────────┘     │      └──────────────────────────────┘     │
//       │      all members are gone         │       a member joins, leaves, dies        │
//       │                                   │                                           │
//       │  ▲                                └───────────────── Stable ◀─────────────────┘
//       ▼  │ the append failed          a member joins,                the leader's assignments
//       Dead ──▶ (no group)             leaves, dies                   are committed
//
// (1) JoinGroup requests are held in PreparingRebalance only, with one exception: a static member
//     that comes back to a Stable group waits until its new id is committed. SyncGroup requests are
//     held in CompletingRebalance only. Whoever leaves a state answers what was held in it.
// (2) A generation begins with CompletingRebalance; its number is one more than the last.
// (3) In Stable each member's assignment is what the log says.
// (4) A member removed is answered, and its deadline cancelled, by `remove` and nothing else.
// (5) A group that nobody is in, that has no offsets and no record in the log is not kept.

struct Group: Sendable {
  enum State: String, Sendable {
    case empty = "Empty"
    case preparingRebalance = "PreparingRebalance"
    case completingRebalance = "CompletingRebalance"
    case stable = "Stable"
    /// Its tombstones are being written.
    case dead = "Dead"
  }

  typealias Ticket = DeadlineQueue<GroupDeadline>.Ticket

  /// What Kafka's consumers call themselves in JoinGroup: their metadata names topics.
  static let consumerProtocolType = "consumer"

  let id: ExactString
  /// Of `__consumer_offsets`.
  let partition: Int32

  private(set) var state = State.empty
  /// Milliseconds since 1970, when `state` was entered; -1 where an old record did not say.
  var stateSince: Int64
  var generation: Int32 = 0
  /// Nil for a group that only commits offsets.
  var protocolType: String?
  var protocolName: ExactString?
  var leader: ExactString?
  var members = MemberTable()
  var nextSerial: UInt64 = 0
  /// Topics that members read; nil where that is not known.
  var subscribedTopics: Set<ExactString>?
  var offsets = OffsetTable()

  /// Ids handed out with MEMBER_ID_REQUIRED, until somebody joins with them.
  var pendingMembers: [ExactString: Ticket?] = [:]
  /// The rebalance under way is of a group that was empty: it waits for more members to come.
  var isInitialRebalance = false
  /// A member came since the initial rebalance was last delayed.
  var hasNewMember = false
  var initialDelayMs: Int32 = 0
  var initialRemainingMs: Int32 = 0
  /// The leader's assignments for this generation are being written.
  var isAssigning = false
  /// There is, or will be, a record of the group's metadata in the log.
  var isRecorded = false
  /// What the last committed record of the group's metadata says; nil if there is none.
  var recorded: [UInt8]?
  /// Records of the group's metadata that are not decided yet.
  var recordsUnderWay = 0

  var joinDeadline: Ticket?
  var syncDeadline: Ticket?
  var expiryDeadline: Ticket?

  init(id: ExactString, partition: Int32, now: Int64) {
    self.id = id
    self.partition = partition
    stateSince = now
  }

  var isConsumerGroup: Bool { protocolType == Group.consumerProtocolType }

  /// See (5).
  var isForgettable: Bool {
    state == .empty && !isRecorded && pendingMembers.isEmpty && offsets.isEmpty
  }

  /// Every member that was waited for is here.
  var allHaveJoined: Bool {
    members.heldJoinCount == members.count && pendingMembers.isEmpty
  }

  mutating func enter(_ next: State, now: Int64) {
    let isAllowed =
      switch (state, next) {
      case (.empty, .preparingRebalance), (.stable, .preparingRebalance),
        (.completingRebalance, .preparingRebalance), (.preparingRebalance, .completingRebalance),
        (.preparingRebalance, .empty), (.completingRebalance, .stable), (.empty, .dead),
        (.dead, .empty):
        true
      default: false
      }
    precondition(isAllowed, "group \(id) cannot go from \(state) to \(next)")
    isInitialRebalance = state == .empty && next == .preparingRebalance
    state = next
    stateSince = now
  }

  /// From the log: no transition led here.
  mutating func restore(_ state: State) {
    self.state = state
  }

  /// What is wrong with who says to be a member, if anything is.
  func checkMember(_ id: ExactString, instanceID: String?) -> ErrorCode? {
    if let instanceID {
      guard let current = members.id(ofInstance: ExactString(instanceID)) else {
        return .unknownMemberId
      }
      if current != id { return .fencedInstanceId }
    }
    return members[id] == nil ? .unknownMemberId : nil
  }

  /// Takes a member out, whether it joined already or only has an id. Its requests are answered
  /// with `error`: a client that still waits for one is alive and will join again.
  mutating func remove(_ id: ExactString, _ error: ErrorCode, _ outbox: inout Outbox) {
    if var ticket = pendingMembers.removeValue(forKey: id) { outbox.deadlines.cancel(&ticket) }
    guard var member = members.remove(id) else { return }
    outbox.deadlines.cancel(&member.session)
    if let held = member.heldJoin { outbox.refuseJoin(held, error, memberID: "") }
    if let held = member.heldSync { outbox.refuseSync(held, error) }
    // Only for as long as nobody rejoins: the join phase ends with a leader that is there.
    if leader == id { leader = members.inOrder.first?.id }
  }

  mutating func renewSession(of id: ExactString, _ outbox: inout Outbox) {
    guard let timeout = members[id]?.sessionTimeoutMs else { return }
    schedule(session: id, after: timeout, &outbox)
  }

  mutating func schedule(session id: ExactString, after ms: Int32, _ outbox: inout Outbox) {
    let group = self.id
    members.update(id) { member in
      outbox.deadlines.schedule(
        &member.session, at: outbox.time(after: ms), for: .session(group, member: id))
    }
  }

  /// The first look at a group's offsets is spread over the interval, or all groups of a partition
  /// just loaded would be looked at in one step.
  mutating func scheduleExpiry(isFirst: Bool, _ outbox: inout Outbox) {
    let interval = max(1, outbox.options.expiryCheckIntervalMs)
    let spread = isFirst ? Int64(UInt32(bitPattern: id.javaHash)) % interval : 0
    outbox.deadlines.schedule(
      &expiryDeadline, at: outbox.time(after: interval - spread), for: .expiry(id))
  }

  /// Before the group is dropped.
  mutating func cancelDeadlines(_ outbox: inout Outbox) {
    outbox.deadlines.cancel(&joinDeadline)
    outbox.deadlines.cancel(&syncDeadline)
    outbox.deadlines.cancel(&expiryDeadline)
    for var ticket in pendingMembers.values { outbox.deadlines.cancel(&ticket) }
    pendingMembers = [:]
  }
}
