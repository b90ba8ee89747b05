/// SQL's two kinds of quotes.
package enum SQL {
  package static func name(_ text: String) -> String {
    "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }

  package static func name(_ schema: String, _ table: String) -> String {
    "\(name(schema)).\(name(table))"
  }

  package static func literal(_ text: String) -> String {
    let body = text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
    guard body.contains("\\") else { return "'\(body)'" }
    let escaped = body.split(separator: "\\", omittingEmptySubsequences: false)
      .joined(separator: "\\\\")
    return " E'\(escaped)'"
  }
}
