internal import ConnectData
internal import JSON

/// Values, from the text of Postgres's output functions to JSON.
extension JSONText {
  /// What a failed value had appended stays: the caller knows how long the text was before.
  mutating func value(_ text: ArraySlice<UInt8>, as kind: ValueKind) throws(ValueError) {
    switch kind {
    case .string: string(text)
    case .integer: try integerText(text)
    case .boolean:
      guard text.count == 1, let byte = text.first else { throw .malformed }
      guard byte == UInt8(ascii: "t") || byte == UInt8(ascii: "f") else { throw .malformed }
      bool(byte == UInt8(ascii: "t"))
    case .float: try floatText(text)
    case .decimal(let scale): try decimal(text, scale: scale)
    case .variableDecimal: try variableDecimal(text)
    case .timestamp(let unit): try timestamp(text, unit)
    case .zonedTimestamp(let digits): try zonedTimestamp(text, fractionDigits: digits)
    case .date: try date(text)
    case .time(let unit): try time(text, unit)
    default: try rareValue(text, as: kind)
    }
  }

  private mutating func rareValue(
    _ text: ArraySlice<UInt8>, as kind: ValueKind
  ) throws(ValueError) {
    switch kind {
    case .bit: try bit(text)
    case .bits: try bits(text)
    case .money(let digits, let mode): try money(text, fractionDigits: digits, mode)
    case .bytes(let mode): try binary(text, mode)
    case .isoDate: try isoDate(text)
    case .isoTime: try isoTime(text)
    case .zonedTime: try zonedTime(text)
    case .isoTimestamp: try isoTimestamp(text)
    case .interval: try interval(text)
    case .isoInterval: try isoInterval(text)
    case .hstoreJSON: try hstoreJSON(text)
    case .hstoreMap: try hstoreMap(text)
    case .point: try point(text)
    case .array(let element, let delimiter, let dimensions):
      try array(text, of: element, delimiter: delimiter, dimensions: dimensions)
    default: throw .malformed
    }
  }

  /// What stands for a value that the schema requires and nobody has: the type's zero.
  ///
  /// Debezium puts it where a default is a function's and where a deleted row's columns beyond the
  /// key may not be null. Nil: the type has none.
  static func zero(of kind: ValueKind, named name: String?) -> [UInt8]? {
    let text: String
    switch kind {
    case .string:
      switch name {
      case SchemaName.json: text = "\"{}\""
      case SchemaName.uuid: text = "\"00000000-0000-0000-0000-000000000000\""
      default: text = "\"\""
      }
    case .integer, .date, .time, .timestamp, .interval: text = "0"
    case .float: text = "0.0"
    case .boolean, .bit: text = "false"
    case .decimal: text = "\"AA==\""
    case .variableDecimal: text = "{\"scale\":0,\"value\":\"AA==\"}"
    case .money(let digits, let mode):
      switch mode {
      case .precise: text = "\"AA==\""
      case .double: text = "0.0"
      case .string: text = digits > 0 ? "\"0.\(String(repeating: "0", count: digits))\"" : "\"0\""
      }
    case .bits, .bytes: text = "\"\""
    case .isoDate: text = "\"1970-01-01Z\""
    case .isoTime, .zonedTime: text = "\"00:00:00Z\""
    case .isoTimestamp: text = "\"1970-01-01T00:00:00Z\""
    case .zonedTimestamp(let digits):
      let fraction = digits > 0 ? ".\(String(repeating: "0", count: digits))" : ""
      text = "\"1970-01-01T00:00:00\(fraction)Z\""
    case .isoInterval: text = "\"P0Y0M0DT0H0M0S\""
    case .hstoreJSON: text = "\"{}\""
    case .hstoreMap: text = "{}"
    case .point: text = "{\"x\":0.0,\"y\":0.0,\"wkb\":null,\"srid\":null}"
    case .array: text = "[]"
    }
    return Array(text.utf8)
  }

  private mutating func bit(_ text: ArraySlice<UInt8>) throws(ValueError) {
    guard text.count == 1, let digit = text.first, digit & 0xfe == 0x30 else { throw .malformed }
    bool(digit == 0x31)
  }

