/// The topic of each table: the prefix, the schema and the table, then the routes in their order.
package struct TopicNames {
  private let prefix: String
  private let routes: [(pattern: Regex<AnyRegexOutput>, replacement: [Piece])]

  private enum Piece {
    case text(String)
    /// `$1`.
    case group(Int)
  }

  package init(_ config: CaptureConfig) throws(CaptureConfigError) {
    prefix = config.topicPrefix
    var routes: [(Regex<AnyRegexOutput>, [Piece])] = []
    for route in config.routes {
      do {
        routes.append((try Regex(route.pattern), Self.pieces(route.replacement)))
      } catch {
        throw CaptureConfigError("'\(route.pattern)' is no regular expression.")
      }
    }
    self.routes = routes
  }

  /// As Kafka Connect's RegexRouter: a name that matches as a whole is replaced.
  package func topic(schema: String, table: String) throws(CaptureConfigError) -> String {
    var name = "\(prefix).\(schema).\(table)"
    for route in routes {
      guard let match = try? route.pattern.wholeMatch(in: name) else { continue }
      let groups = match.output.map { $0.substring.map(String.init) ?? "" }
      var routed = ""
      for piece in route.replacement {
        switch piece {
        case .text(let text): routed += text
        case .group(let index):
          guard index < groups.count else {
            throw CaptureConfigError("A route's replacement has $\(index), which its regex has not.")
          }
          routed += groups[index]
        }
      }
      name = routed
    }
    return Self.legal(name)
  }

  /// Kafka's names have letters, digits, `.`, `_` and `-`; anything else becomes `_`, as in Debezium.
  private static func legal(_ name: String) -> String {
    String(
      name.unicodeScalars.map { scalar in
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": Character(scalar)
        default: "_"
        }
      })
  }

  private static func pieces(_ replacement: String) -> [Piece] {
    var pieces: [Piece] = []
    var text = ""
    var rest = replacement[...]
    while let character = rest.popFirst() {
      if character == "$", let digit = rest.first?.wholeNumberValue {
        rest.removeFirst()
        pieces.append(.text(text))
        pieces.append(.group(digit))
        text = ""
      } else if character == "\\", let next = rest.popFirst() {
        text.append(next)
      } else {
        text.append(character)
      }
    }
    pieces.append(.text(text))
    return pieces
  }
}
