internal import Glibc

/// Reads JSON text (RFC 8259) piece by piece, picks what is asked for, skips the rest, and copies
/// nothing: what it finds are ranges of the bytes.
///
/// (1) No input makes it trap, recurse or allocate: depth is bounded, kept as one bit a level.
/// (2) Whatever it passes over has been checked: grammar, escapes, no bare control characters. Not
///     checked is whether strings are UTF-8; that is done when one is taken.
/// (3) Numbers are ranges of text, so no digit is lost.
///
/// The memory must outlive the scanner: it lives within one `withUnsafeBytes`.
///
/// Public for the reason that `ByteReader` is.
@unsafe
public struct JSONScanner {
  /// A document may nest so deep; a bit each in `isObject`.
  @usableFromInline package static var depthMax: Int { 64 }

  @usableFromInline package let base: UnsafePointer<UInt8>
  @usableFromInline let end: Int
  @usableFromInline package private(set) var position = 0
  /// The object that was begun last has had no field yet.
  @usableFromInline var isFirst = false

  @inlinable
  package init(_ bytes: UnsafeBufferPointer<UInt8>) {
    // An empty buffer may have no address; nothing is read through this one then.
    unsafe base = unsafe bytes.baseAddress ?? UnsafePointer(bitPattern: 1).unsafelyUnwrapped
    unsafe end = bytes.baseAddress == nil ? 0 : bytes.count
  }

  // MARK: Pulling

  /// What the next value is, and where it begins.
  @inlinable
  package mutating func peekKind() throws(JSONError) -> JSONKind {
    unsafe skipBlanks()
    guard unsafe position < end else { throw unsafe .truncated(at: position) }
    switch unsafe base[position] {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    case UInt8(ascii: "-"), 0x30...0x39: return .number
    default: throw unsafe .unexpected(at: position)
    }
  }

  @inlinable
  package mutating func beginObject() throws(JSONError) { try unsafe begin(UInt8(ascii: "{")) }

  @inlinable
  package mutating func beginArray() throws(JSONError) { try unsafe begin(UInt8(ascii: "[")) }

  @inlinable
  mutating func begin(_ bracket: UInt8) throws(JSONError) {
    unsafe skipBlanks()
    guard unsafe position < end else { throw unsafe .truncated(at: position) }
    guard unsafe base[position] == bracket else { throw unsafe .unexpected(at: position) }
    unsafe position += 1
    unsafe isFirst = true
  }

  /// The name of the next field, without its quotes and with its escapes, up to its value; nil at
  /// the end of the object. The value must be read or skipped before the next call.
  @inlinable
  package mutating func nextField() throws(JSONError) -> Range<Int>? {
    guard try unsafe hasNext(closing: UInt8(ascii: "}")) else { return nil }
    unsafe skipBlanks()
    guard unsafe position < end else { throw unsafe .truncated(at: position) }
    guard unsafe base[position] == UInt8(ascii: "\"") else {
      throw unsafe .unexpected(at: position)
    }
    let name = try unsafe passString()
    unsafe skipBlanks()
    guard unsafe position < end else { throw unsafe .truncated(at: position) }
    guard unsafe base[position] == UInt8(ascii: ":") else {
      throw unsafe .unexpected(at: position)
    }
    unsafe position += 1
    return name
  }

  /// Whether the array has another element, which must be read or skipped before the next call.
  @inlinable
  package mutating func nextElement() throws(JSONError) -> Bool {
    try unsafe hasNext(closing: UInt8(ascii: "]"))
  }

  @inlinable
  mutating func hasNext(closing bracket: UInt8) throws(JSONError) -> Bool {
    unsafe skipBlanks()
    guard unsafe position < end else { throw unsafe .truncated(at: position) }
    let byte = unsafe base[position]
    if byte == bracket {
      unsafe position += 1
      unsafe isFirst = false
      return false
    }
    if unsafe isFirst {
      unsafe isFirst = false
      return true
    }
    guard byte == UInt8(ascii: ",") else { throw unsafe .unexpected(at: position) }
    unsafe position += 1
    return true
  }

  /// Passes over one value of any kind, having checked all of it. The range of a string is without
  /// its quotes.
  @inlinable
  package mutating func value() throws(JSONError) -> JSONPart {
    let kind = try unsafe peekKind()
    let start = unsafe position
    switch kind {
    case .string:
      let range = try unsafe passString()
      return JSONPart(kind: .string, range: range)
    case .object, .array: try unsafe passNested()
    default: try unsafe passScalar()
    }
    return unsafe JSONPart(kind: kind, range: start..<position)
  }

  /// Passes over an object that was read before, if exactly those bytes come next.
  package mutating func skip(known: [UInt8]) -> Range<Int>? {
    unsafe skipBlanks()
    guard !known.isEmpty, unsafe known.count <= end - position else { return nil }
    let isKnown = unsafe known.withUnsafeBufferPointer { bytes in
      guard let first = bytes.baseAddress else { return false }
      return unsafe memcmp(base + position, first, bytes.count) == 0
    }
    guard isKnown else { return nil }
    unsafe position += known.count
    return unsafe position - known.count..<position
  }

  /// After the value: nothing but blanks.
  @inlinable
  package mutating func expectEnd() throws(JSONError) {
    unsafe skipBlanks()
    guard unsafe position == end else { throw unsafe .unexpected(at: position) }
  }

  @inlinable
  package func isName(_ range: Range<Int>, _ name: StaticString) -> Bool {
    guard range.count == name.utf8CodeUnitCount else { return false }
    let text = unsafe name.utf8Start
    for index in 0..<range.count {
      guard unsafe base[range.lowerBound + index] == text[index] else { return false }
    }
    return true
  }

  // MARK: Passing over

