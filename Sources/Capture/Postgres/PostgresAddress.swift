package import Postgres

/// How to connect to a database. Never printed with its password.
package struct PostgresAddress: Equatable, Sendable, CustomStringConvertible {
  /// A name, an address, or a directory of Unix sockets. Several with commas, as libpq has it.
  package var host = "localhost"
  package var port = "5432"
  package var user = ""
  package var password: String?
  package var database = ""
  /// libpq's `sslmode` and files.
  package var sslMode: String?
  package var sslRootCertificate: String?
  package var sslCertificate: String?
  package var sslKey: String?
  package var sslPassword: String?

  package init() {}

  package var description: String { "\(user)@\(host):\(port)/\(database)" }

  /// Settings that the text of values depends on, and timeouts that would end a snapshot.
  private static let settings = [
    "DateStyle=ISO", "IntervalStyle=postgres", "TimeZone=UTC", "extra_float_digits=3",
    "bytea_output=hex", "statement_timeout=0", "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
  ]

  /// libpq's keywords and values.
  package func parameters(replication: Bool, application: String) -> [(String, String)] {
    var result = [
      ("host", host), ("port", port), ("user", user), ("dbname", database),
      ("application_name", application), ("client_encoding", "UTF8"),
      ("options", Self.settings.map { "-c \($0)" }.joined(separator: " ")),
      // A server that vanished without a word is noticed within half a minute.
      ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "4"),
      ("tcp_user_timeout", "30000"),
    ]
    if replication { result.append(("replication", "database")) }
    let optional = [
      ("password", password), ("sslmode", sslMode), ("sslrootcert", sslRootCertificate),
      ("sslcert", sslCertificate), ("sslkey", sslKey), ("sslpassword", sslPassword),
    ]
    for (name, value) in optional {
      if let value { result.append((name, value)) }
    }
    return result
  }
}

extension PostgresConnection {
  private static let connectSeconds: Int64 = 10

  /// Connects, within ten seconds.
  package convenience init(
    _ address: PostgresAddress, replication: Bool = false, application: String = "martlet"
  ) throws(PostgresError) {
    try self.init(
      address.parameters(replication: replication, application: application),
      seconds: Self.connectSeconds)
  }
}