  private mutating func bits(_ text: ArraySlice<UInt8>) throws(ValueError) {
    guard text.allSatisfy({ $0 & 0xfe == 0x30 }) else { throw .malformed }
    let significant = text.drop { $0 == 0x30 }
    base64((significant.count + 7) / 8) { index in
      var byte: UInt8 = 0
      for bit in 0..<8 {
        let position = significant.endIndex - 1 - (index * 8 + bit)
        guard position >= significant.startIndex else { break }
        byte |= (significant[position] & 1) << UInt8(bit)
      }
      return byte
    }
  }

  /// `\xdeadbeef`, or the escape format that `bytea_output` may still ask for.
  private mutating func binary(
    _ text: ArraySlice<UInt8>, _ mode: EnvelopeOptions.BinaryMode
  ) throws(ValueError) {
    if text.starts(with: [0x5c, 0x78]) {
      let hex = text.dropFirst(2)
      guard hex.count % 2 == 0, hex.allSatisfy({ JSONString.hexDigit($0) != nil }) else {
        throw .malformed
      }
      if mode == .hex {
        string(hex)
        return
      }
      base64(hex.count / 2, isURLSafe: mode == .base64URLSafe) { index in
        let at = hex.startIndex + index * 2
        return (JSONString.hexDigit(hex[at]) ?? 0) << 4 | (JSONString.hexDigit(hex[at + 1]) ?? 0)
      }
      return
    }
    var data: [UInt8] = []
    var cursor = TextCursor(text)
    while let byte = cursor.next {
      cursor.index += 1
      if byte != 0x5c {
        data.append(byte)
      } else if cursor.skip(0x5c) {
        data.append(0x5c)
      } else {
        var value = 0
        for _ in 0..<3 {
          guard let digit = cursor.next, (0x30...0x37).contains(digit) else { throw .malformed }
          value = value << 3 | Int(digit - 0x30)
          cursor.index += 1
        }
        data.append(UInt8(truncatingIfNeeded: value))
      }
    }
    if mode == .hex {
      byte(UInt8(ascii: "\""))
      for byte in data {
        raw(String(byte >> 4, radix: 16) + String(byte & 15, radix: 16))
      }
      byte(UInt8(ascii: "\""))
      return
    }
    base64(data.count, isURLSafe: mode == .base64URLSafe) { data[$0] }
  }

  // MARK: Structures

  /// `(1.5,-2.5)`, with the same as little-endian well-known binary, as Debezium has it.
  private mutating func point(_ text: ArraySlice<UInt8>) throws(ValueError) {
    guard text.first == UInt8(ascii: "("), text.last == UInt8(ascii: ")"),
      let comma = text.firstIndex(of: UInt8(ascii: ","))
    else { throw .malformed }
    let x = text[text.startIndex + 1..<comma]
    let y = text[comma + 1..<text.endIndex - 1]
    raw("{\"x\":")
    try floatText(x)
    raw(",\"y\":")
    try floatText(y)
    guard let xValue = Double(String(decoding: x, as: UTF8.self)),
      let yValue = Double(String(decoding: y, as: UTF8.self))
    else { throw .malformed }
    // Byte order, then the geometry's type: a point.
    var wkb: [UInt8] = [1, 1, 0, 0, 0]
    for bits in [xValue.bitPattern, yValue.bitPattern] {
      for shift in stride(from: 0, to: 64, by: 8) {
        wkb.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
      }
    }
    raw(",\"wkb\":")
    base64(wkb[...])
    raw(",\"srid\":null}")
  }

  private mutating func hstoreJSON(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var inner = JSONText(capacity: text.count)
    try inner.hstoreMap(text)
    string(inner.bytes[...])
  }

