/// What a column's default is, as `pg_get_expr` prints it.
enum DefaultExpression: Equatable {
  /// A constant's text.
  case literal([UInt8])
  case null
  /// A function, an operator, a sequence: the value depends on when it is asked for.
  case computed

  init(_ expression: String) {
    var rest = ArraySlice(expression.utf8)
    // Casts and parentheses around a constant, from the outside in; each turn takes some away.
    while true {
      if Self.isWrapped(rest) {
        rest = rest.dropFirst().dropLast()
      } else if let cast = Self.lastCast(rest) {
        rest = rest[..<cast]
      } else {
        break
      }
    }
    if rest.first == UInt8(ascii: "'") || rest.starts(with: "E'".utf8)
      || rest.starts(with: "B'".utf8)
    {
      self = Self.quoted(rest).map { .literal($0) } ?? .computed
    } else if rest.elementsEqual("NULL".utf8) {
      self = .null
    } else if rest.elementsEqual("true".utf8) {
      self = .literal([UInt8(ascii: "t")])
    } else if rest.elementsEqual("false".utf8) {
      self = .literal([UInt8(ascii: "f")])
    } else if Self.isNumber(rest) {
      self = .literal(Array(rest))
    } else {
      self = .computed
    }
  }

  /// One pair of parentheses around everything.
  private static func isWrapped(_ text: ArraySlice<UInt8>) -> Bool {
    guard text.first == UInt8(ascii: "("), text.last == UInt8(ascii: ")") else { return false }
    var depth = 0
    var isQuoted = false
    for index in text.indices {
      switch text[index] {
      case UInt8(ascii: "'"): isQuoted.toggle()
      case UInt8(ascii: "(") where !isQuoted: depth += 1
      case UInt8(ascii: ")") where !isQuoted:
        depth -= 1
        if depth == 0, index != text.endIndex - 1 { return false }
      default: break
      }
    }
    return true
  }

  /// Where the last `::type` begins, if only a type's name is behind it.
  private static func lastCast(_ text: ArraySlice<UInt8>) -> Int? {
    var index = text.endIndex - 1
    while index > text.startIndex {
      let byte = text[index]
      if byte == UInt8(ascii: ":"), text[index - 1] == UInt8(ascii: ":") { return index - 1 }
      let isName =
        byte >= 0x80 || byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
        || " _\".,()[]".utf8.contains(byte)
      guard isName else { return nil }
      index -= 1
    }
    return nil
  }

  private static func quoted(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    let isEscaped = text.first == UInt8(ascii: "E")
    var cursor = TextCursor(text)
    if cursor.next != UInt8(ascii: "'") { cursor.index += 1 }
    guard cursor.skip(UInt8(ascii: "'")) else { return nil }
    var value: [UInt8] = []
    while let byte = cursor.next {
      cursor.index += 1
      if byte == UInt8(ascii: "'") {
        guard cursor.skip(byte) else { return cursor.isAtEnd ? value : nil }
        value.append(byte)
      } else if isEscaped, byte == UInt8(ascii: "\\"), let next = cursor.next {
        value.append(next)
        cursor.index += 1
      } else {
        value.append(byte)
      }
    }
    return nil
  }

  private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
    var cursor = TextCursor(text)
    _ = cursor.skip(UInt8(ascii: "-"))
    guard (try? cursor.skipDigits()) != nil else { return false }
    if cursor.skip(UInt8(ascii: ".")) { _ = try? cursor.skipDigits() }
    return cursor.isAtEnd
  }
}
