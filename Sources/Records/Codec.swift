/// How a record section is compressed. The raw value is the number in the batch's attributes.
package enum Codec: UInt8, CaseIterable, Hashable, Sendable {
  case uncompressed = 0
  /// RFC 1952; several members one after another count as one stream.
  case gzip = 1
  /// The framing of Java's xerial library, or one bare block.
  case snappy = 2
  /// The LZ4 frame format, version 1.6, independent blocks.
  case lz4 = 3
  /// RFC 8878.
  case zstd = 4

  /// The name in a topic's `compression.type`.
  package var name: String {
    switch self {
    case .uncompressed: "uncompressed"
    case .gzip: "gzip"
    case .snappy: "snappy"
    case .lz4: "lz4"
    case .zstd: "zstd"
    }
  }

  /// The levels that `compression.<codec>.level` may name; nil where a codec has none.
  package var levels: ClosedRange<Int>? {
    switch self {
    case .uncompressed, .snappy: nil
    case .gzip: 1...9
    case .lz4: 1...17
    case .zstd: -131_072...22
    }
  }

  /// The level that Kafka documents as the default; nil where it is the library's own.
  package var levelDefault: Int? {
    switch self {
    case .uncompressed, .snappy, .gzip: nil
    case .lz4: 9
    case .zstd: 3
    }
  }
}
