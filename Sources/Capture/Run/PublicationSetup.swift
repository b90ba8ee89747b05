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
    let tables = try catalogue.tables()
    if try catalogue.publication(name) == nil {
      try create(name, tables.filter(isWanted))
    } else if config.publicationMode == .filtered {
      for table in try missing(tables) {
        try add(table)
        log(
          "added \(table.fullName), which was made or made again, to the publication '\(name)'; "
            + "what was written to it before is captured only if the snapshot is still to come, "
            + "and otherwise after --forget, which begins anew with one")
      }
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

  private func isWanted(_ table: Catalogue.Table) -> Bool {
    config.tables.wants(schema: table.schema, table: table.name)
  }

  /// The SQL that makes the publication.
  static func statement(_ config: CaptureConfig, _ wanted: [Catalogue.Table]) -> String {
    let tables = wanted.filter(\.isLogged).map(\.sqlName).joined(separator: ", ")
    let scope = config.publicationMode == .allTables ? "ALL TABLES" : "TABLE \(tables)"
    let options = config.publishesViaRoot ? " WITH (publish_via_partition_root = true)" : ""
    return "CREATE PUBLICATION \(SQL.name(config.publicationName)) FOR \(scope)\(options)"
  }

  private func create(_ name: String, _ wanted: [Catalogue.Table]) throws {
    try catalogue.connection.query(Self.statement(config, wanted))
    let count = config.publicationMode == .allTables ? "all" : "\(wanted.count)"
    log("made the publication '\(name)' for \(count) tables")
  }

  /// Wanted tables that are not in the publication.
  func missing(_ tables: [Catalogue.Table]) throws(PostgresError) -> [Catalogue.Table] {
    let name = config.publicationName
    guard let publication = try catalogue.publication(name) else { return [] }
    let wanted = tables.filter(isWanted)
    let coverage = Coverage(
      tables, wanted: Set(wanted.map(\.fullName)),
      published: Set(try catalogue.publishedTables(name).map(\.fullName)),
      isViaRoot: publication.isViaRoot)
    let absent = wanted.filter { $0.isLogged && coverage.answer(for: $0) == .absent }
    guard !absent.isEmpty else { return [] }
    let members = try catalogue.members(of: name)
    return absent.filter { !members.contains($0.fullName) }
  }

  func add(_ table: Catalogue.Table) throws(PostgresError) {
    try catalogue.connection.query(
      "ALTER PUBLICATION \(SQL.name(config.publicationName)) ADD TABLE \(table.sqlName)")
  }
}
