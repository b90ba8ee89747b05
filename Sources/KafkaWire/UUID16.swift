/// Sixteen bytes that name a topic (KIP-516) or a directory (KIP-858).
///
/// As text: base64url without padding, 22 characters, as Kafka's tools show it.
package struct UUID16: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Means: no id.
  package static let zero = UUID16(high: 0, low: 0)

  /// Nil unless `text` is the one text form of some id.
  package init?(base64url text: String) {
    guard text.utf8.count == 22 else { return nil }
    // 22 characters carry 132 bits: the id, then four that are zero.
    var bits: (high: UInt64, low: UInt64) = (0, 0)
    for (index, character) in text.utf8.enumerated() {
      guard let sextet = UUID16.sextet(character) else { return nil }
      let width: UInt64 = index < 21 ? 6 : 2
      guard width == 6 || sextet & 0xf == 0 else { return nil }
      bits.high = bits.high &<< width | bits.low &>> (64 - width)
      bits.low = bits.low &<< width | (width == 6 ? sextet : sextet &>> 4)
    }
    self.init(high: bits.high, low: bits.low)
  }

  package var base64url: String {
    var text = ""
    for index in 0..<22 {
      // The bits `first ..< first + 6` of the id, counted from its top, zero beyond its end.
      let first = UInt64(6 * index)
      var sextet: UInt64
      if first <= 58 {
        sextet = high &>> (58 - first)
      } else if first < 64 {
        sextet = high &<< (first - 58) | low &>> (122 - first)
      } else if first <= 122 {
        sextet = low &>> (122 - first)
      } else {
        sextet = low &<< (first - 122)
      }
      sextet &= 0x3f
      text.unicodeScalars.append(Unicode.Scalar(UUID16.alphabet[Int(sextet)]))
    }
    return text
  }

  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  private static func sextet(_ character: UInt8) -> UInt64? {
    alphabet.firstIndex(of: character).map(UInt64.init)
  }
}

extension UUID16: CustomStringConvertible {
  package var description: String { base64url }
}
