import Capture
import Testing

@Suite struct `Rows of COPY text` {
  private func columns(_ line: String, _ count: Int) throws -> [String?] {
    try CopyTextRow().decode(ArraySlice(line.utf8), columnCount: count).map { column in
      guard case .text(let text) = column else { return nil }
      return String(decoding: text, as: UTF8.self)
    }
  }

  /// What COPY TO writes. Source: CopyAttributeOutText in copyto.c.
  private func escaped(_ text: [UInt8]) -> [UInt8] {
    let letters: [UInt8: Character] = [8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"]
    return text.flatMap { byte -> [UInt8] in
      if let letter = letters[byte] { return [0x5c] + Array(String(letter).utf8) }
      return byte == 0x5c ? [0x5c, 0x5c] : [byte]
    }
  }

  @Test(
    arguments: [
      ("a\tb\n", ["a", "b"]), ("a\tb", ["a", "b"]), ("\t\n", ["", ""]), ("\n", [""]), ("", [""]),
      (#"\N"# + "\n", [nil]), (#"\N"# + "\t" + #"\N"# + "\n", [nil, nil]),
      (#"x\N"#, ["xN"]), (#"\Nx"#, ["Nx"]), (#"\\N"#, [#"\N"#]), ("\t" + #"\N"#, ["", nil]),
      (#"\N"# + "\t", [nil, ""]), (#"a\tb\nc\\d\re\bf\fg\v"#, ["a\tb\nc\\d\re\u{8}f\u{c}g\u{b}"]),
      (#"\101\x41\x4a\7"#, ["AAJ\u{7}"]), (#"\.\q\x"#, [".qx"]), (#"\1234"#, ["S4"]),
      ("世界\t" + #"\\"#, ["世界", #"\"#]),
    ] as [(String, [String?])])
  func `escapes, nulls and empty columns are told apart`(line: String, expected: [String?]) throws {
    #expect(try columns(line, expected.count) == expected)
  }

  @Test func `every pair of bytes in every place comes back`() throws {
    let row = CopyTextRow()
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let values: [[UInt8]?] = [[first, second], nil, [second], [], [0x4e], [0x5c, first]]
        let line =
          values.map { $0.map(escaped) ?? [0x5c, 0x4e] }.joined(separator: [0x09]) + [0x0a]
        let decoded = try row.decode(Array(line)[...], columnCount: values.count)
        let expected = values.map { $0.map { TupleColumn.text($0[...]) } ?? .null }
        guard decoded == expected else {
          Issue.record("\(first) \(second): \(decoded)")
          return
        }
      }
    }
  }

  @Test func `a row without escapes shares its storage`() throws {
    let line = Array("12\tab\n".utf8)
    let decoded = try CopyTextRow().decode(line[...], columnCount: 2)
    guard case .text(let second) = decoded[1] else {
      Issue.record("\(decoded)")
      return
    }
    #expect(second.startIndex == 3)
  }

  @Test func `another number of columns and a dangling escape are refused`() throws {
    #expect(throws: CopyTextError.columnCount(expected: 3, found: 2)) { try columns("a\tb", 3) }
    #expect(throws: CopyTextError.columnCount(expected: 1, found: 2)) { try columns("a\tb", 1) }
    #expect(throws: CopyTextError.columnCount(expected: 1, found: 2)) {
      try columns(#"\N"# + "\t", 1)
    }
    #expect(throws: CopyTextError.columnCount(expected: 0, found: 1)) { try columns("a", 0) }
    #expect(throws: CopyTextError.danglingEscape) { try columns(#"a\"#, 1) }
    #expect(try columns("\n", 0).isEmpty)
  }

  @Test(arguments: 0..<16)
  func `random lines never stop it`(seed: UInt64) {
    var random = SplitMix(state: seed)
    let alphabet: [UInt8] = [0x09, 0x0a, 0x5c, 0x4e, 0x78, 0x30, 0x37, 0x61, 0xff, 0x2e]
    for _ in 0..<5000 {
      let count = Int.random(in: 0...12, using: &random)
      let line = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      _ = try? CopyTextRow().decode(line[...], columnCount: Int.random(in: 0...4, using: &random))
    }
  }
}
