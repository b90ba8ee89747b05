internal import Platform

/// What the threads of a snapshot share: the tables to be copied, and the rows on their way to the
/// capture thread, which alone gives positions and writes.
///
/// Bound: `bytesMax` of encoded rows; a thread that is ahead waits.
final class SnapshotWork: Sendable {
  static let bytesMax = 4 << 20

  struct Batch: Sendable {
    var table: Int
    var events: [EncodedEvent]
    /// The first of `events` as it is if it is the first of the whole snapshot; nil where it is not
    /// the first of its table.
    var first: EncodedEvent?
    /// The last of `events` as it is if it is the last of the whole snapshot; nil where it is not
    /// the last of its table.
    var last: EncodedEvent?
    var size: Int
    /// Rows read for it, also those that were left out.
    var rowCount: Int
    /// The table has no more.
    var isLast = false
  }

  enum Next: Sendable {
    case batches([Batch])
    /// Nothing within the time.
    case nothing
    /// Every table was read, and every row was taken.
    case finished
  }

  private struct State: Sendable {
    var tables: [Int]
    var batches: [Batch] = []
    var bytes = 0
    var importing: Int
    var working: Int
    var failure: (any Error & Sendable)?
    var isCancelled = false
  }

  private let state: Condition<State>

  /// `tables`: indices of what is to be copied; `threads`: how many will take part.
  init(tables: [Int], threads: Int) {
    state = Condition(State(tables: tables, importing: threads, working: threads))
  }

  // MARK: For the threads

  func imported() {
    state.withLock { $0.importing -= 1 }
    state.broadcast()
  }

  func nextTable() -> Int? {
    state.withLock { state in
      guard !state.isCancelled, state.failure == nil, !state.tables.isEmpty else { return nil }
      return state.tables.removeFirst()
    }
  }

  /// False if the snapshot is over, because of an error or a stop.
  func put(_ batch: Batch) -> Bool {
    let isWanted = state.wait(
      until: { $0.bytes < Self.bytesMax || $0.isCancelled || $0.failure != nil }
    ) { state in
      guard !state.isCancelled, state.failure == nil else { return false }
      state.bytes += batch.size
      state.batches.append(batch)
      return true
    }
    state.broadcast()
    return isWanted
  }

  func ended(_ error: (any Error & Sendable)?) {
    state.withLock { state in
      state.working -= 1
      if state.failure == nil { state.failure = error }
    }
    state.broadcast()
  }

  // MARK: For the capture thread

  /// Blocks until each thread has the snapshot (then nothing needs to export it any more).
  func waitForImports() throws {
    let failure = state.wait(until: { $0.importing <= 0 || $0.failure != nil }) { $0.failure }
    if let failure { throw failure }
  }

  func next(milliseconds: Int64) throws -> Next {
    let (next, failure) = state.wait(
      until: { !$0.batches.isEmpty || $0.working == 0 || $0.failure != nil },
      milliseconds: milliseconds
    ) { state -> (Next, (any Error & Sendable)?) in
      if let failure = state.failure { return (.nothing, failure) }
      if state.batches.isEmpty { return (state.working == 0 ? .finished : .nothing, nil) }
      defer {
        state.batches = []
        state.bytes = 0
      }
      return (.batches(state.batches), nil)
    }
    state.broadcast()
    if let failure { throw failure }
    return next
  }

  /// Ends the threads at their next batch. Waits a moment for them, not for one that waits itself
  /// for a lock of the table: it holds nothing that anybody else uses.
  func cancel() {
    state.withLock { $0.isCancelled = true }
    state.broadcast()
    state.wait(until: { $0.working == 0 }, milliseconds: 2000) { _ in }
  }
}
