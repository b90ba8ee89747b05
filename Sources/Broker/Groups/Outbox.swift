import KafkaWire

/// What the decisions of one step leave behind: answers, appends, deadlines.
///
/// All that a `Group` may touch beside itself.
struct Outbox: Sendable {
  let options: GroupOptions
  /// When the step that is under way happens.
  var time = NodeTime(steady: 0, wall: 0)
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

  /// For deadlines, which are in memory only.
  var now: Int64 { time.steady }
  /// For what goes to the log, and what is compared with it.
  var wall: Int64 { time.wall }

  /// A deadline `milliseconds` from now.
  func time(after milliseconds: Int64) -> Int64 { Self.sum(now, milliseconds) }

  func time(after milliseconds: Int32) -> Int64 { Self.sum(now, Int64(milliseconds)) }

  /// The same by the wall clock.
  func wallTime(after milliseconds: Int64) -> Int64 { Self.sum(wall, milliseconds) }

  /// A time and a span, without overflow: spans come from clients.
  private static func sum(_ time: Int64, _ milliseconds: Int64) -> Int64 {
    let (sum, overflow) = time.addingReportingOverflow(milliseconds)
    return overflow ? (milliseconds > 0 ? .max : .min) : sum
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
