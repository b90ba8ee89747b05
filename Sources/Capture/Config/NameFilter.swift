/// A pair of Debezium's lists, `NAME.include.list` and `NAME.exclude.list`: regular expressions
/// that must match a whole name and take no notice of case.
package struct NameFilter: Sendable {
  private var includes: [Pattern] = []
  private var excludes: [Pattern] = []

  /// Every name.
  package init() {}

  /// `property`: what the lists' names begin with.
  package init(
    _ property: String, includes: [String], excludes: [String]
  ) throws(CaptureConfigError) {
    if !includes.isEmpty, !excludes.isEmpty {
      throw CaptureConfigError(
        "\(property).include.list and \(property).exclude.list are both given; give one of them.")
    }
    self.includes = try Self.patterns(includes, of: "\(property).include.list")
    self.excludes = try Self.patterns(excludes, of: "\(property).exclude.list")
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

  package func wants(_ name: String) -> Bool {
    if !includes.isEmpty { return includes.contains { $0.matches(name) } }
    return !excludes.contains { $0.matches(name) }
  }

  /// The entries that match none of these names: misspelt, and then more is published than somebody
  /// meant, or less.
  package func missing(from names: [String]) -> [String] {
    Self.missing(includes + excludes, from: names)
  }

  /// As `missing`, of what is to be included.
  package func missingIncludes(from names: [String]) -> [String] {
    Self.missing(includes, from: names)
  }

  private static func missing(_ patterns: [Pattern], from names: [String]) -> [String] {
    patterns.filter { pattern in !names.contains { pattern.matches($0) } }.map(\.text)
  }
}

extension NameFilter {
  /// The table with its columns marked by their names, `schema.table.column`. The key has its
  /// columns whatever the lists say, as in Debezium.
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
