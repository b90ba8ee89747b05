/// A JSON value: connector files and position records. Numbers keep their spelling; members keep
/// their order.
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

/// What is not JSON, and where.
package struct JSONError: Error, Equatable, CustomStringConvertible {
  package var what: String
  /// In bytes from the beginning.
  package var position: Int

  package var description: String { "\(what) at byte \(position)" }
}

extension JSONValue {
  /// Reads one value with nothing behind it. Bounds: 64 levels.
  package init(parsing bytes: some Sequence<UInt8>) throws(JSONError) {
    var parser = JSONParser(bytes: Array(bytes))
    self = try parser.document()
  }

  package init(parsing text: String) throws(JSONError) { try self.init(parsing: text.utf8) }
}

private struct JSONParser {
  private static let levelsMax = 64

  let bytes: [UInt8]
  private var at = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try value(level: 0)
    skipSpace()
    guard at == bytes.count else { throw error("there is something behind the value") }
    return value
  }

  private func error(_ what: String) -> JSONError { JSONError(what: what, position: at) }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() {
    while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { at += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard next == byte else { return false }
    at += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(JSONError) {
    guard take(UInt8(ascii: character)) else { throw error("'\(character)' is missing") }
  }

  private mutating func value(level: Int) throws(JSONError) -> JSONValue {
    guard level < Self.levelsMax else { throw error("there are too many levels") }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(level: level)
    case UInt8(ascii: "["): return try array(level: level)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError)
    -> JSONValue
  {
    for byte in "\(text)".utf8 {
      guard next == byte else { throw error("there is no value") }
      at += 1
    }
    return value
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = at
    while let byte = next,
      (0x30...0x39).contains(byte) || "+-.eE".utf8.contains(byte)
    { at += 1 }
    let digits = String(decoding: bytes[start..<at], as: UTF8.self)
    guard Double(digits) != nil else { throw error("there is no value") }
    return .number(digits)
  }

  private mutating func array(level: Int) throws(JSONError) -> JSONValue {
    try expect("[")
    var values: [JSONValue] = []
    if take(UInt8(ascii: "]")) { return .array(values) }
    repeat { values.append(try value(level: level + 1)) } while take(UInt8(ascii: ","))
    try expect("]")
    return .array(values)
  }

  private mutating func object(level: Int) throws(JSONError) -> JSONValue {
    try expect("{")
    var members: [JSONValue.Member] = []
    if take(UInt8(ascii: "}")) { return .object(members) }
    repeat {
      skipSpace()
      let name = try string()
      try expect(":")
      members.append(.init(name, try value(level: level + 1)))
    } while take(UInt8(ascii: ","))
    try expect("}")
    return .object(members)
  }

  private mutating func string() throws(JSONError) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while let byte = next {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw error("a control character stands in a text")
      default: text.append(byte)
      }
    }
    throw error("a text has no end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    guard let byte = next else { throw error("a text has no end") }
    at += 1
    switch byte {
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "u"):
      var unit = UInt32(try fourDigits())
      if (0xd800..<0xdc00).contains(unit), next == UInt8(ascii: "\\") {
        at += 1
        guard next == UInt8(ascii: "u") else { throw error("half a character stands alone") }
        at += 1
        let low = UInt32(try fourDigits())
        guard (0xdc00..<0xe000).contains(low) else { throw error("half a character stands alone") }
        unit = 0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(unit) else { throw error("half a character stands alone") }
      text.append(contentsOf: String(Character(scalar)).utf8)
    default: throw error("there is no such escape")
    }
  }

  private mutating func fourDigits() throws(JSONError) -> UInt16 {
    guard at + 4 <= bytes.count,
      let unit = UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
    else { throw error("an escape needs four digits") }
    at += 4
    return unit
  }
}

extension JSONValue: CustomStringConvertible {
  /// On one line, without spaces.
  package var description: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number(let digits): digits
    case .string(let text): Self.quoted(text)
    case .array(let values): "[" + values.map(\.description).joined(separator: ",") + "]"
    case .object(let members):
      "{"
        + members.map { Self.quoted($0.name) + ":" + $0.value.description }
        .joined(separator: ",") + "}"
    }
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\0"..<" ":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
