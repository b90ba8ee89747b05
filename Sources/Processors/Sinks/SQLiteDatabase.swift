internal import CSQLite

/// One connection to a SQLite file, for one thread.
@safe
package final class SQLiteDatabase {
  private var handle: OpaquePointer?

  /// `SQLITE_TRANSIENT`, a macro that Swift does not import: SQLite copies what is bound.
  fileprivate static let transient = unsafe unsafeBitCast(
    -1, to: sqlite3_destructor_type.self)

  /// Opens or creates the file: WAL, and a commit is on the disk when it returns.
  package init(path: String) throws(SinkError) {
    let flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    guard unsafe sqlite3_open_v2(path, &handle, flags, nil) == SQLITE_OK else {
      let error = error("opening \(path)")
      unsafe sqlite3_close_v2(handle)
      unsafe handle = nil
      throw error
    }
    // Other processors may write to the same file.
    unsafe sqlite3_busy_timeout(handle, 5000)
    try run("PRAGMA journal_mode=WAL")
    try run("PRAGMA synchronous=FULL")
  }

  deinit { unsafe sqlite3_close_v2(handle) }

  package func run(_ sql: String) throws(SinkError) {
    let statement = try prepare(sql)
    while try statement.step() {}
  }

  package func prepare(_ sql: String) throws(SinkError) -> SQLiteStatement {
    var statement: OpaquePointer?
    let result = unsafe sqlite3_prepare_v3(
      handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard result == SQLITE_OK, let statement = unsafe statement else { throw error(sql) }
    return unsafe SQLiteStatement(statement, self)
  }

  package func rollback() {
    if unsafe sqlite3_get_autocommit(handle) == 0 { try? run("ROLLBACK") }
  }

  package var changes: Int64 { unsafe sqlite3_changes64(handle) }

  fileprivate func error(_ what: String) -> SinkError {
    let code = unsafe sqlite3_extended_errcode(handle)
    let text = unsafe "SQLite: \(String(cString: sqlite3_errmsg(handle))) (\(what))."
    switch code & 0xff {
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_NOMEM, SQLITE_INTERRUPT:
      return .unavailable(text)
    // SQLITE_IOERR too: what a failed sync has lost, no second one brings back.
    default: return .failed(text)
    }
  }
}

/// A prepared statement. Bind by position from 1, step until false; then it can be bound again.
@safe
package final class SQLiteStatement {
  private let statement: OpaquePointer
  private let database: SQLiteDatabase

  fileprivate init(_ statement: OpaquePointer, _ database: SQLiteDatabase) {
    unsafe self.statement = unsafe statement
    self.database = database
  }

  deinit { unsafe sqlite3_finalize(statement) }

  /// Binds all parameters and runs to the end.
  package func run(_ values: [SQLiteValue]) throws(SinkError) {
    try bind(values)
    while try step() {}
  }

  package func bind(_ values: [SQLiteValue]) throws(SinkError) {
    unsafe sqlite3_reset(statement)
    for (index, value) in values.enumerated() {
      let place = Int32(index + 1)
      let result =
        switch value {
        case .null: unsafe sqlite3_bind_null(statement, place)
        case .integer(let number): unsafe sqlite3_bind_int64(statement, place, number)
        case .text(let text):
          unsafe sqlite3_bind_text(
            statement, place, text, Int32(text.utf8.count), SQLiteDatabase.transient)
        case .blob(let bytes):
          unsafe sqlite3_bind_blob64(
            statement, place, bytes, UInt64(bytes.count), SQLiteDatabase.transient)
        }
      guard result == SQLITE_OK else { throw database.error("binding a value") }
    }
  }

  /// Whether there is a row.
  package func step() throws(SinkError) -> Bool {
    switch unsafe sqlite3_step(statement) {
    case SQLITE_ROW: return true
    case SQLITE_DONE:
      unsafe sqlite3_reset(statement)
      return false
    default:
      let error = database.error(unsafe String(cString: sqlite3_sql(statement)))
      unsafe sqlite3_reset(statement)
      throw error
    }
  }

  package var columnCount: Int32 { unsafe sqlite3_column_count(statement) }

  /// Ends reading before the last row.
  package func reset() { unsafe sqlite3_reset(statement) }

  package func text(_ column: Int32) -> String? {
    guard let text = unsafe sqlite3_column_text(statement, column) else { return nil }
    let count = unsafe Int(sqlite3_column_bytes(statement, column))
    return unsafe String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
  }

  package func integer(_ column: Int32) -> Int64? {
    guard unsafe sqlite3_column_type(statement, column) != SQLITE_NULL else { return nil }
    return unsafe sqlite3_column_int64(statement, column)
  }

  package func blob(_ column: Int32) -> [UInt8] {
    guard let bytes = unsafe sqlite3_column_blob(statement, column) else { return [] }
    let count = unsafe Int(sqlite3_column_bytes(statement, column))
    return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
  }
}

package enum SQLiteValue {
  case null
  case integer(Int64)
  case text(String)
  case blob([UInt8])
}
