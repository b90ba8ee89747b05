/// Why Postgres did not do it.
package struct PostgresError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Kind: Sendable {
    /// No connection, or it was lost: the server is down, starts up, shuts down, or is too busy.
    case unavailable
    /// What is asked for is not allowed or not there, and will not be by itself.
    case refused
    /// The server could not do it now, and may later.
    case busy
  }

  package var kind: Kind
  /// Five characters (Postgres manual, appendix A); nil where the server said none.
  package var sqlState: String?
  /// One sentence or several, the server's own words.
  package var message: String

  package init(_ kind: Kind, sqlState: String? = nil, _ message: String) {
    self.kind = kind
    self.sqlState = sqlState
    self.message = message
  }

  package var description: String { message }

  package var isRetriable: Bool { kind != .refused }

  /// From what the server said to a statement.
  package init(statement message: String, sqlState: String?) {
    let kind: Kind =
      switch sqlState.map({ $0.prefix(2) }) {
      case nil, "08", "57": .unavailable
      // Serialization, resources, objects in use.
      case "40", "53", "55": .busy
      default: .refused
      }
    self.init(kind, sqlState: sqlState, message)
  }

  /// From what libpq says when it cannot connect. The state is in the text only, and only if it is
  /// verbose: behind the severity.
  package init(connecting message: String) {
    let state = Self.state(in: message)
    let kind: Kind =
      switch state.map({ $0.prefix(2) }) {
      // Authentication, unknown database, insufficient privilege.
      case "28", "3D", "42": .refused
      case nil where message.contains("does not support SSL") || message.contains("certificate"):
        .refused
      case nil where message.contains("no password supplied"): .refused
      default: .unavailable
      }
    self.init(kind, sqlState: state, Self.readable(message))
  }

  /// `FATAL:  28P01: password authentication failed` has one.
  private static func state(in message: String) -> String? {
    let marker = ":  "
    var rest = message[...]
    while let range = rest.firstRange(of: marker) {
      rest = rest[range.upperBound...]
      let state = rest.prefix(5)
      if state.utf8.count == 5, rest.dropFirst(5).hasPrefix(": "),
        state.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) })
      {
        return String(state)
      }
    }
    return nil
  }

  /// On one line, and without where in the server's source it was.
  private static func readable(_ message: String) -> String {
    oneLine(
      message.split(separator: "\n").filter { !$0.hasPrefix("LOCATION:") }.joined(separator: "\n"))
  }

  static func oneLine(_ message: String) -> String {
    message.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}
