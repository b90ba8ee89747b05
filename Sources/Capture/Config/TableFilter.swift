/// Which tables are wanted: Debezium's lists of regular expressions, which must match a whole name
/// and take no notice of case.
package struct TableFilter: Equatable, Sendable {
  private var includeSchemas: [String] = []
  private var excludeSchemas: [String] = []
  private var includeTables: [String] = []
  private var excludeTables: [String] = []

  /// Every table outside of Postgres's own schemas.
  package init() {}

  package init(
    includeSchemas: [String] = [], excludeSchemas: [String] = [], includeTables: [String] = [],
    excludeTables: [String] = []
  ) throws(CaptureConfigError) {
    if !includeTables.isEmpty, !excludeTables.isEmpty {
      throw CaptureConfigError(
        "table.include.list and table.exclude.list are both given; give one of them.")
    }
    if !includeSchemas.isEmpty, !excludeSchemas.isEmpty {
      throw CaptureConfigError(
        "schema.include.list and schema.exclude.list are both given; give one of them.")
    }
    let lists = [
      ("schema.include.list", includeSchemas), ("schema.exclude.list", excludeSchemas),
      ("table.include.list", includeTables), ("table.exclude.list", excludeTables),
    ]
    for (name, patterns) in lists {
      for pattern in patterns { try Self.check(pattern, of: name) }
    }
    self.includeSchemas = includeSchemas
    self.excludeSchemas = excludeSchemas
    self.includeTables = includeTables
    self.excludeTables = excludeTables
  }

  static func check(_ pattern: String, of name: String) throws(CaptureConfigError) {
    do {
      _ = try Regex(pattern)
    } catch {
      throw CaptureConfigError("\(name) has '\(pattern)', which is no regular expression.")
    }
  }

  /// Whether a table is wanted. Not fast: once for each table that appears.
  package func wants(schema: String, table: String) -> Bool {
    if schema == "pg_catalog" || schema == "information_schema" || schema.hasPrefix("pg_toast") {
      return false
    }
    let name = "\(schema).\(table)"
    if !includeSchemas.isEmpty, !Self.any(includeSchemas, schema) { return false }
    if Self.any(excludeSchemas, schema) { return false }
    if !includeTables.isEmpty { return Self.any(includeTables, name) }
    return !Self.any(excludeTables, name)
  }

  /// The entries that are plain names and match nothing of `tables` (`schema.table`): misspelt, or
  /// not made yet.
  package func missing(from tables: [String]) -> [String] {
    includeTables.filter { pattern in !tables.contains { Self.any([pattern], $0) } }
  }

  private static func any(_ patterns: [String], _ name: String) -> Bool {
    patterns.contains { pattern in
      guard let regex = try? Regex(pattern).ignoresCase() else { return false }
      return (try? regex.wholeMatch(in: name)) != nil
    }
  }
}
