internal import KafkaWire

/// Which groups have to change their members, and which are at it. Kept by the leader of group 0,
/// for as long as it leads: all of this can be found again from what is committed and what leaders
/// and nodes report.
///
///     found --enqueue--> queue --a place is free--> active --as it is to be--> gone
///                          ^                          |
///                          +------ cannot go on ------+
///
/// Only a few are active at once, so that replicas that catch up do not take the disks and the
/// network from those who serve.
struct MembershipChanges: Sendable {
  /// Groups that change their members at once.
  static let activeMax = 16
  /// Groups that a tick looks at to see whether something is to be done with them.
  static let scannedMax = 2000
  /// Groups of the queue that a tick looks at to see whether they can go on.
  static let triedMax = 500
  /// A group that waits this long for its leader to say something gives its place up.
  static let patienceMilliseconds: Int64 = 30_000
  /// Between two requests to the same leader to hand over.
  static let askAgainMilliseconds: Int64 = 1000

  struct Active: Sendable {
    var group: GroupKey
    /// When it came on.
    var since: Int64
    /// When its leader was asked to hand over.
    var askedAt: Int64?
    var version: Int64
  }

  /// Ascending.
  var alive: [Int32] = []
  var reports: [GroupKey: GroupReport] = [:]
  /// Nodes whose replica is damaged and still in the group.
  var damaged: [GroupKey: [Int32]] = [:]
  private(set) var active: [Active] = []
  private var queue: [GroupKey] = []
  /// How many at the front of `queue` are taken already.
  private var takenCount = 0
  /// Those of `queue` and `active`.
  private var known: Set<GroupKey> = []
  /// Those of which people were told that they are lost.
  private var told: Set<GroupKey> = []
  /// Topics that were not looked at yet, the next one last; nil before any was.
  private var unscanned: [String]? = []

  /// Of a node that begins or ends to lead: only who is alive is as it was.
  init(alive: [Int32] = []) { self.alive = alive }

  /// Looks at all groups once more.
  mutating func rescan() { unscanned = nil }

  /// Group 0 needs no queue.
  mutating func enqueue(_ group: GroupKey) {
    guard group != .metadata, known.insert(group).inserted else { return }
    queue.append(group)
  }

  var queuedCount: Int { queue.count - takenCount }

  mutating func dequeue() -> GroupKey? {
    guard takenCount < queue.count else { return nil }
    let group = queue[takenCount]
    takenCount += 1
    if takenCount > 1000, takenCount * 2 > queue.count {
      queue.removeFirst(takenCount)
      takenCount = 0
    }
    known.remove(group)
    return group
  }

  mutating func activate(_ group: GroupKey, version: Int64, now: Int64) {
    known.insert(group)
    active.append(Active(group: group, since: now, version: version))
  }

  func activeIndex(_ group: GroupKey) -> Int? { active.firstIndex { $0.group == group } }

  mutating func update(_ index: Int, _ change: (inout Active) -> Void) { change(&active[index]) }

  mutating func deactivate(_ group: GroupKey) {
    active.removeAll { $0.group == group }
    known.remove(group)
  }

  /// True the first time.
  mutating func tell(_ group: GroupKey) -> Bool { told.insert(group).inserted }

  mutating func untell(_ group: GroupKey) { told.remove(group) }

  /// The next groups to look at.
  mutating func scan(_ state: MetadataState) -> [GroupKey] {
    var groups: [GroupKey] = []
    if unscanned == nil { unscanned = state.names.reversed() }
    while groups.count < Self.scannedMax, let name = unscanned?.popLast() {
      guard let topic = state.topic(named: name) else { continue }
      for index in topic.partitions { groups.append(GroupKey(topic: topic.id, partition: index)) }
    }
    return groups
  }
}
