import Records
import Testing

/// A stream of Data/streams.txt.
struct Stream: Sendable, CustomTestStringConvertible {
  let name: String
  let codec: Codec
  let bytes: [UInt8]

  var testDescription: String { "\(codec.name) \(name)" }

  static let all: [Stream] = Vectors.lines("streams").compactMap { words in
    guard let codec = Codec.allCases.first(where: { $0.name == words[1] }) else { return nil }
    return Stream(name: words[0], codec: codec, bytes: RecordsTests.bytes(words[2]))
  }

  static let good = all.filter { !["zeros-32M", "linked"].contains($0.name) }

  static func named(_ name: String) throws -> Stream {
    try #require(all.first { $0.name == name })
  }

  static let content = (0..<200_000).map { UInt8($0 % 251) }
}

private let compressing: [Codec] = [.gzip, .snappy, .lz4, .zstd]

@Suite struct `Codecs` {
  @Test(arguments: Stream.good)
  func `read what other programs write`(stream: Stream) throws {
    var decompressor = Decompressor()
    #expect(try decompressor.decompress(stream.bytes[...], stream.codec) == Stream.content)
    // The contexts are used again, after an error too.
    #expect(throws: RecordError.self) {
      try decompressor.decompress(stream.bytes.dropLast(), stream.codec)
    }
    #expect(try decompressor.decompress(stream.bytes[...], stream.codec) == Stream.content)
  }

  @Test(arguments: Stream.good)
  func `take a stream of exactly the bound and refuse one byte more`(stream: Stream) throws {
    var decompressor = Decompressor()
    let size = Stream.content.count
    let whole = try decompressor.decompress(stream.bytes[...], stream.codec, bytesMax: size)
    #expect(whole == Stream.content)
    for bytesMax in [size - 1, 65536, 65535, 1, 0] {
      #expect(throws: RecordError.decompressedTooLarge(stream.codec, bytesMax: bytesMax)) {
        try decompressor.decompress(stream.bytes[...], stream.codec, bytesMax: bytesMax)
      }
    }
  }

  @Test(arguments: Stream.good)
  func `refuse a stream cut anywhere and never trap on a changed byte`(stream: Stream) throws {
    var decompressor = Decompressor()
    let step = max(1, stream.bytes.count / 300)
    for cut in stride(from: 0, to: stream.bytes.count, by: step) {
      // A cut between members or frames leaves a whole stream, only of less.
      if let less = try? decompressor.decompress(stream.bytes[..<cut], stream.codec) {
        #expect(less.count < Stream.content.count)
      }
    }
    for index in stride(from: 0, to: stream.bytes.count, by: step) {
      var bytes = stream.bytes
      bytes[index] ^= 0xff
      _ = try? decompressor.decompress(bytes[...], stream.codec, bytesMax: 1 << 20)
    }
  }

  @Test(arguments: compressing)
  func `give back what they compressed, of any size`(codec: Codec) throws {
    var dice = Dice(state: 7)
    var compressor = Compressor()
    var decompressor = Decompressor()
    let noise = dice.bytes(5 << 20)
    let text = (0..<5 << 20).map { UInt8(truncatingIfNeeded: $0 / 100) }
    for size in [0, 1, 2, 100, 32767, 32768, 32769, 65536, 65537, 1 << 20, 5 << 20] {
      for content in [noise[..<size], text[..<size]] {
        let compressed = compressor.compress(content, codec)
        #expect(try decompressor.decompress(compressed[...], codec) == Array(content))
      }
    }
    #expect(decompressor.retainedSize <= 4 << 20)
  }

  @Test(arguments: compressing)
  func `take every level that a topic may set`(codec: Codec) throws {
    var compressor = Compressor()
    var decompressor = Decompressor()
    guard let levels = codec.levels else { return }
    for level in stride(from: levels.upperBound, through: max(levels.lowerBound, -7), by: -1) {
      let compressed = compressor.compress(Stream.content[...], codec, level: level)
      #expect(try decompressor.decompress(compressed[...], codec) == Stream.content)
    }
  }

  @Test(arguments: compressing)
  func `refuse bombs within their bound of memory`(codec: Codec) throws {
    var compressor = Compressor()
    var decompressor = Decompressor()
    let bomb = compressor.compress([UInt8](repeating: 0, count: 64 << 20)[...], codec)
    #expect(throws: RecordError.decompressedTooLarge(codec, bytesMax: 1 << 20)) {
      try decompressor.decompress(bomb[...], codec, bytesMax: 1 << 20)
    }
    #expect(decompressor.retainedSize <= 1 << 20 + 1)
  }

  @Test func `refuse a zstd bomb that does not say its size`() throws {
    let bomb = try Stream.named("zeros-32M")
    var decompressor = Decompressor()
    #expect(throws: RecordError.decompressedTooLarge(.zstd, bytesMax: 1 << 20)) {
      try decompressor.decompress(bomb.bytes[...], .zstd, bytesMax: 1 << 20)
    }
    #expect(decompressor.retainedSize <= 1 << 20 + 1)
    #expect(try decompressor.decompress(bomb.bytes[...], .zstd).count == 32 << 20)
  }

  @Test(
    arguments: [
      // Snappy: a bare block, and one in Java's framing, of 4 GiB and of 1000 bytes.
      (.snappy, "ffffffff0f00"), (.snappy, "e80700"),
      (.snappy, "82534e41505059000000000100000001" + "00000006" + "ffffffff0f00"),
      (.snappy, "82534e41505059000000000100000001" + "ffffffff" + "e80700"),
      (.snappy, "82534e41505059000000000100000001" + "7fffffff"),
      (.snappy, "82534e41505059000000000100000001" + "000000"),
      (.snappy, "82534e415050590000000001"),
      // zstd: a content size of 2^62 bytes, and a window of 2^41 without one.
      (.zstd, "28b52ffde00000000000000040010000"), (.zstd, "28b52ffd00f8010000"),
      (.zstd, "28b52ffd"), (.zstd, "00"),
      // zstd as it was in version 0.5, and a skippable frame that is not all there.
      (.zstd, "25b52ffd0000000000000000"), (.zstd, "502a4d18ffffffff00"),
      // LZ4: a content size of 2^62 bytes (and a wrong header checksum), half a magic.
      (.lz4, "04224d1868400000000000000040ff"), (.lz4, "0422"), (.lz4, "04224d18"), (.lz4, "ff"),
      (.gzip, "1f"), (.gzip, "1f8b"), (.gzip, "ffff"), (.gzip, "789c030000000001"),
    ] as [(Codec, String)])
  func `refuse what is no stream, or declares more than it has`(codec: Codec, hex: String) {
    var decompressor = Decompressor()
    #expect(throws: RecordError.self) {
      try decompressor.decompress(bytes(hex)[...], codec, bytesMax: 1 << 20)
    }
    #expect(decompressor.retainedSize <= 1 << 20 + 1)
  }

  @Test(arguments: compressing)
  func `refuse nothing at all, and bytes after the end`(codec: Codec) throws {
    var compressor = Compressor()
    var decompressor = Decompressor()
    #expect(throws: RecordError.corruptCompression(codec, .truncated)) {
      try decompressor.decompress([], codec)
    }
    let stream = compressor.compress(Stream.content[...], codec) + [1, 2, 3]
    #expect(throws: RecordError.self) { try decompressor.decompress(stream[...], codec) }
  }

  @Test func `refuse linked LZ4 blocks, which Java's consumers cannot read`() throws {
    var decompressor = Decompressor()
    let stream = try Stream.named("linked")
    #expect(throws: RecordError.corruptCompression(.lz4, .linkedBlocks)) {
      try decompressor.decompress(stream.bytes[...], .lz4)
    }
  }

  @Test func `pass nothing larger than the bound uncompressed either`() throws {
    var decompressor = Decompressor()
    #expect(try decompressor.decompress([1, 2], .uncompressed, bytesMax: 2) == [1, 2])
    #expect(throws: RecordError.decompressedTooLarge(.uncompressed, bytesMax: 1)) {
      try decompressor.decompress([1, 2], .uncompressed, bytesMax: 1)
    }
  }
}
