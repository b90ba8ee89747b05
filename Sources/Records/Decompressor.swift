/// Decompresses record sections into memory that has a bound.
///
/// A compressed stream is the cheapest way to ask for a lot of memory: 1 MiB of gzip can become 1
/// GiB, and a few bytes can declare any size. So:
///
/// (1) Output grows only as far as bytes are really decoded, by doubling, and never past the bound
///     plus one byte (which tells "exactly the bound" from "more").
/// (2) A size that the stream declares is compared with the bound first, and used as a hint only.
/// (3) What a codec allocates for itself has a limit that no stream moves: LZ4 two blocks of at
///     most 4 MiB, gzip a window of 32 KiB, zstd a fixed context; it decodes into the output.
///
/// Keep one per owner: it holds on to the codecs' contexts and to up to `retainedBytesMax` of
/// output memory, which costs more to set up than a small batch costs to decode.
package struct Decompressor: ~Copyable {
  /// Room for a request of Kafka's default maximum, barely compressed, or for a 1 MiB batch that
  /// shrank to a sixty-fourth.
  package static let bytesMaxDefault = 64 << 20
  /// Output memory above this is given back after use.
  static let retainedBytesMax = 4 << 20

  private var output = DecompressedOutput()
  private var gzip = GzipReader()
  private var lz4 = LZ4Reader()
  private var zstd = ZstdReader()

  package init() {}

  /// Output memory held on to, for a budget.
  package var retainedSize: Int { output.capacity }

  /// The decompressed bytes, or `decompressedTooLarge` where they are more than `bytesMax`.
  package mutating func decompress(
    _ input: ArraySlice<UInt8>, _ codec: Codec, bytesMax: Int = bytesMaxDefault
  ) throws(RecordError) -> [UInt8] {
    unsafe try withDecompressed(input, codec, bytesMax: bytesMax) { (bytes) throws(RecordError) in
      unsafe [UInt8](bytes)
    }
  }

  /// Lends the decompressed bytes to `body`, in this decompressor's own memory.
  mutating func withDecompressed<Result>(
    _ input: ArraySlice<UInt8>, _ codec: Codec, bytesMax: Int,
    _ body: (UnsafeRawBufferPointer) throws(RecordError) -> Result
  ) throws(RecordError) -> Result {
    precondition(bytesMax >= 0 && bytesMax < Int(Int32.max), "a bound of \(bytesMax) bytes")
    guard codec != .uncompressed else {
      guard input.count <= bytesMax else { throw .decompressedTooLarge(codec, bytesMax: bytesMax) }
      return unsafe try input.withRawBytes { (raw) throws(RecordError) in unsafe try body(raw) }
    }
    guard !input.isEmpty else { throw .corruptCompression(codec, .truncated) }
    defer { output.shrink(to: Decompressor.retainedBytesMax) }
    output.start(codec, bytesMax: bytesMax)
    unsafe try input.withRawBytes { (raw) throws(RecordError) in
      switch codec {
      case .uncompressed: break
      case .gzip: unsafe try gzip.read(raw, into: &output)
      case .snappy: unsafe try SnappyReader.read(raw, into: &output)
      case .lz4: unsafe try lz4.read(raw, into: &output)
      case .zstd: unsafe try zstd.read(raw, into: &output)
      }
    }
    return unsafe try body(output.bytes)
  }
}
