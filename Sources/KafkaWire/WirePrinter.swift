/// Value to one line of text, for logs and traces. Bytes are shown as their number, long arrays by
/// their first elements; control characters are escaped, so that no client writes into our log.
package struct WirePrinter: WireVisitor {
  /// Elements of an array that are shown.
  package static let elementsMax = 16

  package let version: Int16
  package var isFlexible = false
  private var text = ""
  private var needsComma = false

  private init(version: Int16) {
    self.version = version
  }

  static func print<S: WireStruct>(_ value: S, version: Int16) -> String {
    var printer = WirePrinter(version: version)
    var value = value
    do throws(WireError) {
      try printer.structure(&value)
    } catch {
      printer.text += " <\(error)>"
    }
    return printer.text
  }

  package static var refusesMisfits: Bool { false }

  package mutating func begin(_ name: StaticString) {
    if needsComma { text += ", " }
    needsComma = true
    text += "\(name): "
  }

  package mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard versions.contains(version), value != absent else { return }
    begin(name)
    try value.visit(&self)
  }

  package mutating func bool(_ value: inout Bool) { text += "\(value)" }
  package mutating func integer<T: WireInteger>(_ value: inout T) { text += "\(value)" }
  package mutating func uuid(_ value: inout UUID16) { text += value.base64url }
  package mutating func errorCode(_ value: inout ErrorCode) { text += "\(value)" }
  package mutating func string(_ value: inout String) { text += value.debugDescription }

  package mutating func string(_ value: inout String?) {
    text += value?.debugDescription ?? "null"
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>) {
    text += "<\(value.count) bytes>"
  }

  package mutating func bytes(_ value: inout ArraySlice<UInt8>?) {
    text += value.map { "<\($0.count) bytes>" } ?? "null"
  }

  package mutating func records(_ value: inout RecordBytes?) {
    switch value {
    case nil: text += "null"
    case .bytes(let bytes): text += "<\(bytes.count) bytes>"
    case .external(let size): text += "<\(size) external bytes>"
    }
  }

  package mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    text += "["
    for (index, element) in value.prefix(WirePrinter.elementsMax).enumerated() {
      if index > 0 { text += ", " }
      var element = element
      try element.visit(&self)
    }
    if value.count > WirePrinter.elementsMax {
      text += ", and \(value.count - WirePrinter.elementsMax) more"
    }
    text += "]"
  }

  package mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    guard var present = value else { return text += "null" }
    try array(&present)
  }

  package mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    let outer = needsComma
    needsComma = false
    text += "{"
    try value.walk(&self)
    try value.walkTags(&self)
    text += "}"
    needsComma = outer
  }

  package mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    guard var present = value else { return text += "null" }
    try structure(&present)
  }
}
