import KafkaWire

/// What the decisions of one step leave behind: answers, appends, deadlines.
///
/// All that a `Group` may touch beside itself.
struct Outbox: Sendable {
  let options: GroupOptions
  /// Milliseconds, of the step that is under way.
  var now: Int64 = 0
  var effects: [GroupCoordinator.Effect] = []
  var deadlines = DeadlineQueue<GroupDeadline>()
  var appends: AppendQueues

  init(options: GroupOptions) {
    self.options = options
    appends = AppendQueues(partitionCount: options.partitionCount)
  }

  mutating func reply(_ token: ReplyToken, _ reply: GroupCoordinator.Reply) {
    effects.append(.reply(token, reply))
  }

  /// Writes `records`; what they mean takes effect when they are committed.
  /// `metadata` is what the group's own record says, if one is among them.
  mutating func append(
    _ records: [GroupRecord], of group: ExactString, partition: Int32, change: GroupChange,
    metadata: [UInt8]? = nil
  ) {
    precondition(!records.isEmpty, "an append without records would never be committed")
    let append = PendingAppend(group: group, change: change, metadata: metadata)
    let token = appends.add(append, partition: partition)
    effects.append(.append(token, records))
  }

  /// `now` and a span, without overflow: spans come from clients.
  func time(after milliseconds: Int64) -> Int64 {
    let (sum, overflow) = now.addingReportingOverflow(milliseconds)
    return overflow ? (milliseconds > 0 ? .max : .min) : sum
  }

  func time(after milliseconds: Int32) -> Int64 {
    time(after: Int64(milliseconds))
  }
}

/// Whose deadline it is.
enum GroupDeadline: Equatable, Sendable {
  /// A member was silent for too long.
  case session(ExactString, member: ExactString)
  /// A member id was handed out and nobody came back with it.
  case pendingMember(ExactString, member: ExactString)
  /// The members that did not join again by now are left behind.
  case join(ExactString)
  /// The members that did not ask for their assignment by now are removed.
  case sync(ExactString)
  /// Time to look for offsets that have expired.
  case expiry(ExactString)

  var group: ExactString {
    switch self {
    case .session(let group, _), .pendingMember(let group, _), .join(let group), .sync(let group),
      .expiry(let group):
      group
    }
  }
}
