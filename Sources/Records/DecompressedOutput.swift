private import Glibc

/// The memory that a decompressor writes into: grows by doubling up to a bound, keeps what it has
/// for the next stream.
///
/// `realloc` rather than a Swift array: the kernel moves large blocks by their page tables, so that
/// growing neither copies nor, for a moment, holds both the old and the new.
@safe
struct DecompressedOutput: ~Copyable {
  /// Worth asking for at once: most batches fit.
  private static let capacityMin = 64 << 10
  /// LZ4's smallest block. With this much room it decodes in place.
  private static let roomMin = 64 << 10

  private var base: UnsafeMutableRawPointer?
  private(set) var capacity = 0
  private(set) var count = 0
  private(set) var bytesMax = 0
  private var codec = Codec.uncompressed

  deinit {
    unsafe free(base)
  }

  var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: base, count: count)
  }

  mutating func start(_ codec: Codec, bytesMax: Int) {
    self.codec = codec
    self.bytesMax = bytesMax
    count = 0
  }

  /// One more than the bound: a byte there is one too many.
  private var limit: Int { bytesMax + 1 }

  /// Memory for the next bytes: at least one, and 64 KiB where the bound allows.
  mutating func room() -> UnsafeMutableRawBufferPointer {
    if min(capacity, limit) - count < min(Self.roomMin, limit - count) {
      reserve(max(2 * capacity, Self.capacityMin))
    }
    guard let base = unsafe base else { preconditionFailure("output memory was reserved") }
    return unsafe UnsafeMutableRawBufferPointer(
      start: base + count, count: min(capacity, limit) - count)
  }

  /// Memory for at least `size` bytes in all, as far as the bound allows.
  mutating func reserve(_ size: Int) {
    let size = min(size, limit)
    guard size > capacity else { return }
    guard let grown = unsafe realloc(base, size) else {
      preconditionFailure("out of memory for \(size) bytes of decompressed records")
    }
    unsafe base = grown
    capacity = size
  }

  /// Takes in `written` bytes of what `room` gave.
  mutating func advance(_ written: Int) throws(RecordError) {
    count += written
    guard count <= bytesMax else { throw tooLarge }
  }

  /// Throws if `more` bytes would be too many: asked before a declared size is believed.
  func expect(_ more: UInt64) throws(RecordError) {
    guard more <= UInt64(bytesMax - count) else { throw tooLarge }
  }

  var tooLarge: RecordError { unsafe .decompressedTooLarge(codec, bytesMax: bytesMax) }

  /// Gives memory above `size` back.
  mutating func shrink(to size: Int) {
    guard capacity > size, let shrunk = unsafe realloc(base, size) else { return }
    unsafe base = shrunk
    capacity = size
    count = 0
  }
}
