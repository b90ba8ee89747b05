internal import JSON

/// A record as it comes to a task.
package struct InputRecord: Sendable {
  package var partition: Int32
  package var offset: Int64
  /// Milliseconds since 1970.
  package var timestamp: Int64
  package var key: ArraySlice<UInt8>?
  package var value: ArraySlice<UInt8>?

  package init(
    partition: Int32, offset: Int64, timestamp: Int64, key: ArraySlice<UInt8>?,
    value: ArraySlice<UInt8>?
  ) {
    self.partition = partition
    self.offset = offset
    self.timestamp = timestamp
    self.key = key
    self.value = value
  }
}

/// How far a source partition was processed: what is stored with the results.
package struct SourceProgress: Hashable, Sendable {
  package var partition: Int32
  /// The offset after the last processed record.
  package var nextOffset: Int64
  /// The largest event time seen.
  package var streamTime: EventTime?

  package init(partition: Int32, nextOffset: Int64, streamTime: EventTime? = nil) {
    self.partition = partition
    self.nextOffset = nextOffset
    self.streamTime = streamTime
  }
}

/// What processing a batch comes to. A driver commits all of it in one transaction, then sends the
/// outbox.
package struct Effects: Sendable {
  /// Each key at most once; nil removes it.
  package var state: [StateWrite] = []
  package var tables: [TableChange] = []
  package var outbox: [OutboxRecord] = []
  /// Of the partitions that the batch has records of.
  package var progress: [SourceProgress] = []
  package var counts = Counts()
  /// Lines for whoever watches: what changed last, at most `highlightsMax` of them.
  package private(set) var highlights: [String] = []
  /// Of the batch's dead letters the first of each kind of error.
  package var deadLetters: [DeadLetterExample] = []
  /// The newest window that changed.
  package var newestWindow: WindowTotal?
  /// What is known of truncations from now on, if that has changed; it is in `state`, too.
  package var truncation: Truncation?
  /// When the source committed each row that is not a snapshot's, in microseconds since 1970.
  package var sourceTimes: [Int64] = []

  package init() {}

  static let highlightsMax = 16

  mutating func highlight(_ line: @autoclosure () -> String) {
    if highlights.count < Self.highlightsMax { highlights.append(line()) }
  }

  package struct Counts: Hashable, Sendable {
    package var processed: UInt64 = 0
    package var late: UInt64 = 0
    package var deadLettered: UInt64 = 0
    /// Records that are not about a row.
    package var ignored: UInt64 = 0

    package init() {}

    package static func += (a: inout Self, b: Self) {
      a.processed += b.processed
      a.late += b.late
      a.deadLettered += b.deadLettered
      a.ignored += b.ignored
    }
  }
}

package struct StateWrite: Hashable, Sendable {
  package var key: String
  package var value: String?

  package init(key: String, value: String?) {
    self.key = key
    self.value = value
  }
}

/// A row written into or removed from one of the task's tables. In one batch no two changes are
/// about the same row.
package struct TableChange: Hashable, Sendable {
  /// Index in the task's `tables`.
  package var table: Int
  /// All columns, in the table's order; for a removal those of the key.
  package var values: [ColumnValue]
  package var isRemoval: Bool

  package init(table: Int, values: [ColumnValue], isRemoval: Bool = false) {
    self.table = table
    self.values = values
    self.isRemoval = isRemoval
  }
}

package enum ColumnValue: Hashable, Sendable {
  case null
  case text(String)
  case integer(Int64)
  case decimal(ExactDecimal)
  case time(EventTime)
}

/// A table that results go to.
package struct TableDescription: Hashable, Sendable {
  package enum ColumnType: Hashable, Sendable {
    case text, integer, time
    /// Exact; shown with two places at least.
    case decimal
  }

  package struct Column: Hashable, Sendable {
    package var name: String
    package var type: ColumnType

    package init(_ name: String, _ type: ColumnType) {
      self.name = name
      self.type = type
    }
  }

  package var name: String
  package var columns: [Column]
  /// The first so many columns are the primary key.
  package var keyCount: Int

  package init(_ name: String, key: [Column], _ others: [Column]) {
    precondition(!key.isEmpty, "a table has a key")
    self.name = name
    columns = key + others
    keyCount = key.count
  }

  /// A row as JSON. Times are ISO 8601 and decimals are strings, so that no reader rounds them.
  func json(_ values: [ColumnValue]) -> [UInt8] {
    var json = JSONText()
    json.byte(UInt8(ascii: "{"))
    for (column, value) in zip(columns, values) {
      if json.count > 1 { json.byte(UInt8(ascii: ",")) }
      json.string(column.name)
      json.byte(UInt8(ascii: ":"))
      switch value {
      case .null: json.null()
      case .text(let text): json.string(text)
      case .integer(let number): json.integer(number)
      case .decimal(let decimal): json.string(decimal.text(placesMin: 2))
      case .time(let time): json.string(time.text)
      }
    }
    json.byte(UInt8(ascii: "}"))
    return json.take()
  }
}

/// A record to be produced once the batch is committed.
package struct OutboxRecord: Hashable, Sendable {
  package var topic: String
  /// Chosen before the batch is committed, so that it stays the same when partitions are added
  /// between a crash and the next start.
  package var partition: Int32?
  /// In a topic that others write to as well: an offset of the partition that is at or before the
  /// record's, once it is there. What is before it need not be searched for the record.
  package var floor: Int64?
  package var key: [UInt8]?
  package var value: [UInt8]?
  package var headers: [Header]
  /// Milliseconds since 1970.
  package var timestamp: Int64

  package struct Header: Hashable, Sendable {
    package var name: String
    package var value: [UInt8]

    package init(_ name: String, _ value: [UInt8]) {
      self.name = name
      self.value = value
    }
  }

  package init(
    topic: String, key: [UInt8]?, value: [UInt8]?, headers: [Header], timestamp: Int64
  ) {
    self.topic = topic
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
  }
}

/// Where a result comes from: the record that contributed last.
struct Cause: Sendable {
  var topic: String
  var partition: Int32
  var offset: Int64
  var timestamp: Int64
  /// When the source committed the change; the record's own time where the event does not say.
  var time: EventTime
  /// A snapshot's row says nothing about time: it neither advances stream time nor is late.
  var isSnapshot: Bool

  var headers: [OutboxRecord.Header] {
    [
      .init("martlet.source.topic", Array(topic.utf8)),
      .init("martlet.source.partition", Array(String(partition).utf8)),
      .init("martlet.source.offset", Array(String(offset).utf8)),
    ]
  }
}
