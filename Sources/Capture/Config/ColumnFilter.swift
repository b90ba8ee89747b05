/// Which columns are in the values of events: `column.include.list` or `column.exclude.list`,
/// regular expressions that must match a whole `schema.table.column` and take no notice of case.
///
/// The key has its columns whatever the lists say, as in Debezium.
package struct ColumnFilter: Sendable {
  private var includes: [Pattern] = []
  private var excludes: [Pattern] = []

  /// Every column.
  package init() {}

  package init(includes: [String], excludes: [String]) throws(CaptureConfigError) {
    if !includes.isEmpty, !excludes.isEmpty {
      throw CaptureConfigError(
        "column.include.list and column.exclude.list are both given; give one of them.")
    }
    self.includes = try Self.patterns(includes, of: "column.include.list")
    self.excludes = try Self.patterns(excludes, of: "column.exclude.list")
  }

  private static func patterns(
    _ texts: [String], of name: String
  ) throws(CaptureConfigError) -> [Pattern] {
    do throws(PatternError) {
      return try texts.map { text throws(PatternError) in
        try Pattern(text, isCaseInsensitive: true)
      }
    } catch {
      throw CaptureConfigError("\(name): \(error).")
    }
  }

  package var isEmpty: Bool { includes.isEmpty && excludes.isEmpty }

  /// `name`: `schema.table.column`.
  package func wants(_ name: String) -> Bool {
    if !includes.isEmpty { return includes.contains { $0.matches(name) } }
    return !excludes.contains { $0.matches(name) }
  }

  /// The entries that match none of these columns: misspelt, and then more is published than
  /// somebody meant, or less.
  package func missing(from columns: [String]) -> [String] {
    (includes + excludes).filter { pattern in !columns.contains { pattern.matches($0) } }
      .map(\.text)
  }

  /// The table with its columns marked.
  package func marking(_ table: TableSchema) -> TableSchema {
    guard !isEmpty else { return table }
    return TableSchema(
      oid: table.oid, namespace: table.namespace, name: table.name,
      columns: table.columns.map { column in
        var column = column
        column.isInValue = wants("\(table.namespace).\(table.name).\(column.name)")
        return column
      }, keyColumns: table.keyColumns, replicaIdentity: table.replicaIdentity)
  }
}
