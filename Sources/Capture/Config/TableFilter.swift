/// Which tables are wanted: Debezium's lists of regular expressions, which must match a whole name
/// and take no notice of case.
package struct TableFilter: Sendable {
  private var includeSchemas: [Pattern] = []
  private var excludeSchemas: [Pattern] = []
  private var includeTables: [Pattern] = []
  private var excludeTables: [Pattern] = []

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
    self.includeSchemas = try Self.patterns(includeSchemas, of: "schema.include.list")
    self.excludeSchemas = try Self.patterns(excludeSchemas, of: "schema.exclude.list")
    self.includeTables = try Self.patterns(includeTables, of: "table.include.list")
    self.excludeTables = try Self.patterns(excludeTables, of: "table.exclude.list")
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

  /// Whether a table is wanted. Once for each table that appears.
  package func wants(schema: String, table: String) -> Bool {
    if schema == "pg_catalog" || schema == "information_schema" || schema.hasPrefix("pg_toast") {
      return false
    }
    let name = "\(schema).\(table)"
    if !includeSchemas.isEmpty, !includeSchemas.contains(where: { $0.matches(schema) }) {
      return false
    }
    if excludeSchemas.contains(where: { $0.matches(schema) }) { return false }
    if !includeTables.isEmpty { return includeTables.contains { $0.matches(name) } }
    return !excludeTables.contains { $0.matches(name) }
  }

  /// The entries that match nothing of `tables` (`schema.table`): misspelt, or not made yet.
  package func missing(from tables: [String]) -> [String] {
    includeTables.filter { pattern in !tables.contains { pattern.matches($0) } }.map(\.text)
  }
}
