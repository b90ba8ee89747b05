internal import Bytes
internal import Records

/// The batches of one partition, in order: `inFlight` and `waiting` behind it, then `open`.
///
/// (1) Sequences are given when a batch is first sent, without gaps; batches that have one come
///     before all that have none.
/// (2) While a batch with a sequence waits to be sent again, only the lowest of all is sent: the
///     broker would refuse the others, and nothing new may pass them.
package final class PartitionQueue {
  package let partition: TopicPartition
  /// Being filled.
  package var open: ProducerBatch?
  /// Full, or given back by a failure; in the order in which they are to be appended.
  private(set) var waiting: [ProducerBatch] = []
  /// Sent, in order of their sequences.
  private(set) var inFlight: [ProducerBatch] = []
  /// Not sent before that time.
  package var retryAt: Int64 = .min
  private(set) var identity = ProducerIdentity.none
  private(set) var nextSequence: Int32 = 0
  /// The last offset that was acknowledged here.
  package var lastOffset: Int64 = -1
  /// In the core's list of partitions with something to do.
  package var isActive = false

  package init(_ partition: TopicPartition) { self.partition = partition }

  package var isEmpty: Bool { open == nil && waiting.isEmpty && inFlight.isEmpty }

  /// Every batch, oldest first.
  package var all: [ProducerBatch] { inFlight + waiting + (open.map { [$0] } ?? []) }

  /// Closes the batch that is being filled.
  package func closeOpen() {
    guard let batch = open else { return }
    open = nil
    waiting.append(batch)
  }

  /// The next batch that may be sent, if there is one, leaving it where it is.
  package func nextToSend(_ now: Int64, inFlightMax: Int) -> ProducerBatch? {
    guard let first = waiting.first, now >= retryAt, inFlight.count < inFlightMax else {
      return nil
    }
    if let sequence = first.sequence {
      // A retry: alone at the front, or not at all.
      let isLowest = inFlight.allSatisfy { batch in
        guard let other = batch.sequence else { return true }
        return Self.isBefore(sequence, other)
      }
      return isLowest ? first : nil
    }
    // Not idempotent: sent again only when nothing else is on its way.
    if first.attempts > 0, !inFlight.isEmpty { return nil }
    return first
  }

  /// Takes the batch that `nextToSend` returned, numbered.
  package func send(_ batch: ProducerBatch, _ identity: ProducerIdentity?) {
    precondition(waiting.first === batch, "batches are sent in order")
    waiting.removeFirst()
    if let identity, batch.sequence == nil {
      if identity != self.identity, inFlight.allSatisfy({ $0.sequence == nil }) {
        self.identity = identity
        nextSequence = 0
      }
      batch.identity = self.identity
      batch.sequence = nextSequence
      nextSequence = RecordBatchHeader.sequence(nextSequence, advancedBy: Int32(batch.count))
    }
    batch.number()
    batch.attempts += 1
    batch.sendings += 1
    let index = inFlight.firstIndex { other in
      guard let mine = batch.sequence, let its = other.sequence else { return false }
      return Self.isBefore(mine, its)
    }
    inFlight.insert(batch, at: index ?? inFlight.endIndex)
  }

  /// Whether an identity that has changed must wait, because numbered batches of the old one are
  /// not done.
  package func mustFinish(before identity: ProducerIdentity) -> Bool {
    identity != self.identity && self.identity != .none
      && (inFlight.contains { $0.sequence != nil } || waiting.contains { $0.sequence != nil })
  }

  /// The batch is done, well or not.
  package func remove(_ batch: ProducerBatch) {
    inFlight.removeAll { $0 === batch }
    waiting.removeAll { $0 === batch }
    if open === batch { open = nil }
  }

  /// Puts a batch that is to be sent again in its place.
  package func giveBack(_ batch: ProducerBatch) {
    inFlight.removeAll { $0 === batch }
    let index = waiting.firstIndex { other in
      guard let its = other.sequence, let mine = batch.sequence else {
        return other.sequence == nil
      }
      return Self.isBefore(mine, its)
    }
    waiting.insert(batch, at: index ?? waiting.endIndex)
  }

  /// Puts two batches in the place of one that waits.
  package func replace(_ batch: ProducerBatch, by first: ProducerBatch, _ second: ProducerBatch) {
    giveBack(batch)
    guard let index = waiting.firstIndex(where: { $0 === batch }) else { return }
    if let sequence = batch.sequence {
      first.sequence = sequence
      first.identity = batch.identity
      second.sequence = RecordBatchHeader.sequence(sequence, advancedBy: Int32(first.count))
      second.identity = batch.identity
    }
    waiting.replaceSubrange(index...index, with: [first, second])
  }

  /// Whether a lower sequence than this batch's is not done yet.
  package func hasBefore(_ batch: ProducerBatch) -> Bool {
    guard let sequence = batch.sequence else { return false }
    return (inFlight + waiting).contains { other in
      guard other !== batch, let its = other.sequence else { return false }
      return Self.isBefore(its, sequence)
    }
  }

  /// A batch was rejected for good and will never be appended: those behind it move up, so that the
  /// broker sees no gap.
  package func closeGap(of batch: ProducerBatch) {
    guard let gap = batch.sequence, batch.identity == identity else { return }
    for other in inFlight + waiting where other !== batch {
      guard let sequence = other.sequence, Self.isBefore(gap, sequence) else { continue }
      other.sequence = Self.sequence(sequence, movedBackBy: Int32(batch.count))
    }
    nextSequence = Self.sequence(nextSequence, movedBackBy: Int32(batch.count))
  }

  /// Every batch that was numbered and is not done.
  package func numbered() -> [ProducerBatch] {
    (inFlight + waiting).filter { $0.sequence != nil }
  }

  /// The next batch begins a new sequence, in an epoch that the broker has not seen here.
  package func restart() {
    identity = .none
    nextSequence = 0
    for batch in waiting { batch.unnumber() }
  }

  /// Sequences wrap after 2147483647; never are more than a few thousand of them unanswered.
  package static func isBefore(_ a: Int32, _ b: Int32) -> Bool {
    let distance = (Int64(b) - Int64(a)) & Int64(Int32.max)
    return distance != 0 && distance < 1 << 30
  }

  private static func sequence(_ sequence: Int32, movedBackBy count: Int32) -> Int32 {
    Int32(truncatingIfNeeded: (Int64(sequence) - Int64(count)) & Int64(Int32.max))
  }
}
