import KafkaWire

/// What becomes true when records are committed.
enum GroupChange: Sendable {
  /// The records only repeat what is so already.
  case none
  /// The leader's assignments for a generation: the group is stable.
  case assignments(generation: Int32, [ExactString: ArraySlice<UInt8>])
  /// A static member came back under a new id.
  case staticMember(StaticReplacement)
  /// Offsets are committed, or forgotten where they are nil.
  case offsets([(key: OffsetKey, value: CommittedOffset?)], OffsetAnswer?)
  /// The group is gone. The token is that of a DeleteGroups request.
  case deletion(ReplyToken?)
}

/// Who waits for offsets, and what is told on success.
enum OffsetAnswer: Sendable {
  case commit(ReplyToken, OffsetCommitResponse)
  case delete(ReplyToken, OffsetDeleteResponse)
}

struct PendingAppend: Sendable {
  let group: ExactString
  let change: GroupChange
  /// What the group's own record says from then on, if one is among the records.
  var metadata: [UInt8]?
  /// Nil until it is decided.
  var outcome: ErrorCode?
}

/// Appends under way, a queue for each partition.
///
/// (1) Changes take effect in the order of the log, whatever order their outcomes are reported in:
///     of two commits of one offset the later one wins, here as after a restart.
/// (2) So an outcome waits here until all earlier appends to its partition are decided.
struct AppendQueues: Sendable {
  private struct Queue: Sendable {
    /// From `first` on; what is before it was taken out.
    var pending: [PendingAppend?] = []
    var first = 0
    /// The number of `pending[first]`. Never goes back, so that no token is used twice.
    var firstNumber: UInt64 = 0
  }

  private var queues: [Queue]
  private(set) var count = 0

  init(partitionCount: Int32) {
    queues = Array(repeating: Queue(), count: Int(partitionCount))
  }

  mutating func add(_ append: PendingAppend, partition: Int32) -> AppendToken {
    count += 1
    let index = Int(partition)
    let waiting = queues[index].pending.count - queues[index].first
    queues[index].pending.append(append)
    return AppendToken(
      partition: partition, number: queues[index].firstNumber + UInt64(waiting))
  }

  /// Notes an outcome. False for an append that is not, or no longer, waited for.
  mutating func decide(_ token: AppendToken, _ outcome: ErrorCode) -> Bool {
    let partition = Int(token.partition)
    guard queues.indices.contains(partition), token.number >= queues[partition].firstNumber,
      let distance = Int(exactly: token.number - queues[partition].firstNumber),
      distance < queues[partition].pending.count - queues[partition].first
    else { return false }
    let index = queues[partition].first + distance
    guard queues[partition].pending[index]?.outcome == nil else { return false }
    queues[partition].pending[index]?.outcome = outcome
    return true
  }

  /// Takes out the oldest append of a partition, if it is decided.
  mutating func popDecided(partition: Int32) -> PendingAppend? {
    let index = Int(partition)
    guard queues[index].first < queues[index].pending.count,
      queues[index].pending[queues[index].first]?.outcome != nil
    else { return nil }
    return pop(partition: partition)
  }

  /// Takes out the oldest append of a partition, decided or not.
  mutating func pop(partition: Int32) -> PendingAppend? {
    let index = Int(partition)
    let first = queues[index].first
    guard first < queues[index].pending.count else { return nil }
    let append = queues[index].pending[first]
    queues[index].pending[first] = nil
    queues[index].first += 1
    queues[index].firstNumber += 1
    count -= 1
    // Moves what is left to the front once the gap is the larger part: constant time per append.
    if queues[index].first * 2 > queues[index].pending.count {
      queues[index].pending.removeFirst(queues[index].first)
      queues[index].first = 0
    }
    return append
  }
}
