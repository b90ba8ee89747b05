/// A result table in Postgres: the statements that create and change it.
struct PostgresTable {
  private let description: TableDescription

  init(_ description: TableDescription) { self.description = description }

  /// A name may have a schema before it, with a point between.
  var name: String {
    description.name.split(separator: ".").map { SQLiteTable.quoted(String($0)) }
      .joined(separator: ".")
  }

  private func names(_ columns: some Sequence<TableDescription.Column>) -> [String] {
    columns.map { SQLiteTable.quoted($0.name) }
  }

  private var key: [TableDescription.Column] {
    Array(description.columns[..<description.keyCount])
  }

  var creation: String {
    let columns = description.columns.map { "\(SQLiteTable.quoted($0.name)) \(type($0.type))" }
    let key = names(key).joined(separator: ", ")
    return "CREATE TABLE \(name) (\(columns.joined(separator: ", ")), PRIMARY KEY (\(key)))"
  }

  private func type(_ type: TableDescription.ColumnType) -> String {
    switch type {
    case .text: "text"
    case .integer: "bigint"
    case .decimal: "numeric"
    case .time: "timestamptz"
    }
  }

  private func arrays(_ columns: [TableDescription.Column]) -> String {
    let parameters = columns.enumerated().map { "$\($0 + 1)::\(type($1.type))[]" }
    return "unnest(\(parameters.joined(separator: ", ")))"
  }

  var upsert: String {
    let columns = names(description.columns)
    let updates = columns.dropFirst(description.keyCount).map { "\($0) = excluded.\($0)" }
    return "INSERT INTO \(name) (\(columns.joined(separator: ", "))) "
      + "SELECT * FROM \(arrays(description.columns)) "
      + "ON CONFLICT (\(names(key).joined(separator: ", "))) DO UPDATE SET "
      + updates.joined(separator: ", ")
  }

  var removal: String {
    let key = names(key)
    let names = key.joined(separator: ", ")
    return "DELETE FROM \(name) WHERE (\(names)) IN (SELECT * FROM \(arrays(self.key)))"
  }

  /// The changes' values as one array for each column.
  func columns(of changes: [TableChange]) -> [String] {
    let count = changes.first?.values.count ?? 0
    return (0..<count).map { column in
      PostgresArray.text(changes.map { text($0.values[column]) })
    }
  }

  private func text(_ value: ColumnValue) -> String? {
    switch value {
    case .null: nil
    case .text(let text): text
    case .integer(let number): "\(number)"
    case .decimal(let decimal): decimal.text(placesMin: 2)
    case .time(let time): time.text
    }
  }
}

/// Arrays as Postgres reads them (documentation, 8.15.6).
enum PostgresArray {
  static func text(_ elements: some Sequence<String?>) -> String {
    var bytes: [UInt8] = [UInt8(ascii: "{")]
    for element in elements {
      if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
      guard let element else {
        bytes += Array("NULL".utf8)
        continue
      }
      bytes.append(UInt8(ascii: "\""))
      for byte in element.utf8 {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
          bytes.append(UInt8(ascii: "\\"))
        }
        bytes.append(byte)
      }
      bytes.append(UInt8(ascii: "\""))
    }
    bytes.append(UInt8(ascii: "}"))
    return String(decoding: bytes, as: UTF8.self)
  }
}
