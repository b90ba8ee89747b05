/// Collects, from what is in the topics, the keys whose rows a snapshot has written.
package final class SnapshotKeys {
  private let base: UInt64
  private let tables: [Int: Int]
  private let keysMax: Int
  private var count = 0
  package private(set) var written: [Int: [KeyDigest: UInt16]] = [:]
  /// Tables whose rows cannot be told apart: they have no key, or there are too many.
  package private(set) var unknowable: Set<Int> = []
  package private(set) var isFull = false

  /// `tables`: the tables that matter, each with the first generation that does not: whoever wrote
  /// last need not be told from keys without a row.
  package init(base: UInt64, tables: [Int: Int], keysMax: Int = SnapshotHistory.keysMax) {
    self.base = base
    self.tables = tables
    self.keysMax = keysMax
  }

  /// A record of a topic. False if no further record of this partition can be one of the snapshot.
  package func take(_ position: CapturePosition, _ key: ArraySlice<UInt8>?) -> Bool {
    guard position.major == base, let row = position.snapshotRow else {
      return position.major <= base
    }
    let table = Int(row.table)
    guard let end = tables[table], row.generation < end, !unknowable.contains(table) else {
      return true
    }
    guard let key, count < keysMax else {
      isFull = isFull || count >= keysMax
      unknowable.insert(table)
      count -= written.removeValue(forKey: table)?.count ?? 0
      return true
    }
    written[table, default: [:]][KeyDigest(key)] = row.generation
    count += 1
    return true
  }
}
