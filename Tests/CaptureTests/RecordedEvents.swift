import Capture
import Foundation
import Testing

/// Events recorded from Debezium 3.6.3, in the order in which it wrote them, and the database that
/// they are of: its catalogue and rows, as `COPY` printed them.
struct RecordedEvents {
  struct Event {
    var topic: String
    /// The bytes between the names, exactly as Debezium wrote them.
    var key: String
    var value: String

    var keyJSON: JSONValue { get throws { try JSONValue(key.utf8) } }
    var valueJSON: JSONValue { get throws { try JSONValue(value.utf8) } }

    /// Without the schema around it.
    var payload: JSONValue {
      get throws {
        let value = try valueJSON
        return value.members.keys.sorted() == ["payload", "schema"] ? value["payload"] : value
      }
    }
  }

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Data")

  static func text(_ path: String) throws -> String {
    try String(contentsOf: folder.appending(path: path), encoding: .utf8)
  }

  static func events(_ name: String) throws -> [Event] {
    try text("debezium-events/\(name)").split(separator: "\n").map { line in
      // {"topic":T,"partition":P,"headers":[],"key":K,"value":V}
      let parts = try #require(line.range(of: "\"headers\":[],\"key\":"))
      let topic = try JSONValue(line.utf8)["topic"].text
      let rest = line[parts.upperBound...].dropLast()
      let end = try #require(try endOfValue(rest))
      #expect(rest[end...].hasPrefix(",\"value\":"))
      return Event(
        topic: try #require(topic), key: String(rest[..<end]),
        value: String(rest[end...].dropFirst(",\"value\":".count)))
    }
  }

  /// Behind the JSON value that `text` begins with.
  private static func endOfValue(_ text: Substring) throws -> Substring.Index? {
    if text.hasPrefix("null") { return text.index(text.startIndex, offsetBy: 4) }
    var depth = 0
    var isString = false
    var isEscaped = false
    for index in text.utf8.indices {
      let byte = text.utf8[index]
      if isEscaped {
        isEscaped = false
      } else if isString {
        isEscaped = byte == UInt8(ascii: "\\")
        if byte == UInt8(ascii: "\"") { isString = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): isString = true
        case UInt8(ascii: "{"): depth += 1
        case UInt8(ascii: "}"):
          depth -= 1
          if depth == 0 { return text.utf8.index(after: index) }
        default: break
        }
      }
    }
    return nil
  }

  /// The rows of a file in COPY's text format.
  static func rows(_ copy: String) throws -> [[TupleColumn]] {
    try copy.split(separator: "\n").map { line in
      let count = line.utf8.count { $0 == 0x09 } + 1
      return try CopyTextRow().decode(ArraySlice(line.utf8), columnCount: count)
    }
  }

  static func bytes(hex: Substring) throws -> [UInt8] {
    let digits = hex.utf8.map { $0 < 0x3a ? $0 &- 0x30 : $0 &- 0x57 }
    try #require(digits.count % 2 == 0 && digits.allSatisfy { $0 < 16 })
    return (0..<digits.count / 2).map { digits[$0 * 2] << 4 | digits[$0 * 2 + 1] }
  }

  static func strings(_ copy: String) throws -> [[String?]] {
    try rows(copy).map { row in
      row.map { column in
        guard case .text(let text) = column else { return nil }
        return String(decoding: text, as: UTF8.self)
      }
    }
  }

  static func catalog() throws -> TypeCatalog {
    try TypeCatalog(rows: strings(text("catalogue/types.copy")))
  }

  static func tables() throws -> [String: TableSchema] {
    let tables = try TableSchema.tables(rows: strings(text("catalogue/tables.copy")))
    return Dictionary(uniqueKeysWithValues: tables.map { ($0.name, $0) })
  }

  /// With `inv.full_t` as it became: `add column extra numeric(8,2) default 1.25`, then
  /// `drop column big`.
  static func table(_ name: String, with columns: [String]) throws -> TableSchema {
    let table = try #require(try tables()[name])
    var all = table.columns
    all.append(
      ColumnSchema(
        name: "extra", typeOID: 1700, typeModifier: (8 << 16 | 2) + 4, defaultExpression: "1.25"))
    let kept = try columns.map { column in try #require(all.first { $0.name == column }) }
    return TableSchema(
      oid: table.oid, namespace: table.namespace, name: table.name, columns: kept,
      keyColumns: table.keyColumns.compactMap { index in
        kept.firstIndex { $0.name == table.columns[index].name }
      }, replicaIdentity: table.replicaIdentity)
  }
}
