import Processors
import Testing

@Suite struct `Events` {
  private func event(_ text: String) throws -> ChangeEvent? {
    try EventDecoder().event(Array(text.utf8)[...])
  }

  private static let row =
    #"{"id":9007199254740993,"a":"A\u00e4\ud83d\ude00\n","n":null,"m":12.50,"t":1795255200000000}"#
  private static let whole =
    #"{"schema":{"type":"struct","fields":[]},"payload":{"before":null,"after":"# + row
    + #","source":{"ts_ms":5,"ts_us":5001,"x":[1,{"y":"}"}]},"op":"u","ts_ms":6}}"#

  @Test func `an envelope is read with and without its schema`() throws {
    let bare = #"{"before":null,"after":\#(Self.row),"source":{"ts_ms":5},"op":"u"}"#
    for (text, time) in [(Self.whole, 5001), (bare, 5000)] as [(String, Int64)] {
      let event = try #require(try event(text))
      #expect(event.operation == .update)
      #expect(event.before == nil)
      #expect(event.sourceMicroseconds == time)
      let row = try #require(event.after)
      #expect(try row.integer("id") == 9_007_199_254_740_993)
      #expect(try row.text("a") == "Aä😀\n")
      #expect(try row.text("n") == nil)
      #expect(try row.text("absent") == nil)
      #expect(try row.decimal("m")?.text() == "12.50")
      #expect(try row.time("t")?.text == "2026-11-21T10:00:00.000000Z")
    }
  }

  @Test func `the schema says what a string of digits and a number of ticks are`() throws {
    let text = #"""
      {"schema":{"type":"struct","fields":[{"type":"struct","field":"before","fields":[]},
      {"type":"struct","field":"after","fields":[
      {"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","field":"m",
      "parameters":{"scale":"2"}},
      {"type":"int64","name":"io.debezium.time.Timestamp","field":"t"},
      {"type":"struct","name":"io.debezium.data.VariableScaleDecimal","field":"v",
      "fields":[{"field":"scale"}]}]}]},
      "payload":{"before":null,"op":"c","after":{
      "m":"EtaH","t":1795255200000,"v":{"scale":1,"value":"ew=="}}}}
      """#
    let decoder = EventDecoder()
    // The second time the schema is not read again.
    for _ in 0..<2 {
      let row = try #require(try decoder.event(Array(text.utf8)[...])?.after)
      #expect(try row.decimal("m")?.text() == "12345.67")
      #expect(try row.decimal("v")?.text() == "12.3")
      #expect(try row.time("t")?.text == "2026-11-21T10:00:00.000000Z")
    }
    let plain = try decoder.event(Array(#"{"after":{"m":"12.30"},"op":"c"}"#.utf8)[...])
    #expect(try plain?.after?.decimal("m")?.text() == "12.30")
  }

  @Test func `a time without schema is in the unit that makes it recent`() throws {
    let text =
      #"{"after":{"s":1795255200,"m":1795255200000,"u":1795255200000000,"n":1795255200000000000,"#
      + #""i":"2026-11-21T10:00:00Z"},"op":"c"}"#
    let row = try #require(try event(text)?.after)
    for name in ["s", "m", "u", "n", "i"] {
      #expect(try row.time(name)?.text == "2026-11-21T10:00:00.000000Z")
    }
  }

  @Test func `unwrapped rows, tombstones and what is about no row are told apart`() throws {
    let flat = try event(#"{"id":1,"op":"x","__op":"u","__deleted":"false","__source_ts_ms":7}"#)
    #expect(flat?.operation == .create)
    #expect(try flat?.after?.text("id") == "1")
    #expect(flat?.sourceMicroseconds == 7000)
    let gone = try event(#"{"id":1,"__deleted":"true"}"#)
    #expect(gone?.operation == .delete)
    #expect(try gone?.before?.text("id") == "1")
    #expect(try event("null") == nil)
    #expect(try event(#"{"schema":null,"payload":null}"#) == nil)
    #expect(try EventDecoder().event(nil) == nil)
    let message =
      #"{"op":"m","ts_ms":1,"source":{"ts_ms":1},"message":{"prefix":"p","content":"eA=="}}"#
    #expect(try event(message)?.operation == .other)
    #expect(
      try event(#"{"before":null,"after":null,"source":{},"op":"t"}"#)?.operation == .truncate)
  }

  @Test func `a key is read in each of its forms`() throws {
    for text in [
      #"{"schema":{},"payload":{"id":5}}"#, #"{"id":5}"#, #"{"id":"5"}"#, "5", #""5""#,
      #"{"schema":{},"payload":5}"#,
    ] {
      let row = try EventDecoder.fields(of: Array(text.utf8)[...])
      #expect(try (row.identity(["id"]) ?? row.text("")) == "5")
    }
  }

  @Test func `cut anywhere, an event is refused and nothing else`() throws {
    let bytes = Array(Self.whole.utf8)
    #expect(try EventDecoder().event(bytes[...]) != nil)
    for cut in 0..<bytes.count {
      #expect(throws: EventError.self) { try EventDecoder().event(bytes[..<cut]) }
    }
  }

  @Test func `changed anywhere, an event is read or refused`() {
    var bytes = Array(Self.whole.utf8)
    let decoder = EventDecoder()
    for index in bytes.indices {
      let old = bytes[index]
      for byte in [0, 0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a, 0x30, 0x2d, 0xff, 0x75]
        as [UInt8]
      {
        bytes[index] = byte
        let row = try? decoder.event(bytes[...])?.after
        for name in ["id", "a", "n", "m", "t"] {
          _ = try? row?.text(name)
          _ = try? row?.decimal(name)
          _ = try? row?.time(name)
        }
      }
      bytes[index] = old
    }
  }

  @Test(arguments: [
    "", " ", "[", "{", "}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{,"a":1}"#, #"{"a":1 "b":2}"#,
    "{\"a\":\"\u{1}\"}",
    #"{"a":"\x"}"#, #"{"a":"\u12g4"}"#, #"{"a":01}"#, #"{"a":1.}"#, #"{"a":-}"#, #"{"a":1e}"#,
    #"{"a":.5}"#,
    #"{"a":tru}"#, #"{"a":nul"#, #"{"a":1}x"#, #"{"a":[1,]}"#, #"{"a":[1 2]}"#, #"{"a":{"b":1]}"#,
    "[]", "5", "\"x\"",
  ])
  func `what is not an object of JSON is refused`(text: String) {
    #expect(throws: EventError.self) { try self.event(text) }
  }

  @Test func `nesting is bounded`() throws {
    let deep = { (depth: Int) in
      "{\"a\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
    }
    #expect(try event(deep(64)) != nil)
    #expect(throws: EventError.self) { try event(deep(65)) }
    #expect(throws: EventError.self) {
      try event("{\"a\":" + String(repeating: "[", count: 1 << 20))
    }
  }

  @Test func `a field that is no text, number or time says so`() throws {
    let row = try #require(
      try event(
        #"{"after":{"a":"x\u0000","b":{},"c":"1e400","d":99999999999999999999,"e":1.5},"op":"c"}"#)?
        .after)
    #expect(throws: EventError.self) { try row.text("a") }
    #expect(throws: EventError.self) { try row.text("b") }
    #expect(throws: EventError.self) { try row.decimal("c") }
    #expect(throws: EventError.self) { try row.time("d") }
    #expect(throws: EventError.self) { try row.integer("e") }
  }
}
