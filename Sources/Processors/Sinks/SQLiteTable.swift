/// A result table in SQLite: its definition, and the statements that change it.
struct SQLiteTable {
  private let description: TableDescription
  /// Which decimals have a column of cents beside them.
  private let hasCents: [Bool]
  private let upsert: SQLiteStatement
  private let remove: SQLiteStatement

  static func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }

  static func creation(of table: TableDescription) -> String {
    let columns = table.columns.flatMap { column in
      let name = quoted(column.name)
      switch column.type {
      case .text, .time: return ["\(name) TEXT"]
      case .integer: return ["\(name) INTEGER"]
      case .decimal: return ["\(name) TEXT", "\(quoted(column.name + "_cents")) INTEGER"]
      }
    }
    let key = table.columns[..<table.keyCount].map { quoted($0.name) }.joined(separator: ", ")
    return "CREATE TABLE IF NOT EXISTS \(quoted(table.name)) "
      + "(\(columns.joined(separator: ", ")), PRIMARY KEY (\(key)))"
  }

  /// For a table that is there, perhaps with more columns than ours and without those of cents.
  init(_ table: TableDescription, _ database: SQLiteDatabase) throws(SinkError) {
    var present: Set<String> = []
    let info = try database.prepare("SELECT lower(name) FROM pragma_table_info(?)")
    try info.bind([.text(table.name)])
    while try info.step() { present.insert(info.text(0) ?? "") }
    for column in table.columns where !present.contains(column.name.lowercased()) {
      throw .failed(
        "The table \(table.name) in SQLite has no column \(column.name); add it, or name another "
          + "table.")
    }
    description = table
    hasCents = table.columns.map {
      $0.type == .decimal && present.contains($0.name.lowercased() + "_cents")
    }
    var names: [String] = []
    for (column, hasCents) in zip(table.columns, hasCents) {
      names.append(Self.quoted(column.name))
      if hasCents { names.append(Self.quoted(column.name + "_cents")) }
    }
    let key = table.columns[..<table.keyCount].map { Self.quoted($0.name) }
    let values = names.map { _ in "?" }.joined(separator: ", ")
    let updates = names.filter { !key.contains($0) }.map { "\($0) = excluded.\($0)" }
    upsert = try database.prepare(
      "INSERT INTO \(Self.quoted(table.name)) (\(names.joined(separator: ", "))) "
        + "VALUES (\(values)) ON CONFLICT (\(key.joined(separator: ", "))) DO UPDATE SET "
        + updates.joined(separator: ", "))
    remove = try database.prepare(
      "DELETE FROM \(Self.quoted(table.name)) WHERE "
        + key.map { "\($0) = ?" }.joined(separator: " AND "))
  }

  func apply(_ change: TableChange) throws(SinkError) {
    var values: [SQLiteValue] = []
    for (index, value) in change.values.enumerated() {
      switch value {
      case .null: values.append(.null)
      case .text(let text): values.append(.text(text))
      case .integer(let number): values.append(.integer(number))
      case .time(let time): values.append(.text(time.text))
      case .decimal(let decimal): values.append(.text(decimal.text(placesMin: 2)))
      }
      if hasCents[index], !change.isRemoval {
        guard case .decimal(let decimal) = value, let cents = decimal.cents else {
          values.append(.null)
          continue
        }
        values.append(.integer(cents))
      }
    }
    try (change.isRemoval ? remove : upsert).run(values)
  }
}
