internal import Platform

/// The capture thread's side of a snapshot: takes rows from the reading threads, gives them
/// positions, writes them, and records which tables are complete.
final class SnapshotWriter {
  private static let progressMilliseconds: Int64 = 5000
  private static let recordMilliseconds: Int64 = 1000

  private struct Progress: Sendable {
    var underWay = 0
    var isRead = false
    var isComplete = false
  }

  private struct Signals: Sendable {
    /// Tables whose batches became durable, in that order.
    var acknowledged: [Int] = []
    var hasRoom = false
    var failure: LogWriteError?
  }

  /// The last row of a table, until it is known whether it is the last of all.
  private struct Held {
    var table: Int
    var event: EncodedEvent
    var asLast: EncodedEvent?
  }

  private let target: any PositionedLog
  private let topics: [String]
  private let log: @Sendable (String) -> Void
  private let status: CaptureStatus
  private let signals = Condition(Signals())
  private var record: PositionRecord
  private let generation: UInt16
  private var counter: UInt64 = 0
  private var progress: [Progress]
  private var rowCount = 0
  private var held: Held?
  /// Nothing of the snapshot is in the topics.
  private var isFresh: Bool
  private let began = MonotonicClock.milliseconds()
  private var lastLine: Int64
  private var lastLineRows = 0
  private var lastRecord: Int64

  /// `topics`: by the tables' indices in the record.
  init(
    _ target: any PositionedLog, _ record: PositionRecord, topics: [String],
    _ log: @escaping @Sendable (String) -> Void, _ status: CaptureStatus
  ) {
    self.target = target
    self.status = status
    self.record = record
    self.topics = topics
    self.log = log
    generation = UInt16(record.generations.count)
    isFresh = generation == 1
    progress = record.tables.map {
      Progress(isRead: $0.completed != nil, isComplete: $0.completed != nil)
    }
    lastLine = began
    lastRecord = began
  }

  /// Until every row is durable; the record with all tables completed. Nil if it was stopped.
  func run(_ work: SnapshotWork, _ stop: CaptureStop) throws -> PositionRecord? {
    var isFinished = false
    while !isFinished || progress.contains(where: { !$0.isComplete }) {
      if stop.isRequested { return nil }
      if isFinished {
        guard try release(asLast: true, stop) else { return nil }
        signals.wait(until: { !$0.acknowledged.isEmpty || $0.failure != nil }, milliseconds: 200) {
          _ in
        }
      } else {
        switch try work.next(milliseconds: 200) {
        case .batches(let batches):
          for batch in batches { guard try write(batch, stop) else { return nil } }
        case .nothing: break
        case .finished: isFinished = true
        }
      }
      try settle()
      publish()
      report()
    }
    let seconds = Double(max(1, MonotonicClock.milliseconds() - began)) / 1000
    log(
      "snapshot complete: \(progress.count) tables, \(rowCount) rows in \(rounded(seconds)) s, "
        + "\(Int(Double(rowCount) / seconds)) rows/s")
    return record
  }

  private func write(_ batch: SnapshotWork.Batch, _ stop: CaptureStop) throws -> Bool {
    rowCount += batch.rowCount
    if batch.isLast { progress[batch.table].isRead = true }
    guard !batch.events.isEmpty else { return true }
    guard try release(asLast: false, stop) else { return false }
    var events = batch.events
    if isFresh, let first = batch.first { events[0] = first }
    isFresh = false
    if batch.isLast {
      held = Held(table: batch.table, event: events.removeLast(), asLast: batch.last)
      progress[batch.table].underWay += 1
    }
    return events.isEmpty ? true : try write(events, of: batch.table, stop)
  }

  /// Writes the row that was held, now that it is known what it is.
  private func release(asLast: Bool, _ stop: CaptureStop) throws -> Bool {
    guard let row = held else { return true }
    held = nil
    guard try write([asLast ? row.asLast ?? row.event : row.event], of: row.table, stop) else {
      return false
    }
    progress[row.table].underWay -= 1
    return true
  }

  private func write(
    _ events: [EncodedEvent], of table: Int, _ stop: CaptureStop
  ) throws -> Bool {
    let records = events.map { event in
      counter += 1
      return PositionedRecord(
        topic: topics[table], event: event,
        position: .row(
          base: record.base, generation: generation, counter: counter, table: UInt16(table)))
    }
    progress[table].underWay += 1
    let signals = signals
    while true {
      let isTaken = target.enqueue(records) { error in
        signals.withLock { state in
          if let error { state.failure = state.failure ?? error }
          state.acknowledged.append(table)
        }
        signals.broadcast()
      }
      if isTaken { return true }
      signals.withLock { $0.hasRoom = false }
      target.whenRoom {
        signals.withLock { $0.hasRoom = true }
        signals.broadcast()
      }
      while !(signals.wait(until: { $0.hasRoom || $0.failure != nil }, milliseconds: 200) {
        $0.hasRoom || $0.failure != nil
      }) {
        if stop.isRequested { return false }
      }
      try settle()
    }
  }

  /// Takes what became durable into account, and records tables that are complete.
  private func settle() throws {
    let (acknowledged, failure) = signals.withLock { state in
      defer { state.acknowledged = [] }
      return (state.acknowledged, state.failure)
    }
    if let failure { throw failure }
    for table in acknowledged { progress[table].underWay -= 1 }
    var isNew = false
    for table in progress.indices
    where progress[table].isRead && progress[table].underWay == 0 && !progress[table].isComplete {
      progress[table].isComplete = true
      record.tables[table].completed = Int(generation)
      isNew = true
    }
    let now = MonotonicClock.milliseconds()
    // The last ones are recorded with the phase that follows.
    guard isNew, progress.contains(where: { !$0.isComplete }),
      now - lastRecord >= Self.recordMilliseconds
    else { return }
    lastRecord = now
    try target.writeBlocking(record)
  }

  private func publish() {
    let complete = progress.count { $0.isComplete }
    status.update { [tables = progress.count, rowCount] in
      $0.snapshot = .init(tables: tables, tablesComplete: complete, rows: rowCount)
    }
  }

  private func report() {
    let now = MonotonicClock.milliseconds()
    guard now - lastLine >= Self.progressMilliseconds else { return }
    let rate = Double(rowCount - lastLineRows) * 1000 / Double(now - lastLine)
    let complete = progress.count { $0.isComplete }
    log(
      "snapshot: \(complete) of \(progress.count) tables, \(rowCount) rows, \(Int(rate)) rows/s")
    lastLine = now
    lastLineRows = rowCount
  }

  private func rounded(_ seconds: Double) -> Double { (seconds * 10).rounded() / 10 }
}

extension PositionedLog {
  /// As `write`, for a thread that may block.
  func writeBlocking(_ record: PositionRecord) throws(LogWriteError) {
    let done = Condition<Result<Void, LogWriteError>?>(nil)
    write(record) { error in
      done.withLock { $0 = error.map { .failure($0) } ?? .success(()) }
      done.broadcast()
    }
    try done.wait(until: { $0 != nil }) { $0 ?? .success(()) }.get()
  }
}
