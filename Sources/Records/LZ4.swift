private import CLZ4

/// The LZ4 frame format, one frame per section. Block sizes 4 to 7, checksums and a content size
/// are all accepted; linked blocks are not, because Kafka's Java clients cannot read them and the
/// log hands out the bytes that it was given.
@safe
struct LZ4Reader: ~Copyable {
  private static let magic: [UInt8] = [0x04, 0x22, 0x4d, 0x18]
  private static let flagsPosition = 4
  private static let independentBlocks: UInt8 = 1 << 5

  private var context: OpaquePointer?

  deinit {
    unsafe LZ4F_freeDecompressionContext(context)
  }

  mutating func read(
    _ input: UnsafeRawBufferPointer, into output: inout DecompressedOutput
  ) throws(RecordError) {
    guard unsafe input.starts(with: Self.magic.prefix(input.count)) else {
      throw .corruptCompression(.lz4, .invalid)
    }
    guard input.count > Self.flagsPosition, let source = input.baseAddress else {
      throw .corruptCompression(.lz4, .truncated)
    }
    guard unsafe input[Self.flagsPosition] & Self.independentBlocks != 0 else {
      throw .corruptCompression(.lz4, .linkedBlocks)
    }
    let context = unsafe start()
    var position = 0
    while true {
      let room = unsafe output.room()
      var read = input.count - position
      var written = room.count
      let hint = unsafe LZ4F_decompress(
        context, room.baseAddress, &written, source + position, &read, nil)
      guard LZ4F_isError(hint) == 0 else { throw .corruptCompression(.lz4, .invalid) }
      position += read
      try output.advance(written)
      if hint == 0 { break }
      // Neither took nor gave: it waits for bytes that are not there.
      guard read > 0 || written > 0 else { throw .corruptCompression(.lz4, .truncated) }
    }
    guard position == input.count else { throw .corruptCompression(.lz4, .trailingBytes) }
  }

  private mutating func start() -> OpaquePointer {
    if let context = unsafe context {
      // The last stream may have ended in an error, half way.
      unsafe LZ4F_resetDecompressionContext(context)
      return unsafe context
    }
    let status = unsafe LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
    guard LZ4F_isError(status) == 0, let context = unsafe context else {
      preconditionFailure("lz4 cannot start")
    }
    return unsafe context
  }
}

/// As Java writes: FLG 0x60 (version 1, independent blocks, no checksums), BD 0x40 (64 KiB).
enum LZ4Writer {
  /// Kafka's level 9, its default, means the fast algorithm and not the ninth of the high
  /// compression ones.
  private static let fast: Int32 = 0
  private static let highCompressionLevelMax = 12

  static func sizeMax(_ count: Int) -> Int {
    var preferences = preferences(level: nil)
    return unsafe LZ4F_compressFrameBound(count, &preferences)
  }

  static func write(
    _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer, level: Int?
  ) -> Int {
    var preferences = preferences(level: level)
    let size = unsafe LZ4F_compressFrame(
      output.baseAddress, output.count, input.baseAddress, input.count, &preferences)
    precondition(LZ4F_isError(size) == 0, "lz4 did not finish in its own bound")
    return size
  }

  private static func preferences(level: Int?) -> LZ4F_preferences_t {
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.blockSizeID = LZ4F_max64KB
    preferences.frameInfo.blockMode = LZ4F_blockIndependent
    let level = level ?? Codec.lz4.levelDefault
    let isDefault = level == Codec.lz4.levelDefault
    preferences.compressionLevel =
      isDefault ? fast : Int32(min(level ?? 0, highCompressionLevelMax))
    return preferences
  }
}
