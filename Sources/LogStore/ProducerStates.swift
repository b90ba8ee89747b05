package import Bytes

/// What a log knows of the producers that write to it, for telling a retried batch from a new one
/// (KIP-98): per producer its epoch and its last five batches.
///
/// Batches that are appended but not committed are kept apart: `commit` moves them over, `truncate`
/// takes them back.
///
/// (1) A batch with the same producer, epoch and sequences as one of the last five is a duplicate
///     and has the offset of the first.
/// (2) Eviction is local: nothing may depend on two replicas forgetting a producer together.
/// (3) A producer that has never written begins with sequence 0. Of several of its first batches
///     that are under way while a leader is elected, the first may be refused and the second not:
///     taken as the first, it would keep that out for ever (KAFKA-15591). Who may have been
///     forgotten goes on with any sequence.
package struct ProducerStates: Equatable, Sendable {
  /// A batch of a producer: sequence numbers of its first and last record.
  package struct Batch: Equatable, Sendable {
    package var firstSequence: Int32
    package var lastSequence: Int32
    package var firstOffset: Offset
    package var lastOffset: Offset
    package var timestamp: Int64

    package init(
      firstSequence: Int32, lastSequence: Int32, firstOffset: Offset, lastOffset: Offset,
      timestamp: Int64
    ) {
      self.firstSequence = firstSequence
      self.lastSequence = lastSequence
      self.firstOffset = firstOffset
      self.lastOffset = lastOffset
      self.timestamp = timestamp
    }
  }

  package struct Entry: Equatable, Sendable {
    package var epoch: ProducerEpoch
    /// The last batches of this epoch, oldest first, at most `batchesMax`.
    package var batches: [Batch]
    /// When the last batch was appended, ms since 1970.
    package var lastAppended: Int64
  }

  /// How a batch relates to what the log has.
  package enum Verdict: Equatable, Sendable {
    case new
    /// It is there already. If not committed, the answer must wait until it is.
    case duplicate(Batch, committed: Bool)
    /// Its first sequence does not follow the last one (OUT_OF_ORDER_SEQUENCE_NUMBER).
    case outOfOrder(expected: Int32?)
    /// A later epoch of the producer has written (INVALID_PRODUCER_EPOCH).
    case fenced(by: ProducerEpoch)
  }

  /// Retries are recognised this far back: Kafka's clients have at most five batches in flight.
  package static let batchesMax = 5

  /// A batch that is not committed, and what its producer was before it.
  struct Uncommitted: Equatable, Sendable {
    var producer: ProducerID
    var epoch: ProducerEpoch
    var batch: Batch
    var appended: Int64
  }

  /// As of the commit position. Sorted when written out; never iterated to decide anything.
  private var committed: [ProducerID: Entry] = [:]
  /// In order of offset, from `uncommittedFirst` on.
  private(set) var uncommitted: [Uncommitted] = []
  private(set) var uncommittedFirst = 0
  /// What committed and uncommitted batches amount to, for producers with uncommitted ones.
  private var latest: [ProducerID: (entry: Entry, uncommitted: Int)] = [:]

  /// The highest of the producers that were forgotten, here or by who gave this state; -1 for none.
  /// Identities ascend: who is not known and has a higher one has never written here.
  private(set) var forgottenThrough = ProducerID(-1)

  /// What ends at or below was folded in by who gave this state, and is not a second time.
  var foldedThrough = Offset.zero

  package init() {}

  package static func == (a: ProducerStates, b: ProducerStates) -> Bool {
    a.committed == b.committed && a.foldedThrough == b.foldedThrough
      && a.uncommitted[a.uncommittedFirst...] == b.uncommitted[b.uncommittedFirst...]
  }

  package var count: Int { committed.count }

  /// Judges a batch of `producer` before it is appended.
  package func judge(
    _ producer: ProducerID, _ epoch: ProducerEpoch, first: Int32, last: Int32
  ) -> Verdict {
    let overlay = latest[producer]
    guard let known = overlay?.entry ?? committed[producer] else {
      return first == 0 || producer <= forgottenThrough ? .new : .outOfOrder(expected: 0)
    }
    if epoch < known.epoch { return .fenced(by: known.epoch) }
    if epoch > known.epoch {
      return first == 0 ? .new : .outOfOrder(expected: 0)
    }
    if let batch = known.batches.last(where: {
      $0.firstSequence == first && $0.lastSequence == last
    }) {
      let boundary =
        uncommittedFirst < uncommitted.count
        ? uncommitted[uncommittedFirst].batch.firstOffset : nil
      return .duplicate(batch, committed: boundary.map { batch.firstOffset < $0 } ?? true)
    }
    guard let lastSequence = known.batches.last?.lastSequence else { return .new }
    let expected = lastSequence == Int32.max ? 0 : lastSequence + 1
    return first == expected ? .new : .outOfOrder(expected: expected)
  }

  /// Notes a batch that was appended at `now`.
  package mutating func append(
    _ producer: ProducerID, _ epoch: ProducerEpoch, _ batch: Batch, now: Int64
  ) {
    guard batch.lastOffset >= foldedThrough else { return }
    uncommitted.append(
      Uncommitted(producer: producer, epoch: epoch, batch: batch, appended: now))
    var state =
      latest[producer]
      ?? (committed[producer] ?? Entry(epoch: epoch, batches: [], lastAppended: now), 0)
    state.entry.add(epoch, batch, now: now)
    state.uncommitted += 1
    latest[producer] = state
  }

  /// Everything below `offset` is committed.
  package mutating func commit(through offset: Offset) {
    while uncommittedFirst < uncommitted.count {
      let next = uncommitted[uncommittedFirst]
      guard next.batch.lastOffset < offset else { break }
      var entry =
        committed[next.producer]
        ?? Entry(epoch: next.epoch, batches: [], lastAppended: next.appended)
      entry.add(next.epoch, next.batch, now: next.appended)
      committed[next.producer] = entry
      forgetOne(next.producer)
      uncommittedFirst += 1
    }
    if uncommittedFirst > 64, uncommittedFirst * 2 > uncommitted.count {
      uncommitted.removeFirst(uncommittedFirst)
      uncommittedFirst = 0
    }
  }

  /// Takes back the batches at and after `offset`. What is committed is never truncated.
  package mutating func truncate(to offset: Offset) {
    while uncommitted.count > uncommittedFirst, let last = uncommitted.last,
      last.batch.lastOffset >= offset
    {
      uncommitted.removeLast()
      latest[last.producer] = nil
    }
    // Made again for those that have others left.
    var again: [ProducerID: (entry: Entry, uncommitted: Int)] = [:]
    for next in uncommitted[uncommittedFirst...] {
      var state =
        again[next.producer]
        ?? (
          committed[next.producer] ?? Entry(epoch: next.epoch, batches: [], lastAppended: 0), 0
        )
      state.entry.add(next.epoch, next.batch, now: next.appended)
      state.uncommitted += 1
      again[next.producer] = state
    }
    latest = again
  }

  /// Forgets producers whose last batch was appended before `time`.
  package mutating func evict(before time: Int64) {
    committed = committed.filter { producer, entry in
      if entry.lastAppended >= time { return true }
      forget(producer)
      return false
    }
  }

  /// It may have written, and nothing is known of it.
  mutating func forget(_ producer: ProducerID) {
    forgottenThrough = max(forgottenThrough, producer)
  }

  /// The committed state, by producer id, for a checkpoint.
  package var sorted: [(ProducerID, Entry)] {
    committed.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
  }

  /// Takes over an entry from a checkpoint.
  package mutating func restore(_ producer: ProducerID, _ entry: Entry) {
    committed[producer] = entry
  }

  private mutating func forgetOne(_ producer: ProducerID) {
    guard var state = latest[producer] else { return }
    state.uncommitted -= 1
    latest[producer] = state.uncommitted > 0 ? state : nil
  }
}

extension ProducerStates.Entry {
  fileprivate mutating func add(
    _ epoch: ProducerEpoch, _ batch: ProducerStates.Batch, now: Int64
  ) {
    if epoch != self.epoch { batches.removeAll() }
    self.epoch = epoch
    batches.append(batch)
    if batches.count > ProducerStates.batchesMax { batches.removeFirst() }
    lastAppended = now
  }
}
