internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// One log of this node and its part in the group that replicates it.
///
/// `raft` decides; the node does what it says, in order (`todo`). What the journal has no room for
/// stays at the front, and what was ordered after it behind it.
final class Replica {
  enum Kind: Equatable {
    case metadata
    case partition(topic: UUID16, index: Int32)
  }

  /// A `.replicate` whose bytes are being read into memory.
  struct WaitingSend {
    var to: NodeID
    var after: LogPosition
    var bytesMax: Int
    var epoch: LeaderEpoch
    var reads: Set<ReadAheadID>
  }

  let group: GroupID
  let log: LogID
  let kind: Kind
  var raft: Raft
  /// It took a step since a simulation looked at it.
  var isChanged = true
  /// Something to do, and the epoch in which it was ordered.
  private struct Order {
    var effect: Effect
    let epoch: LeaderEpoch
  }

  /// Not done yet, oldest first; what is before `first` is done.
  private var todo: [Order] = []
  private var first = 0
  var isPerforming = false
  /// This node was elected.
  var leads = false
  /// And its epoch's start is committed.
  var isReady = false
  /// Which producers were fenced before it led is known here: it takes records of others.
  var knowsFences = false
  /// What the controller was told last, and that there is something new to tell.
  var reported: GroupReport?
  /// The log of one of this node's own machines: the metadata's or the groups'.
  var isInternal = true
  /// Where the log begins is on the disk when so many frames of the store are.
  var startFrame: UInt64 = 0
  /// `min.insync.replicas` of its topic. Internal logs have none: nobody could commit an offset
  /// while a node is away, and what a majority has is taken into snapshots.
  var minInsyncReplicas = 1
  /// Where a leader has last said that its log begins, to replace this one: perhaps inside a batch.
  var leadersStart: Offset?
  var waitingSends: [WaitingSend] = []
  /// Clients' batches on their way to this node's disk.
  var undurable = UndurableAppends()
  /// Milliseconds of the steady clock: until then this replica, which is to lead, asks for votes at
  /// every tick.
  var eagerUntil: Int64 = 0

  init(group: GroupID, log: LogID, kind: Kind, raft: Raft) {
    self.group = group
    self.log = log
    self.kind = kind
    self.raft = raft
  }

  /// Something the journal has no room for; what is asked meanwhile is refused.
  var isStuck: Bool { !isPerforming && first < todo.count }

  /// A vote is among what is to be done: another is not to be written down before it.
  var waitsForVote: Bool {
    todo[first...].contains {
      if case .recordVote = $0.effect { return true }
      return false
    }
  }

  func add(_ effects: [Effect]) {
    let epoch = raft.epoch
    for effect in effects { todo.append(Order(effect: effect, epoch: epoch)) }
  }

  func next() -> Effect? { first < todo.count ? todo[first].effect : nil }

  /// What is done now was ordered by the leader that this replica still is. What had to wait for
  /// room may be of an earlier time: a leader's message sent then would be in an epoch that
  /// somebody else leads.
  var isOrderOfLeader: Bool {
    raft.isLeader && first < todo.count && todo[first].epoch == raft.epoch
  }

  func done() {
    first += 1
    guard first == todo.count else { return }
    todo.removeAll(keepingCapacity: true)
    first = 0
  }

  /// The first thing to do is done as far as there was room; this is left of it.
  func replaceFirst(_ effect: Effect) { todo[first].effect = effect }
}

extension GroupID {
  init(topic: UUID16, index: Int32) {
    self.init(high: topic.high, low: topic.low, partition: index)
  }

  init(_ key: GroupKey) { self.init(topic: key.topic, index: key.partition) }

  var topic: UUID16 { UUID16(high: high, low: low) }
}

extension GroupKey {
  init(_ group: GroupID) { self.init(topic: group.topic, partition: group.partition) }
}

extension Membership {
  /// As a group's machine knows it: without the incarnations, which are for the node to compare.
  init(_ membership: GroupMembership) {
    self.init(
      version: membership.version, voters: membership.voters.map { NodeID($0.node) },
      learners: membership.learners.map { NodeID($0.node) })
  }
}
