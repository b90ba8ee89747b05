import JSON
import Testing

@Suite struct `JSON values` {
  @Test func `are read with their escapes and their order`() throws {
    let value = try JSONValue(
      parsing: #" {"b":"\u00fc\ud83d\ude00\n\"","a":[1,-2.5e3,true,null,{}, [] ]} "#)
    #expect(
      value
        == .object([
          .init("b", .string("ü😀\n\"")),
          .init(
            "a",
            .array([
              .number("1"), .number("-2.5e3"), .bool(true), .null, .object([]), .array([]),
            ])),
        ]))
    #expect(try JSONValue(parsing: value.description) == value)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\"}", "\"", "\"\\x\"", "\"\\ud800\"", "tru", "1 2", "{\"a\":1,}", "+",
    "01", "1.", ".5", "\"a\u{1}b\"", String(repeating: "[", count: 100_000),
  ])
  func `are refused where there are none`(text: String) {
    #expect(throws: JSONError.self) { _ = try JSONValue(parsing: text) }
  }

  @Test func `nest 64 levels deep and no deeper`() throws {
    let levels = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
    #expect(try JSONValue(parsing: levels(64)).description == levels(64))
    #expect(throws: JSONError.tooDeep(at: 64)) { _ = try JSONValue(parsing: levels(65)) }
  }

  @Test func `are written on one line, with only what must be escaped escaped`() {
    let value: JSONValue = [
      "text": .string("\"\\/\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}ü\u{2028}😀"),
      "number": .init(-7), "none": .init(nil as Int?), "nothing": .init(nil as String?),
      "list": .array([.bool(true), .bool(false), .number("1.50")]),
    ]
    #expect(
      value.description
        == #"{"text":"\"\\/\n\r\t\b\f\u0001\u001F"# + "\u{7f}ü\u{2028}😀"
        + #"","number":-7,"none":null,"nothing":null,"list":[true,false,1.50]}"#)
  }
}

@Suite struct `JSON strings` {
  @Test func `of lone surrogates have a replacement character, or are refused`() throws {
    for text in [#"a\ud800b"#, #"a\udc00b"#, #"a\ud800\u0041b"#] {
      let bytes = Array(text.utf8)[...]
      #expect(try JSONString.text(bytes).hasPrefix("a\u{fffd}"), "\(text)")
      #expect(throws: JSONError.self, "\(text)") {
        _ = try JSONString.text(bytes, refusesLoneSurrogates: true)
      }
    }
    #expect(try JSONString.text(Array(#"\ud83d\ude00"#.utf8)[...]) == "😀")
  }

  @Test func `that are not UTF-8 are refused where they begin`() {
    #expect(throws: JSONError.notUTF8(at: 0)) { _ = try JSONString.text([0x61, 0xff]) }
  }

  @Test func `of bytes are base64, with or without padding`() {
    for count in 0...64 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      var json = JSONText()
      json.base64(bytes[...])
      let text = json.take().dropFirst().dropLast()
      #expect(JSONString.base64(text) == bytes)
      #expect(JSONString.base64(text.filter { $0 != UInt8(ascii: "=") }[...]) == bytes)
    }
    for text in ["A", "A===", "AB=C", "A*==", "AB"] {
      #expect(JSONString.base64(Array(text.utf8)[...]) == nil, "\(text)")
    }
  }
}
