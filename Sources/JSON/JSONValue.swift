/// A JSON value as a tree: connector files, position records, what commands print. Numbers keep
/// their spelling; members keep their order.
package indirect enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([Member])

  package struct Member: Equatable, Sendable {
    package var name: String
    package var value: JSONValue

    package init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// The value of a member; the last one if there are several, as most readers have it.
  package subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name == name }?.value
  }

  package var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var integer: Int64? {
    guard case .number(let digits) = self else { return nil }
    return Int64(digits)
  }

  /// As properties have it: a text as it is, numbers and truth values by their spelling.
  package var property: String? {
    switch self {
    case .string(let text): text
    case .number(let digits): digits
    case .bool(let value): value ? "true" : "false"
    case .null, .array, .object: nil
    }
  }
}

extension JSONValue {
  /// Reads one value with nothing behind it. Bounds: `JSONScanner.depthMax` levels.
  package init(parsing bytes: some Sequence<UInt8>) throws(JSONError) {
    let text = Array(bytes)
    self = try unsafe text.withUnsafeBufferPointer { (buffer) throws(JSONError) in
      var scanner = unsafe JSONScanner(buffer)
      let value = try unsafe JSONValue(&scanner, text, level: 0)
      try unsafe scanner.expectEnd()
      return value
    }
  }

  package init(parsing text: String) throws(JSONError) { try self.init(parsing: text.utf8) }

  /// The value that comes next; `text` is what the scanner reads.
  private init(
    _ scanner: inout JSONScanner, _ text: [UInt8], level: Int
  ) throws(JSONError) {
    let kind = try unsafe scanner.peekKind()
    if kind == .object || kind == .array, unsafe level >= JSONScanner.depthMax {
      throw unsafe .tooDeep(at: scanner.position)
    }
    switch kind {
    case .object:
      var members: [Member] = []
      try unsafe scanner.beginObject()
      while let name = try unsafe scanner.nextField() {
        let name = try Self.string(text[name])
        members.append(Member(name, try unsafe JSONValue(&scanner, text, level: level + 1)))
      }
      self = .object(members)
    case .array:
      var values: [JSONValue] = []
      try unsafe scanner.beginArray()
      while try unsafe scanner.nextElement() {
        values.append(try unsafe JSONValue(&scanner, text, level: level + 1))
      }
      self = .array(values)
    default:
      let range = try unsafe scanner.value().range
      switch kind {
      case .string: self = .string(try Self.string(text[range]))
      case .bool: self = .bool(text[range.lowerBound] == UInt8(ascii: "t"))
      case .number: self = .number(String(decoding: text[range], as: UTF8.self))
      default: self = .null
      }
    }
  }

  private static func string(_ bytes: ArraySlice<UInt8>) throws(JSONError) -> String {
    try JSONString.text(bytes, refusesLoneSurrogates: true)
  }
}

// MARK: - Writing

extension JSONValue: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral members: (String, JSONValue)...) {
    self = .object(members.map { Member($0.0, $0.1) })
  }

  /// A text, or null.
  package init(_ text: String?) { self = text.map { .string($0) } ?? .null }

  /// A whole number, or null.
  package init(_ number: (some BinaryInteger)?) { self = number.map { .number("\($0)") } ?? .null }
}

extension JSONValue: CustomStringConvertible {
  /// On one line, without spaces.
  package var description: String {
    var json = JSONText()
    json.value(self)
    return String(decoding: json.bytes, as: UTF8.self)
  }
}

extension JSONText {
  package mutating func value(_ value: JSONValue) {
    switch value {
    case .null: null()
    case .bool(let value): bool(value)
    case .number(let digits): raw(digits)
    case .string(let text): string(text)
    case .array(let values):
      byte(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { byte(UInt8(ascii: ",")) }
        self.value(value)
      }
      byte(UInt8(ascii: "]"))
    case .object(let members):
      byte(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { byte(UInt8(ascii: ",")) }
        string(member.name)
        byte(UInt8(ascii: ":"))
        self.value(member.value)
      }
      byte(UInt8(ascii: "}"))
    }
  }
}
