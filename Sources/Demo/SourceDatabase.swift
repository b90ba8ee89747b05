internal import CLibpq

/// Postgres refused something.
package struct DatabaseError: Error, CustomStringConvertible {
  package let description: String
}

/// A connection to the source, for statements one after another on one thread.
@safe
package final class SourceDatabase {
  private let connection: OpaquePointer

  package init(_ conninfo: String) throws(DatabaseError) {
    guard let connection = unsafe PQconnectdb(conninfo) else {
      throw DatabaseError(description: "There is no memory for a connection to Postgres.")
    }
    unsafe self.connection = unsafe connection
    guard unsafe PQstatus(connection) == CONNECTION_OK else {
      throw DatabaseError(description: lastError)
    }
  }

  deinit { unsafe PQfinish(connection) }

  /// Waits for the server to answer, as long as connecting takes; true if it takes connections.
  package static func isReady(_ conninfo: String) -> Bool {
    unsafe PQping(conninfo) == PQPING_OK
  }

  private var lastError: String {
    guard let message = unsafe PQerrorMessage(connection) else { return "Postgres said nothing." }
    return unsafe String(cString: message)
  }

  /// Runs statements; the rows of the last one, as text.
  @discardableResult
  package func run(_ statements: String) throws(DatabaseError) -> [[String?]] {
    let result = unsafe PQexec(connection, statements)
    defer { unsafe PQclear(result) }
    let status = unsafe PQresultStatus(result)
    guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
      throw DatabaseError(description: lastError)
    }
    let columns = unsafe PQnfields(result)
    return unsafe (0..<PQntuples(result)).map { row in
      (0..<columns).map { column in
        guard unsafe PQgetisnull(result, row, column) == 0,
          let value = unsafe PQgetvalue(result, row, column)
        else { return nil }
        return unsafe String(cString: value)
      }
    }
  }
}
