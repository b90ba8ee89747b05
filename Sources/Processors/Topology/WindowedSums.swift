/// Sums and counts over windows, ready to be given a place.
///
/// State: `row/<identity>` is what the row contributes now, as `<window start> <amount> <group>`
/// behind its LSN (`RowState`);
/// `window/<start>/<group>` is a window's total, as `<sum> <count>`. A row that changes takes its
/// contribution back and makes a new one; each half is on time or late by its own window.
package struct WindowedSums<Value: Sendable>: Sendable {
  let windowed: WindowedRows<Value>
  let amount: @Sendable (Value) -> ExactDecimal

  /// Writes each window that changed to a table and, with the same names, to a topic, under the key
  /// `<group>-<window start in milliseconds>`. What is late goes to `<table>_late` and
  /// `<topic>-late`; the sum of both is the truth.
  package func sink(
    table: TableDescription, row: @escaping @Sendable (WindowTotal) -> [ColumnValue],
    topic: String, deadLetters: String
  ) -> ProcessorTask {
    let rows = windowed.grouped.rows
    let late = Self.lateTable(table.name + "_late")
    let places = WindowPlaces(
      tables: [table, late], topic: topic, lateTopic: topic + "-late",
      windows: windowed.windows, row: row)
    return ProcessorTask(
      sourceTopic: rows.topic, identity: rows.identity, tables: places.tables,
      resultTopics: [places.topic, places.lateTopic], deadLetterTopic: deadLetters
    ) { inputs in
      WindowedSumWork(inputs, places) { (row, time) throws(EventError) in
        guard let value = try rows.transform(row, time) else { return nil }
        return WindowedContribution(
          group: try windowed.grouped.group(value), time: windowed.time(value),
          windowStart: windowed.windows.start(of: windowed.time(value)), amount: amount(value))
      }
    }
  }

  private static func lateTable(_ name: String) -> TableDescription {
    TableDescription(
      name,
      key: [
        .init("source_topic", .text), .init("source_partition", .integer),
        .init("source_offset", .integer), .init("window_start", .time), .init("group_key", .text),
      ],
      [
        .init("window_end", .time), .init("row_key", .text), .init("amount", .decimal),
        .init("row_count", .integer), .init("stream_time", .time), .init("noted_at", .time),
      ])
  }
}

/// A window's result.
package struct WindowTotal: Hashable, Sendable {
  package var group: String
  package var start: EventTime
  package var end: EventTime
  package var sum: ExactDecimal
  package var count: Int64
  /// When the source committed what contributed last.
  package var updated: EventTime
}

struct WindowPlaces: Sendable {
  var tables: [TableDescription]
  var topic: String
  var lateTopic: String
  var windows: TumblingWindows
  var row: @Sendable (WindowTotal) -> [ColumnValue]

  func key(_ group: String, _ start: EventTime) -> [UInt8] {
    Array("\(group)-\(start.microseconds / 1000)".utf8)
  }
}

/// What a row adds to a window.
struct WindowedContribution: Hashable, Sendable {
  var group: String
  /// The row's event time; what is read back from state has the window's start.
  var time: EventTime
  var windowStart: EventTime
  var amount: ExactDecimal

  var windowKey: String { "window/\(windowStart.microseconds)/\(group)" }
  var stateText: String { "\(windowStart.microseconds) \(amount) \(group)" }

  init(group: String, time: EventTime, windowStart: EventTime, amount: ExactDecimal) {
    self.group = group
    self.time = time
    self.windowStart = windowStart
    self.amount = amount
  }

  init?(stateText: String) {
    let parts = stateText.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let start = Int64(parts[0]).flatMap(EventTime.init(microseconds:)),
      let amount = ExactDecimal(parts[1].utf8)
    else { return nil }
    self.init(group: String(parts[2]), time: start, windowStart: start, amount: amount)
  }

  /// From a row's state.
  init?(stored: String) {
    guard let state = RowState.decode(stored) else { return nil }
    self.init(stateText: state.text)
  }

  func contributesLike(_ other: Self) -> Bool {
    group == other.group && windowStart == other.windowStart && amount == other.amount
  }
}

