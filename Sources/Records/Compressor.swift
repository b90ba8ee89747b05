/// Compresses record sections. Keep one per owner: it holds on to the codecs' contexts, which cost
/// more to set up than a small batch costs to compress.
package struct Compressor: ~Copyable {
  private var gzip = GzipWriter()
  private var zstd = ZstdWriter()

  package init() {}

  /// The compressed bytes. `level` is one of `codec.levels`, nil for the default.
  package mutating func compress(
    _ input: ArraySlice<UInt8>, _ codec: Codec, level: Int? = nil
  ) -> [UInt8] {
    unsafe input.withUnsafeBytes { unsafe compress($0, codec, level: level, room: 0) }
  }

  /// The compressed bytes after `room` bytes of zeros, where a header will be written.
  mutating func compress(
    _ input: UnsafeRawBufferPointer, _ codec: Codec, level: Int?, room: Int
  ) -> [UInt8] {
    precondition(input.count <= Int(Int32.max), "a section of \(input.count) bytes")
    if let level {
      precondition(codec.levels?.contains(level) ?? true, "\(codec.name) has no level \(level)")
    }
    let capacity = room + Compressor.sizeMax(codec, input.count)
    return unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      let memory = UnsafeMutableRawBufferPointer(buffer)
      unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<room])
        .initializeMemory(as: UInt8.self, repeating: 0)
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[room...])
      switch codec {
      case .uncompressed:
        unsafe target.copyMemory(from: input)
        count = room + input.count
      case .gzip: count = unsafe room + gzip.write(input, to: target, level: level)
      case .snappy: count = unsafe room + SnappyWriter.write(input, to: target)
      case .lz4: count = unsafe room + LZ4Writer.write(input, to: target, level: level)
      case .zstd: count = unsafe room + zstd.write(input, to: target, level: level)
      }
    }
  }

  private static func sizeMax(_ codec: Codec, _ count: Int) -> Int {
    switch codec {
    case .uncompressed: count
    case .gzip: GzipWriter.sizeMax(count)
    case .snappy: SnappyWriter.sizeMax(count)
    case .lz4: LZ4Writer.sizeMax(count)
    case .zstd: ZstdWriter.sizeMax(count)
    }
  }
}
