private import CSnappy

/// Snappy's own format is one block and ends at nothing but its length. Java's clients wrap blocks
/// in the framing of the xerial library; librdkafka and the Go clients send one bare block. Both
/// are read, the first is written.
/// ```
/// 82 53 4e 41 50 50 59 00 | version int32 | lowest compatible version int32 |
/// { size int32 | block }...
/// ```
private enum Xerial {
  static let magic: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]
  static let headerSize = 16
  static let version: UInt32 = 1
  static let lengthSize = 4
  /// Uncompressed bytes per block, as Java writes them.
  static let blockSize = 32 << 10
}

enum SnappyReader {
  /// A copy of 64 bytes takes three, so no block grows by more than this, rounded up.
  private static let expansionMax: UInt64 = 22

  static func read(
    _ input: UnsafeRawBufferPointer, into output: inout DecompressedOutput
  ) throws(RecordError) {
    guard unsafe input.starts(with: Xerial.magic) else {
      return unsafe try readBlock(input, into: &output)
    }
    guard input.count >= Xerial.headerSize else { throw .corruptCompression(.snappy, .truncated) }
    var position = Xerial.headerSize
    while position < input.count {
      guard input.count - position >= Xerial.lengthSize else {
        throw .corruptCompression(.snappy, .truncated)
      }
      let field = unsafe input.loadUnaligned(fromByteOffset: position, as: UInt32.self)
      let size = Int(UInt32(bigEndian: field))
      position += Xerial.lengthSize
      guard size <= input.count - position else {
        throw .corruptCompression(.snappy, .truncated)
      }
      let block = unsafe UnsafeRawBufferPointer(rebasing: input[position..<position + size])
      unsafe try readBlock(block, into: &output)
      position += size
    }
  }

  private static func readBlock(
    _ block: UnsafeRawBufferPointer, into output: inout DecompressedOutput
  ) throws(RecordError) {
    guard let source = unsafe block.baseAddress?.assumingMemoryBound(to: CChar.self) else {
      throw .corruptCompression(.snappy, .truncated)
    }
    var size = 0
    guard unsafe snappy_uncompressed_length(source, block.count, &size) == SNAPPY_OK else {
      throw .corruptCompression(.snappy, .invalid)
    }
    try output.expect(UInt64(size))
    guard UInt64(size) <= UInt64(block.count) * expansionMax else {
      throw .corruptCompression(.snappy, .invalid)
    }
    output.reserve(output.count + size)
    let room = unsafe output.room()
    guard let target = unsafe room.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
    var written = room.count
    guard unsafe snappy_uncompress(source, block.count, target, &written) == SNAPPY_OK else {
      throw .corruptCompression(.snappy, .invalid)
    }
    try output.advance(written)
  }
}

enum SnappyWriter {
  static func sizeMax(_ count: Int) -> Int {
    let blocks = (count + Xerial.blockSize - 1) / Xerial.blockSize
    return Xerial.headerSize
      + blocks * (Xerial.lengthSize + snappy_max_compressed_length(Xerial.blockSize))
  }

  static func write(
    _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
  ) -> Int {
    guard let target = output.baseAddress else { return 0 }
    unsafe output.copyBytes(from: Xerial.magic)
    for position in [8, 12] {
      unsafe output.storeBytes(
        of: Xerial.version.bigEndian, toByteOffset: position, as: UInt32.self)
    }
    var end = Xerial.headerSize
    guard let source = input.baseAddress else { return end }
    for start in stride(from: 0, to: input.count, by: Xerial.blockSize) {
      let block = end + Xerial.lengthSize
      var size = output.count - block
      let status = unsafe snappy_compress(
        (source + start).assumingMemoryBound(to: CChar.self),
        min(Xerial.blockSize, input.count - start),
        (target + block).assumingMemoryBound(to: CChar.self), &size)
      precondition(status == SNAPPY_OK, "snappy did not finish in its own bound")
      unsafe output.storeBytes(of: UInt32(size).bigEndian, toByteOffset: end, as: UInt32.self)
      end = block + size
    }
    return end
  }
}