  /// `"a"=>"1", "b c"=>NULL`
  private mutating func hstoreMap(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var cursor = TextCursor(text)
    byte(UInt8(ascii: "{"))
    var isFirst = true
    while !cursor.isAtEnd {
      if !isFirst {
        try cursor.expect(UInt8(ascii: ","))
        _ = cursor.skip(UInt8(ascii: " "))
        byte(UInt8(ascii: ","))
      }
      isFirst = false
      string(try Self.quoted(&cursor))
      try cursor.expect(UInt8(ascii: "="))
      try cursor.expect(UInt8(ascii: ">"))
      byte(UInt8(ascii: ":"))
      if cursor.next == UInt8(ascii: "\"") {
        string(try Self.quoted(&cursor))
      } else {
        for letter in "NULL".utf8 { try cursor.expect(letter) }
        null()
      }
    }
    byte(UInt8(ascii: "}"))
  }

  /// A string in double quotes, with backslashes before what they protect.
  private static func quoted(
    _ cursor: inout TextCursor
  ) throws(ValueError) -> ArraySlice<UInt8> {
    try cursor.expect(UInt8(ascii: "\""))
    let start = cursor.index
    var plain: [UInt8]?
    while let byte = cursor.next {
      switch byte {
      case UInt8(ascii: "\""):
        let slice = cursor.text[start..<cursor.index]
        cursor.index += 1
        return plain.map { $0[...] } ?? slice
      case UInt8(ascii: "\\"):
        if plain == nil { plain = Array(cursor.text[start..<cursor.index]) }
        cursor.index += 1
        guard let escaped = cursor.next else { throw .malformed }
        plain?.append(escaped)
      default: plain?.append(byte)
      }
      cursor.index += 1
    }
    throw .malformed
  }

  // MARK: Arrays

  /// `{1,NULL,"a b"}`, `[0:1]={1,2}`, `{{1,2},{3,4}}`.
  private mutating func array(
    _ text: ArraySlice<UInt8>, of element: ValueKind, delimiter: UInt8, dimensions: Int?
  ) throws(ValueError) {
    var cursor = TextCursor(text)
    if cursor.next == UInt8(ascii: "[") {
      // Lower bounds other than one, which JSON does not have.
      guard let equals = text.firstIndex(of: UInt8(ascii: "=")) else { throw .malformed }
      cursor.index = equals + 1
    }
    // An element that begins with a brace is quoted, so these are the dimensions.
    let depth = text[cursor.index...].prefix { $0 == UInt8(ascii: "{") }.count
    // Postgres has at most six; the bound keeps the recursion small.
    guard (1...6).contains(depth) else { throw .malformed }
    let isEmpty = text[cursor.index...].elementsEqual("{}".utf8)
    let wanted = dimensions ?? depth
    let wrapping = isEmpty ? 0 : max(0, wanted - depth)
    for _ in 0..<wrapping { byte(UInt8(ascii: "[")) }
    let flattened = 1..<(1 + max(0, depth - wanted))
    try level(0, flattened, &cursor, element, delimiter)
    for _ in 0..<wrapping { byte(UInt8(ascii: "]")) }
    guard cursor.isAtEnd else { throw .malformed }
  }

  private mutating func level(
    _ level: Int, _ flattened: Range<Int>, _ cursor: inout TextCursor, _ element: ValueKind,
    _ delimiter: UInt8
  ) throws(ValueError) {
    guard level < 6 else { throw .malformed }
    try cursor.expect(UInt8(ascii: "{"))
    if !flattened.contains(level) { byte(UInt8(ascii: "[")) }
    var isFirst = true
    while !cursor.skip(UInt8(ascii: "}")) {
      if !isFirst {
        try cursor.expect(delimiter)
        byte(UInt8(ascii: ","))
      }
      isFirst = false
      switch cursor.next {
      case UInt8(ascii: "{"):
        try self.level(level + 1, flattened, &cursor, element, delimiter)
      case UInt8(ascii: "\""): try value(try Self.quoted(&cursor), as: element)
      default:
        let start = cursor.index
        while let byte = cursor.next, byte != delimiter, byte != UInt8(ascii: "}") {
          cursor.index += 1
        }
        let plain = cursor.text[start..<cursor.index]
        guard !plain.isEmpty else { throw .malformed }
        if plain.elementsEqual("NULL".utf8) { null() } else { try value(plain, as: element) }
      }
    }
    if !flattened.contains(level) { byte(UInt8(ascii: "]")) }
  }
}
