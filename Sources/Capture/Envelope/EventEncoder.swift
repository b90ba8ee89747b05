package import ConnectData
internal import JSON

/// Why a change has no event.
package enum EventError: Error, Equatable, Sendable {
  /// A tuple has another number of columns than the schema it came with.
  case columnCount(table: String, expected: Int, found: Int)
  /// The value is not what the type's output function prints.
  case malformedValue(table: String, column: String, text: String)
  /// The form that was chosen has no place for the value, and null would say something else.
  case unsayableValue(table: String, column: String, text: String)
  /// The connection was opened with the option `binary`.
  case binaryValue(table: String, column: String)
  /// A setting names something that does not exist.
  case unknownField(String)
}

extension EventError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .columnCount(let table, let expected, let found):
      "a row of \(table) has \(found) columns where its schema has \(expected)"
    case .malformedValue(let table, let column, let text):
      "column \(column) of \(table) has the value '\(text)', which its type does not print: check "
        + "that DateStyle is ISO and IntervalStyle is postgres"
    case .unsayableValue(let table, let column, let text):
      "Column \(column) of \(table) has the value \(text), which decimal.handling.mode=precise "
        + "cannot say: set decimal.handling.mode to string or double, and start capture again."
    case .binaryValue(let table, let column):
      "column \(column) of \(table) came in binary: start replication without the option binary"
    case .unknownField(let name):
      "add.fields or add.headers names '\(name)', which is in no event: name a field of the "
        + "envelope, of source or of transaction"
    }
  }
}

