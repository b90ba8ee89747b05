/// What happened to one row of a table (or, truncated, to all of them).
package enum Change: Sendable {
  /// A row of a snapshot.
  case read([TupleColumn])
  case create([TupleColumn])
  case update(old: OldTuple?, new: [TupleColumn])
  case delete(old: OldTuple)
  case truncate
}

/// Where a row stands in its snapshot; `incremental` for one taken while streaming.
package enum SnapshotMarker: String, Sendable, CaseIterable {
  case no = "false"
  case first
  case firstInDataCollection = "first_in_data_collection"
  case yes = "true"
  case lastInDataCollection = "last_in_data_collection"
  case last
  case incremental

  /// Of a row of a snapshot. The last one of all says so before anything else, as in Debezium.
  package init(isFirst: Bool, isFirstOfTable: Bool, isLastOfTable: Bool, isLast: Bool) {
    self =
      if isLast {
        .last
      } else if isFirst {
        .first
      } else if isLastOfTable {
        .lastInDataCollection
      } else if isFirstOfTable {
        .firstInDataCollection
      } else {
        .yes
      }
  }
}

/// The place of an event in its transaction, when transaction metadata is wanted.
package struct TransactionPlace: Hashable, Sendable {
  package var id: TransactionID
  /// From one on, over all tables and over this table.
  package var totalOrder: Int64
  package var dataCollectionOrder: Int64

  package init(id: TransactionID, totalOrder: Int64, dataCollectionOrder: Int64) {
    self.id = id
    self.totalOrder = totalOrder
    self.dataCollectionOrder = dataCollectionOrder
  }
}

/// Printed `xid:lsn`. The position is the commit's, so that all events of a transaction and its
/// BEGIN and END have the same; Debezium prints each event's own.
package struct TransactionID: Hashable, Sendable, CustomStringConvertible {
  package var xid: UInt32
  package var lsn: LSN

  package init(xid: UInt32, lsn: LSN) {
    self.xid = xid
    self.lsn = lsn
  }

  package var description: String { "\(xid):\(lsn.rawValue)" }
}

/// What the `source` block says beyond the table and the settings.
package struct SourceInfo: Sendable {
  package var database: String
  /// When the change was committed, microseconds since 1970-01-01 UTC.
  package var time: Int64
  package var snapshot: SnapshotMarker
  /// The commit before this transaction; nil where there is none yet.
  package var lastCommitLSN: LSN?
  package var lsn: LSN?
  package var xid: UInt32?
  package var xmin: Int64?
  package var origin: String?
  package var originLSN: LSN?
  package var transaction: TransactionPlace?

  package init(
    database: String, time: Int64, snapshot: SnapshotMarker = .no, lastCommitLSN: LSN? = nil,
    lsn: LSN? = nil, xid: UInt32? = nil, xmin: Int64? = nil, origin: String? = nil,
    originLSN: LSN? = nil, transaction: TransactionPlace? = nil
  ) {
    self.database = database
    self.time = time
    self.snapshot = snapshot
    self.lastCommitLSN = lastCommitLSN
    self.lsn = lsn
    self.xid = xid
    self.xmin = xmin
    self.origin = origin
    self.originLSN = originLSN
    self.transaction = transaction
  }

  /// Microseconds between 1970-01-01, where events count from, and 2000-01-01, where Postgres does.
  package static let postgresEpoch: Int64 = 946_684_800_000_000
}

/// A record to write. Its topic is the caller's business.
package struct EncodedEvent: Hashable, Sendable {
  package var key: [UInt8]?
  /// Nil: a tombstone.
  package var value: [UInt8]?
  package var headers: [Header]

  package struct Header: Hashable, Sendable {
    package var name: String
    package var value: [UInt8]?

    package init(name: String, value: [UInt8]?) {
      self.name = name
      self.value = value
    }
  }

  package init(key: [UInt8]?, value: [UInt8]?, headers: [Header] = []) {
    self.key = key
    self.value = value
    self.headers = headers
  }
}
