/// A cursor that writes into memory of an exact, known size: size first, then write.
///
/// Running past the end is our own mistake (the size was wrong), never the input's, so it stops the
/// program. Fixed-width integers are written big-endian. Public for the reason `ByteReader` is.
@unsafe
public struct ByteWriter {
  @usableFromInline let base: UnsafeMutableRawPointer
  @usableFromInline package private(set) var position: Int
  @usableFromInline package let end: Int

  /// Writes from the first byte of `buffer` on, which must outlive the writer.
  @inlinable
  package init(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let base = buffer.baseAddress else {
      preconditionFailure("a writer needs memory to write to")
    }
    unsafe self.base = unsafe base
    unsafe position = 0
    unsafe end = buffer.count
  }

  @inlinable
  package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    let size = MemoryLayout<T>.size
    unsafe reserve(size)
    unsafe base.storeBytes(of: value.bigEndian, toByteOffset: position, as: T.self)
    unsafe position &+= size
  }

  @inlinable
  package mutating func bytes(_ source: ArraySlice<UInt8>) {
    unsafe source.withUnsafeBytes { unsafe bytes($0) }
  }

  @inlinable
  package mutating func bytes(_ source: UnsafeRawBufferPointer) {
    guard let from = source.baseAddress, source.count > 0 else { return }
    unsafe reserve(source.count)
    unsafe (base + position).copyMemory(from: from, byteCount: source.count)
    unsafe position &+= source.count
  }

  @inlinable
  package mutating func utf8(_ string: String) {
    var string = string
    string.withUTF8 { unsafe bytes(UnsafeRawBufferPointer($0)) }
  }

  @inlinable
  package mutating func unsignedVarint(_ value: UInt32) {
    unsafe leb128(UInt64(value))
  }

  @inlinable
  package mutating func varint(_ value: Int32) {
    unsafe leb128(UInt64(UInt32(bitPattern: (value &<< 1) ^ (value &>> 31))))
  }

  @inlinable
  package mutating func varlong(_ value: Int64) {
    unsafe leb128(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
  }

  @inlinable
  mutating func leb128(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      unsafe integer(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest &>>= 7
    }
    unsafe integer(UInt8(truncatingIfNeeded: rest))
  }

  @inlinable
  func reserve(_ count: Int) {
    precondition(unsafe count <= end &- position, "a message outgrew the size computed for it")
  }

  /// An array of exactly `count` bytes, filled by `write`, which must fill all of it.
  @inlinable
  package static func array<E: Error>(
    _ count: Int, _ write: (inout ByteWriter) throws(E) -> Void
  ) throws(E) -> [UInt8] {
    precondition(count >= 0, "a message has a size")
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: count)
    try unsafe bytes.withUnsafeMutableBufferPointer { (buffer) throws(E) in
      var writer = unsafe ByteWriter(UnsafeMutableRawBufferPointer(buffer))
      try unsafe write(&writer)
      precondition(unsafe writer.position == count, "a message fell short of its computed size")
    }
    return bytes
  }
}

/// Sizes of the variable-length integers, for sizing before writing.
public enum Varint {
  @inlinable
  package static func sizeUnsigned(_ value: UInt32) -> Int {
    size(UInt64(value))
  }

  @inlinable
  package static func size(_ value: Int32) -> Int {
    size(UInt64(UInt32(bitPattern: (value &<< 1) ^ (value &>> 31))))
  }

  @inlinable
  package static func sizeLong(_ value: Int64) -> Int {
    size(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
  }

  @inlinable
  static func size(_ value: UInt64) -> Int {
    // Seven bits a byte; zero takes one.
    max(1, (64 - value.leadingZeroBitCount + 6) / 7)
  }
}
