/// What /health says of one thing or of several together.
package struct Health: Sendable {
  /// What does not go on by itself: a sentence each.
  package var failures: [String]
  /// What is to be known, and needs nobody yet.
  package var notes: [String]

  package init(failures: [String] = [], notes: [String] = []) {
    self.failures = failures
    self.notes = notes
  }

  package static func + (a: Health, b: Health) -> Health {
    Health(failures: a.failures + b.failures, notes: a.notes + b.notes)
  }
}

extension HTTPResponse {
  /// Status 503 and a line for each failure; otherwise "ok".
  package init(_ health: Health) {
    if !health.failures.isEmpty {
      self.init(status: 503, health.failures.joined(separator: "\n") + "\n")
    } else {
      let notes = health.notes.joined(separator: "; ")
      self.init(notes.isEmpty ? "ok\n" : "ok, but \(notes)\n")
    }
  }
}
