/// JSON under construction: a buffer that text is appended to. The hot path allocates nothing but
/// it.
///
/// Public for the reason that `ByteReader` is.
public struct JSONText: Sendable {
  @usableFromInline package private(set) var bytes: [UInt8]
  /// How many values were written as null because their form has no place for them; counted by
  /// whoever writes them.
  @usableFromInline package var unsayable = 0

  @inlinable
  package init(capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  @inlinable package var count: Int { bytes.count }

  @inlinable
  package mutating func raw(_ array: [UInt8]) {
    bytes.append(contentsOf: array)
  }

  @inlinable
  package mutating func raw(_ slice: ArraySlice<UInt8>) {
    bytes.append(contentsOf: slice)
  }

  @inlinable
  package mutating func raw(_ text: String) {
    bytes.append(contentsOf: text.utf8)
  }

  @inlinable
  package mutating func byte(_ byte: UInt8) {
    bytes.append(byte)
  }

  @inlinable
  package mutating func null() {
    raw(Self.nullText)
  }

  @inlinable
  package mutating func bool(_ value: Bool) {
    raw(value ? Self.trueText : Self.falseText)
  }

  @usableFromInline package static let nullText = Array("null".utf8)
  @usableFromInline static let trueText = Array("true".utf8)
  @usableFromInline static let falseText = Array("false".utf8)

  @inlinable
  package mutating func integer(_ value: Int64) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    unsigned(value.magnitude)
  }

  @inlinable
  package mutating func integer(_ value: Int) {
    integer(Int64(value))
  }

  @usableFromInline
  package mutating func unsigned(_ value: UInt64) {
    var rest = value
    var digits = 1
    var bound: UInt64 = 10
    while value >= bound {
      digits += 1
      if digits == 20 { break }
      bound &*= 10
    }
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digits))
    var index = start + digits
    while rest > 0 {
      index -= 1
      bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  /// `value`, with zeros in front up to `digits`.
  package mutating func padded(_ value: Int, digits: Int) {
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digits))
    var rest = value
    var index = start + digits
    while rest > 0, index > start {
      index -= 1
      bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  package mutating func string(_ text: String) {
    string(ArraySlice(text.utf8))
  }

  /// A JSON string with what `text` says, in the form Jackson gives it: only what has to be escaped
  /// is.
  ///
  /// Bytes that are not UTF-8 (a database in SQL_ASCII) become U+FFFD: JSON has no place for them.
  package mutating func string(_ text: ArraySlice<UInt8>) {
    bytes.append(UInt8(ascii: "\""))
    let start = bytes.count
    if escaped(text) >= 0x80, !Self.isUTF8(text) {
      bytes.removeSubrange(start...)
      escaped(ArraySlice(String(decoding: text, as: UTF8.self).utf8))
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private static func isUTF8(_ text: ArraySlice<UInt8>) -> Bool {
    (try? UTF8Span(validating: text.span)) != nil
  }

  /// Returns all bytes of the text or-ed together: at least 0x80 when one is not ASCII.
  @discardableResult
  private mutating func escaped(_ text: ArraySlice<UInt8>) -> UInt8 {
    var seen: UInt8 = 0
    var plain = text.startIndex
    let span = text.span
    for offset in span.indices {
      let byte = span[offset]
      seen |= byte
      if byte >= 0x20 && byte != 0x22 && byte != 0x5c { continue }
      let index = text.startIndex + offset
      bytes.append(contentsOf: text[plain..<index])
      escape(byte)
      plain = index + 1
    }
    bytes.append(contentsOf: text[plain...])
    return seen
  }

  private mutating func escape(_ byte: UInt8) {
    bytes.append(0x5c)
    switch byte {
    case 0x08: bytes.append(UInt8(ascii: "b"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0x0a: bytes.append(UInt8(ascii: "n"))
    case 0x0c: bytes.append(UInt8(ascii: "f"))
    case 0x0d: bytes.append(UInt8(ascii: "r"))
    case 0x22, 0x5c: bytes.append(byte)
    default:
      raw("u00")
      bytes.append(Self.hexDigits[Int(byte >> 4)])
      bytes.append(Self.hexDigits[Int(byte & 15)])
    }
  }

  private static let hexDigits = Array("0123456789ABCDEF".utf8)
  @usableFromInline static let base64Digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  @usableFromInline static let base64URLDigits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// `count` bytes in base64, between quotes; `byte` gives each.
  @inlinable
  package mutating func base64(_ count: Int, isURLSafe: Bool = false, _ byte: (Int) -> UInt8) {
    let digits = isURLSafe ? Self.base64URLDigits : Self.base64Digits
    bytes.append(UInt8(ascii: "\""))
    var index = 0
    while index < count {
      let second = index + 1 < count ? UInt32(byte(index + 1)) : 0
      let third = index + 2 < count ? UInt32(byte(index + 2)) : 0
      let group = UInt32(byte(index)) << 16 | second << 8 | third
      bytes.append(digits[Int(group >> 18)])
      bytes.append(digits[Int(group >> 12 & 63)])
      bytes.append(index + 1 < count ? digits[Int(group >> 6 & 63)] : UInt8(ascii: "="))
      bytes.append(index + 2 < count ? digits[Int(group & 63)] : UInt8(ascii: "="))
      index += 3
    }
    bytes.append(UInt8(ascii: "\""))
  }

  @inlinable
  package mutating func base64(_ data: ArraySlice<UInt8>) {
    base64(data.count) { data[data.startIndex + $0] }
  }

  /// Takes back what was appended since `count` was the size.
  @inlinable
  package mutating func truncate(to count: Int) {
    bytes.removeSubrange(count...)
  }

  /// The text, leaving nothing.
  package consuming func take() -> [UInt8] {
    bytes
  }
}
