package import Bytes

/// Bytes to value. What it reads is hostile until checked: every length against the bytes that
/// remain, every count against them too, before anything is reserved.
///
/// Byte and record fields share the storage that is read; strings are copied, and must be UTF-8.
package struct WireDecoder: WireVisitor {
  /// The most array elements, of all arrays together, in one message. An element may take one byte
  /// on the wire and a hundred in memory, so the bound on a frame's size is not enough.
  package static let elementsMax = 1 << 20
  /// The most memory that a count reserves before its elements are seen. Larger arrays grow as
  /// their elements arrive.
  package static let reservedBytesMax = 64 << 10
  /// The longest string, in either form of length.
  package static let stringBytesMax = Int(Int16.max)

  package let version: Int16
  package var isFlexible: Bool
  package private(set) var reader: ByteReader
  private var elementsLeft = WireDecoder.elementsMax
  /// The tag that `tagged` is to find its field for; `found` says whether it did.
  private var wantedTag: UInt32 = 0
  private var found = false

  package init(_ reader: ByteReader, version: Int16, isFlexible: Bool) {
    self.reader = reader
    self.version = version
    self.isFlexible = isFlexible
  }

  package static var refusesMisfits: Bool { false }

  package mutating func bool(_ value: inout Bool) throws(WireError) {
    var byte: Int8 = 0
    try integer(&byte)
    value = byte != 0
  }

  @inline(__always)
  package mutating func integer<T: WireInteger>(_ value: inout T) throws(WireError) {
    do throws(ByteError) { value = try T.read(&reader) } catch { throw .malformed(error) }
  }

  package mutating func uuid(_ value: inout UUID16) throws(WireError) {
    do throws(ByteError) {
      let high = try reader.uint64()
      value = UUID16(high: high, low: try reader.uint64())
    } catch { throw .malformed(error) }
  }

  package mutating func errorCode(_ value: inout ErrorCode) throws(WireError) {
    var code: Int16 = 0
    try integer(&code)
    value = ErrorCode(rawValue: code)
  }

  package mutating func string(_ value: inout String) throws(WireError) {
    let start = reader.position
    var text: String?
    try string(&text)
    guard let text else { throw .unexpectedNull(at: start) }
    value = text
  }

  package mutating func string(_ value: inout String?) throws(WireError) {
    guard let size = try stringSize() else { return value = nil }
    guard size <= WireDecoder.stringBytesMax else { throw .stringTooLong(size: size) }
    do throws(ByteError) { value = try reader.string(size) } catch { throw .malformed(error) }
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>) throws(WireError) {
    let start = reader.position
    guard let size = try length() else { throw .unexpectedNull(at: start) }
    value = try slice(size)
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>?) throws(WireError) {
    guard let size = try length() else { return value = nil }
    value = try slice(size)
  }

  package mutating func records(_ value: inout RecordBytes?) throws(WireError) {
    guard let size = try length() else { return value = nil }
    value = .bytes(try slice(size))
  }

  package mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    let start = reader.position
    guard let count = try length() else { throw .unexpectedNull(at: start) }
    value = try elements(count, at: start)
  }

  package mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    let start = reader.position
    guard let count = try length() else { return value = nil }
    value = try elements(count, at: start)
  }

  package mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    try value.walk(&self)
    if isFlexible { try tagSection(&value) }
  }

  package mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    var presence: Int8 = 0
    try integer(&presence)
    guard presence >= 0 else { return value = nil }
    var present = S()
    try structure(&present)
    value = present
  }

  package mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard tag == wantedTag, !found, versions.contains(version) else { return }
    try value.visit(&self)
    // Only now: the value may have had tags of its own.
    found = true
  }

  /// The elements of an array that says to have `count`.
  private mutating func elements<E: WireValue>(
    _ count: Int, at start: Int
  ) throws(WireError) -> [E] {
    guard count <= reader.remaining / E.wireSizeMin else {
      throw .malformed(.countExceedsInput(at: start, count: count))
    }
    guard count <= elementsLeft else { throw .tooManyElements(at: start) }
    elementsLeft &-= count

    var elements: [E] = []
    elements.reserveCapacity(WireDecoder.reservedCount(count, stride: MemoryLayout<E>.stride))
    for _ in 0..<count {
      var element = E.zero
      try element.visit(&self)
      elements.append(consume element)
    }
    return elements
  }

  /// How many elements memory is reserved for when a count claims `count` of them.
  package static func reservedCount(_ count: Int, stride: Int) -> Int {
    min(count, reservedBytesMax / stride)
  }

  /// The tagged fields behind a struct: those it knows are filled in, the others skipped.
  private mutating func tagSection<S: WireStruct>(_ value: inout S) throws(WireError) {
    var count = try unsignedVarint()
    while count > 0 {
      count &-= 1
      let tag = try unsignedVarint()
      let size = Int(try unsignedVarint())
      let start = reader.position
      guard size <= reader.remaining else {
        throw .malformed(.truncated(at: start, needed: size))
      }
      wantedTag = tag
      found = false
      try value.walkTags(&self)
      if found {
        guard reader.position == start + size else {
          throw .tagSizeMismatch(at: start, tag: tag)
        }
      } else {
        do throws(ByteError) { try reader.skip(size) } catch { throw .malformed(error) }
      }
    }
  }

  private mutating func slice(_ size: Int) throws(WireError) -> ArraySlice<UInt8> {
    do throws(ByteError) { return try reader.slice(size) } catch { throw .malformed(error) }
  }

  private mutating func unsignedVarint() throws(WireError) -> UInt32 {
    do throws(ByteError) { return try reader.unsignedVarint() } catch { throw .malformed(error) }
  }

  /// The size of bytes or the count of an array; nil for null.
  private mutating func length() throws(WireError) -> Int? {
    if isFlexible { return try compactLength() }
    var length: Int32 = 0
    try integer(&length)
    return try checked(Int(length), size: 4)
  }

  /// The size of a string in bytes; nil for null.
  private mutating func stringSize() throws(WireError) -> Int? {
    if isFlexible { return try compactLength() }
    var length: Int16 = 0
    try integer(&length)
    return try checked(Int(length), size: 2)
  }

  private mutating func compactLength() throws(WireError) -> Int? {
    let lengthAndOne = try unsignedVarint()
    return lengthAndOne == 0 ? nil : Int(lengthAndOne) - 1
  }

  private func checked(_ length: Int, size: Int) throws(WireError) -> Int? {
    if length == -1 { return nil }
    guard length >= 0 else {
      throw .malformed(.negativeLength(at: reader.position - size, length: length))
    }
    return length
  }
}
