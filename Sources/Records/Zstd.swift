private import CZstd

/// RFC 8878, one frame or several.
///
/// Not decoded as a stream: zstd's streaming decoder allocates the window that a frame's header
/// asks for, up to 128 MiB, before it has seen any data, and refusing large windows would refuse
/// what producers at levels 20 to 22 legally send. Decoded in one go the output itself is the
/// window. The price is that a frame which does not say its size is decoded again, into twice the
/// memory, when the first guess was too small; the guess is the memory kept from earlier batches.
@safe
struct ZstdReader: ~Copyable {
  private static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]
  /// The first guess at what a frame grows to.
  private static let expansionGuess = 8

  private var context: OpaquePointer?

  deinit {
    unsafe ZSTD_freeDCtx(context)
  }

  mutating func read(
    _ input: UnsafeRawBufferPointer, into output: inout DecompressedOutput
  ) throws(RecordError) {
    var position = 0
    while position < input.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: input[position...])
      // The library also reads the formats before its first version. Nobody produces them, and
      // their decoders are no place for bytes from outside.
      let isSkippable = unsafe ZstdReader.isSkippable(rest)
      guard unsafe isSkippable || rest.starts(with: Self.magic.prefix(rest.count)) else {
        throw .corruptCompression(.zstd, .invalid)
      }
      let size = unsafe ZSTD_findFrameCompressedSize(rest.baseAddress, rest.count)
      guard ZSTD_isError(size) == 0 else { throw ZstdReader.fault(size) }
      if !isSkippable {
        unsafe try readFrame(UnsafeRawBufferPointer(rebasing: rest[..<size]), into: &output)
      }
      position += size
    }
  }

  private mutating func readFrame(
    _ frame: UnsafeRawBufferPointer, into output: inout DecompressedOutput
  ) throws(RecordError) {
    let context = unsafe start()
    let declared = unsafe ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
    switch declared {
    case UInt64.max: output.reserve(output.count + frame.count * Self.expansionGuess)  // unknown
    case UInt64.max - 1: throw .corruptCompression(.zstd, .invalid)
    default:
      try output.expect(declared)
      output.reserve(output.count + Int(declared))
    }
    while true {
      let room = unsafe output.room()
      let size = unsafe ZSTD_decompressDCtx(
        context, room.baseAddress, room.count, frame.baseAddress, frame.count)
      if ZSTD_isError(size) == 0 { return try output.advance(size) }
      guard ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall else {
        throw ZstdReader.fault(size)
      }
      guard output.count + room.count <= output.bytesMax else { throw output.tooLarge }
      output.reserve(output.count + 2 * room.count)
    }
  }

  /// Sixteen magic numbers, of frames that a reader passes over.
  private static func isSkippable(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 4 else { return false }
    let magic = unsafe UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
    return magic & 0xffff_fff0 == 0x184d_2a50
  }

  private static func fault(_ status: Int) -> RecordError {
    let isCut = ZSTD_getErrorCode(status) == ZSTD_error_srcSize_wrong
    return .corruptCompression(.zstd, isCut ? .truncated : .invalid)
  }

  private mutating func start() -> OpaquePointer {
    if let context = unsafe context { return unsafe context }
    guard let fresh = unsafe ZSTD_createDCtx() else { preconditionFailure("zstd cannot start") }
    unsafe context = unsafe fresh
    return unsafe fresh
  }
}

@safe
struct ZstdWriter: ~Copyable {
  private var context: OpaquePointer?

  deinit {
    unsafe ZSTD_freeCCtx(context)
  }

  static func sizeMax(_ count: Int) -> Int {
    ZSTD_compressBound(count)
  }

  mutating func write(
    _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer, level: Int?
  ) -> Int {
    let context = unsafe start()
    let level = Int32(level ?? Codec.zstd.levelDefault ?? Int(ZSTD_defaultCLevel()))
    unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    let size = unsafe ZSTD_compress2(
      context, output.baseAddress, output.count, input.baseAddress, input.count)
    precondition(ZSTD_isError(size) == 0, "zstd did not finish in its own bound")
    return size
  }

  private mutating func start() -> OpaquePointer {
    if let context = unsafe context { return unsafe context }
    guard let fresh = unsafe ZSTD_createCCtx() else { preconditionFailure("zstd cannot start") }
    unsafe context = unsafe fresh
    return unsafe fresh
  }
}
