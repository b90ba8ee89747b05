import Capture
import ConnectData
import Foundation
import Testing

/// One column's value as JSON, and its schema.
struct ColumnHarness {
  var options = EnvelopeOptions(topicPrefix: "p")
  var catalog = TypeCatalog.builtIn

  init(_ change: (inout EnvelopeOptions) -> Void = { _ in }) {
    options.keySchemas = false
    options.valueSchemas = false
    change(&options)
  }

  func table(_ column: ColumnSchema) -> TableSchema {
    TableSchema(oid: 1, namespace: "s", name: "t", columns: [column], keyColumns: [])
  }

  /// The raw JSON text of the value.
  func json(_ text: String, _ column: ColumnSchema) throws -> String {
    var encoder = EventEncoder(options: options, catalog: catalog)
    let events = try encoder.events(
      for: .create([.text(ArraySlice(text.utf8))]), of: table(column),
      source: SourceInfo(database: "d", time: 0), now: 0)
    let value = String(decoding: try #require(events[0].value), as: UTF8.self)
    let start = try #require(value.range(of: "\"after\":{\"\(column.name)\":"))
    let end = try #require(value.range(of: "},\"source\":"))
    _ = try JSONValue(value.utf8)
    return String(value[start.upperBound..<end.lowerBound])
  }

  func json(_ text: String, _ type: String, _ modifier: Int32 = -1) throws -> String {
    try json(text, ColumnSchema(name: "c", typeOID: try oid(type), typeModifier: modifier))
  }

  func oid(_ type: String) throws -> UInt32 {
    try #require(
      catalog.entries.first { $0.value.name == type || "_\(type)" == "\($0.value.name)[]" }?.key,
      "no type \(type)")
  }

  func schema(_ column: ColumnSchema) throws -> ConnectSchema {
    var encoder = EventEncoder(options: options, catalog: catalog)
    guard case .structure(let fields) = try encoder.schemas(of: table(column)).row.kind else {
      throw PostgresCluster.Failure(description: "a row is a structure")
    }
    return fields[0].schema
  }
}

private func numeric(_ precision: Int32, _ scale: Int32) -> Int32 {
  (precision << 16 | scale & 0x7ff) + 4
}