  @inlinable @inline(__always)
  mutating func skipBlanks() {
    while unsafe position < end {
      let byte = unsafe base[position]
      guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
      unsafe position &+= 1
    }
  }

  /// From the opening quote to behind the closing one; what is between them.
  @inlinable
  mutating func passString() throws(JSONError) -> Range<Int> {
    unsafe position += 1
    let start = unsafe position
    while unsafe position < end {
      let byte = unsafe base[position]
      if byte == UInt8(ascii: "\"") {
        unsafe position += 1
        return unsafe start..<position - 1
      }
      guard byte >= 0x20 else { throw unsafe .controlCharacter(at: position) }
      if byte == UInt8(ascii: "\\") { try unsafe passEscape() } else { unsafe position &+= 1 }
    }
    throw unsafe .truncated(at: position)
  }

  @inlinable
  mutating func passEscape() throws(JSONError) {
    guard unsafe position + 1 < end else { throw unsafe .truncated(at: position) }
    switch unsafe base[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      unsafe position += 2
    case UInt8(ascii: "u"):
      guard unsafe position + 6 <= end else { throw unsafe .truncated(at: position) }
      for index in unsafe position + 2..<position + 6 {
        guard unsafe JSONString.hexDigit(base[index]) != nil else { throw .badEscape(at: index) }
      }
      unsafe position += 6
    default: throw unsafe .badEscape(at: position)
    }
  }

  @inlinable
  mutating func passScalar() throws(JSONError) {
    switch unsafe base[position] {
    case UInt8(ascii: "t"): try unsafe passWord("true")
    case UInt8(ascii: "f"): try unsafe passWord("false")
    case UInt8(ascii: "n"): try unsafe passWord("null")
    default: try unsafe passNumber()
    }
  }

  @inlinable
  mutating func passWord(_ word: StaticString) throws(JSONError) {
    let text = unsafe word.utf8Start
    for index in 0..<word.utf8CodeUnitCount {
      guard unsafe position < end else { throw unsafe .truncated(at: position) }
      guard unsafe base[position] == text[index] else { throw unsafe .unexpected(at: position) }
      unsafe position += 1
    }
  }

  @inlinable
  mutating func passNumber() throws(JSONError) {
    if unsafe base[position] == UInt8(ascii: "-") { unsafe position += 1 }
    let first = unsafe position
    try unsafe passDigits()
    if unsafe base[first] == UInt8(ascii: "0"), unsafe position > first + 1 {
      throw .unexpected(at: first + 1)
    }
    if unsafe position < end, unsafe base[position] == UInt8(ascii: ".") {
      unsafe position += 1
      try unsafe passDigits()
    }
    if unsafe position < end, unsafe base[position] | 0x20 == UInt8(ascii: "e") {
      unsafe position += 1
      if unsafe position < end,
        unsafe base[position] == UInt8(ascii: "+") || base[position] == UInt8(ascii: "-")
      {
        unsafe position += 1
      }
      try unsafe passDigits()
    }
  }

  @inlinable
  mutating func passDigits() throws(JSONError) {
    let start = unsafe position
    while unsafe position < end, unsafe (0x30...0x39).contains(base[position]) {
      unsafe position += 1
    }
    guard unsafe position > start else {
      throw unsafe position < end ? .unexpected(at: position) : .truncated(at: position)
    }
  }

  /// An object or array with everything in it, without recursion.
  @usableFromInline
  mutating func passNested() throws(JSONError) {
    var isObject: UInt64 = 0
    var depth = 0
    // Each round is at the start of a value.
    while true {
      let kind = try unsafe peekKind()
      switch kind {
      case .object, .array:
        guard unsafe depth < Self.depthMax else { throw unsafe .tooDeep(at: position) }
        depth += 1
        isObject = isObject << 1 | (kind == .object ? 1 : 0)
        unsafe position += 1
        unsafe isFirst = true
      case .string: _ = try unsafe passString()
      default: try unsafe passScalar()
      }
      // Behind a value or an opening bracket: close what ends here, stop before the next value.
      while true {
        let isMore =
          isObject & 1 == 1 ? try unsafe nextField() != nil : try unsafe nextElement()
        if isMore { break }
        depth -= 1
        isObject >>= 1
        if depth == 0 { return }
      }
    }
  }
}

/// What a JSON value is.
public enum JSONKind: UInt8, Sendable {
  case null, bool, number, string, array, object
}

/// A value as a scanner finds it: what it is, and where it lies in its text. A string's range is
/// without quotes, its escapes are still there.
public struct JSONPart: Sendable {
  @usableFromInline package var kind: JSONKind
  @usableFromInline package var range: Range<Int>

  @inlinable
  package init(kind: JSONKind, range: Range<Int>) {
    self.kind = kind
    self.range = range
  }
}

/// Why a text is not JSON, and at which byte.
public enum JSONError: Error, Hashable, Sendable {
  case truncated(at: Int)
  case unexpected(at: Int)
  case controlCharacter(at: Int)
  case badEscape(at: Int)
  case notUTF8(at: Int)
  case tooDeep(at: Int)
}

extension JSONError: CustomStringConvertible {
  /// A part of a sentence.
  public var description: String {
    switch self {
    case .truncated(let at): "the JSON text ends at byte \(at), before its value does"
    case .unexpected(let at): "byte \(at) does not belong there in JSON"
    case .controlCharacter(let at): "there is a bare control character at byte \(at) of the JSON"
    case .badEscape(let at): "there is no such escape as the one at byte \(at) of the JSON"
    case .notUTF8(let at): "the string at byte \(at) of the JSON is not UTF-8"
    case .tooDeep(let at):
      "the JSON nests deeper than \(unsafe JSONScanner.depthMax) levels at byte \(at)"
    }
  }
}
