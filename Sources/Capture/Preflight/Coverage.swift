/// Under which names a publication publishes the changes of tables, and whether those are wanted.
///
/// A partitioned table has no changes of its own: its partitions have. They come under the
/// partitions' names or, with `publish_via_partition_root`, under the name of the topmost table
/// that is published. Names that are not wanted are left out, so what matters is not whether a
/// table is in the publication but what its changes are called.
package struct Coverage {
  package enum Answer: Equatable, Sendable {
    /// Its changes come, under its own name or under others that are wanted.
    case whole
    case absent
    /// Its changes come under names that are not wanted: of a table above it, or of these
    /// partitions. `all`: none of them is wanted.
    case unwanted([String], all: Bool)
  }

  private let tables: [Catalogue.Table]
  private let wanted: Set<String>
  private let isViaRoot: Bool
  /// The names under which changes come.
  package private(set) var published: Set<String>

  /// `published`: as `pg_publication_tables` has them.
  package init(
    _ tables: [Catalogue.Table], wanted: Set<String>, published: Set<String>, isViaRoot: Bool
  ) {
    self.tables = tables
    self.wanted = wanted
    self.published = published
    self.isViaRoot = isViaRoot
  }

  /// As it will be when the tables are added to the publication.
  package mutating func add(_ added: [Catalogue.Table]) {
    if isViaRoot {
      published.formUnion(added.map(\.fullName))
      for table in tables where !published.isDisjoint(with: table.ancestors) {
        published.remove(table.fullName)
      }
    } else {
      for table in added { published.formUnion(names(of: table)) }
    }
  }

  /// A table that has rows, or the partitions that have those of a partitioned one.
  private func names(of table: Catalogue.Table) -> [String] {
    guard table.isPartitioned else { return [table.fullName] }
    return tables.filter { !$0.isPartitioned && $0.ancestors.contains(table.fullName) }
      .map(\.fullName)
  }

  package func answer(for table: Catalogue.Table) -> Answer {
    if published.contains(table.fullName) { return .whole }
    let above = table.ancestors.filter(published.contains)
    if !above.isEmpty {
      return above.contains(where: wanted.contains) ? .whole : .unwanted(above, all: true)
    }
    guard table.isPartitioned else { return .absent }
    let partitions = names(of: table)
    // Nothing can be written to it yet, and its partitions will be looked at themselves.
    if partitions.isEmpty, !isViaRoot { return .whole }
    let there = partitions.filter(published.contains)
    guard !there.isEmpty else { return .absent }
    let unwanted = there.filter { !wanted.contains($0) }
    return unwanted.isEmpty ? .whole : .unwanted(unwanted, all: unwanted.count == there.count)
  }
}