private struct WindowState {
  var sum = ExactDecimal.zero
  var count: Int64 = 0

  init?(stateText: String?) {
    guard let stateText else { return }
    let parts = stateText.split(separator: " ")
    guard parts.count == 2, let sum = ExactDecimal(sumText: parts[0].utf8),
      let count = Int64(parts[1])
    else { return nil }
    self.sum = sum
    self.count = count
  }

  var stateText: String { "\(sum) \(count)" }
}

struct WindowedSumWork: OperatorWork {
  typealias Contribute = (Row, SourceTime) throws(EventError) -> WindowedContribution?

  /// What one event does to one window.
  private struct Delta {
    var group: String
    var windowStart: EventTime
    var windowKey: String
    var amount: ExactDecimal
    var count: Int64
  }

  private struct Touched {
    var key: String
    var total: WindowTotal
    var cause: Cause
  }

  var inputs: Inputs
  private let places: WindowPlaces
  /// What each event's row contributes from now on; nil: nothing.
  private var current: [WindowedContribution?] = []
  private var touched: [Touched] = []
  private var touchedIndices: [String: Int] = [:]

  init(_ inputs: Inputs, _ places: WindowPlaces, _ contribute: Contribute) {
    self.inputs = inputs
    self.places = places
    self.inputs.events = []
    for event in inputs.events {
      do throws(EventError) {
        let row = try event.row.flatMap { (row) throws(EventError) in
          try contribute(row, event.cause.time)
        }
        self.inputs.events.append(event)
        current.append(row)
      } catch {
        self.inputs.deadLetter(event.record, event.cause.topic, error)
      }
    }
  }

  private func rowKey(_ event: Inputs.Event) -> String { "row/\(event.identity)" }

  func needs(_ view: StateView) -> [String] {
    var needs: [String] = []
    var seen: Set<String> = []
    func need(_ key: String) {
      if !view.isKnown(key), seen.insert(key).inserted { needs.append(key) }
    }
    for event in inputs.events { need(rowKey(event)) }
    guard needs.isEmpty else { return needs }
    for (event, contribution) in zip(inputs.events, current) {
      if let contribution { need(contribution.windowKey) }
      if let old = view[rowKey(event)].flatMap(WindowedContribution.init(stored:)) {
        need(old.windowKey)
      }
    }
    return needs
  }

  mutating func finish(
    _ view: inout StateView, _ effects: inout Effects
  ) throws(StateError) {
    for (event, contribution) in zip(inputs.events, current) {
      let key = rowKey(event)
      let stored = view[key]
      let old = stored.flatMap(WindowedContribution.init(stored:))
      if let stored, old == nil { throw StateError(key: key, value: stored) }
      var streamTime = inputs.streamTime(event.cause)
      if let contribution { streamTime = inputs.streamTime(after: contribution.time, event.cause) }
      let deltas = deltas(old, contribution)
      let text = contribution.map { RowState.encode(event.lsn, $0.stateText) }
      guard !deltas.isEmpty else {
        if event.begins, stored != nil { view[key] = text }
        continue
      }
      let late = deltas.filter { delta in
        guard !event.cause.isSnapshot, let streamTime else { return false }
        return places.windows.isLate(windowFrom: delta.windowStart, streamTime: streamTime)
      }
      let onTime = deltas.filter { delta in !late.contains { $0.windowKey == delta.windowKey } }
      let states = try states(onTime, view)
      do throws(EventError) {
        try add(onTime, states, event.cause, &view)
      } catch {
        inputs.deadLetter(event.record, event.cause.topic, error)
        continue
      }
      for delta in late { note(delta, event, streamTime, &effects) }
      view[key] = text
    }
    for change in touched { emit(change, &effects) }
  }

