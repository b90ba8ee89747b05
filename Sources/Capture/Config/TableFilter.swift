/// Which tables are wanted: Debezium's lists for schemas and for tables.
package struct TableFilter: Sendable {
  private var schemas = NameFilter()
  private var tables = NameFilter()

  /// Every table outside of Postgres's own schemas.
  package init() {}

  package init(
    includeSchemas: [String] = [], excludeSchemas: [String] = [], includeTables: [String] = [],
    excludeTables: [String] = []
  ) throws(CaptureConfigError) {
    tables = try NameFilter("table", includes: includeTables, excludes: excludeTables)
    schemas = try NameFilter("schema", includes: includeSchemas, excludes: excludeSchemas)
  }

  /// Whether a table is wanted. Once for each table that appears.
  package func wants(schema: String, table: String) -> Bool {
    if schema == "pg_catalog" || schema == "information_schema" || schema.hasPrefix("pg_toast") {
      return false
    }
    return schemas.wants(schema) && tables.wants("\(schema).\(table)")
  }

  /// The entries of the list of wanted tables that match nothing of `tables` (`schema.table`):
  /// misspelt, or not made yet.
  package func missing(from tables: [String]) -> [String] {
    self.tables.missingIncludes(from: tables)
  }
}
