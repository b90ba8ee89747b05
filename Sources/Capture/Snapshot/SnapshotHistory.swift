/// Which of a streamed change's keys a snapshot has already taken account of.
///
/// A snapshot that is interrupted is continued by a second one, which sees a later state: rows that
/// are in the topics are left out, the others are written as they are now. The stream still begins
/// where the first snapshot stood, because the rows that it wrote need all changes since; to rows
/// that a later generation wrote, the changes which that generation has seen must not be applied
/// again.
///
/// For each key there is one LSN, `firstLSN`, from which its changes are to be written:
///
/// (1) A row written by generation g: the LSN of g.
/// (2) Any other key of a table: the LSN of the generation that completed the table. It saw every
///     row that existed then and was not in the topics, so a key without a row did not exist, and
///     whatever happened to it before is over.
/// (3) A table whose rows cannot be told apart (no key, or more keys than are kept) is written
///     again as a whole, and gets every change since the first generation: rows repeat, and after
///     the stream has passed the last generation the state is right.
///
/// A change of a key's value concerns two keys; each is asked for on its own.
package struct SnapshotHistory: Sendable {
  /// Keys kept for all tables together: 32 to 64 bytes each. Beyond, a table's rows repeat.
  package static let keysMax = 4_000_000

  private struct Table: Sendable {
    var written: [KeyDigest: UInt16] = [:]
    /// From where changes of keys without an own entry count.
    var others: LSN
  }

  private let generations: [LSN]
  private var tables: [String: Table] = [:]
  /// From here on every change counts for every key.
  package let end: LSN

  /// `written`: by the table's index in the record, the generation that wrote a key's row.
  package init(_ record: PositionRecord, written: [Int: [KeyDigest: UInt16]]) {
    generations = record.generations.map(\.lsn)
    let first = generations.first ?? record.through
    var end = first
    guard !generations.isEmpty else {
      self.end = .zero
      return
    }
    for (index, table) in record.tables.enumerated() {
      let completed = generations[(table.completed ?? generations.count) - 1]
      let others = table.repeats ? first : completed
      tables[table.name] = Table(
        written: table.repeats ? [:] : written[index] ?? [:], others: others)
      end = max(end, others)
    }
    self.end = end
  }

  /// Whether a change is to be left out, because the snapshot's row already contains it.
  package func contains(change commit: LSN, of table: String, key: KeyDigest?) -> Bool {
    guard commit < end, let table = tables[table] else { return false }
    guard let key, let generation = table.written[key] else { return commit < table.others }
    return commit < generations[Int(generation) - 1]
  }

  /// Whether `contains` can be told without knowing the key, for a change of the whole table: nil
  /// if it is so for some keys and not for others.
  package func containsWholeTable(change commit: LSN, of table: String) -> Bool? {
    guard commit < end, let table = tables[table] else { return false }
    guard commit < table.others else { return false }
    return table.written.isEmpty ? true : nil
  }
}
