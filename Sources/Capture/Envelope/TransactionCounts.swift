/// What a transaction's events are counted by: all of them, and those of each table.
package struct TransactionCounts: Sendable {
  package let id: TransactionID
  package private(set) var total: Int64 = 0
  /// In the order in which they first came.
  package private(set) var tables: [(table: String, events: Int64)] = []
  private var places: [String: Int] = [:]

  package init(_ id: TransactionID) { self.id = id }

  /// Of the table's next event.
  package func next(_ table: String) -> TransactionPlace {
    let ofTable = places[table].map { tables[$0].events } ?? 0
    return TransactionPlace(id: id, totalOrder: total + 1, dataCollectionOrder: ofTable + 1)
  }

  package mutating func count(_ events: Int, of table: String) {
    total += Int64(events)
    if let place = places[table] {
      tables[place].events += Int64(events)
    } else {
      places[table] = tables.count
      tables.append((table, Int64(events)))
    }
  }
}
