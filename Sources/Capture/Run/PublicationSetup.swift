internal import Postgres

/// Sees to it that the publication is there and has the tables that are wanted.
struct PublicationSetup {
  let config: CaptureConfig
  let catalogue: Catalogue
  let log: @Sendable (String) -> Void

  /// The wanted tables as they are published, by name. Must come before the slot is made: decoding
  /// looks the publication up as it was at each change.
  func prepare() throws -> [Catalogue.PublishedTable] {
    let name = config.publicationName
    let wanted = try catalogue.tables().filter {
      config.tables.wants(schema: $0.schema, table: $0.name)
    }
    if try catalogue.publication(name) == nil {
      try create(name, wanted)
    } else if config.publicationMode == .filtered {
      try add(name, wanted)
    }
    let published = try catalogue.publishedTables(name).filter {
      config.tables.wants(schema: $0.schema, table: $0.name)
    }
    guard !published.isEmpty else {
      throw CaptureConfigError("The publication '\(name)' has none of the tables that are wanted.")
    }
    guard published.count <= CapturePosition.tablesMax else {
      throw CaptureConfigError(
        "\(published.count) tables are wanted; one connector takes \(CapturePosition.tablesMax).")
    }
    return published
  }

  private func create(_ name: String, _ wanted: [Catalogue.Table]) throws {
    let tables = wanted.map(\.sqlName).joined(separator: ", ")
    let scope = config.publicationMode == .allTables ? "ALL TABLES" : "TABLE \(tables)"
    try catalogue.connection.query("CREATE PUBLICATION \(SQL.name(name)) FOR \(scope)")
    let count = config.publicationMode == .allTables ? "all" : "\(wanted.count)"
    log("made the publication '\(name)' for \(count) tables")
  }

  private func add(_ name: String, _ wanted: [Catalogue.Table]) throws {
    let published = Set(try catalogue.publishedTables(name).map(\.fullName))
    for table in wanted where !table.isPublished(in: published) {
      try catalogue.connection.query(
        "ALTER PUBLICATION \(SQL.name(name)) ADD TABLE \(table.sqlName)")
      log(
        "added \(table.fullName) to the publication '\(name)'; rows that it has are captured "
          + "only if the snapshot is still to come")
    }
  }
}
