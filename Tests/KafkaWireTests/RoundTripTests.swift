import Bytes
import KafkaWire
import Testing

@Suite struct `Round trips` {
  @Test(arguments: allMessages.indices)
  func `of random messages lose nothing, in any version`(index: Int) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      for version in M.versions {
        for seed: UInt64 in 0..<20 {
          let message = try RandomVisitor.message(M.self, version: version, seed: seed)
          let bytes = try message.encoded(version: version)
          var decoder = WireDecoder(
            ByteReader(bytes), version: version,
            isFlexible: M.flexibleSince.map { version >= $0 } ?? false)
          var decoded = M()
          try decoded.walk(decoder: &decoder)
          #expect(decoded == message, "\(M.self) v\(version) seed \(seed)")
          #expect(decoder.reader.isAtEnd, "\(M.self) v\(version) seed \(seed)")
        }
      }
    }
    try check(allMessages[index])
  }

  @Test(arguments: allMessages.indices)
  func `of defaults work in any version, so no default is taken for a value`(index: Int) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      for version in M.versions {
        let bytes = try M().encoded(version: version)
        #expect(try M.decode(bytes[...], version: version) == M(), "\(M.self) v\(version)")
      }
    }
    try check(allMessages[index])
  }

  @Test(arguments: allMessages.indices)
  func `are refused outside the message's versions`(index: Int) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      for version in [M.versions.lowerBound - 1, M.versions.upperBound + 1] {
        #expect(throws: WireError.unsupportedVersion(version)) {
          try M().encoded(version: version)
        }
        #expect(throws: WireError.unsupportedVersion(version)) {
          try M.decode([], version: version)
        }
      }
    }
    try check(allMessages[index])
  }
}
