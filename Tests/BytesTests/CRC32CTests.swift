import Bytes
import Testing

@Suite struct `CRC-32C` {
  @Test(
    arguments: [
      ("", 0x0000_0000), ("a", 0xc1d0_4330), ("123456789", 0xe306_9283), ("hello", 0x9a71_bb4c),
      ("The quick brown fox jumps over the lazy dog", 0x2262_0404),
    ] as [(String, UInt32)])
  func `of the published strings is as published`(text: String, expected: UInt32) {
    #expect(CRC32C.of(Array(text.utf8)[...]) == expected)
  }

  @Test func `of the iSCSI vectors is as published`() {
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)[...]) == 0x8a91_36aa)
    #expect(CRC32C.of([UInt8](repeating: 0xff, count: 32)[...]) == 0x62a8_ab43)
    #expect(CRC32C.of([UInt8](0..<32)[...]) == 0x46dd_794e)
  }

  @Test func `is the same by instruction and by table, for every length and cut`() {
    var state: UInt64 = 7
    let bytes = (0..<20_000).map { _ -> UInt8 in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
    for length in Array(0..<300) + [3071, 3072, 3073, 6144, 9999, 20_000] {
      var portable = CRC32C()
      bytes[..<length].withUnsafeBytes { portable.updatePortably($0) }
      #expect(CRC32C.of(bytes[..<length]) == portable.value)
      var parts = CRC32C()
      parts.update(bytes[..<(length / 3)])
      parts.update(bytes[(length / 3)..<length])
      #expect(parts.value == portable.value)
    }
  }
}
