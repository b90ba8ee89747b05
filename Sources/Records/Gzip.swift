private import CZlib

/// `windowBits` for zlib: a window of 32 KiB, and 16 more for the gzip wrapper and no other.
private let gzipWindowBits: Int32 = 15 + 16

/// RFC 1952. A file of several members is their concatenation.
@safe
struct GzipReader: ~Copyable {
  /// On the heap, because zlib's state points back at it.
  private var stream: UnsafeMutablePointer<z_stream>?

  deinit {
    guard let stream = unsafe stream else { return }
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  mutating func read(
    _ input: UnsafeRawBufferPointer, into output: inout DecompressedOutput
  ) throws(RecordError) {
    let stream = unsafe start()
    unsafe stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe stream.pointee.avail_in = UInt32(input.count)
    while true {
      let room = unsafe output.room()
      unsafe stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe stream.pointee.avail_out = UInt32(room.count)
      let status = unsafe inflate(stream, Z_NO_FLUSH)
      unsafe try output.advance(room.count - Int(stream.pointee.avail_out))
      switch status {
      case Z_STREAM_END:
        guard unsafe stream.pointee.avail_in > 0 else { return }
        unsafe inflateReset(stream)
      case Z_OK where unsafe stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0:
        continue
      case Z_OK, Z_BUF_ERROR:
        throw .corruptCompression(.gzip, .truncated)
      default:
        throw .corruptCompression(.gzip, .invalid)
      }
    }
  }

  private mutating func start() -> UnsafeMutablePointer<z_stream> {
    if let stream = unsafe stream {
      unsafe inflateReset(stream)
      return unsafe stream
    }
    let fresh = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe fresh.initialize(to: z_stream())
    let status = unsafe inflateInit2_(
      fresh, gzipWindowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot start: \(status)")
    unsafe stream = unsafe fresh
    return unsafe fresh
  }
}

/// One member per section.
@safe
struct GzipWriter: ~Copyable {
  private var stream: UnsafeMutablePointer<z_stream>?
  private var level: Int32 = Z_DEFAULT_COMPRESSION

  deinit {
    guard let stream = unsafe stream else { return }
    unsafe GzipWriter.free(stream)
  }

  static func sizeMax(_ count: Int) -> Int {
    // The wrapper's 18 bytes, where zlib's bound counts its own 6.
    Int(compressBound(UInt(count))) + 12
  }

  mutating func write(
    _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer, level: Int?
  ) -> Int {
    let stream = unsafe start(Int32(level ?? Int(Z_DEFAULT_COMPRESSION)))
    unsafe stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe stream.pointee.avail_in = UInt32(input.count)
    unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe stream.pointee.avail_out = UInt32(output.count)
    let status = unsafe deflate(stream, Z_FINISH)
    precondition(status == Z_STREAM_END, "zlib did not finish in its own bound: \(status)")
    return unsafe output.count - Int(stream.pointee.avail_out)
  }

  private mutating func start(_ level: Int32) -> UnsafeMutablePointer<z_stream> {
    if let stream = unsafe stream, level == self.level {
      unsafe deflateReset(stream)
      return unsafe stream
    }
    if let old = unsafe stream { unsafe GzipWriter.free(old) }
    self.level = level
    let fresh = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe fresh.initialize(to: z_stream())
    let memoryLevelDefault: Int32 = 8
    let status = unsafe deflateInit2_(
      fresh, level, Z_DEFLATED, gzipWindowBits, memoryLevelDefault, Z_DEFAULT_STRATEGY,
      ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot start at level \(level): \(status)")
    unsafe stream = unsafe fresh
    return unsafe fresh
  }

  private static func free(_ stream: UnsafeMutablePointer<z_stream>) {
    unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }
}
