internal import ConnectData
internal import JSON

/// One change of a table's row, as Debezium's envelope has it, with or without a Connect schema
/// around it; or an unwrapped row (ExtractNewRecordState); or a tombstone.
package struct ChangeEvent: Sendable {
  package enum Operation: Sendable {
    case create, update, delete, truncate
    /// A row of a snapshot.
    case read
    /// What is not about a row: a logical message or a heartbeat.
    case other
  }

  package var operation: Operation
  package var before: Row?
  package var after: Row?
  /// When the source database committed it, in microseconds since 1970, as far as the event says.
  package var sourceMicroseconds: Int64?
  /// Where the change is in the source's WAL, as far as the event says.
  package var lsn: UInt64?
}

/// Turns the bytes of records into events. A class for its cache: the schema is the larger part of
/// an event that carries one, and is the same for event after event.
package final class EventDecoder {
  private var schema: [UInt8] = []
  private var types = RowTypes.none

  package init() {}

  /// The event of a record's value; nil is a tombstone.
  package func event(_ value: ArraySlice<UInt8>?) throws(EventError) -> ChangeEvent? {
    guard let value else { return nil }
    return try Self.json { () throws(JSONError) in
      try unsafe value.withUnsafeBufferPointer { (bytes) throws(JSONError) in
        var scanner = unsafe JSONScanner(bytes)
        var parts = EventParts(text: value)
        if try unsafe scanner.peekKind() == .null {
          _ = try unsafe scanner.value()
          try unsafe scanner.expectEnd()
          return nil
        }
        try unsafe read(&scanner, &parts, isPayload: false)
        try unsafe scanner.expectEnd()
        guard !parts.isNull else { return nil }
        if let range = parts.schema { try learn(value, range) }
        return parts.event(types: parts.hasSchema ? types : .none)
      }
    }
  }

  /// The fields of a record's key, or of any object. A key that is a bare value has one field with
  /// an empty name.
  package static func fields(of key: ArraySlice<UInt8>) throws(EventError) -> Row {
    try json { () throws(JSONError) in
      try unsafe key.withUnsafeBufferPointer { (bytes) throws(JSONError) in
        var scanner = unsafe JSONScanner(bytes)
        var row = Row(text: key)
        if try unsafe scanner.peekKind() == .object {
          row.fields = try unsafe objectFields(&scanner)
        } else {
          row.fields = [try unsafe Row.Field(name: 0..<0, value: scanner.value())]
        }
        try unsafe scanner.expectEnd()
        guard let payload = row.fields.last(where: { row.isName($0.name, "payload") }),
          row.fields.contains(where: { row.isName($0.name, "schema") })
        else { return row }
        return try payloadFields(row, payload.value)
      }
    }
  }

  private static func payloadFields(_ row: Row, _ payload: JSONPart) throws(JSONError) -> Row {
    var inner = Row(text: row.text)
    guard payload.kind == .object else {
      inner.fields = [Row.Field(name: 0..<0, value: payload)]
      return inner
    }
    let start = row.text.startIndex + payload.range.lowerBound
    inner = Row(text: row.text[start..<row.text.startIndex + payload.range.upperBound])
    inner.fields = try unsafe inner.text.withUnsafeBufferPointer { (bytes) throws(JSONError) in
      var scanner = unsafe JSONScanner(bytes)
      return try unsafe objectFields(&scanner)
    }
    return inner
  }

  private static func objectFields(
    _ scanner: inout JSONScanner
  ) throws(JSONError) -> [Row.Field] {
    var fields: [Row.Field] = []
    try unsafe scanner.beginObject()
    while let name = try unsafe scanner.nextField() {
      fields.append(Row.Field(name: name, value: try unsafe scanner.value()))
    }
    return fields
  }

  private static func json<T>(
    _ body: () throws(JSONError) -> T
  ) throws(EventError) -> T {
    do throws(JSONError) {
      return try body()
    } catch {
      throw EventError(.invalidJSON, "The event cannot be read: \(error).")
    }
  }

  // MARK: One pass

  /// What a pass over an event finds.
  private struct EventParts {
    let text: ArraySlice<UInt8>
    var isNull = false
    var hasSchema = false
    /// Where a schema is that was not seen before.
    var schema: Range<Int>?
    /// The fields beside the envelope's: an unwrapped row.
    var own: [Row.Field] = []
    var before: [Row.Field]?
    var after: [Row.Field]?
    /// It has images or a source, and so is no row itself.
    var isEnvelope = false
    var operation: UInt8?
    var source: Int64?
    var lsn: UInt64?
    var deleted = false

    init(text: ArraySlice<UInt8>) { self.text = text }

    func event(types: RowTypes) -> ChangeEvent {
      let row = { (fields: [Row.Field]) in Row(text: text, fields: fields, types: types) }
      // An unwrapped row may itself have a column named `op`.
      guard isEnvelope else {
        if deleted {
          return ChangeEvent(operation: .delete, before: row(own), sourceMicroseconds: source)
        }
        let operation = operation == UInt8(ascii: "r") ? ChangeEvent.Operation.read : .create
        return ChangeEvent(operation: operation, after: row(own), sourceMicroseconds: source)
      }
      let operation: ChangeEvent.Operation =
        switch self.operation {
        case UInt8(ascii: "c"): .create
        case UInt8(ascii: "u"): .update
        case UInt8(ascii: "d"): .delete
        case UInt8(ascii: "r"): .read
        case UInt8(ascii: "t"): .truncate
        default: .other
        }
      return ChangeEvent(
        operation: operation, before: before.map(row), after: after.map(row),
        sourceMicroseconds: source, lsn: lsn)
    }
  }

  private func read(
    _ scanner: inout JSONScanner, _ parts: inout EventParts, isPayload: Bool
  ) throws(JSONError) {
    try unsafe scanner.beginObject()
    while let name = try unsafe scanner.nextField() {
      let kind = try unsafe scanner.peekKind()
      if unsafe scanner.isName(name, "after"), kind == .object || kind == .null {
        parts.isEnvelope = true
        parts.after = try unsafe image(&scanner, kind)
      } else if unsafe scanner.isName(name, "before"), kind == .object || kind == .null {
        parts.isEnvelope = true
        parts.before = try unsafe image(&scanner, kind)
      } else if unsafe scanner.isName(name, "source"), kind == .object {
        parts.isEnvelope = true
        try unsafe readSource(&scanner, &parts)
      } else if unsafe !isPayload && scanner.isName(name, "schema"), kind == .object {
        parts.hasSchema = true
        let isKnown = unsafe scanner.skip(known: schema) != nil
        parts.schema = isKnown ? nil : try unsafe scanner.value().range
      } else if unsafe !isPayload && scanner.isName(name, "payload"), kind == .object {
        try unsafe read(&scanner, &parts, isPayload: true)
      } else {
        try unsafe readOther(&scanner, &parts, name, isPayload: isPayload)
      }
    }
  }

  private func readOther(
    _ scanner: inout JSONScanner, _ parts: inout EventParts, _ name: Range<Int>, isPayload: Bool
  ) throws(JSONError) {
    let value = try unsafe scanner.value()
    let text = value.range
    if unsafe !isPayload && scanner.isName(name, "payload") {
      parts.isNull = value.kind == .null
    } else if unsafe scanner.isName(name, "op") || scanner.isName(name, "__op") {
      if value.kind == .string, text.count == 1 {
        parts.operation = unsafe scanner.base[text.lowerBound]
      }
    } else if unsafe scanner.isName(name, "__deleted") {
      parts.deleted = unsafe scanner.isName(text, "true")
    } else if unsafe scanner.isName(name, "__source_ts_ms") {
      parts.source = integer(parts.text, value).flatMap { TimeUnit.milliseconds.microseconds($0) }
    }
    parts.own.append(Row.Field(name: name, value: value))
  }

  private func image(
    _ scanner: inout JSONScanner, _ kind: JSONKind
  ) throws(JSONError) -> [Row.Field]? {
    guard kind == .object else {
      _ = try unsafe scanner.value()
      return nil
    }
    return try unsafe Self.objectFields(&scanner)
  }

  private func readSource(
    _ scanner: inout JSONScanner, _ parts: inout EventParts
  ) throws(JSONError) {
    var milliseconds: Int64?
    var microseconds: Int64?
    try unsafe scanner.beginObject()
    while let name = try unsafe scanner.nextField() {
      let value = try unsafe scanner.value()
      if unsafe scanner.isName(name, "ts_us") {
        microseconds = integer(parts.text, value)
      } else if unsafe scanner.isName(name, "ts_ms") {
        milliseconds = integer(parts.text, value)
      } else if unsafe scanner.isName(name, "lsn") {
        parts.lsn = integer(parts.text, value).map { UInt64(bitPattern: $0) }
      }
    }
    parts.source = microseconds ?? milliseconds.flatMap { TimeUnit.milliseconds.microseconds($0) }
  }

  private func integer(_ text: ArraySlice<UInt8>, _ value: JSONPart) -> Int64? {
    guard value.kind == .number else { return nil }
    let first = text.startIndex
    let digits = text[first + value.range.lowerBound..<first + value.range.upperBound]
    return Int64(String(decoding: digits, as: UTF8.self))
  }

  private func learn(_ text: ArraySlice<UInt8>, _ range: Range<Int>) throws(JSONError) {
    let first = text.startIndex
    let bytes = text[first + range.lowerBound..<first + range.upperBound]
    types = try RowTypes(schema: bytes)
    schema = Array(bytes)
  }
}

extension Row {
  init(text: ArraySlice<UInt8>) { self.text = text }

  fileprivate func isName(_ range: Range<Int>, _ name: StaticString) -> Bool {
    let start = text.startIndex
    return unsafe text[start + range.lowerBound..<start + range.upperBound]
      .elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
  }
}
