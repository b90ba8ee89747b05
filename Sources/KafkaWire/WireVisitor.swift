/// What walks over a message's fields.
///
/// `field` and `tagged` decide whether the version has a field and hand its value on, by type, to
/// one of the leaf methods. Copyable and escapable on purpose: generic code over `~Escapable`
/// visitors was measured ten times slower.
package protocol WireVisitor {
  var version: Int16 { get }
  /// Compact lengths and tag sections. Settable for the one field that is excepted, the client id.
  var isFlexible: Bool { get set }

  /// Whether the walk reads values out rather than filling them in, and so has to refuse those that
  /// the version cannot carry.
  static var refusesMisfits: Bool { get }

  /// The field whose value comes next.
  mutating func begin(_ name: StaticString)
  /// A field outside the positional ones; written only where it differs from `absent`.
  mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError)

  mutating func bool(_ value: inout Bool) throws(WireError)
  mutating func integer<T: WireInteger>(_ value: inout T) throws(WireError)
  mutating func uuid(_ value: inout UUID16) throws(WireError)
  mutating func errorCode(_ value: inout ErrorCode) throws(WireError)
  mutating func string(_ value: inout String) throws(WireError)
  mutating func string(_ value: inout String?) throws(WireError)
  mutating func bytes(_ value: inout ArraySlice<UInt8>) throws(WireError)
  mutating func bytes(_ value: inout ArraySlice<UInt8>?) throws(WireError)
  mutating func records(_ value: inout RecordBytes?) throws(WireError)
  mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError)
  mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError)
  mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError)
  mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError)
}

extension WireVisitor {
  package mutating func begin(_ name: StaticString) {}

  /// A field in its place. `absent` is what it means when the version lacks it.
  @inline(__always)
  package mutating func field<T: WireValue>(
    _ name: StaticString, _ value: inout T, _ versions: Versions = .all,
    absent: @autoclosure () -> T = .zero
  ) throws(WireError) {
    if versions.contains(version) {
      begin(name)
      try value.visit(&self)
    } else if Self.refusesMisfits && !versions.isIgnorable && value != absent() {
      throw .fieldNotInVersion(name.description, version)
    }
  }

  /// A field that may be null only in the versions `nullable`.
  @inline(__always)
  package mutating func field<T: WireNullable>(
    _ name: StaticString, _ value: inout T?, _ versions: Versions = .all, nullable: Versions,
    absent: @autoclosure () -> T? = nil
  ) throws(WireError) {
    guard versions.contains(version), !nullable.contains(version) else {
      return try field(name, &value, versions, absent: absent())
    }
    begin(name)
    var present: T
    if let value {
      present = value
    } else if Self.refusesMisfits {
      throw .nullNotInVersion(name.description, version)
    } else {
      present = .zero
    }
    try present.visit(&self)
    value = present
  }

  @inline(__always)
  package mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions
  ) throws(WireError) {
    try tagged(tag, name, &value, versions, absent: .zero)
  }
}
