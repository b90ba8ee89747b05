internal import ConnectData
internal import JSON

/// A table's row as an event carries it: names and values as ranges of the event's text, looked up
/// when they are asked for.
package struct Row: Sendable {
  struct Field: Sendable {
    var name: Range<Int>
    var value: JSONPart
  }

  /// The event's whole text; ranges count from its first byte.
  let text: ArraySlice<UInt8>
  var fields: [Field] = []
  var types = RowTypes.none

  private func bytes(_ range: Range<Int>) -> ArraySlice<UInt8> {
    text[text.startIndex + range.lowerBound..<text.startIndex + range.upperBound]
  }

  /// The value, nil if it is absent or null. Of a name that occurs twice the last counts.
  private func value(_ name: String) -> JSONPart? {
    let field = fields.last { bytes($0.name).elementsEqual(name.utf8) }
    guard let value = field?.value, value.kind != .null else { return nil }
    return value
  }

  /// Whether the row has such a field, null or not.
  package func has(_ name: String) -> Bool {
    fields.contains { bytes($0.name).elementsEqual(name.utf8) }
  }

  /// What a string says, or a number's or boolean's own text.
  package func text(_ name: String) throws(EventError) -> String? {
    guard let value = value(name) else { return nil }
    switch value.kind {
    case .string:
      let text: String
      do throws(JSONError) {
        text = try JSONString.text(bytes(value.range))
      } catch {
        throw .invalid(name, "is no text: \(error)")
      }
      // Postgres stores it in no text.
      guard !text.utf8.contains(0) else { throw .invalid(name, "contains a NUL") }
      return text
    case .number, .bool: return String(decoding: bytes(value.range), as: UTF8.self)
    case .object, .array, .null: throw .invalid(name, "is not a text")
    }
  }

  package func integer(_ name: String) throws(EventError) -> Int64? {
    guard let decimal = try decimal(name) else { return nil }
    guard let whole = decimal.whole else { throw .invalid(name, "is not a whole number") }
    return whole
  }

  /// A number's digits; of a string its digits too, or base64 where the schema says Decimal.
  package func decimal(_ name: String) throws(EventError) -> ExactDecimal? {
    guard let value = value(name) else { return nil }
    let bytes = bytes(value.range)
    let decimal: ExactDecimal?
    switch (value.kind, types.type(name)) {
    case (.number, _): decimal = ExactDecimal(bytes)
    case (.string, .decimal(let scale)):
      decimal = JSONString.base64(bytes).flatMap { ExactDecimal(bigEndian: $0, scale: scale) }
    case (.string, _): decimal = ExactDecimal(bytes)
    case (.object, _): decimal = try variableScaleDecimal(name, value)
    default: decimal = nil
    }
    guard let decimal else {
      throw .invalid(
        name, "is not a number of at most 15 digits and \(ExactDecimal.scaleMax) places")
    }
    return decimal
  }

  /// Debezium's `VariableScaleDecimal`: a scale and base64.
  private func variableScaleDecimal(
    _ name: String, _ value: JSONPart
  ) throws(EventError) -> ExactDecimal? {
    let parts = try EventDecoder.fields(of: bytes(value.range))
    guard let scale = try parts.integer("scale"), (0...38).contains(scale),
      let digits = try parts.text("value"), let bytes = JSONString.base64(Array(digits.utf8)[...])
    else { return nil }
    return ExactDecimal(bigEndian: bytes, scale: Int(scale))
  }

  /// ISO 8601, or a number in the unit that the schema names; without one, in the unit that makes
  /// it a time between 1973 and 5138: seconds, milliseconds, microseconds or nanoseconds.
  package func time(_ name: String) throws(EventError) -> EventTime? {
    guard let value = value(name) else { return nil }
    let bytes = bytes(value.range)
    let time: EventTime?
    switch value.kind {
    case .string: time = EventTime(bytes)
    case .number:
      time = Int64(String(decoding: bytes, as: UTF8.self)).flatMap { number in
        let unit = types.type(name).timeUnit ?? TimeUnit(magnitudeOf: number)
        return unit.microseconds(number).flatMap { EventTime(microseconds: $0) }
      }
    default: time = nil
    }
    guard let time else { throw .invalid(name, "is not a time between the years 1 and 9999") }
    return time
  }

  /// State is kept under it, in indices that take 2 KiB.
  static let identityBytesMax = 1024

  /// The fields' texts, which name the row; nil if one of them is null.
  package func identity(_ names: [String]) throws(EventError) -> String? {
    var texts: [String] = []
    for name in names {
      guard let text = try text(name) else { return nil }
      texts.append(text)
    }
    let identity = texts.joined(separator: "\u{1f}")
    guard identity.utf8.count <= Self.identityBytesMax else {
      throw .invalid(names.joined(separator: ", "), "is longer than a key may be, 1024 bytes")
    }
    return identity
  }

  /// As `text` and its like, for what must be there.
  package func required<T>(
    _ name: String, _ read: (Row, String) throws(EventError) -> T?
  ) throws(EventError) -> T {
    guard let value = try read(self, name) else { throw .missing(name) }
    return value
  }
}

extension ExactDecimal {
  /// The value as an integer, if it is one.
  package var whole: Int64? {
    guard let (quotient, rest) = whole128, rest == 0 else { return nil }
    return Int64(exactly: quotient)
  }

  private var whole128: (Int128, Int128)? {
    var divisor: Int128 = 1
    for _ in 0..<scale { divisor *= 10 }
    return units.quotientAndRemainder(dividingBy: divisor)
  }
}

/// Why an event cannot be processed: a kind for machines and a sentence for people. It goes to the
/// dead-letter topic with both.
package struct EventError: Error, Hashable, Sendable {
  package enum Kind: String, Sendable {
    case invalidJSON = "invalid-json"
    case missingField = "missing-field"
    case invalidField = "invalid-field"
    case unsupported = "unsupported-operation"
    case overflow
  }

  package let kind: Kind
  package let text: String

  package init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  package static func missing(_ name: String) -> EventError {
    EventError(.missingField, "The event has no value for the field '\(name)'.")
  }

  package static func invalid(_ name: String, _ why: String) -> EventError {
    EventError(.invalidField, "The event's field '\(name)' \(why).")
  }
}
