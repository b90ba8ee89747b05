import Foundation
import KafkaWire
import Testing

/// Data/schema.txt, read into what a visitor sees of a message in one version: a line for each
/// field in wire order, with its type, whether it may be null, and its default.
struct Schema {
  final class Field {
    let name: String
    let type: String
    let options: [String: String]
    var children: [Field] = []

    init(_ words: [Substring]) {
      name = words[0].prefix(1).lowercased() + words[0].dropFirst()
      type = words.count > 1 ? String(words[1]) : ""
      options = Schema.options(words.dropFirst(2))
    }

    func has(_ option: String, _ version: Int16, absent: Bool) -> Bool {
      options[option].map { Schema.range($0, contains: version) } ?? absent
    }
  }

  let versions: ClosedRange<Int16>
  let flexible: String
  let fields: [Field]
  /// Structs that are declared apart from the field that has them.
  let structs: [String: [Field]]

  static func all() -> [String: Schema] {
    guard let url = Bundle.module.url(forResource: "Data/schema", withExtension: "txt"),
      let text = try? String(contentsOf: url, encoding: .utf8)
    else { return [:] }
    var schemas: [String: Schema] = [:]
    for block in text.components(separatedBy: "\n\n") {
      let lines = block.split(separator: "\n").filter { !$0.hasPrefix("#") }
      guard let head = lines.first?.split(separator: " ") else { continue }
      let suffix = ["request": "Request", "response": "Response"][head[0]] ?? ""
      schemas[head[1] + suffix] = Schema(options(head.dropFirst(2)), lines.dropFirst())
    }
    return schemas
  }

  private init(_ options: [String: String], _ lines: ArraySlice<Substring>) {
    let bounds = (options["versions"] ?? "").split(separator: "-").compactMap { Int16($0) }
    versions = (bounds.first ?? 0)...(bounds.last ?? 0)
    flexible = options["flexible"] ?? ""

    let root = Field(["root"])
    var open = [root]
    var apart: [Field] = []
    for line in lines {
      let depth = line.prefix { $0 == " " }.count / 2
      let field = Field(line.split(separator: " "))
      open.removeSubrange(depth...)
      if field.name == "struct" {
        apart.append(field)
      } else {
        open[depth - 1].children.append(field)
      }
      open.append(field)
    }
    fields = root.children
    structs = Dictionary(uniqueKeysWithValues: apart.map { ($0.type, $0.children) })
  }

  private static func options(_ words: ArraySlice<Substring>) -> [String: String] {
    var options: [String: String] = [:]
    for word in words {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      options[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
    }
    return options
  }

  static func range(_ text: String, contains version: Int16) -> Bool {
    if text == "none" { return false }
    if text.hasSuffix("+") { return version >= Int16(text.dropLast()) ?? .max }
    let bounds = text.split(separator: "-").compactMap { Int16($0) }
    return ((bounds.first ?? 0)...(bounds.last ?? 0)).contains(version)
  }

  func lines(version: Int16) -> [String] { lines(fields, version, path: "") }

  private func lines(_ fields: [Field], _ version: Int16, path: String) -> [String] {
    let present = fields.filter { $0.has("v", version, absent: true) }
    let tagged = present.filter { $0.options["tag"] != nil }
      .sorted { Int($0.options["tag"] ?? "") ?? 0 < Int($1.options["tag"] ?? "") ?? 0 }
    return (present.filter { $0.options["tag"] == nil } + tagged).flatMap { field in
      let tag = field.options["tag"].map { "#\($0) " } ?? ""
      return lines(field, field.type, version, path: "\(path)\(tag)\(field.name)")
    }
  }

  private func lines(
    _ field: Field, _ type: String, _ version: Int16, path: String
  ) -> [String] {
    let isNull = field.options["def"] == "null"
    let mark = field.has("null", version, absent: false) ? "?" : ""
    let value = field.options["def"] ?? ""
    switch type {
    case "bool": return ["\(path): bool \(value == "true")"]
    case "uuid": return ["\(path): uuid"]
    case "string", "bytes", "records":
      return ["\(path): \(type == "string" ? type : "bytes")\(mark) \(isNull ? "null" : "empty")"]
    case _ where type.hasPrefix("int") || type.hasPrefix("uint"):
      let hex = value.hasPrefix("0x") ? Int64(value.dropFirst(2), radix: 16) : nil
      return ["\(path): \(type) \(hex ?? Int64(value) ?? 0)"]
    case _ where type.hasPrefix("[]"):
      let element = Field(["element"])
      element.children = field.children
      return ["\(path): array\(mark) \(isNull ? "null" : "empty")"]
        + lines(element, String(type.dropFirst(2)), version, path: "\(path).element")
    default:
      let children = field.children.isEmpty ? structs[type] ?? [] : field.children
      return lines(children, version, path: "\(path).")
    }
  }
}

/// The same lines, of what a message's `walk` says.
struct SchemaVisitor: WireVisitor {
  let version: Int16
  var isFlexible = false
  private(set) var lines: [String] = []
  private var path = ""
  private var name = ""

  init(version: Int16) { self.version = version }

  static var refusesMisfits: Bool { false }

  mutating func begin(_ name: StaticString) { self.name = name.description }

  mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard versions.contains(version) else { return }
    self.name = "#\(tag) \(name)"
    try value.visit(&self)
  }

  mutating func bool(_ value: inout Bool) { add("bool \(value)") }
  mutating func integer<T: WireInteger>(_ value: inout T) {
    add("\(T.isSigned ? "" : "u")int\(T.bitWidth) \(value)")
  }
  mutating func uuid(_ value: inout UUID16) { add("uuid") }
  mutating func errorCode(_ value: inout ErrorCode) { add("int16 \(value.rawValue)") }
  mutating func string(_ value: inout String) { add("string empty") }
  mutating func string(_ value: inout String?) { add("string? \(value == nil ? "null" : "empty")") }
  mutating func bytes(_ value: inout ArraySlice<UInt8>) { add("bytes empty") }
  mutating func bytes(_ value: inout ArraySlice<UInt8>?) {
    add("bytes? \(value == nil ? "null" : "empty")")
  }
  mutating func records(_ value: inout RecordBytes?) {
    add("bytes? \(value == nil ? "null" : "empty")")
  }

  mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    add("array empty")
    try element(E.self)
  }

  mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    add("array? \(value == nil ? "null" : "empty")")
    try element(E.self)
  }

  mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    let outer = path
    path += name.isEmpty ? "" : "\(name)."
    try value.walk(&self)
    try value.walkTags(&self)
    path = outer
  }

  mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    var present = value ?? S()
    try structure(&present)
  }

  private mutating func element<E: WireValue>(_ type: E.Type) throws(WireError) {
    let outer = path
    path += "\(name)."
    name = "element"
    var element = E.zero
    try element.visit(&self)
    path = outer
  }

  private mutating func add(_ line: String) { lines.append("\(path)\(name): \(line)") }
}

@Suite struct `Message schema` {
  @Test(arguments: allMessages.indices)
  func `of every message in every version is Kafka's, defaults included`(index: Int) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      let schema = try #require(Schema.all()[String(describing: type)])
      #expect(M.versions == schema.versions)
      for version in M.versions {
        let isFlexible = M.flexibleSince.map { version >= $0 } ?? false
        #expect(isFlexible == Schema.range(schema.flexible, contains: version))

        var visitor = SchemaVisitor(version: version)
        var message = M()
        try visitor.structure(&message)
        #expect(visitor.lines == schema.lines(version: version), "\(M.self) v\(version)")
      }
    }
    try check(allMessages[index])
  }
}
