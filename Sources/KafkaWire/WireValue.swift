package import Bytes

/// A type that a field may have. Each hands itself to the visitor's method for its kind.
package protocol WireValue: Equatable, Sendable {
  /// What a field of this type is where nothing was said.
  static var zero: Self { get }
  /// The fewest bytes a value takes: bounds an array's count by the bytes that remain.
  static var wireSizeMin: Int { get }
  mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError)
}

extension WireValue {
  package static var wireSizeMin: Int { 1 }
}

/// A type with a null of its own on the wire.
package protocol WireNullable: WireValue {
  static func visit<V: WireVisitor>(_ value: inout Self?, _ v: inout V) throws(WireError)
}

/// Big-endian and of fixed width.
package protocol WireInteger: WireValue, FixedWidthInteger, BitwiseCopyable {
  static func read(_ reader: inout ByteReader) throws(ByteError) -> Self
}

extension WireInteger {
  package static var zero: Self { 0 }
  package static var wireSizeMin: Int { MemoryLayout<Self>.size }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.integer(&self)
  }
}

extension Int8: WireInteger {
  package static func read(_ reader: inout ByteReader) throws(ByteError) -> Int8 {
    try reader.int8()
  }
}

extension Int16: WireInteger {
  package static func read(_ reader: inout ByteReader) throws(ByteError) -> Int16 {
    try reader.int16()
  }
}

extension UInt16: WireInteger {
  package static func read(_ reader: inout ByteReader) throws(ByteError) -> UInt16 {
    UInt16(bitPattern: try reader.int16())
  }
}

extension Int32: WireInteger {
  package static func read(_ reader: inout ByteReader) throws(ByteError) -> Int32 {
    try reader.int32()
  }
}

extension Int64: WireInteger {
  package static func read(_ reader: inout ByteReader) throws(ByteError) -> Int64 {
    try reader.int64()
  }
}

extension Bool: WireValue {
  package static var zero: Bool { false }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.bool(&self)
  }
}

extension UUID16: WireValue {
  package static var wireSizeMin: Int { 16 }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.uuid(&self)
  }
}

extension ErrorCode: WireValue {
  package static var zero: ErrorCode { .none }
  package static var wireSizeMin: Int { 2 }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.errorCode(&self)
  }
}

extension String: WireNullable {
  package static var zero: String { "" }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.string(&self)
  }

  package static func visit<V: WireVisitor>(_ value: inout String?, _ v: inout V) throws(WireError)
  {
    try v.string(&value)
  }
}

extension ArraySlice: WireValue, WireNullable where Element == UInt8 {
  package static var zero: ArraySlice<UInt8> { [] }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.bytes(&self)
  }

  package static func visit<V: WireVisitor>(
    _ value: inout ArraySlice<UInt8>?, _ v: inout V
  ) throws(WireError) {
    try v.bytes(&value)
  }
}

extension Array: WireValue, WireNullable where Element: WireValue {
  package static var zero: [Element] { [] }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.array(&self)
  }

  package static func visit<V: WireVisitor>(
    _ value: inout [Element]?, _ v: inout V
  ) throws(WireError) {
    try v.array(&value)
  }
}

extension Optional: WireValue where Wrapped: WireNullable {
  package static var zero: Wrapped? { nil }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try Wrapped.visit(&self, &v)
  }
}

/// Record batches in a response: here, or somewhere else.
package enum RecordBytes: Equatable, Sendable {
  case bytes(ArraySlice<UInt8>)
  /// That many bytes which the sender puts in by itself, as with `sendfile`. The encoder counts
  /// them in the sizes it writes and notes where they belong (`EncodedFrame.holes`). Never decoded.
  case external(size: Int)

  package var count: Int {
    switch self {
    case .bytes(let bytes): bytes.count
    case .external(let size): size
    }
  }
}

extension RecordBytes: WireNullable {
  package static var zero: RecordBytes { .bytes([]) }

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    var records: RecordBytes? = self
    try v.records(&records)
    self = records ?? .zero
  }

  package static func visit<V: WireVisitor>(
    _ value: inout RecordBytes?, _ v: inout V
  ) throws(WireError) {
    try v.records(&value)
  }
}
