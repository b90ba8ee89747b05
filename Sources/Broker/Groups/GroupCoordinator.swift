import KafkaWire

// The coordinator of classic consumer groups: a machine that is told what happened and says what
// should be done. It has no clock, no socket, no thread and no randomness: two that are told the
// same say the same.
//
// A group belongs to one partition of `__consumer_offsets`, chosen by the hash of its id; the
// leader of that partition coordinates the group, and what it must not forget it writes there:
//
//     key 1, group, topic, partition   a committed offset
//     key 2, group                     a generation: members, their metadata and assignments
//     a key without a value            what it stood for is forgotten
//
// What a partition goes through, told by the driver:
//
//     elsewhere ──elected──▶ loading ──load, load, ...──loaded──▶ active
//         ▲                     │                                   │
//         └──────resigned───────┴─────────────resigned──────────────┘
//
// (1) Each request is answered exactly once: at once, or when what it waits for is decided, or when
//     the partition is resigned.
// (2) Nothing that a client was told of (an offset committed, an assignment, a static member's new
//     id) is missing after a restart: such answers wait for their append to be committed.
// (3) Offsets and deletions take effect in the order of the log; see `AppendQueues`.
// (4) A group with members is remembered as of its last complete generation. A rebalance under way
//     is not: its members find their generation gone and join again.
// (5) A step costs what its group costs; no step but an administrator's looks at all groups.
package struct GroupCoordinator: Sendable {
  package let options: GroupOptions
  var partitions: [PartitionState]
  var groups: [ExactString: Group] = [:]
  var outbox: Outbox
  /// DeleteGroups requests that wait for tombstones to be committed.
  var deletions: [ReplyToken: GroupDeletion] = [:]
  /// Records that could not be read while loading, and were passed over. For the driver to tell of.
  package internal(set) var unreadableRecordCount = 0

  /// What this broker is to a partition of `__consumer_offsets`.
  enum PartitionState: Sendable {
    case elsewhere
    /// Topics that were deleted in the meantime, in order.
    case loading(deletedTopics: [ExactString])
    case active
  }

  package init(options: GroupOptions = GroupOptions()) {
    precondition(options.partitionCount > 0, "\(options.partitionCount) partitions")
    self.options = options
    partitions = Array(repeating: .elsewhere, count: Int(options.partitionCount))
    outbox = Outbox(options: options)
  }

  /// When the next tick is due, by the steady clock; nil while nothing waits for time to pass.
  package var nextDeadline: Int64? { outbox.deadlines.next }

  /// Where FindCoordinator sends the group's clients: the leader of this partition.
  package func partition(of groupID: String) -> Int32 {
    ExactString(groupID).coordinatorPartition(of: options.partitionCount)
  }

  /// Tells what happened, and when; what is to be done is added to `effects`. Time may stand still
  /// between steps. Deadlines are by the steady clock, what is written by the wall clock.
  package mutating func step(_ input: Input, now: NodeTime, into effects: inout [Effect]) {
    outbox.time = now
    swap(&effects, &outbox.effects)
    defer { swap(&effects, &outbox.effects) }
    switch input {
    case .request(let request, let source): handle(request, from: source)
    case .tick: tick()
    case .appended(let token, let outcome): appended(token, outcome)
    case .elected(let partition): elected(partition)
    case .load(let partition, let key, let value): load(partition, key: key, value: value)
    case .loaded(let partition): loaded(partition)
    case .resigned(let partition): resigned(partition)
    case .topicDeleted(let topic): topicDeleted(ExactString(topic))
    }
  }

  private mutating func handle(_ request: Request, from source: RequestSource) {
    switch request {
    case .joinGroup(let request, let freshID): join(request, freshID: freshID, from: source)
    case .syncGroup(let request): sync(request, from: source)
    case .heartbeat(let request):
      let outcome = heartbeat(request)
      outbox.answerHeartbeat(source.token, outcome)
    case .leaveGroup(let request): leave(request, from: source)
    case .offsetCommit(let request): commit(request, from: source)
    case .offsetFetch(let request): fetchOffsets(request, from: source)
    case .offsetDelete(let request): deleteOffsets(request, from: source)
    case .describeGroups(let request): describe(request, from: source)
    case .listGroups(let request): list(request, from: source)
    case .deleteGroups(let request): delete(request, from: source)
    }
  }

  private mutating func tick() {
    while let deadline = outbox.deadlines.popDue(now: outbox.now) {
      update(deadline.group) { group, outbox in
        switch deadline {
        case .session(_, let member): group.sessionDeadlinePassed(member, &outbox)
        case .pendingMember(_, let member): group.pendingDeadlinePassed(member, &outbox)
        case .join: group.joinDeadlinePassed(&outbox)
        case .sync: group.syncDeadlinePassed(&outbox)
        case .expiry: group.expiryDeadlinePassed(&outbox)
        }
      }
    }
  }

  private mutating func appended(_ token: AppendToken, _ outcome: ErrorCode) {
    guard outbox.appends.decide(token, outcome) else { return }
    while let append = outbox.appends.popDecided(partition: token.partition) {
      finish(append, append.outcome ?? .unknownServerError)
    }
  }

  mutating func finish(_ append: PendingAppend, _ outcome: ErrorCode) {
    if let metadata = append.metadata {
      groups[append.group]?.recordsUnderWay -= 1
      if outcome == .none { groups[append.group]?.recorded = metadata }
    }
    switch append.change {
    case .none: break
    case .assignments(let generation, let assignments):
      update(append.group) { group, outbox in
        group.finishAssigning(generation: generation, assignments, outcome, &outbox)
      }
    case .staticMember(let replacement):
      update(append.group) { group, outbox in group.finish(replacement, outcome, &outbox) }
    case .offsets(let changes, let answer):
      let isKnown = update(append.group) { group, outbox in
        group.finishChange(changes, answer, outcome, &outbox)
      }
      precondition(isKnown, "group \(append.group) is gone before its offsets")
    case .deletion(let token): finishDeletion(of: append.group, outcome, token)
    }
  }

  /// Lets one group decide, in place; afterwards drops it if nothing keeps it. False where there is
  /// no such group.
  @discardableResult
  mutating func update(
    _ id: ExactString, _ decide: (inout Group, inout Outbox) -> Void
  ) -> Bool {
    guard let index = groups.index(forKey: id) else { return false }
    decide(&groups.values[index], &outbox)
    if groups.values[index].isForgettable { drop(id) }
    return true
  }

  mutating func drop(_ id: ExactString) {
    groups[id]?.cancelDeadlines(&outbox)
    groups[id] = nil
  }

  /// Makes the group if it is not there. False where there are too many.
  mutating func ensure(_ id: ExactString) -> Bool {
    if groups[id] != nil { return true }
    guard groups.count < options.groupsMax else { return false }
    var group = Group(
      id: id, partition: id.coordinatorPartition(of: options.partitionCount), now: outbox.wall)
    group.scheduleExpiry(isFirst: false, &outbox)
    groups[id] = group
    return true
  }

  /// Why this coordinator cannot answer for a group, if it cannot.
  func unavailability(of id: ExactString) -> ErrorCode? {
    switch partitions[Int(id.coordinatorPartition(of: options.partitionCount))] {
    case .elsewhere: .notCoordinator
    case .loading: .coordinatorLoadInProgress
    case .active: nil
    }
  }
}
