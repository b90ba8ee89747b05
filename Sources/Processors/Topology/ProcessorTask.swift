internal import ConnectData

/// What a topology compiles to: a machine without clock and I/O that turns batches of records into
/// effects.
///
/// The driver's part: `begin` a batch; load the state that the work `needs` and `supply` it, until
/// it needs nothing (two rounds at most); `finish`; commit the effects.
///
/// (1) The tables depend on the order of the records in each partition only, not on how they were
///     cut into batches; but for when the rows of a truncated table are taken back.
/// (2) Every record is accounted for: its effect is in the tables, or in the late table, or it is
///     in the dead-letter topic, or it was about no row and is counted as ignored.
package struct ProcessorTask: Sendable {
  package let sourceTopic: String
  package let tables: [TableDescription]
  /// Topics with positions, written by this processor alone.
  package let resultTopics: [String]
  /// Where events go that cannot be processed. May be shared by processors.
  package let deadLetterTopic: String
  let identity: [String]
  private let makeWork: @Sendable (Inputs) -> any OperatorWork

  init(
    sourceTopic: String, identity: [String], tables: [TableDescription], resultTopics: [String],
    deadLetterTopic: String, _ makeWork: @escaping @Sendable (Inputs) -> any OperatorWork
  ) {
    self.sourceTopic = sourceTopic
    self.identity = identity
    self.tables = tables
    self.resultTopics = resultTopics
    self.deadLetterTopic = deadLetterTopic
    self.makeWork = makeWork
  }

  /// Begins a batch. `progress` is the stored one of the partitions that it has records of.
  package func begin(
    _ records: [InputRecord], progress: [Int32: SourceProgress], decoder: EventDecoder,
    truncation: Truncation = .none
  ) -> Work {
    var inputs = Inputs(progress: progress, truncation: truncation)
    inputs.events.reserveCapacity(records.count)
    for record in records {
      inputs.advance(record)
      do throws(EventError) {
        try decode(record, decoder, &inputs)
      } catch {
        inputs.deadLetter(record, sourceTopic, error)
      }
    }
    return Work(makeWork(inputs), deadLetterTopic, truncation)
  }

  /// Begins a batch of the sweep of `truncation`, which must have one: `rows` are the next of the
  /// stored state, in its order.
  package func begin(
    sweeping rows: [StoredState], isLast: Bool, truncation: Truncation
  ) throws(StateError) -> Work {
    guard let sweep = truncation.sweep else { preconditionFailure("there is nothing to sweep") }
    var inputs = Inputs(progress: [:], truncation: truncation)
    let cause = Cause(
      topic: sourceTopic, partition: sweep.partition, offset: sweep.offset,
      timestamp: sweep.timestamp, time: sweep.time, isSnapshot: true)
    let record = InputRecord(
      partition: sweep.partition, offset: sweep.offset, timestamp: sweep.timestamp, key: nil,
      value: nil)
    for row in rows {
      guard let state = RowState.decode(row.value) else {
        throw StateError(key: row.key, value: row.value)
      }
      guard state.lsn < truncation.through else { continue }
      inputs.events.append(
        Inputs.Event(
          identity: String(row.key.dropFirst(RowState.prefix.count)), row: nil, cause: cause,
          record: record))
    }
    inputs.truncation.sweep = isLast ? nil : sweep
    if !isLast { inputs.truncation.sweep?.after = rows.last?.key ?? sweep.after }
    return Work(makeWork(inputs), deadLetterTopic, truncation)
  }

  private func decode(
    _ record: InputRecord, _ decoder: EventDecoder, _ inputs: inout Inputs
  ) throws(EventError) {
    let event = try decoder.event(record.value)
    switch event?.operation {
    case .other:
      inputs.counts.ignored += 1
      return
    case .truncate:
      guard let lsn = event?.lsn else {
        throw EventError(
          .unsupported,
          "The table was truncated, and the event has no LSN that would tell its rows from later "
            + "ones; rebuild.")
      }
      inputs.truncation.add(lsn, cause(of: event, record))
      return
    case .create, .update, .delete, .read, nil: break
    }
    if event == nil, record.key == nil {
      inputs.counts.ignored += 1
      return
    }
    let row = event?.operation == .delete ? nil : event?.after
    if let event, event.operation != .delete, row == nil { throw .missing("after") }
    guard let name = try name(of: record, row ?? event?.before) else {
      throw .missing(identity.joined(separator: "', '"))
    }
    let lsn = event?.lsn ?? 0
    // Read late, from another partition than the truncation.
    let isGone = lsn > 0 && lsn < inputs.truncation.through
    inputs.events.append(
      Inputs.Event(
        identity: name, row: isGone ? nil : row, cause: cause(of: event, record), record: record,
        lsn: lsn, begins: event?.operation == .create || event?.operation == .read))
  }

  private func cause(of event: ChangeEvent?, _ record: InputRecord) -> Cause {
    let micros = event?.sourceMicroseconds ?? TimeUnit.milliseconds.microseconds(record.timestamp)
    return Cause(
      topic: sourceTopic, partition: record.partition, offset: record.offset,
      timestamp: record.timestamp, time: EventTime(clamping: micros ?? 0),
      isSnapshot: event?.operation == .read)
  }

  /// What names the row: its fields, or where the event has no image, the record's key.
  private func name(of record: InputRecord, _ row: Row?) throws(EventError) -> String? {
    if let row, let name = try row.identity(identity) { return name }
    guard let key = record.key else { return nil }
    let fields = try EventDecoder.fields(of: key)
    if let name = try fields.identity(identity) { return name }
    return identity.count == 1 ? try fields.text("") : nil
  }
}

