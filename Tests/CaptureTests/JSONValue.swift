/// A JSON value, read strictly: what the encoder writes must be JSON, with no member twice.
indirect enum JSONValue: Equatable {
  case null
  case bool(Bool)
  /// As it is written.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  struct Malformed: Error {
    var at: Int
  }

  init(_ bytes: some Sequence<UInt8>) throws {
    var parser = Parser(bytes: Array(bytes))
    self = try parser.value()
    guard parser.index == parser.bytes.count else { throw Malformed(at: parser.index) }
  }

  static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let left), .bool(let right)): left == right
    case (.number(let left), .number(let right)):
      left == right
        || (Int64(left) == nil || Int64(right) == nil) && Double(left) == Double(right)
    case (.string(let left), .string(let right)): left == right
    case (.array(let left), .array(let right)): left == right
    case (.object(let left), .object(let right)): left == right
    default: false
    }
  }

  subscript(name: String) -> JSONValue {
    get { members[name] ?? .null }
    set {
      var changed = members
      changed[name] = newValue
      self = .object(changed)
    }
  }

  var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  var integer: Int64? {
    guard case .number(let text) = self else { return nil }
    return Int64(text)
  }

  var members: [String: JSONValue] {
    guard case .object(let members) = self else { return [:] }
    return members
  }

  var elements: [JSONValue] {
    guard case .array(let elements) = self else { return [] }
    return elements
  }

  mutating func remove(_ name: String) {
    var changed = members
    changed[name] = nil
    self = .object(changed)
  }

  private struct Parser {
    var bytes: [UInt8]
    var index = 0

    var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    func malformed() -> Malformed { Malformed(at: index) }

    mutating func space() {
      while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
        index += 1
      }
    }

    mutating func take(_ text: String) -> Bool {
      guard bytes[index...].starts(with: text.utf8) else { return false }
      index += text.utf8.count
      return true
    }

    mutating func expect(_ text: String) throws {
      space()
      guard take(text) else { throw malformed() }
    }

    mutating func value() throws -> JSONValue {
      space()
      defer { space() }
      switch next {
      case UInt8(ascii: "{"): return try object()
      case UInt8(ascii: "["): return try array()
      case UInt8(ascii: "\""): return .string(try string())
      default: break
      }
      if take("null") { return .null }
      if take("true") { return .bool(true) }
      if take("false") { return .bool(false) }
      return try number()
    }

    mutating func object() throws -> JSONValue {
      try expect("{")
      var members: [String: JSONValue] = [:]
      space()
      if take("}") { return .object(members) }
      repeat {
        space()
        let name = try string()
        try expect(":")
        guard members.updateValue(try value(), forKey: name) == nil else { throw malformed() }
      } while take(",")
      try expect("}")
      return .object(members)
    }

    mutating func array() throws -> JSONValue {
      try expect("[")
      var elements: [JSONValue] = []
      space()
      if take("]") { return .array(elements) }
      repeat { elements.append(try value()) } while take(",")
      try expect("]")
      return .array(elements)
    }

    mutating func number() throws -> JSONValue {
      let start = index
      _ = take("-")
      let whole = digits()
      guard whole == 1 || whole > 1 && bytes[index - whole] != 0x30 else { throw malformed() }
      if take(".") { guard digits() > 0 else { throw malformed() } }
      if take("e") || take("E") {
        if !take("+") { _ = take("-") }
        guard digits() > 0 else { throw malformed() }
      }
      return .number(String(decoding: bytes[start..<index], as: UTF8.self))
    }

    mutating func digits() -> Int {
      let start = index
      while let byte = next, byte &- 0x30 < 10 { index += 1 }
      return index - start
    }

    mutating func string() throws -> String {
      guard take("\"") else { throw malformed() }
      var text: [UInt8] = []
      while let byte = next {
        index += 1
        switch byte {
        case UInt8(ascii: "\""):
          guard let string = String(validating: text, as: UTF8.self) else { throw malformed() }
          return string
        case 0..<0x20: throw malformed()
        case UInt8(ascii: "\\"):
          guard let escaped = next else { throw malformed() }
          index += 1
          switch UnicodeScalar(escaped) {
          case "n": text.append(0x0a)
          case "t": text.append(0x09)
          case "r": text.append(0x0d)
          case "b": text.append(0x08)
          case "f": text.append(0x0c)
          case "\"", "\\", "/": text.append(escaped)
          case "u":
            guard bytes.count - index >= 4,
              let code = UInt32(
                String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16),
              let scalar = UnicodeScalar(code)
            else { throw malformed() }
            index += 4
            text.append(contentsOf: String(Character(scalar)).utf8)
          default: throw malformed()
          }
        default: text.append(byte)
        }
      }
      throw malformed()
    }
  }
}
