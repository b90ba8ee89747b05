import Testing
import YAML

@Suite struct `A YAML document` {
  private func scalar(_ text: String?, _ line: Int) -> YAMLNode {
    YAMLNode(.scalar(text), line: line)
  }

  @Test func `is read with the line of everything in it`() throws {
    let node = try YAMLDocument.parse(
      """
      data: /var/lib/martlet
      # A comment.
      settings:
        log.retention.hours: 24
        quoted: "null"
        empty:
      list: [a, 'b c']
      """)
    let settings = YAMLNode(
      .mapping([
        .init(key: "log.retention.hours", line: 4, value: scalar("24", 4)),
        .init(key: "quoted", line: 5, value: scalar("null", 5)),
        .init(key: "empty", line: 6, value: scalar(nil, 6)),
      ]), line: 4)
    #expect(
      node
        == YAMLNode(
          .mapping([
            .init(key: "data", line: 1, value: scalar("/var/lib/martlet", 1)),
            .init(key: "settings", line: 3, value: settings),
            .init(
              key: "list", line: 7,
              value: YAMLNode(.sequence([scalar("a", 7), scalar("b c", 7)]), line: 7)),
          ]), line: 1))
  }

  @Test func `without anything in it is a null`() throws {
    #expect(try YAMLDocument.parse("").isNull)
    #expect(try YAMLDocument.parse("# nothing\n").isNull)
  }

  @Test(arguments: [
    ("a: 1\nb: [", 3), ("a: 1\na: 2", 2), ("a: &x 1\nb: *x", 2), ("a: 1\n---\nb: 2", 2),
    ("? [a]\n: b", 1), ("a:\n\tb: 1", 2), ("a: 'x", 1), ("a: \u{7}", 0), ("]", 1),
  ])
  func `that cannot be used is refused with the line`(text: String, line: Int) throws {
    let error = #expect(throws: YAMLError.self) { try YAMLDocument.parse(text) }
    if line > 0 { #expect(error?.line == line, "\(error?.description ?? "")") }
  }

  @Test func `is bounded in depth, values and size`() {
    let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
    #expect(throws: YAMLError.self) { try YAMLDocument.parse(deep) }
    let many = "[" + String(repeating: "a,", count: YAMLDocument.nodesMax) + "a]"
    #expect(throws: YAMLError.self) { try YAMLDocument.parse(many) }
    let large = String(repeating: "#", count: YAMLDocument.bytesMax + 1)
    #expect(throws: YAMLError.self) { try YAMLDocument.parse(large) }
  }

  @Test func `is asked for what a program knows, and says what it does not`() throws {
    let node = try YAMLDocument.parse("data: x\nlisten: y\nnode: 7\nwrong: 1\n")
    let known = ["data", "listen", "node"]
    let error = #expect(throws: YAMLError.self) { try node.entries(of: "the file", known: known) }
    #expect(error?.line == 4)
    #expect(error?.text.contains("'wrong'") == true)
    let entries = try node.entries(of: "the file")
    #expect(try entries[2].value.integer(of: "node", 0...Int32.max) == 7)
    #expect(throws: YAMLError.self) { try entries[0].value.integer(of: "data", 0...Int32.max) }
    #expect(throws: YAMLError.self) { try entries[0].value.items(of: "data") }
    #expect(throws: YAMLError.self) { try node.text(of: "the file") }
  }
}
