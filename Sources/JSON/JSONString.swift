/// What JSON's strings say.
///
/// Public for the reason that `ByteReader` is.
public enum JSONString {
  /// The text of a string: `bytes` are what a scanner found between its quotes. A lone surrogate
  /// becomes U+FFFD, as most readers have it, or is refused.
  package static func text(
    _ bytes: ArraySlice<UInt8>, refusesLoneSurrogates: Bool = false
  ) throws(JSONError) -> String {
    guard bytes.contains(UInt8(ascii: "\\")) else {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw .notUTF8(at: bytes.startIndex)
      }
      return text
    }
    var plain: [UInt8] = []
    plain.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
      if bytes[index] != UInt8(ascii: "\\") {
        plain.append(bytes[index])
        index += 1
      } else {
        try unescape(bytes, &index, &plain, refusesLoneSurrogates)
      }
    }
    guard let text = String(validating: plain, as: UTF8.self) else {
      throw .notUTF8(at: bytes.startIndex)
    }
    return text
  }

  private static func unescape(
    _ bytes: ArraySlice<UInt8>, _ index: inout Int, _ plain: inout [UInt8],
    _ refusesLoneSurrogates: Bool
  ) throws(JSONError) {
    guard index + 1 < bytes.endIndex else { throw .truncated(at: index) }
    let mark = bytes[index + 1]
    if mark != UInt8(ascii: "u") {
      plain.append(escapes[mark] ?? mark)
      index += 2
      return
    }
    var code = try unit(bytes, index)
    index += 6
    if (0xd800..<0xdc00).contains(code), index + 1 < bytes.endIndex,
      bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
    {
      let low = try unit(bytes, index)
      if (0xdc00..<0xe000).contains(low) {
        code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        index += 6
      }
    }
    guard let scalar = Unicode.Scalar(code) ?? (refusesLoneSurrogates ? nil : "\u{fffd}") else {
      throw .badEscape(at: index)
    }
    plain.append(contentsOf: String(Character(scalar)).utf8)
  }

  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13,
    UInt8(ascii: "t"): 9,
  ]

  private static func unit(
    _ bytes: ArraySlice<UInt8>, _ index: Int
  ) throws(JSONError) -> UInt32 {
    guard index + 6 <= bytes.endIndex else { throw .truncated(at: index) }
    var code: UInt32 = 0
    for place in index + 2..<index + 6 {
      guard let digit = hexDigit(bytes[place]) else { throw .badEscape(at: place) }
      code = code << 4 | UInt32(digit)
    }
    return code
  }

  /// A digit of base 16, of either case.
  @inlinable
  package static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }

  /// RFC 4648 with or without padding; nil for anything else.
  package static func base64(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var bitCount = 0
    var padding = 0
    for byte in text {
      let value: UInt8
      switch byte {
      case 0x41...0x5a: value = byte - 0x41
      case 0x61...0x7a: value = byte - 0x61 + 26
      case 0x30...0x39: value = byte - 0x30 + 52
      case UInt8(ascii: "+"): value = 62
      case UInt8(ascii: "/"): value = 63
      case UInt8(ascii: "="):
        padding += 1
        continue
      default: return nil
      }
      guard padding == 0 else { return nil }
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
        bits &= (1 << UInt32(bitCount)) - 1
      }
    }
    guard padding <= 2, bitCount < 6, bits == 0 else { return nil }
    return bytes
  }
}