/// Turns changes into the records that Debezium writes: JSON, with schemas or without.
///
/// (1) The same row gives the same fields whether it was read, inserted or updated.
/// (2) What a table's rows have in common is prepared once per schema object (`TablePlan`); per row
///     there is one buffer for the key and one for the value.
/// (3) A column that an update did not touch and did not send is taken from the old row when
///     there is one, and is the placeholder otherwise.
/// (4) A change of the key is a delete of the old one, its tombstone, and a create of the new one.
///
/// Field order, names and types are as recorded from Debezium 3.6.3; `ValueKind` has the table of
/// what is different on purpose.
package struct EventEncoder: Sendable {
  package let options: EnvelopeOptions
  private var mapper: TypeMapper
  /// One per table, replaced when its schema is. Bound: the tables of the publication.
  private var plans: [UInt32: TablePlan] = [:]
  private var last: TablePlan?
  /// How long the last key and value were: the next ones will be.
  private var keySize = 64
  private var valueSize = 1024
  /// How many places in its transaction the last change took.
  package private(set) var placesTaken = 1
  /// Lines for the log, to be taken.
  private var notes: [String] = []
  /// Columns about which a line was written.
  private var noted: Set<String> = []

  package init(options: EnvelopeOptions, catalog: TypeCatalog) {
    self.options = options
    mapper = TypeMapper(options: options, catalog: catalog)
  }

  /// Takes the types anew: after a type was made or changed.
  package mutating func replaceCatalog(_ catalog: TypeCatalog) {
    mapper.catalog = catalog
    plans = [:]
    last = nil
  }

  /// The records of a change, in order: none (unwrapped and dropped), one, or a delete with its
  /// tombstone, or the three of a changed key. `now`: nanoseconds since 1970-01-01 UTC.
  ///
  /// Where `source.transaction` is set, a changed key takes two places in it, every other change
  /// one: as many as the events that have a value in Debezium's envelope.
  package mutating func events(
    for change: Change, of table: TableSchema, source: SourceInfo, now: Int64
  ) throws(EventError) -> [EncodedEvent] {
    let plan = try plan(for: table)
    placesTaken = 1
    switch change {
    case .read(let row):
      return [try event(plan, "r", nil, row, source, now)].compactMap { $0 }
    case .create(let row):
      return [try event(plan, "c", nil, row, source, now)].compactMap { $0 }
    case .update(let old, let new):
      return try update(plan, old, new, source, now)
    case .delete(let old):
      return try delete(plan, old, source, now, headers: [])
    case .truncate:
      guard options.unwrap == nil else { return [] }
      return [try event(plan, "t", nil, nil, source, now)].compactMap { $0 }
    }
  }

  /// What people should know about the events since the last call.
  package mutating func takeNotes() -> [String] {
    guard !notes.isEmpty else { return [] }
    defer { notes = [] }
    return notes
  }

  /// The schemas of a table's keys and values, for those who need them in another form. No key:
  /// nil.
  package mutating func schemas(
    of table: TableSchema
  ) throws(EventError) -> (key: ConnectSchema?, row: ConnectSchema) {
    let plan = try plan(for: table)
    let name = "\(options.topicPrefix).\(table.namespace).\(table.name)"
    let key = table.keyColumns.map {
      ConnectSchema.Field(plan.columns[$0].name, plan.columns[$0].schema)
    }
    let row = plan.columns.filter(\.isInValue).map { ConnectSchema.Field($0.name, $0.schema) }
    return (
      key.isEmpty ? nil : ConnectSchema(.structure(key), name: "\(name).Key"),
      ConnectSchema(.structure(row), isOptional: true, name: "\(name).Value")
    )
  }

  private mutating func plan(for table: TableSchema) throws(EventError) -> TablePlan {
    if let last, last.table === table { return last }
    if let known = plans[table.oid], known.table == table {
      last = known
      return known
    }
    let plan = try TablePlan(table, mapper)
    plans[table.oid] = plan
    last = plan
    return plan
  }

  // MARK: Changes

  private mutating func update(
    _ plan: TablePlan, _ old: OldTuple?, _ new: [TupleColumn], _ source: SourceInfo, _ now: Int64
  ) throws(EventError) -> [EncodedEvent] {
    var new = new
    if case .full(let before) = old, before.count == new.count {
      for index in new.indices where new[index] == .unchanged { new[index] = before[index] }
    }
    guard let old, Self.isKeyChanged(plan, old, new) else {
      return [try event(plan, "u", old, new, source, now)].compactMap { $0 }
    }
    placesTaken = 2
    let oldKey = try key(plan, old.columns)
    let newKey = try key(plan, new)
    var events = try delete(
      plan, old, source, now,
      headers: [.init(name: "__debezium.newkey", value: newKey)])
    var created = source
    created.transaction?.totalOrder += 1
    created.transaction?.dataCollectionOrder += 1
    if var event = try event(plan, "c", nil, new, created, now) {
      event.headers.insert(.init(name: "__debezium.oldkey", value: oldKey), at: 0)
      events.append(event)
    }
    return events
  }

  /// Whether the old row has the whole key and it is another one. An old row by a replica identity
  /// that is not the key has nulls there, and says nothing about it.
  private static func isKeyChanged(
    _ plan: TablePlan, _ old: OldTuple, _ new: [TupleColumn]
  ) -> Bool {
    var isChanged = false
    for (column, _) in plan.keyLabels {
      guard column < old.columns.count, column < new.count else { return false }
      if old.columns[column] == .null { return false }
      if new[column] == .unchanged { continue }
      if old.columns[column] != new[column] { isChanged = true }
    }
    return isChanged
  }

  private mutating func delete(
    _ plan: TablePlan, _ old: OldTuple, _ source: SourceInfo, _ now: Int64,
    headers: [EncodedEvent.Header]
  ) throws(EventError) -> [EncodedEvent] {
    var events: [EncodedEvent] = []
    if var event = try event(plan, "d", old, nil, source, now) {
      event.headers.insert(contentsOf: headers, at: 0)
      events.append(event)
    }
    // Without a key there is nothing that a tombstone could be for.
    guard options.tombstonesOnDelete, !plan.keyLabels.isEmpty,
      options.unwrap.map(\.keepsTombstones) ?? true
    else { return events }
    var added: [EncodedEvent.Header] = []
    for field in plan.addedHeaders where field.source == .operation {
      added.append(.init(name: field.name, value: [UInt8(ascii: "d")]))
    }
    events.append(
      EncodedEvent(key: try key(plan, old.columns), value: nil, headers: added))
    return events
  }

  private mutating func event(
    _ plan: TablePlan, _ operation: StaticString, _ before: OldTuple?, _ after: [TupleColumn]?,
    _ source: SourceInfo, _ now: Int64
  ) throws(EventError) -> EncodedEvent? {
    guard let row = after ?? before?.columns else {
      // Truncated: no row, no key.
      return EncodedEvent(
        key: nil, value: try envelope(plan, operation, nil, nil, source, now))
    }
    guard row.count == plan.columns.count, before?.columns.count ?? row.count == row.count else {
      throw .columnCount(
        table: plan.table.name, expected: plan.columns.count,
        found: before?.columns.count ?? row.count)
    }
    let eventKey = try key(plan, row)
    guard let unwrap = options.unwrap else {
      return EncodedEvent(
        key: eventKey, value: try envelope(plan, operation, before, after, source, now))
    }
    let headers = AddedField.headers(
      plan.addedHeaders, operation, source, now, options, plan.table)
    if after == nil {
      switch unwrap.deleteMode {
      case .drop: return nil
      case .tombstone, .deleteToTombstone:
        return eventKey == nil ? nil : EncodedEvent(key: eventKey, value: nil, headers: headers)
      case .rewrite, .rewriteWithTombstone: break
      }
    }
    return EncodedEvent(
      key: eventKey, value: try flat(plan, operation, before, after, source, now),
      headers: headers)
  }

  // MARK: Text

  private mutating func key(
    _ plan: TablePlan, _ row: [TupleColumn]
  ) throws(EventError) -> [UInt8]? {
    guard !plan.keyLabels.isEmpty else { return nil }
    var json = JSONText(capacity: keySize)
    json.raw(plan.keyHead)
    json.byte(UInt8(ascii: "{"))
    for (column, label) in plan.keyLabels {
      guard column < row.count else {
        throw .columnCount(
          table: plan.table.name, expected: plan.columns.count, found: row.count)
      }
      json.raw(label)
      try Self.value(row[column], plan, column, isKeyOnly: false, &json)
    }
    json.byte(UInt8(ascii: "}"))
    // Null is no key.
    if json.unsayable > 0 { try unsayable(plan, [row], isKey: true) }
    if !plan.keyHead.isEmpty { json.byte(UInt8(ascii: "}")) }
    keySize = json.count + 8
    return json.take()
  }

  private mutating func envelope(
    _ plan: TablePlan, _ operation: StaticString, _ before: OldTuple?, _ after: [TupleColumn]?,
    _ source: SourceInfo, _ now: Int64
  ) throws(EventError) -> [UInt8] {
    var json = JSONText(capacity: valueSize)
    json.raw(plan.valueHead)
    json.raw("{\"before\":")
    switch before {
    case nil: json.null()
    case .key(let row): try Self.row(row, plan, isKeyOnly: true, &json)
    case .full(let row): try Self.row(row, plan, isKeyOnly: false, &json)
    }
    json.raw(",\"after\":")
    if let after { try Self.row(after, plan, isKeyOnly: false, &json) } else { json.null() }
    if json.unsayable > 0 {
      try unsayable(plan, [before?.columns, after].compactMap { $0 }, isKey: false)
    }
    json.byte(UInt8(ascii: ","))
    source.write(plan.sourceHead, plan.sourceTable, to: &json)
    json.byte(UInt8(ascii: ","))
    source.writeTransaction(to: &json)
    json.raw(",\"op\":\"")
    json.raw(operation.description)
    json.raw("\",\"ts_ms\":")
    json.integer(now / 1_000_000)
    json.raw(",\"ts_us\":")
    json.integer(now / 1000)
    json.raw(",\"ts_ns\":")
    json.integer(now)
    json.byte(UInt8(ascii: "}"))
    if !plan.valueHead.isEmpty { json.byte(UInt8(ascii: "}")) }
    // An eighth more than the last one, so that the next is not moved while it is written.
    valueSize = json.count + json.count / 8
    return json.take()
  }

  private mutating func flat(
    _ plan: TablePlan, _ operation: StaticString, _ before: OldTuple?, _ after: [TupleColumn]?,
    _ source: SourceInfo, _ now: Int64
  ) throws(EventError) -> [UInt8] {
    var json = JSONText(capacity: valueSize)
    json.raw(plan.valueHead)
    if let after {
      try Self.row(after, plan, isKeyOnly: false, &json)
    } else if case .key(let row) = before {
      try Self.row(row, plan, isKeyOnly: true, &json)
    } else {
      try Self.row(before?.columns ?? [], plan, isKeyOnly: false, &json)
    }
    if json.unsayable > 0 {
      try unsayable(plan, [after ?? before?.columns ?? []], isKey: false)
    }
    // Back behind the last column.
    json.truncate(to: json.count - 1)
    var isFirst = plan.isEmpty
    if options.unwrap?.isRewriting == true {
      if !isFirst { json.byte(UInt8(ascii: ",")) }
      isFirst = false
      json.raw(after == nil ? "\"__deleted\":\"true\"" : "\"__deleted\":\"false\"")
    }
    for field in plan.added {
      if !isFirst { json.byte(UInt8(ascii: ",")) }
      isFirst = false
      json.raw(field.label)
      field.source.write(operation, source, now, options, plan.table, to: &json)
    }
    json.byte(UInt8(ascii: "}"))
    if !plan.valueHead.isEmpty { json.byte(UInt8(ascii: "}")) }
    valueSize = json.count + json.count / 8
    return json.take()
  }

  /// Values were written as null that are none.
  private mutating func unsayable(
    _ plan: TablePlan, _ rows: [[TupleColumn]], isKey: Bool
  ) throws(EventError) {
    for row in rows {
      for (index, value) in row.enumerated() {
        guard case .text(let text) = value else { continue }
        let column = plan.columns[index]
        var json = JSONText()
        guard (try? json.value(text, as: column.kind)) != nil, json.unsayable > 0 else { continue }
        let name = "\(plan.table.namespace).\(plan.table.name)"
        let shown = String(decoding: text.prefix(60), as: UTF8.self)
        // Elements of an array may be null whatever the column is.
        let mayBeNull = if case .array = column.kind { true } else { column.schema.isOptional }
        let isKey = isKey && plan.table.keyColumns.contains(index)
        guard isKey || column.isInValue else { continue }
        guard mayBeNull, !isKey, options.convertingMode != .fail else {
          throw .unsayableValue(table: name, column: column.name, text: shown)
        }
        guard options.convertingMode == .warn, noted.insert("\(name).\(column.name)").inserted
        else {
          continue
        }
        notes.append(
          "column \(column.name) of \(name) has the value \(shown), which "
            + "decimal.handling.mode=precise cannot say: it is written as null, and so are others "
            + "of its kind there; string and double can say it")
      }
    }
  }

  private static func row(
    _ row: [TupleColumn], _ plan: TablePlan, isKeyOnly: Bool, _ json: inout JSONText
  ) throws(EventError) {
    json.byte(UInt8(ascii: "{"))
    for column in row.indices where plan.columns[column].isInValue {
      json.raw(plan.columns[column].label)
      try value(row[column], plan, column, isKeyOnly: isKeyOnly, &json)
    }
    json.byte(UInt8(ascii: "}"))
  }

  @inline(__always)
  private static func value(
    _ value: TupleColumn, _ plan: TablePlan, _ column: Int, isKeyOnly: Bool, _ json: inout JSONText
  ) throws(EventError) {
    switch value {
    case .text(let text):
      do throws(ValueError) {
        try json.value(text, as: plan.columns[column].kind)
      } catch {
        throw .malformedValue(
          table: plan.table.name, column: plan.columns[column].name,
          // Enough to see what it is; values can be long.
          text: String(decoding: text.prefix(60), as: UTF8.self))
      }
    case .null:
      json.raw(isKeyOnly ? plan.columns[column].absent : JSONText.nullText)
    case .unchanged: json.raw(plan.columns[column].unavailable)
    case .binary:
      throw .binaryValue(table: plan.table.name, column: plan.columns[column].name)
    }
  }
}
