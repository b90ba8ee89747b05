internal import ConnectData
internal import JSON

/// What the schema says about a row's fields, as far as it changes how a value is read.
package struct RowTypes: Sendable {
  var fields: [(name: String, type: FieldType)] = []

  static let none = RowTypes()

  func type(_ name: String) -> FieldType {
    for field in fields where field.name == name { return field.type }
    return .plain
  }
}

enum FieldType: Hashable, Sendable {
  case plain
  case decimal(scale: Int)
  case time(TimeUnit)

  var timeUnit: TimeUnit? {
    if case .time(let unit) = self { unit } else { nil }
  }
}

// MARK: - Reading

/// The Connect schema that JsonConverter puts beside a payload: what is needed of it to read a row.
extension RowTypes {
  /// Schemas nest as deep as the rows they describe: envelope, image, column.
  private static let depthMax = 3

  private struct Field {
    var field = ""
    var name = ""
    var scale: Int?
    var fields: [Field] = []

    var type: FieldType {
      switch name {
      case SchemaName.decimal: .decimal(scale: scale ?? 0)
      case SchemaName.timestamp, SchemaName.connectTimestamp:
        .time(.milliseconds)
      case SchemaName.microTimestamp: .time(.microseconds)
      case SchemaName.nanoTimestamp: .time(.nanoseconds)
      default: .plain
      }
    }
  }

  /// The types of the row in an envelope (its `after`, or `before`), or of an unwrapped row.
  init(schema text: ArraySlice<UInt8>) throws(JSONError) {
    let root = try unsafe text.withUnsafeBufferPointer { (bytes) throws(JSONError) in
      var scanner = unsafe JSONScanner(bytes)
      return try unsafe Self.field(&scanner, text, depth: 0)
    }
    let image =
      root.fields.first { $0.field == "after" && !$0.fields.isEmpty }
      ?? root.fields.first { $0.field == "before" && !$0.fields.isEmpty }
    let columns = image?.fields ?? root.fields
    fields = columns.filter { $0.type != .plain }.map { ($0.field, $0.type) }
  }

  private static func field(
    _ scanner: inout JSONScanner, _ text: ArraySlice<UInt8>, depth: Int
  ) throws(JSONError) -> Field {
    var field = Field()
    try unsafe scanner.beginObject()
    while let name = try unsafe scanner.nextField() {
      let kind = try unsafe scanner.peekKind()
      if unsafe scanner.isName(name, "fields"), kind == .array, depth < depthMax {
        try unsafe scanner.beginArray()
        while try unsafe scanner.nextElement() {
          if try unsafe scanner.peekKind() == .object {
            field.fields.append(try unsafe self.field(&scanner, text, depth: depth + 1))
          } else {
            _ = try unsafe scanner.value()
          }
        }
      } else if unsafe scanner.isName(name, "parameters"), kind == .object {
        field.scale = try unsafe scale(&scanner, text)
      } else {
        let value = try unsafe scanner.value()
        if value.kind == .string {
          if unsafe scanner.isName(name, "field") { field.field = try string(text, value) }
          if unsafe scanner.isName(name, "name") { field.name = try string(text, value) }
        }
      }
    }
    return field
  }

  private static func scale(
    _ scanner: inout JSONScanner, _ text: ArraySlice<UInt8>
  ) throws(JSONError) -> Int? {
    var scale: Int?
    try unsafe scanner.beginObject()
    while let name = try unsafe scanner.nextField() {
      let value = try unsafe scanner.value()
      guard unsafe scanner.isName(name, "scale"), value.kind == .string || value.kind == .number
      else { continue }
      // A larger one is no scale of a number that can be added up.
      scale = Int(try string(text, value)).flatMap { (0...38).contains($0) ? $0 : nil }
    }
    return scale
  }

  private static func string(
    _ text: ArraySlice<UInt8>, _ value: JSONPart
  ) throws(JSONError) -> String {
    let first = text.startIndex
    return try JSONString.text(
      text[first + value.range.lowerBound..<first + value.range.upperBound])
  }
}
