import Bytes

/// Value to bytes, into memory of the size that the sizer computed.
///
/// Safe because the writer checks each write against the end of its memory, and because an encoder
/// does not leave the closure that the memory was lent to.
@safe
package struct WireEncoder: WireVisitor {
  package let version: Int16
  package var isFlexible: Bool
  private(set) var writer: ByteWriter
  private(set) var holes: [EncodedFrame.Hole]

  init(
    _ writer: ByteWriter, holes: [EncodedFrame.Hole] = [], version: Int16, isFlexible: Bool
  ) {
    unsafe self.writer = unsafe writer
    self.holes = holes
    self.version = version
    self.isFlexible = isFlexible
  }

  // The sizer has refused them already.
  package static var refusesMisfits: Bool { false }

  package mutating func bool(_ value: inout Bool) {
    unsafe writer.integer(UInt8(value ? 1 : 0))
  }

  @inline(__always)
  package mutating func integer<T: WireInteger>(_ value: inout T) {
    unsafe writer.integer(value)
  }

  package mutating func uuid(_ value: inout UUID16) {
    unsafe writer.integer(value.high)
    unsafe writer.integer(value.low)
  }

  package mutating func errorCode(_ value: inout ErrorCode) {
    unsafe writer.integer(value.rawValue)
  }

  package mutating func string(_ value: inout String) {
    write(value)
  }

  package mutating func string(_ value: inout String?) {
    if let value { write(value) } else { writeNull(Int16(-1)) }
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>) throws(WireError) {
    try writeLength(value.count)
    unsafe writer.bytes(value)
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>?) throws(WireError) {
    guard let value else { return writeNull(Int32(-1)) }
    try writeLength(value.count)
    unsafe writer.bytes(value)
  }

  package mutating func records(_ value: inout RecordBytes?) throws(WireError) {
    guard let value else { return writeNull(Int32(-1)) }
    try writeLength(value.count)
    switch value {
    case .bytes(let bytes): unsafe writer.bytes(bytes)
    case .external(let size):
      holes.append(EncodedFrame.Hole(position: unsafe writer.position, size: size))
    }
  }

  package mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    try write(value)
  }

  package mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    guard let value else { return writeNull(Int32(-1)) }
    try write(value)
  }

  package mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    try value.walk(&self)
    guard isFlexible else { return }
    // The section's count stands before its fields: ask the sizer which will be written.
    var sizer = WireSizer(version: version, isFlexible: true)
    try value.walkTags(&sizer)
    unsafe writer.unsignedVarint(sizer.tagCount)
    if sizer.tagCount > 0 { try value.walkTags(&self) }
  }

  package mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    guard var present = value else {
      unsafe writer.integer(Int8(-1))
      return
    }
    unsafe writer.integer(Int8(1))
    try structure(&present)
  }

  package mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard versions.contains(version), value != absent else { return }
    var sizer = WireSizer(version: version, isFlexible: isFlexible)
    try value.visit(&sizer)
    unsafe writer.unsignedVarint(tag)
    unsafe writer.unsignedVarint(try WireSizer.length(sizer.size))
    try value.visit(&self)
  }

  private mutating func write<E: WireValue>(_ elements: [E]) throws(WireError) {
    try writeLength(elements.count)
    try elements.lendEach { (element) throws(WireError) in try element.visit(&self) }
  }

  private mutating func write(_ string: String) {
    let size = string.utf8.count
    if isFlexible {
      unsafe writer.unsignedVarint(UInt32(truncatingIfNeeded: size) &+ 1)
    } else {
      unsafe writer.integer(Int16(truncatingIfNeeded: size))
    }
    unsafe writer.utf8(string)
  }

  private mutating func writeLength(_ count: Int) throws(WireError) {
    let length = try WireSizer.length(count)
    if isFlexible {
      unsafe writer.unsignedVarint(length &+ 1)
    } else {
      unsafe writer.integer(length)
    }
  }

  private mutating func writeNull<T: WireInteger>(_ null: T) {
    if isFlexible {
      unsafe writer.unsignedVarint(0)
    } else {
      unsafe writer.integer(null)
    }
  }
}
