/// 128 bits that stand for a row's key: MurmurHash3 x64 128 (Austin Appleby, public domain). Two of
/// a billion keys share one with a probability of 10^-21.
package struct KeyDigest: Hashable, Sendable {
  private let low: UInt64
  private let high: UInt64

  /// Equal digests are equal keys; what a `Set` does with them needs no second hash of all bits.
  package func hash(into hasher: inout Hasher) { hasher.combine(low) }

  package init(_ key: some Collection<UInt8>) {
    let digest =
      unsafe key.withContiguousStorageIfAvailable { unsafe Self.murmur($0) }
      ?? Array(key).withUnsafeBufferPointer { unsafe Self.murmur($0) }
    (low, high) = digest
  }

  private static let first: UInt64 = 0x87c3_7b91_1142_53d5
  private static let second: UInt64 = 0x4cf5_ad43_2745_937f

  private static func murmur(_ bytes: UnsafeBufferPointer<UInt8>) -> (UInt64, UInt64) {
    var a: UInt64 = 0
    var b: UInt64 = 0
    var at = 0
    while at + 16 <= bytes.count {
      a ^= mixFirst(unsafe word(bytes, at, 8))
      a = rotate(a, 27) &+ b
      a = a &* 5 &+ 0x52dc_e729
      b ^= mixSecond(unsafe word(bytes, at + 8, 8))
      b = rotate(b, 31) &+ a
      b = b &* 5 &+ 0x3849_5ab5
      at += 16
    }
    let rest = bytes.count - at
    if rest > 8 { b ^= mixSecond(unsafe word(bytes, at + 8, rest - 8)) }
    if rest > 0 { a ^= mixFirst(unsafe word(bytes, at, min(rest, 8))) }
    a ^= UInt64(bytes.count)
    b ^= UInt64(bytes.count)
    a &+= b
    b &+= a
    a = finish(a)
    b = finish(b)
    a &+= b
    b &+= a
    return (a, b)
  }

  /// Up to eight bytes, little-endian.
  private static func word(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int, _ count: Int) -> UInt64 {
    var result: UInt64 = 0
    for index in 0..<count {
      result |= UInt64(unsafe bytes[at + index]) << UInt64(8 * index)
    }
    return result
  }

  private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    value << bits | value >> (64 - bits)
  }

  private static func mixFirst(_ word: UInt64) -> UInt64 { rotate(word &* first, 31) &* second }

  private static func mixSecond(_ word: UInt64) -> UInt64 { rotate(word &* second, 33) &* first }

  private static func finish(_ value: UInt64) -> UInt64 {
    var value = value
    value ^= value >> 33
    value = value &* 0xff51_afd7_ed55_8ccd
    value ^= value >> 33
    value = value &* 0xc4ce_b9fe_1a85_ec53
    return value ^ value >> 33
  }
}
