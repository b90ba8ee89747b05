/// The fields of one line. Made once and used for all lines: its memory stays.
///
/// (1) No input makes it trap. What it does not know it passes over, to a depth that is bounded.
/// (2) Lists of lists become one list of numbers.
struct HistoryParser {
  /// What a line says is not so: byte of the line, and why.
  struct Failure: Error {
    var position: Int
    var reason: String
  }

  struct Number: Equatable {
    var magnitude: UInt64
    var isNegative: Bool

    var signed: Int64? {
      guard isNegative else { return Int64(exactly: magnitude) }
      return magnitude <= UInt64(1) << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
    }
  }

  private static var depthMax: Int { 8 }

  private var bytes: ArraySlice<UInt8> = []
  private(set) var position = 0
  private var present = [Bool](repeating: false, count: HistoryLine.Key.allCases.count)
  private var numbers = [Number](
    repeating: Number(magnitude: 0, isNegative: false), count: HistoryLine.Key.allCases.count)
  private var texts = [String?](repeating: nil, count: HistoryLine.Key.allCases.count)
  private var lists = [Range<Int>?](repeating: nil, count: HistoryLine.Key.allCases.count)
  private(set) var elements: [Number] = []

  init() {}

  mutating func parse(_ line: ArraySlice<UInt8>) throws(Failure) {
    bytes = line
    position = line.startIndex
    elements.removeAll(keepingCapacity: true)
    for index in present.indices where present[index] {
      present[index] = false
      texts[index] = nil
      lists[index] = nil
    }
    try expect(UInt8(ascii: "{"))
    if next() == UInt8(ascii: "}") { throw failure("no fields") }
    while true {
      let name = try quoted()
      try expect(UInt8(ascii: ":"))
      if let key = HistoryLine.Name(name).flatMap({ HistoryLine.keys[$0] }) {
        try value(of: key.rawValue)
      } else {
        try skip(depth: 0)
      }
      switch next() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        guard next() == nil else { throw failure("something follows") }
        return
      default: throw failure("no end")
      }
    }
  }

  // MARK: Fields

  func number(_ key: HistoryLine.Key) -> Number? {
    let index = key.rawValue
    guard present[index], texts[index] == nil, lists[index] == nil else { return nil }
    return numbers[index]
  }

  func text(_ key: HistoryLine.Key) -> String? { texts[key.rawValue] }

  func list(_ key: HistoryLine.Key) -> ArraySlice<Number>? {
    lists[key.rawValue].map { elements[$0] }
  }

  func failure(_ reason: String) -> Failure {
    Failure(position: position - bytes.startIndex, reason: reason)
  }

  // MARK: Values

  private mutating func value(of key: Int) throws(Failure) {
    present[key] = true
    switch next() {
    case UInt8(ascii: "\""):
      texts[key] = try string()
    case UInt8(ascii: "["):
      let start = elements.count
      try list(depth: 1)
      lists[key] = start..<elements.count
    case UInt8(ascii: "t"):
      try word("true")
      numbers[key] = Number(magnitude: 1, isNegative: false)
    case UInt8(ascii: "f"):
      try word("false")
      numbers[key] = Number(magnitude: 0, isNegative: false)
    case UInt8(ascii: "n"):
      try word("null")
      present[key] = false
    default:
      numbers[key] = try number()
    }
  }

  private mutating func list(depth: Int) throws(Failure) {
    guard depth < Self.depthMax else { throw failure("too deep") }
    position += 1
    if next() == UInt8(ascii: "]") {
      position += 1
      return
    }
    while true {
      if next() == UInt8(ascii: "[") {
        try list(depth: depth + 1)
      } else {
        elements.append(try number())
      }
      switch next() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return
      default: throw failure("no end of a list")
      }
    }
  }

  private mutating func number() throws(Failure) -> Number {
    let isNegative = next() == UInt8(ascii: "-")
    if isNegative { position += 1 }
    let start = position
    var magnitude: UInt64 = 0
    while position < bytes.endIndex, case let digit = bytes[position] &- UInt8(ascii: "0"),
      digit < 10
    {
      let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      guard !overflow, !carry else { throw failure("a number of more than 64 bits") }
      magnitude = sum
      position += 1
    }
    guard position > start else { throw failure("no number") }
    return Number(magnitude: magnitude, isNegative: isNegative)
  }

  private mutating func skip(depth: Int) throws(Failure) {
    guard depth < Self.depthMax else { throw failure("too deep") }
    switch next() {
    case UInt8(ascii: "\""): _ = try quoted()
    case UInt8(ascii: "["), UInt8(ascii: "{"):
      position += 1
      while let byte = next(), byte != UInt8(ascii: "]"), byte != UInt8(ascii: "}") {
        if byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") {
          position += 1
        } else {
          try skip(depth: depth + 1)
        }
      }
      guard next() != nil else { throw failure("no end") }
      position += 1
    default:
      let start = position
      while position < bytes.endIndex, !Self.ends(bytes[position]) { position += 1 }
      guard position > start else { throw failure("no value") }
    }
  }

  private static func ends(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"), 0...0x20: true
    default: false
    }
  }

  // MARK: Text

  private mutating func string() throws(Failure) -> String {
    let raw = try quoted()
    guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
    var text: [UInt16] = []
    var rest = raw
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        // Whole sequences up to the next escape.
        let end = rest.firstIndex(of: UInt8(ascii: "\\")) ?? rest.endIndex
        let run = raw[(rest.startIndex - 1)..<end]
        text.append(contentsOf: String(decoding: run, as: UTF8.self).utf16)
        rest = rest[end...]
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "n"): text.append(10)
      case UInt8(ascii: "t"): text.append(9)
      case UInt8(ascii: "r"): text.append(13)
      case UInt8(ascii: "b"): text.append(8)
      case UInt8(ascii: "f"): text.append(12)
      case UInt8(ascii: "u"):
        let digits = String(decoding: rest.prefix(4), as: UTF8.self)
        guard digits.utf8.count == 4, let unit = UInt16(digits, radix: 16) else {
          throw failure("an escape without its digits")
        }
        rest = rest.dropFirst(4)
        text.append(unit)
      case let plain?: text.append(UInt16(plain))
      case nil: throw failure("an escape without its letter")
      }
    }
    return String(decoding: text, as: UTF16.self)
  }

  /// What is between quotes, escapes and all.
  private mutating func quoted() throws(Failure) -> ArraySlice<UInt8> {
    try expect(UInt8(ascii: "\""))
    let start = position
    while position < bytes.endIndex {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return bytes[start..<position - 1]
      case UInt8(ascii: "\\"): position += 2
      default: position += 1
      }
    }
    position = bytes.endIndex
    throw failure("no closing quote")
  }

  private mutating func word(_ word: StaticString) throws(Failure) {
    for byte in Array("\(word)".utf8) { try expect(byte) }
  }

  private mutating func expect(_ byte: UInt8) throws(Failure) {
    guard next() == byte else {
      throw failure("no \(Character(Unicode.Scalar(byte)))")
    }
    position += 1
  }

  /// The next byte that is not blank, which is not taken.
  private mutating func next() -> UInt8? {
    while position < bytes.endIndex, bytes[position] <= 0x20 { position += 1 }
    return position < bytes.endIndex ? bytes[position] : nil
  }
}