/// A batch's decoded records, in their order.
struct Inputs: Sendable {
  struct Event: Sendable {
    var identity: String
    /// Nil: the row is gone.
    var row: Row?
    var cause: Cause
    var record: InputRecord
    /// 0: not known.
    var lsn: UInt64 = 0
    /// The row may not have been there before, whatever its state says.
    var begins = false
  }

  struct DeadLetter: Sendable {
    var record: InputRecord
    var topic: String
    var error: EventError
  }

  var events: [Event] = []
  /// The batch's partitions, in the order of their first records.
  private(set) var progress: [SourceProgress] = []
  private let stored: [Int32: SourceProgress]
  private var indices: [Int32: Int] = [:]
  var counts = Effects.Counts()
  private(set) var deadLetters: [DeadLetter] = []

  var truncation: Truncation

  init(progress: [Int32: SourceProgress], truncation: Truncation) {
    stored = progress
    self.truncation = truncation
  }

  mutating func advance(_ record: InputRecord) {
    counts.processed += 1
    if let index = indices[record.partition] {
      progress[index].nextOffset = record.offset + 1
    } else {
      indices[record.partition] = progress.count
      progress.append(
        SourceProgress(
          partition: record.partition, nextOffset: record.offset + 1,
          streamTime: stored[record.partition]?.streamTime))
    }
  }

  /// Stream time of the event's partition after it was advanced to `time`.
  ///
  /// A row dated later than the commit that wrote it advances it to that commit only: one order of
  /// the year 9999 must not make all others late.
  mutating func streamTime(after time: EventTime, _ cause: Cause) -> EventTime? {
    guard let index = indices[cause.partition] else { return nil }
    let reached = progress[index].streamTime
    guard !cause.isSnapshot else { return reached }
    let time = min(time, cause.time)
    if reached.map({ time > $0 }) ?? true { progress[index].streamTime = time }
    return progress[index].streamTime
  }

  func streamTime(_ cause: Cause) -> EventTime? {
    indices[cause.partition].flatMap { progress[$0].streamTime }
  }

  mutating func deadLetter(_ record: InputRecord, _ topic: String, _ error: EventError) {
    counts.deadLettered += 1
    deadLetters.append(DeadLetter(record: record, topic: topic, error: error))
  }
}

/// An operator at work on one batch.
protocol OperatorWork {
  var inputs: Inputs { get set }
  /// State that must be known before the next step; each key once. Empty: it can be finished.
  func needs(_ view: StateView) -> [String]
  mutating func finish(
    _ view: inout StateView, _ effects: inout Effects
  ) throws(StateError)
}

