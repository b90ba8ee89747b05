/// A state for each row, ready to be given a place. It is stored under `row/<identity>`.
package struct FoldedRows<Value: Sendable, State: StateText>: Sendable {
  let rows: RowStream<Value>
  let next: @Sendable (State?, Value?, SourceTime) -> State?

  /// Writes each state that changed to a table and to a topic, with the same names, under the
  /// row's identity. In the topic every change is a record, in the table the last of a batch
  /// stays. A state that ends removes the row, and is a tombstone.
  package func sink(
    table: TableDescription, row: @escaping @Sendable (State) -> [ColumnValue],
    topic: String, deadLetters: String
  ) -> ProcessorTask {
    ProcessorTask(
      sourceTopic: rows.topic, identity: rows.identity, tables: [table], resultTopics: [topic],
      deadLetterTopic: deadLetters
    ) { inputs in
      FoldWork(inputs, self, FoldPlaces(table: table, topic: topic, row: row))
    }
  }
}

struct FoldPlaces<State: StateText>: Sendable {
  var table: TableDescription
  var topic: String
  var row: @Sendable (State) -> [ColumnValue]
}

struct FoldWork<Value: Sendable, State: StateText>: OperatorWork {
  var inputs: Inputs
  private let folded: FoldedRows<Value, State>
  private let places: FoldPlaces<State>
  private var current: [Value?] = []

  init(_ inputs: Inputs, _ folded: FoldedRows<Value, State>, _ places: FoldPlaces<State>) {
    self.inputs = inputs
    self.folded = folded
    self.places = places
    self.inputs.events = []
    for event in inputs.events {
      do throws(EventError) {
        let value = try event.row.flatMap { (row) throws(EventError) in
          try folded.rows.transform(row, event.cause.time)
        }
        self.inputs.events.append(event)
        current.append(value)
      } catch {
        self.inputs.deadLetter(event.record, event.cause.topic, error)
      }
    }
  }

  func needs(_ view: StateView) -> [String] {
    var seen: Set<String> = []
    return inputs.events.map { "row/\($0.identity)" }
      .filter { !view.isKnown($0) && seen.insert($0).inserted }
  }

  mutating func finish(
    _ view: inout StateView, _ effects: inout Effects
  ) throws(StateError) {
    var changes: [String: Int] = [:]
    for (event, value) in zip(inputs.events, current) {
      let key = "row/\(event.identity)"
      let stored = view[key]
      let previous = stored.flatMap { RowState.decode($0) }.flatMap { State(stateText: $0.text) }
      if let stored, previous == nil { throw StateError(key: key, value: stored) }
      let state = folded.next(previous, value, event.cause.time)
      let text = state.map { RowState.encode(event.lsn, $0.stateText) }
      guard state != previous else {
        if event.begins, text != nil { view[key] = text }
        continue
      }
      view[key] = text
      emit(event, previous, state, &changes, &effects)
    }
  }

  private func emit(
    _ event: Inputs.Event, _ previous: State?, _ state: State?, _ changes: inout [String: Int],
    _ effects: inout Effects
  ) {
    guard let last = state ?? previous else { return }
    let values = places.row(last)
    let change =
      state == nil
      ? TableChange(table: 0, values: Array(values[..<places.table.keyCount]), isRemoval: true)
      : TableChange(table: 0, values: values)
    if let index = changes[event.identity] {
      effects.tables[index] = change
    } else {
      changes[event.identity] = effects.tables.count
      effects.tables.append(change)
    }
    let json = places.table.json(values)
    effects.outbox.append(
      OutboxRecord(
        topic: places.topic, key: Array(event.identity.utf8), value: state == nil ? nil : json,
        headers: event.cause.headers, timestamp: event.cause.timestamp))
    effects.highlight(
      state == nil ? "\(event.identity): gone" : String(decoding: json, as: UTF8.self))
  }
}
