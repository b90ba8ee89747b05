internal import Broker
internal import Bytes
internal import LogStore
internal import Replication

/// A replica as it was when it was last looked at.
struct ReplicaSeen {
  var committed: LogPosition
  var start: Offset
  var voters: Int
  /// In which it leads.
  var led: LeaderEpoch?

  init(_ replica: Node.ReplicaGlance) {
    committed = replica.committed
    start = replica.start
    voters = replica.voters
    led = replica.isLeader ? replica.epoch : nil
  }
}

/// A machine of a simulated cluster: its disk, its clocks, and its process, if that runs.
final class SimulatedNode {
  static let wallBegins: Int64 = 1_700_000_000_000

  let id: Int32
  var disk: VirtualDisk
  var store: LogStore?
  var node: Node?
  /// Counts starts and ends of the process: what was meant for an earlier one is not for this.
  var life = 0
  var boots: UInt64 = 0
  /// Until then the process stands still.
  var pausedUntil: Int64 = 0
  /// What came while it did, in order.
  var missed: [() -> Void] = []
  /// Nanoseconds of the cluster when the process's steady clock began.
  var startedAt: Int64 = 0
  /// Parts in a million that its clocks are fast.
  var drift: Int64 = 0
  var wallOffset = SimulatedNode.wallBegins
  var turnAt: Int64 = .max
  var diskAt: Int64 = .max
  var hello: PeerHello?
  // Of this life's replicas.
  var seen: [LogID: ReplicaSeen] = [:]
  // Of all lives.
  /// Those of the last replicas that were seen.
  var logs: [GroupID: LogID] = [:]
  /// What was durable when the process ended.
  var durableBefore: [GroupID: LogPosition] = [:]
  /// A bit of its disk has flipped.
  var isRotten = false
  /// It has come back with less than it had, without a failure of its own that it knows.
  var isBehind = false
  /// The latest epoch and vote that it cannot have forgotten.
  var promises: [GroupID: Vote] = [:]
  /// When it comes back, if somebody has seen to that.
  var isToStart = false
  /// Counts how often its disk was full.
  var shortages = 0
  /// It was asked to end.
  var stop: Stop?
  /// It has said that its files are older than what it acknowledged.
  var knowsRollback = false

  struct Stop {
    /// Then it ends, whatever is under way.
    var deadline: Int64
    /// After so long it is started again.
    var pause: Int64
    /// It has closed its connections to the others.
    var hasLeft = false
  }

  init(id: Int32, seed: UInt64) {
    self.id = id
    disk = VirtualDisk(seed: seed)
  }

  var hasLeft: Bool { stop?.hasLeft ?? false }

  /// The disk is another one.
  func forgetLogs() {
    logs = [:]
    durableBefore = [:]
    promises = [:]
  }

  func time(_ now: Int64) -> NodeTime {
    let ran = now - startedAt
    let steady = ran + ran / 1_000_000 * drift
    let wall = now + now / 1_000_000 * drift
    return NodeTime(steady: 1000 + steady / 1_000_000, wall: wallOffset + wall / 1_000_000)
  }
}

/// What two nodes say to each other while they are connected; both directions.
final class SimulatedLink {
  let nodes: (Int32, Int32)
  /// Each has a side: the lower id is 0.
  var isBroken = false
  /// That the other was found, at either side.
  var isKnown = [false, false]
  /// When the last frame arrives, by direction and urgency.
  var arrivals: [Int64] = [0, 0, 0, 0]
  /// What cannot pass, by direction.
  var held: [[(isUrgent: Bool, isFirst: Bool, action: () -> Void)]] = [[], []]

  /// That it is broken was heard, at either side.
  var isTold = [false, false]
  /// The one before, which somebody may not have missed yet.
  var previous: SimulatedLink?

  init(_ a: Int32, _ b: Int32, after previous: SimulatedLink?) {
    nodes = (a, b)
    self.previous = previous
  }

  /// Of the links before this one, those that the side has not missed yet. They are forgotten.
  func takeUntold(_ side: Int) -> Bool {
    var isUntold = false
    var link = previous
    while let old = link {
      if old.isKnown[side], !old.isTold[side] {
        old.isTold[side] = true
        isUntold = true
      }
      link = old.previous
    }
    if isKnown == [true, true] { previous = nil }
    return isUntold
  }
}