/// Stored state is not what this processor writes: it must not go on from it.
package struct StateError: Error, Hashable, Sendable, CustomStringConvertible {
  package let key: String
  package let value: String

  package var description: String {
    "The stored state of '\(key)' is '\(value)', which this processor did not write; restore the "
      + "table martlet_state, or remove the processor's rows from all tables to begin anew."
  }
}

/// The state that a batch has loaded, and what it changes in it.
struct StateView {
  private var values: [String: String?] = [:]
  private var changed: [String: Int] = [:]
  private(set) var writes: [StateWrite] = []

  func isKnown(_ key: String) -> Bool { values[key] != nil }

  mutating func supply(_ key: String, _ value: String?) { values[key] = .some(value) }

  /// The value now; only of what is known.
  subscript(key: String) -> String? {
    get {
      guard let value = values[key] else {
        preconditionFailure("an operator read state that it did not ask for")
      }
      return value
    }
    set {
      values[key] = .some(newValue)
      if let index = changed[key] {
        writes[index].value = newValue
      } else {
        changed[key] = writes.count
        writes.append(StateWrite(key: key, value: newValue))
      }
    }
  }
}

/// One batch under way.
package struct Work {
  private var work: any OperatorWork
  private var view = StateView()
  private let deadLetterTopic: String
  private let truncation: Truncation
  /// Keys of state to load and supply, each once.
  package private(set) var needs: [String]

  init(_ work: any OperatorWork, _ deadLetterTopic: String, _ truncation: Truncation) {
    self.work = work
    self.truncation = truncation
    self.deadLetterTopic = deadLetterTopic
    needs = work.needs(view)
  }

  /// The values of `needs`, in that order.
  package mutating func supply(_ values: [String?]) {
    precondition(values.count == needs.count, "every value that was asked for is supplied")
    for (key, value) in zip(needs, values) { view.supply(key, value) }
    needs = work.needs(view)
  }

  package consuming func finish() throws(StateError) -> Effects {
    precondition(needs.isEmpty, "a batch is finished when its state is there")
    var effects = Effects()
    var (work, view) = (work, view)
    try work.finish(&view, &effects)
    effects.state = view.writes
    if work.inputs.truncation != truncation {
      effects.truncation = work.inputs.truncation
      effects.state.append(
        StateWrite(key: Truncation.stateKey, value: work.inputs.truncation.stateText))
    }
    effects.progress = work.inputs.progress
    effects.counts = work.inputs.counts
    effects.sourceTimes = work.inputs.events.lazy.filter { !$0.cause.isSnapshot }
      .map(\.cause.time.microseconds)
    effects.outbox += work.inputs.deadLetters.map { letter in
      Self.record(letter, topic: deadLetterTopic)
    }
    effects.deadLetters = examples(work.inputs.deadLetters)
    return effects
  }

  private func examples(_ letters: [Inputs.DeadLetter]) -> [DeadLetterExample] {
    var examples: [DeadLetterExample] = []
    for letter in letters where !examples.contains(where: { $0.error.kind == letter.error.kind }) {
      examples.append(
        DeadLetterExample(
          letter.error, topic: letter.topic, partition: letter.record.partition,
          offset: letter.record.offset, deadLetterTopic: deadLetterTopic))
    }
    return examples
  }

  private static func record(_ letter: Inputs.DeadLetter, topic: String) -> OutboxRecord {
    let record = letter.record
    return OutboxRecord(
      topic: topic, key: record.key.map { Array($0) }, value: record.value.map { Array($0) },
      headers: [
        .init("martlet.error.type", Array(letter.error.kind.rawValue.utf8)),
        .init("martlet.error", Array(letter.error.text.utf8)),
        .init("martlet.source.topic", Array(letter.topic.utf8)),
        .init("martlet.source.partition", Array(String(record.partition).utf8)),
        .init("martlet.source.offset", Array(String(record.offset).utf8)),
      ], timestamp: record.timestamp)
  }
}