@Suite struct `Values` {
  @Test(
    arguments: [
      ("bool", "t", "true"), ("bool", "f", "false"), ("int4", "-2147483648", "-2147483648"),
      ("int8", "9223372036854775807", "9223372036854775807"), ("int2", "0", "0"),
      ("oid", "4294967295", "4294967295"), ("float8", "1.5", "1.5"), ("float8", "100", "100.0"),
      ("float8", "-0", "-0.0"), ("float8", "1e+20", "1e+20"), ("float8", "1.5e-07", "1.5e-07"),
      ("float4", "NaN", "\"NaN\""), ("float8", "-Infinity", "\"-Infinity\""),
      ("text", "a\"b\\c\nd\u{1}e", #""a\"b\\c\nd\u0001e""#), ("text", "世界\u{7f}", "\"世界\u{7f}\""),
      ("name", "aname", "\"aname\""), ("bpchar", "ab   ", "\"ab   \""),
      ("bytea", "\\xdeadbeef00ff", "\"3q2+7wD/\""), ("bytea", "\\x", "\"\""),
      ("bytea", "a\\\\b\\001", "\"YVxiAQ==\""), ("uuid", "a0ee", "\"a0ee\""),
      ("varbit", "101", "\"BQ==\""), ("varbit", "", "\"\""), ("varbit", "0000", "\"\""),
      ("varbit", "100000000", "\"AAE=\""), ("varbit", "10000000", "\"gA==\""),
      ("money", "$1,234.56", "\"AeJA\""), ("money", "-$0.01", "\"/w==\""),
      ("money", "($1.00)", "\"nA==\""), ("money", "1.234,56 €", "\"AeJA\""),
      ("money", "$100", "\"JxA=\""),
      ("line", "{1,2,3}", "\"{1,2,3}\""), ("pg_lsn", "16/B374D848", "\"16/B374D848\""),
      ("int4multirange", "{[1,3),[5,7)}", "\"{[1,3),[5,7)}\""),
      (
        "point", "(1.5,-2.5)",
        #"{"x":1.5,"y":-2.5,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAATA","srid":null}"#
      ),
    ] as [(String, String, String)])
  func `of plain types`(type: String, text: String, expected: String) throws {
    #expect(try ColumnHarness().json(text, type) == expected)
  }

  @Test(
    arguments: [
      (numeric(10, 2), "12345.67", "\"EtaH\""), (numeric(5, 0), "-99", "\"nQ==\""),
      (numeric(12, 3), "99.125", "\"AYM1\""), (numeric(10, 2), "0.00", "\"AA==\""),
      (numeric(10, 2), "-1.28", "\"gA==\""), (numeric(10, 2), "1.28", "\"AIA=\""),
      (numeric(10, 2), "-1.29", "\"/38=\""), (numeric(10, 2), "NaN", "null"),
      (numeric(10, 2), "Infinity", "null"), (numeric(2, -3), "12000", "\"DA==\""),
      (numeric(2, -3), "-12000", "\"9A==\""), (numeric(3, 5), "0.00123", "\"ew==\""),
      // Beyond 18 digits; 2^64 - 1, 2^64, -2^64, 10^30.
      (numeric(30, 0), "18446744073709551615", "\"AP//////////\""),
      (numeric(30, 0), "18446744073709551616", "\"AQAAAAAAAAAA\""),
      (numeric(30, 0), "-18446744073709551616", "\"/wAAAAAAAAAA\""),
      (numeric(38, 2), "10000000000000000000000000000.00", "\"DJ8snNBGdO3qQAAAAA==\""),
      (numeric(19, 0), "9223372036854775807", "\"f/////////8=\""),
      (numeric(19, 0), "-9223372036854775808", "\"gAAAAAAAAAA=\""),
    ] as [(Int32, String, String)])
  func `numeric with a scale is its unscaled number`(
    modifier: Int32, text: String, expected: String
  ) throws {
    #expect(try ColumnHarness().json(text, "numeric", modifier) == expected)
  }

  @Test func `every small decimal is the two's complement that its digits say`() throws {
    // The same number by another way: the shortest big endian bytes of an integer.
    let harness = ColumnHarness()
    var random = SplitMix(state: 7)
    for round in 0..<3000 {
      let limit = Int64(1) << Int64(round % 62 + 1)
      let value = Int64.random(in: -limit...limit, using: &random)
      var bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> Int64(56 - 8 * $0)) }
      while bytes.count > 1, bytes[0] == (bytes[1] >= 0x80 ? 0xff : 0) { bytes.removeFirst() }
      let json = try harness.json("\(value)", "numeric", numeric(19, 0))
      let binary = try harness.json(
        "\\x" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(), "bytea")
      #expect(json == binary, "\(value)")
    }
  }

  @Test func `numeric without a scale keeps the one it has, and other modes their text`() throws {
    let precise = ColumnHarness()
    #expect(try precise.json("2.50", "numeric") == #"{"scale":2,"value":"APo="}"#)
    #expect(
      try precise.json("123456789.123456789", "numeric") == #"{"scale":9,"value":"AbabS6zQXxU="}"#)
    #expect(
      try precise.json("0.00000000000000000001", "numeric") == #"{"scale":20,"value":"AQ=="}"#)
    #expect(try precise.json("100", "numeric") == #"{"scale":0,"value":"ZA=="}"#)
    let string = ColumnHarness { $0.decimalMode = .string }
    #expect(try string.json("2.50", "numeric") == "\"2.50\"")
    #expect(try string.json("12.50", "numeric", numeric(10, 2)) == "\"12.50\"")
    #expect(try string.json("$1,234.50", "money") == "\"1234.50\"")
    #expect(try string.json("NaN", "numeric") == "\"NaN\"")
    let double = ColumnHarness { $0.decimalMode = .double }
    #expect(try double.json("12.50", "numeric", numeric(10, 2)) == "12.50")
    #expect(try double.json("12", "numeric") == "12.0")
    #expect(try double.json("NaN", "numeric") == "\"NaN\"")
  }

  @Test func `the longest numeric that Postgres has is taken whole`() throws {
    let digits = String(repeating: "9", count: 2000)
    let json = try ColumnHarness().json("\(digits).\(digits)", "numeric")
    #expect(json.hasPrefix(#"{"scale":2000,"value":""#))
    // 4,000 digits are 13,288 bits: 1,661 bytes, and one more for the sign only if the top bit is
    // set.
    #expect(json.utf8.count > 2214 && json.utf8.count < 2245)
  }

  @Test(
    arguments: [
      (EnvelopeOptions.TimeMode.adaptive, Int32(-1), "47655123456", "1709212455123456", "19782"),
      (.adaptive, 3, "47655123", "1709212455123", "19782"),
      (.adaptiveTimeMicroseconds, 3, "47655123456", "1709212455123", "19782"),
      (.connect, -1, "47655123", "1709212455123", "19782"),
      (.microseconds, 3, "47655123456", "1709212455123456", "19782"),
      (.nanoseconds, 3, "47655123456000", "1709212455123456000", "19782"),
      (
        .isostring, -1, "\"13:14:15.123456Z\"", "\"2024-02-29T13:14:15.123456Z\"", "\"2024-02-29Z\""
      ),
    ] as [(EnvelopeOptions.TimeMode, Int32, String, String, String)])
  func `times in every precision mode`(
    mode: EnvelopeOptions.TimeMode, modifier: Int32, time: String, timestamp: String, date: String
  ) throws {
    let harness = ColumnHarness { $0.timeMode = mode }
    #expect(try harness.json("13:14:15.123456", "time", modifier) == time)
    #expect(try harness.json("2024-02-29 13:14:15.123456", "timestamp", modifier) == timestamp)
    #expect(try harness.json("2024-02-29", "date") == date)
  }

  @Test(
    arguments: [
      ("date", "1970-01-01", "0"), ("date", "1969-12-31", "-1"), ("date", "infinity", "2147483647"),
      ("date", "-infinity", "-2147483648"), ("date", "0001-01-01 BC", "-719528"),
      ("date", "4713-01-01 BC", "-2440550"), ("date", "5874897-12-31", "2145042905"),
      ("time", "24:00:00", "86400000000"), ("time", "00:00:00.5", "500000"),
      ("timetz", "13:14:15.5+02", "\"11:14:15.5Z\""), ("timetz", "00:00:00+05:30", "\"18:30:00Z\""),
      ("timetz", "24:00:00+00", "\"00:00:00Z\""),
      ("timetz", "23:59:59.000001-01", "\"00:59:59.000001Z\""),
      ("timestamp", "infinity", "9223372036825200000"),
      ("timestamp", "-infinity", "-9223372036832400000"),
      ("timestamp", "1969-12-31 23:59:59.999999", "-1"),
      ("timestamp", "4713-01-01 00:00:00 BC", "-210863520000000000"),
      ("timestamp", "294276-12-31 23:59:59.999999", "9223372036854775807"),
      ("timestamptz", "2024-02-29 11:14:15.123456+00", "\"2024-02-29T11:14:15.123456Z\""),
      ("timestamptz", "2024-02-29 01:14:15+02", "\"2024-02-28T23:14:15.000000Z\""),
      ("timestamptz", "2024-12-31 23:30:00-01:30", "\"2025-01-01T01:00:00.000000Z\""),
      ("timestamptz", "0044-03-15 12:00:00+00 BC", "\"-0043-03-15T12:00:00.000000Z\""),
      ("timestamptz", "10000-01-01 00:00:00+00", "\"+10000-01-01T00:00:00.000000Z\""),
      ("timestamptz", "-infinity", "\"-infinity\""),
      ("interval", "1 year 2 mons 3 days 04:05:06.78", "37091106780000"),
      ("interval", "-1 days +02:03:00", "-79020000000"), ("interval", "00:00:00", "0"),
      ("interval", "-00:00:00.5", "-500000"), ("interval", "1 mon", "2629800000000"),
      ("interval", "178000000 years", "9223372036854775807"),
    ] as [(String, String, String)])
  func `dates and times at their edges`(type: String, text: String, expected: String) throws {
    #expect(try ColumnHarness().json(text, type) == expected)
  }

  @Test func `timestamps with fewer digits, and intervals as text`() throws {
    let harness = ColumnHarness()
    #expect(
      try harness.json("2024-02-29 11:14:15.123+00", "timestamptz", 3)
        == "\"2024-02-29T11:14:15.123Z\"")
    #expect(
      try harness.json("2024-02-29 11:14:15+00", "timestamptz", 0) == "\"2024-02-29T11:14:15Z\"")
    let text = ColumnHarness { $0.intervalMode = .string }
    #expect(
      try text.json("1 year 2 mons 3 days 04:05:06.78", "interval") == "\"P1Y2M3DT4H5M6.78S\"")
    #expect(try text.json("-00:00:00.5", "interval") == "\"P0Y0M0DT0H0M-0.5S\"")
  }

  @Test func `every day of four thousand years counts on from the day before`() throws {
    let harness = ColumnHarness()
    var expected = Int(try harness.json("0001-01-01", "date")) ?? 0
    #expect(expected == -719_162)
    for year in stride(from: 1, through: 4000, by: 37) {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let start = try #require(
        Int(
          try harness.json(
            "\(String(repeating: "0", count: 4 - "\(year)".count))\(year)-01-01", "date")))
      expected = start
      let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      for (month, length) in lengths.enumerated() {
        for day in 1...length {
          let pad = { (value: Int, count: Int) in
            String(repeating: "0", count: count - "\(value)".count) + "\(value)"
          }
          let text = "\(pad(year, 4))-\(pad(month + 1, 2))-\(pad(day, 2))"
          let days = try harness.json(text, "date")
          guard days == "\(expected)" else {
            Issue.record("\(text) is \(days), not \(expected)")
            return
          }
          let zoned = try harness.json("\(text) 00:00:00-01", "timestamptz")
          #expect(zoned == "\"\(text)T01:00:00.000000Z\"")
          expected += 1
        }
      }
    }
  }

  @Test(
    arguments: [
      ("_int4", "{1,2,NULL}", "[1,2,null]"), ("_int4", "{}", "[]"),
      ("_int4", "[0:1]={1,2}", "[1,2]"), ("_int4", "{{1,2},{3,4}}", "[[1,2],[3,4]]"),
      ("_text", #"{a,"b,c",NULL,"NULL","x\"y\\z",""}"#, #"["a","b,c",null,"NULL","x\"y\\z",""]"#),
      ("_text", #"{"{a}"}"#, #"["{a}"]"#), ("_bool", "{t,f}", "[true,false]"),
      ("_bytea", #"{"\\x01ff"}"#, #"["Af8="]"#),
      (
        "_box", "{(1,1),(0,0);(2,2),(1,1)}",
        #"["(1,1),(0,0)","(2,2),(1,1)"]"#
      ),
      ("_timestamptz", #"{"2024-02-29 11:14:15+00"}"#, #"["2024-02-29T11:14:15.000000Z"]"#),
      ("_jsonb", #"{"{\"x\": 1}"}"#, #"["{\"x\": 1}"]"#),
      (
        "_numeric", "{1.10}",
        #"[{"scale":2,"value":"bg=="}]"#
      ),
      ("_text", "{{{a,b}},{{c,NULL}}}", #"[[["a","b"]],[["c",null]]]"#),
    ] as [(String, String, String)])
  func `arrays, nested as deep as they are`(type: String, text: String, expected: String) throws {
    #expect(try ColumnHarness().json(text, type) == expected)
  }

  @Test(
    arguments: [
      (0, "{{1,2},{3,4}}", "[1,2,3,4]"), (1, "{1,2}", "[1,2]"),
      (2, "{{1,2},{3,4}}", "[[1,2],[3,4]]"),
      (2, "{1,2}", "[[1,2]]"), (2, "{}", "[]"), (2, "{{{1},{2}},{{3},{4}}}", "[[1],[2],[3],[4]]"),
      (1, "{{{1,2}},{{3,NULL}}}", "[1,2,3,null]"), (3, "{{1}}", "[[[1]]]"),
    ] as [(Int, String, String)])
  func `with a schema an array is as deep as its column is declared, and keeps every element`(
    dimensions: Int, text: String, expected: String
  ) throws {
    let harness = ColumnHarness { $0.valueSchemas = true }
    let column = ColumnSchema(name: "c", typeOID: 1007, dimensions: dimensions)
    #expect(try harness.json(text, column) == expected)
    var schema = try harness.schema(column)
    for _ in 0..<max(1, dimensions) {
      guard case .array(let items) = schema.kind else {
        Issue.record("\(schema)")
        return
      }
      schema = items
    }
    #expect(schema.kind == .int32)
  }

  @Test func `types that extensions and users make`() throws {
    var harness = ColumnHarness()
    harness.catalog.set(9001, .init(namespace: "e", name: "hstore", kind: .base))
    harness.catalog.set(
      9002, .init(namespace: "s", name: "mood", kind: .enumeration(labels: ["sad", "ok"])))
    harness.catalog.set(
      9003,
      .init(namespace: "s", name: "price", kind: .domain(base: 1700, typeModifier: numeric(12, 3))))
    harness.catalog.set(
      9004, .init(namespace: "s", name: "cheap", kind: .domain(base: 9003, typeModifier: -1)))
    harness.catalog.set(9005, .init(namespace: "s", name: "pair", kind: .composite))
    let column = { ColumnSchema(name: "c", typeOID: $0) }
    let hstore = #""a"=>"1", "b c"=>NULL, "q\"\\"=>"""#
    #expect(
      try harness.json(hstore, column(9001))
        == #""{\"a\":\"1\",\"b c\":null,\"q\\\"\\\\\":\"\"}""#)
    #expect(try harness.json("", column(9001)) == "\"{}\"")
    harness.options.hstoreMode = .map
    #expect(try harness.json(hstore, column(9001)) == #"{"a":"1","b c":null,"q\"\\":""}"#)
    #expect(try harness.json("ok", column(9002)) == "\"ok\"")
    #expect(try harness.schema(column(9002)).parameters == [.init("allowed", "sad,ok")])
    #expect(try harness.json("99.125", column(9004)) == "\"AYM1\"")
    #expect(try harness.json("(1,\"x y\")", column(9005)) == #""(1,\"x y\")""#)
    // Nothing is known of it: its text.
    #expect(try harness.json("whatever", column(123_456)) == "\"whatever\"")
  }

  @Test(
    arguments: [
      ("int4", ""), ("int4", "1x"), ("int4", "+1"), ("int4", "007"), ("int4", "-"),
      ("bool", "true"),
      ("float8", "1."), ("float8", "1e"), ("float8", "0x10"), ("float8", "inf"),
      ("date", "2024-13-01"),
      ("date", "29.02.2024"), ("date", "2024-02-29x"), ("date", ""), ("time", "25:00:00"),
      ("time", "12:60:00"), ("timestamp", "2024-02-29"), ("timestamptz", "2024-02-29 00:00:00"),
      ("timetz", "00:00:00"), ("interval", ""), ("interval", "P1Y"), ("interval", "1 fortnight"),
      ("interval", "9999999999:00:00"), ("numeric", "1,5"), ("numeric", ""), ("numeric", "."),
      ("numeric", "1e5"), ("money", "free"), ("bytea", "\\x1"), ("bytea", "\\xzz"),
      ("bytea", "\\9"),
      ("varbit", "102"), ("point", "1,2"), ("point", "(1)"), ("_int4", ""), ("_int4", "{1"),
      ("_int4", "{1,}"), ("_int4", "{,1}"), ("_int4", "{1}}"), ("_int4", "{{1},2}x"),
      ("_text", "{\"a}"), ("_int4", "{{{{{{{1}}}}}}}"), ("_int4", "[0:1]{1}"),
    ] as [(String, String)])
  func `text that a type does not print is refused and named`(type: String, text: String) throws {
    let harness = ColumnHarness()
    let oid = try harness.oid(type)
    let error = try #require(throws: EventError.self) {
      try harness.json(text, ColumnSchema(name: "c", typeOID: oid))
    }
    #expect(error == .malformedValue(table: "t", column: "c", text: text))
  }

  @Test(arguments: 0..<16)
  func `random text of any type is JSON or an error`(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    var harness = ColumnHarness()
    harness.catalog.set(9001, .init(namespace: "e", name: "hstore", kind: .base))
    let types = harness.catalog.entries.keys.sorted()
    let alphabet =
      Array("0123456789-+:. {}[]()\",\\=>eNULLinfyBCxT/$mosdays".utf8) + [0, 0x80, 0xff]
    for round in 0..<3000 {
      let count = Int.random(in: 0...20, using: &random)
      let text = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      harness.options.valueSchemas = round % 2 == 0
      let column = ColumnSchema(
        name: "c", typeOID: types[Int.random(in: 0..<types.count, using: &random)],
        typeModifier: Int32.random(in: -5...5, using: &random),
        dimensions: Int.random(in: 0...3, using: &random))
      var encoder = EventEncoder(options: harness.options, catalog: harness.catalog)
      let events = try? encoder.events(
        for: .create([.text(text[...])]), of: harness.table(column),
        source: SourceInfo(database: "d", time: 0), now: 0)
      if let value = events?[0].value { _ = try JSONValue(value) }
    }
  }

  @Test func `bytes that are not UTF-8 are replaced, not passed on`() throws {
    var encoder = EventEncoder(options: ColumnHarness().options, catalog: .builtIn)
    let events = try encoder.events(
      for: .create([.text([0x61, 0xff, 0x22])]),
      of: ColumnHarness().table(ColumnSchema(name: "c", typeOID: 25)),
      source: SourceInfo(database: "d", time: 0), now: 0)
    let value = try JSONValue(try #require(events[0].value))
    #expect(value["after"]["c"] == .string("a\u{fffd}\""))
  }
}