  private func deltas(_ old: WindowedContribution?, _ new: WindowedContribution?) -> [Delta] {
    func delta(_ c: WindowedContribution, _ amount: ExactDecimal, _ count: Int64) -> Delta {
      Delta(
        group: c.group, windowStart: c.windowStart, windowKey: c.windowKey, amount: amount,
        count: count)
    }
    switch (old, new) {
    case (nil, nil): return []
    case (let old?, nil): return [delta(old, -old.amount, -1)]
    case (nil, let new?): return [delta(new, new.amount, 1)]
    case (let old?, let new?):
      if old.contributesLike(new) { return [] }
      if old.windowKey == new.windowKey, let change = try? new.amount + -old.amount {
        return [delta(new, change, 0)]
      }
      return [delta(old, -old.amount, -1), delta(new, new.amount, 1)]
    }
  }

  private func states(
    _ deltas: [Delta], _ view: StateView
  ) throws(StateError) -> [WindowState] {
    var states: [WindowState] = []
    for delta in deltas {
      let stored = view[delta.windowKey]
      guard let state = WindowState(stateText: stored) else {
        throw StateError(key: delta.windowKey, value: stored ?? "")
      }
      states.append(state)
    }
    return states
  }

  /// Adds all of an event's deltas, or none if one does not fit.
  private mutating func add(
    _ deltas: [Delta], _ states: [WindowState], _ cause: Cause, _ view: inout StateView
  ) throws(EventError) {
    var states = states
    for (index, delta) in deltas.enumerated() {
      do throws(ArithmeticOverflow) {
        states[index].sum = try states[index].sum + delta.amount
      } catch {
        throw EventError(.overflow, "The window's sum would be larger than 128 bits hold.")
      }
      states[index].count += delta.count
    }
    for (delta, state) in zip(deltas, states) {
      view[delta.windowKey] = state.stateText
      let total = WindowTotal(
        group: delta.group, start: delta.windowStart,
        end: places.windows.end(from: delta.windowStart), sum: state.sum, count: state.count,
        updated: cause.time)
      if let index = touchedIndices[delta.windowKey] {
        touched[index].total = total
        touched[index].cause = cause
      } else {
        touchedIndices[delta.windowKey] = touched.count
        touched.append(Touched(key: delta.windowKey, total: total, cause: cause))
      }
    }
  }

  private mutating func note(
    _ delta: Delta, _ event: Inputs.Event, _ streamTime: EventTime?, _ effects: inout Effects
  ) {
    inputs.counts.late += 1
    let cause = event.cause
    let values: [ColumnValue] = [
      .text(cause.topic), .integer(Int64(cause.partition)), .integer(cause.offset),
      .time(delta.windowStart), .text(delta.group),
      .time(places.windows.end(from: delta.windowStart)), .text(event.identity),
      .decimal(delta.amount), .integer(delta.count), streamTime.map { .time($0) } ?? .null,
      .time(cause.time),
    ]
    effects.tables.append(TableChange(table: 1, values: values))
    effects.outbox.append(
      OutboxRecord(
        topic: places.lateTopic, key: places.key(delta.group, delta.windowStart),
        value: places.tables[1].json(values), headers: cause.headers, timestamp: cause.timestamp))
    effects.highlight("late: \(delta.amount) for the window from \(delta.windowStart)")
  }

  private func emit(_ change: Touched, _ effects: inout Effects) {
    let total = change.total
    let values = places.row(total)
    effects.tables.append(TableChange(table: 0, values: values))
    effects.outbox.append(
      OutboxRecord(
        topic: places.topic, key: places.key(total.group, total.start),
        value: places.tables[0].json(values), headers: change.cause.headers,
        timestamp: change.cause.timestamp))
    if effects.newestWindow.map({ $0.start <= total.start }) ?? true {
      effects.newestWindow = total
    }
    effects.highlight(
      "\(total.start) to \(total.end): \(total.sum.text(placesMin: 2)) from \(total.count)")
  }
}

extension ExactDecimal {
  /// A sum may be larger than what is taken from an event.
  init?(sumText text: some Collection<UInt8>) {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count) else { return nil }
    let places = parts.count == 2 ? parts[1].count : 0
    guard places <= Self.scaleMax,
      let units = Int128(String(decoding: parts.joined(), as: UTF8.self))
    else { return nil }
    self.init(units, scale: places)
  }
}
