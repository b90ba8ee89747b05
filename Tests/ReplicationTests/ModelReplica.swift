import Bytes
import Replication

/// One entry of a model's log: the start of an epoch, or a record.
struct ModelEntry: Equatable {
  var epoch: LeaderEpoch
  var end: Offset
  var value: UInt64?
  var position: LogPosition { LogPosition(epoch: epoch, offset: end) }
}

/// What a disk has, or will have.
struct ModelLog: Equatable {
  var vote = Vote()
  var start = Offset.zero
  var entries: [ModelEntry] = []

  var end: LogPosition {
    entries.last?.position ?? LogPosition(epoch: .none, offset: .zero)
  }

  /// Entries in the prefix; nil if the log does not have it.
  func count(of position: LogPosition) -> Int? {
    if position.epoch == .none, position.offset == .zero { return 0 }
    return entries.firstIndex { $0.position == position }.map { $0 + 1 }
  }

  var history: EpochHistory {
    var history = EpochHistory()
    for entry in entries {
      history.begin(entry.epoch, at: entry.value == nil ? entry.end : entry.end - 1)
    }
    history.trim(to: start)
    return history
  }
}

/// What drivers of replicas do wrong, on purpose.
struct DriverMistakes: OptionSet {
  let rawValue: Int
  /// What was written before a truncation is said to be durable after it.
  static let durableBeforeTruncation = Self(rawValue: 1)
  /// The next membership is issued before the last one is settled.
  static let changeUnsettled = Self(rawValue: 2)
}

/// A replica with a disk that writes late and in order, and forgets what it has not written.
final class ModelReplica {
  enum Operation {
    case vote(Vote)
    case truncate(LogPosition)
    case append([ModelEntry])
    case reset([ModelEntry], Offset)
    case start(Offset)
  }

  let id: NodeID
  let options: Raft.Options
  var raft: Raft
  /// The node is.
  var isUp = true
  /// The node has a replica of the group.
  var isPresent = true
  var isHere: Bool { isUp && isPresent }
  /// Counts the logs it has had: what one has promised, the next does not know.
  var life = 0
  var isDamaged = false
  /// The membership it was told last, as a place in group 0.
  var known = 0
  var deafUntil = 0
  /// What the replica sees, and what a power cut leaves.
  var log = ModelLog()
  var disk = ModelLog()
  /// Not on the disk yet. With each the number of truncations that were ordered until then.
  var queue: [(operation: Operation, truncations: Int, position: LogPosition)] = []
  var truncations = 0

  init(id: NodeID, membership: Membership, options: Raft.Options, seed: UInt64) {
    self.id = id
    self.options = options
    raft = Raft(id: id, membership: membership, stored: .init(), options: options, seed: seed)
  }

  func order(_ operation: Operation) {
    Self.apply(operation, to: &log)
    if case .truncate = operation { truncations += 1 }
    if case .reset = operation { truncations += 1 }
    queue.append((operation, truncations, log.end))
  }

  static func apply(_ operation: Operation, to log: inout ModelLog) {
    switch operation {
    case .vote(let vote): log.vote = vote
    case .truncate(let position):
      guard let count = log.count(of: position) else {
        fatalError("truncated to what is not there")
      }
      log.entries.removeLast(log.entries.count - count)
    case .append(let entries): log.entries += entries
    case .reset(let entries, let start):
      log.entries = entries
      log.start = start
    case .start(let offset): log.start = max(log.start, offset)
    }
  }

  /// The oldest operation reaches the disk. Returns what the replica is told.
  func flushOne(_ mistakes: DriverMistakes = []) -> [Input] {
    guard !queue.isEmpty else { return [] }
    let (operation, at, position) = queue.removeFirst()
    Self.apply(operation, to: &disk)
    if case .vote(let vote) = operation { return [.voted(vote)] }
    let isCurrent = at == truncations || mistakes.contains(.durableBeforeTruncation)
    return isCurrent ? [.durable(position)] : []
  }

  /// Makes the replica of what is on the disk.
  func begin(_ membership: Membership, joined: Int64, seed: UInt64) {
    log = disk
    queue = []
    truncations = 0
    var stored = Raft.Stored()
    stored.vote = log.vote
    stored.history = log.history
    stored.start = log.start
    stored.end = log.end
    stored.committed = log.start
    stored.joinedVersion = joined
    raft = Raft(id: id, membership: membership, stored: stored, options: options, seed: seed)
    isPresent = true
  }

  func loseLog() {
    log = ModelLog()
    disk = ModelLog()
    queue = []
    life += 1
    isDamaged = false
    isPresent = false
  }
}
