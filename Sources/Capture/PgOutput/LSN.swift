/// A position in Postgres's write-ahead log: bytes since the cluster was made.
///
/// Zero is no position (`InvalidXLogRecPtr`). Postgres prints it as two hexadecimal halves,
/// `16/B374D848`.
package struct LSN: Hashable, Comparable, Sendable {
  package var rawValue: UInt64

  package init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  package static let zero = LSN(0)

  package static func < (left: LSN, right: LSN) -> Bool {
    left.rawValue < right.rawValue
  }

  /// Reads `16/B374D848`, of either case; nil when it is anything else.
  package init?(_ text: some StringProtocol) {
    let halves = text.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2 else { return nil }
    var value: UInt64 = 0
    for half in halves {
      // `UInt32.init` would take a sign.
      guard (1...8).contains(half.utf8.count), half.utf8.first != 0x2b,
        let bits = UInt32(half, radix: 16)
      else { return nil }
      value = value << 32 | UInt64(bits)
    }
    rawValue = value
  }
}

extension LSN: CustomStringConvertible {
  package var description: String {
    let high = String(rawValue >> 32, radix: 16, uppercase: true)
    let low = String(rawValue & 0xffff_ffff, radix: 16, uppercase: true)
    return "\(high)/\(low)"
  }
}
