import Foundation
import KafkaWire

/// A message's fields as a value that can be compared with JSON.
indirect enum JSON: Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  init(parsing text: String) throws {
    self.init(try JSONSerialization.jsonObject(with: Data(text.utf8)))
  }

  private init(_ value: Any) {
    switch value {
    case let number as NSNumber:
      let isBool = String(cString: number.objCType) == "c"
      self = isBool ? .bool(number.boolValue) : .integer(number.int64Value)
    case let string as String: self = .string(string)
    case let array as [Any]: self = .array(array.map { JSON($0) })
    case let object as [String: Any]: self = .object(object.mapValues { JSON($0) })
    default: self = .null
    }
  }

  init<M: WireMessage>(_ message: M, version: Int16) throws {
    var visitor = JSONVisitor(version: version)
    var message = message
    try visitor.structure(&message)
    self = visitor.last
  }
}

struct JSONVisitor: WireVisitor {
  let version: Int16
  var isFlexible = false
  /// The value that was visited last.
  private(set) var last = JSON.null
  private var name: String?
  private var fields: [String: JSON] = [:]

  init(version: Int16) { self.version = version }

  static var refusesMisfits: Bool { false }

  mutating func begin(_ name: StaticString) {
    endField()
    self.name = name.description
  }

  mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard versions.contains(version), value != absent else { return }
    begin(name)
    try value.visit(&self)
  }

  mutating func bool(_ value: inout Bool) { last = .bool(value) }
  mutating func integer<T: WireInteger>(_ value: inout T) { last = .integer(Int64(value)) }
  mutating func uuid(_ value: inout UUID16) { last = .string(value.base64url) }
  mutating func errorCode(_ value: inout ErrorCode) { last = .integer(Int64(value.rawValue)) }
  mutating func string(_ value: inout String) { last = .string(value) }
  mutating func string(_ value: inout String?) { last = value.map { .string($0) } ?? .null }
  mutating func bytes(_ value: inout ArraySlice<UInt8>) {
    last = .string(Data(value).base64EncodedString())
  }
  mutating func bytes(_ value: inout ArraySlice<UInt8>?) {
    last = value.map { .string(Data($0).base64EncodedString()) } ?? .null
  }
  mutating func records(_ value: inout RecordBytes?) {
    guard case .bytes(var bytes) = value else { return last = .null }
    self.bytes(&bytes)
  }

  mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    var elements: [JSON] = []
    for element in value {
      var element = element
      try element.visit(&self)
      elements.append(last)
    }
    last = .array(elements)
  }

  mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    guard var present = value else { return last = .null }
    try array(&present)
  }

  mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    let outer = (name, fields)
    (name, fields) = (nil, [:])
    try value.walk(&self)
    try value.walkTags(&self)
    endField()
    last = .object(fields)
    (name, fields) = outer
  }

  mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    guard var present = value else { return last = .null }
    try structure(&present)
  }

  private mutating func endField() {
    if let name { fields[name] = last }
    name = nil
  }
}
