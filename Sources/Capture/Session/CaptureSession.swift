/// What has been received, what is durable, and what Postgres is told about it.
///
/// A value: it is told what happened and answers with effects. The driver reads the socket, hands
/// records to the producer in chunks, and performs the effects.
///
///     confirmed ≤ recorded ≤ acknowledged ≤ received
///
/// (1) `acknowledged` is an LSN such that every record of every transaction that committed before
///     it is on the log's disk, in all partitions.
/// (2) `recorded` is what the position topic has, durably. Postgres is told nothing beyond it: the
///     slot is never ahead of what a start finds, so a slot that is ahead was moved by somebody
///     else.
/// (3) A keepalive says that everything before its LSN has been sent. While no transaction is open
///     it counts like a commit that changed nothing, so that the slot follows also when none of our
///     tables changes, and holds no WAL back.
///
/// One session is one connection. When it is lost, the next one starts as after a crash: it fences
/// the producer of this one and reads from the topics what is there, so that nothing that is still
/// under way can count as durable.
package struct CaptureSession: Sendable {
  package struct Options: Sendable {
    /// At most this often a position is recorded while rows flow.
    package var recordMilliseconds: Int64 = 1000
    /// The same while only keepalives move it.
    package var idleRecordMilliseconds: Int64 = 5000
    /// Postgres hears from us this often at least; below a third of its `wal_sender_timeout`.
    package var statusMilliseconds: Int64 = 5000

    package init() {}
  }

  package enum Effect: Equatable, Sendable {
    /// Write the position record; answer with `positionRecorded`.
    case recordPosition(LSN)
    case sendStatus(written: LSN, flushed: LSN)
    /// Everything received is durable, recorded and confirmed: the driver may end.
    case stopped
  }

  package struct ProtocolError: Error, Equatable, CustomStringConvertible {
    package var description: String
  }

  private struct Transaction {
    var commit: LSN
    var ordinal: UInt64 = 0
  }

  private struct Chunk {
    let id: UInt64
    var isAcknowledged = false
    /// Everything before this LSN is in this chunk or an earlier one.
    var end: LSN?
  }

  private let options: Options
  private var now: Int64

  package private(set) var received: LSN
  package private(set) var acknowledged: LSN
  package private(set) var recorded: LSN
  private var transaction: Transaction?
  /// Records of the stream that have not been handed over yet, and the LSN they are complete to.
  private var collectedCount = 0
  private var collectedEnd: LSN?
  private var chunks: [Chunk] = []
  private var nextChunk: UInt64 = 1
  /// Whether records, and not keepalives alone, have moved `acknowledged` since the last record.
  private var hasNewRecords = false
  private var recording: LSN?
  private var lastRecordAt: Int64
  private var lastStatusAt: Int64
  private var isStopping = false
  private var hasStopped = false
  private var effects: [Effect] = []

  /// `through`: what the position topic has.
  package init(through: LSN, options: Options = Options(), now: Int64) {
    self.options = options
    self.now = now
    received = through
    acknowledged = through
    recorded = through
    lastRecordAt = now
    lastStatusAt = now
  }

  /// What is to be done now, once.
  package mutating func takeEffects() -> [Effect] {
    defer { effects = [] }
    return effects
  }

  // MARK: The stream

  package mutating func begin(commit: LSN) throws(ProtocolError) {
    guard transaction == nil else {
      throw ProtocolError(description: "a transaction begins within another")
    }
    transaction = Transaction(commit: commit)
  }

  /// Counts one change of the open transaction, wanted or not; the commit and the ordinal are its
  /// position.
  package mutating func change() throws(ProtocolError) -> (commit: LSN, ordinal: UInt64) {
    guard transaction != nil else {
      throw ProtocolError(description: "a change stands outside of a transaction")
    }
    transaction?.ordinal += 1
    guard let transaction else { preconditionFailure("it was there a line ago") }
    return (transaction.commit, transaction.ordinal)
  }

  /// A message that belongs to no transaction: it comes between two.
  package func message() throws(ProtocolError) {
    guard transaction == nil else {
      throw ProtocolError(description: "a message of no transaction stands within one")
    }
  }

  package mutating func commit(end: LSN) throws(ProtocolError) {
    guard transaction != nil else {
      throw ProtocolError(description: "a commit stands outside of a transaction")
    }
    transaction = nil
    advance(to: end)
  }

  package mutating func keepalive(walEnd: LSN, replyRequested: Bool) {
    if transaction == nil { advance(to: walEnd) }
    if replyRequested { sendStatus() }
  }

  /// That many records of the change were collected for the next chunk.
  package mutating func collected(_ count: Int) { collectedCount += count }

  /// The collected records go to the producer; acknowledge them by this number. Nil if there are
  /// none.
  package mutating func handOver() -> UInt64? {
    guard collectedCount > 0 else { return nil }
    let id = nextChunk
    nextChunk += 1
    chunks.append(Chunk(id: id, end: collectedEnd))
    collectedCount = 0
    collectedEnd = nil
    return id
  }

  private mutating func advance(to end: LSN) {
    guard end > received else { return }
    received = end
    if collectedCount > 0 {
      collectedEnd = end
    } else if !chunks.isEmpty {
      chunks[chunks.count - 1].end = end
    } else {
      acknowledged = end
    }
  }

  /// Chunks that are handed over and not acknowledged, the oldest of them at least.
  package var chunksUnderWay: Int { chunks.count }

  // MARK: Durability

  package mutating func acknowledged(chunk id: UInt64) {
    guard let first = chunks.first, id >= first.id, id - first.id < UInt64(chunks.count) else {
      preconditionFailure("chunk \(id) was not handed over, or is acknowledged twice")
    }
    chunks[Int(id - first.id)].isAcknowledged = true
    var done = 0
    while done < chunks.count, chunks[done].isAcknowledged {
      if let end = chunks[done].end { acknowledged = max(acknowledged, end) }
      done += 1
    }
    guard done > 0 else { return }
    chunks.removeFirst(done)
    hasNewRecords = true
    step()
  }

  package mutating func positionRecorded(_ position: LSN) {
    precondition(position == recording, "a position was recorded that was not asked for")
    precondition(
      position <= acknowledged && position >= recorded, "positions are recorded in order")
    recording = nil
    recorded = position
    sendStatus()
    step()
  }

  // MARK: Time

  package mutating func tick(now: Int64) {
    self.now = max(now, self.now)
    step()
    if self.now - lastStatusAt >= options.statusMilliseconds { sendStatus() }
  }

  /// When `tick` has something to do next, at the latest.
  package var deadline: Int64 {
    var deadline = lastStatusAt + options.statusMilliseconds
    if acknowledged > recorded, recording == nil {
      deadline = min(deadline, lastRecordAt + recordInterval)
    }
    return deadline
  }

  /// Nothing more is received: what is under way is finished, recorded and confirmed.
  package mutating func stop() {
    isStopping = true
    step()
  }

  /// Whether everything that was handed over is acknowledged.
  private var isDrained: Bool { chunks.isEmpty }

  private var recordInterval: Int64 {
    hasNewRecords ? options.recordMilliseconds : options.idleRecordMilliseconds
  }

  private mutating func step() {
    if acknowledged > recorded, recording == nil {
      let isDue = now - lastRecordAt >= recordInterval
      if isDue || (isStopping && isDrained) {
        recording = acknowledged
        lastRecordAt = now
        hasNewRecords = false
        effects.append(.recordPosition(acknowledged))
      }
    }
    if isStopping, !hasStopped, isDrained, recording == nil, acknowledged == recorded {
      hasStopped = true
      effects.append(.stopped)
    }
  }

  private mutating func sendStatus() {
    lastStatusAt = now
    effects.append(.sendStatus(written: received, flushed: recorded))
  }
}
