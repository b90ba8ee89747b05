import Bytes

/// Value to size: how many bytes the encoder will write. It walks first, so it is the one that
/// refuses what a version cannot carry.
package struct WireSizer: WireVisitor {
  package let version: Int16
  package var isFlexible: Bool
  /// All bytes, external ones included.
  private(set) var size = 0
  /// Those of them that are not written but put in by the sender.
  private(set) var externalSize = 0
  /// Tagged fields to be written for the struct at hand.
  private(set) var tagCount: UInt32 = 0
  /// The first error code in the message that is one.
  private(set) var error = ErrorCode.none

  init(version: Int16, isFlexible: Bool) {
    self.version = version
    self.isFlexible = isFlexible
  }

  package static var refusesMisfits: Bool { true }

  package mutating func bool(_ value: inout Bool) { size &+= 1 }

  @inline(__always)
  package mutating func integer<T: WireInteger>(_ value: inout T) {
    size &+= MemoryLayout<T>.size
  }

  package mutating func uuid(_ value: inout UUID16) { size &+= 16 }

  package mutating func errorCode(_ value: inout ErrorCode) {
    size &+= 2
    if error == .none { error = value }
  }

  package mutating func string(_ value: inout String) throws(WireError) {
    try addString(value.utf8.count)
  }

  package mutating func string(_ value: inout String?) throws(WireError) {
    guard let value else { return addNull(2) }
    try addString(value.utf8.count)
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>) throws(WireError) {
    try addLength(value.count)
    size &+= value.count
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>?) throws(WireError) {
    guard let value else { return addNull(4) }
    try addLength(value.count)
    size &+= value.count
  }

  package mutating func records(_ value: inout RecordBytes?) throws(WireError) {
    guard let value else { return addNull(4) }
    try addLength(value.count)
    size &+= value.count
    if case .external(let count) = value { externalSize &+= count }
  }

  package mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    try addElements(value)
  }

  package mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    guard let value else { return addNull(4) }
    try addElements(value)
  }

  package mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    try value.walk(&self)
    // Also where the version has no tags: what they say may have to be refused.
    let outer = tagCount
    tagCount = 0
    try value.walkTags(&self)
    if isFlexible { size &+= Varint.sizeUnsigned(tagCount) }
    tagCount = outer
  }

  package mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    size &+= 1
    guard var present = value else { return }
    try structure(&present)
  }

  package mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard value != absent else { return }
    guard versions.contains(version) else {
      guard versions.isIgnorable else { throw .fieldNotInVersion(name.description, version) }
      return
    }
    let start = size
    try value.visit(&self)
    let length = try WireSizer.length(size &- start)
    size &+= Varint.sizeUnsigned(tag) &+ Varint.sizeUnsigned(length)
    tagCount &+= 1
  }

  /// A length as the wire has it. Nothing longer fits into a frame.
  static func length(_ count: Int) throws(WireError) -> UInt32 {
    guard (0..<Int(Int32.max)).contains(count) else { throw .frameSize(count) }
    return UInt32(truncatingIfNeeded: count)
  }

  private mutating func addElements<E: WireValue>(_ elements: [E]) throws(WireError) {
    try addLength(elements.count)
    try elements.lendEach { (element) throws(WireError) in try element.visit(&self) }
  }

  private mutating func addString(_ count: Int) throws(WireError) {
    guard count <= WireDecoder.stringBytesMax else { throw .stringTooLong(size: count) }
    size &+= count
    size &+= isFlexible ? Varint.sizeUnsigned(UInt32(truncatingIfNeeded: count) &+ 1) : 2
  }

  private mutating func addLength(_ count: Int) throws(WireError) {
    let length = try WireSizer.length(count)
    size &+= isFlexible ? Varint.sizeUnsigned(length &+ 1) : 4
  }

  private mutating func addNull(_ lengthSize: Int) {
    size &+= isFlexible ? 1 : lengthSize
  }
}
