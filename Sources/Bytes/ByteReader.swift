/// A cursor over bytes that came from outside: every read is checked, every failure is thrown, and
/// nothing is allocated for a length before that many bytes are known to be there.
///
/// It shares the storage it reads, so a field cut out of it copies nothing and stays valid for as
/// long as it is held. Fixed-width integers are big-endian, as on Kafka's wire. Positions count
/// from the first byte of the slice that the reader was made of.
///
/// Public, though its members are not: the compiler inlines into other modules only what belongs to
/// a public type, and `@inlinable` on a package type does nothing (Swift 6.3).
public struct ByteReader: Sendable {
  @usableFromInline let storage: ArraySlice<UInt8>
  @usableFromInline package private(set) var position: Int
  /// One past the last byte that may be read.
  @usableFromInline package let end: Int

  @inlinable
  package init(_ bytes: ArraySlice<UInt8>) {
    storage = bytes
    position = 0
    end = bytes.count
  }

  @inlinable
  package init(_ bytes: [UInt8]) {
    self.init(bytes[...])
  }

  @inlinable package var remaining: Int { end &- position }
  @inlinable package var isAtEnd: Bool { position == end }

  @inlinable
  package mutating func uint8() throws(ByteError) -> UInt8 { try load(UInt8.self) }

  @inlinable
  package mutating func int8() throws(ByteError) -> Int8 { try load(Int8.self) }

  @inlinable
  package mutating func int16() throws(ByteError) -> Int16 { try load(Int16.self) }

  @inlinable
  package mutating func uint16() throws(ByteError) -> UInt16 { try load(UInt16.self) }

  @inlinable
  package mutating func int32() throws(ByteError) -> Int32 { try load(Int32.self) }

  @inlinable
  package mutating func uint32() throws(ByteError) -> UInt32 { try load(UInt32.self) }

  @inlinable
  package mutating func int64() throws(ByteError) -> Int64 { try load(Int64.self) }

  @inlinable
  package mutating func uint64() throws(ByteError) -> UInt64 { try load(UInt64.self) }

  /// The next `count` bytes, sharing this reader's storage.
  @inlinable
  package mutating func slice(_ count: Int) throws(ByteError) -> ArraySlice<UInt8> {
    guard count >= 0 else { throw .negativeLength(at: position, length: count) }
    guard count <= remaining else { throw .truncated(at: position, needed: count) }
    let first = storage.startIndex + position
    position &+= count
    return storage[first..<first + count]
  }

  /// The next `count` bytes as a string, which must be UTF-8.
  @inlinable
  package mutating func string(_ count: Int) throws(ByteError) -> String {
    let start = position
    let bytes = try slice(count)
    guard let string = String(validating: bytes, as: UTF8.self) else { throw .notUTF8(at: start) }
    return string
  }

  @inlinable
  package mutating func skip(_ count: Int) throws(ByteError) {
    guard count >= 0 else { throw .negativeLength(at: position, length: count) }
    guard count <= remaining else { throw .truncated(at: position, needed: count) }
    position &+= count
  }

  /// LEB128 without a sign: at most five bytes, at most 32 bits.
  @inlinable
  package mutating func unsignedVarint() throws(ByteError) -> UInt32 {
    let start = position
    let value = try leb128(bytesMax: 5)
    guard let value = UInt32(exactly: value) else { throw .varintTooLong(at: start) }
    return value
  }

  /// Zigzag LEB128: at most five bytes, 32 bits.
  @inlinable
  package mutating func varint() throws(ByteError) -> Int32 {
    let value = try unsignedVarint()
    return Int32(bitPattern: value >> 1) ^ -Int32(bitPattern: value & 1)
  }

  /// Zigzag LEB128: at most ten bytes, 64 bits.
  @inlinable
  package mutating func varlong() throws(ByteError) -> Int64 {
    let value = try leb128(bytesMax: 10)
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  @inlinable
  mutating func leb128(bytesMax: Int) throws(ByteError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    var shift: UInt64 = 0
    for _ in 0..<bytesMax {
      let byte = try uint8()
      let bits = UInt64(byte & 0x7f)
      // The tenth byte may carry only the 64th bit.
      guard shift < 63 || bits <= 1 else { throw .varintTooLong(at: start) }
      value |= bits &<< shift
      if byte & 0x80 == 0 { return value }
      shift &+= 7
    }
    throw .varintTooLong(at: start)
  }

  @inlinable
  mutating func load<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(ByteError) -> T {
    let size = MemoryLayout<T>.size
    guard size <= remaining else { throw .truncated(at: position, needed: size) }
    let value = unsafe storage.withUnsafeBytes { bytes in
      unsafe bytes.loadUnaligned(fromByteOffset: position, as: T.self)
    }
    position &+= size
    return T(bigEndian: value)
  }
}
