import Processors
import Testing

@Suite struct `Exact values` {
  private func decimal(_ text: String) -> ExactDecimal? { ExactDecimal(text.utf8) }

  @Test(
    arguments: [
      ("123.45", "123.45"), ("-0.10", "-0.10"), ("0", "0"), ("1.0E7", "10000000"),
      ("1.2345E2", "123.45"), ("5e-3", "0.005"), ("+7", "7"), ("-.5", "-0.5"), ("1E-300", nil),
      ("1E300", nil), ("", nil), ("-", nil), (".", nil), ("1.2.3", nil), ("1e", nil), ("NaN", nil),
      ("0x10", nil), ("1 ", nil),
      ("999999999999999999999999999999", "999999999999999999999999999999"),
      ("1000000000000000000000000000000", nil), ("0.000000000001", "0.000000000001"),
      ("0.0000000000001", nil), ("1.0000000000000000", "1.000000000000"),
    ] as [(String, String?)])
  func `digits are taken as they are or not at all`(text: String, expected: String?) {
    #expect(decimal(text)?.text() == expected)
  }

  @Test func `Connect's decimals are two's complement`() {
    // 12345.67, from cdc.md.
    #expect(ExactDecimal(bigEndian: [0x12, 0xd6, 0x87], scale: 2)?.text() == "12345.67")
    #expect(ExactDecimal(bigEndian: [0xff], scale: 2)?.text() == "-0.01")
    #expect(ExactDecimal(bigEndian: [0x00, 0x80], scale: 0)?.text() == "128")
    #expect(ExactDecimal(bigEndian: [], scale: 0) == nil)
    #expect(ExactDecimal(bigEndian: [UInt8](repeating: 0x7f, count: 17), scale: 0) == nil)
  }

  @Test func `a million cents of a tenth are exact`() throws {
    var sum = ExactDecimal.zero
    let tenth = try #require(decimal("0.1"))
    for _ in 0..<1_000_000 { sum = try sum + tenth }
    #expect(sum.text(placesMin: 2) == "100000.00")
    #expect(sum == decimal("100000"))
    #expect(sum.hashValue == decimal("1E5")?.hashValue)
    #expect(sum.cents == 10_000_000)
    #expect(decimal("0.001")?.cents == nil)
    #expect(try (sum + -sum).isZero)
  }

  @Test(
    arguments: [
      ("2026-11-21T10:05:00Z", "2026-11-21T10:05:00.000000Z"),
      ("2026-11-21 10:05:00.1234567+02:00", "2026-11-21T08:05:00.123456Z"),
      ("2024-02-29T00:00:00-0330", "2024-02-29T03:30:00.000000Z"),
      ("0001-01-01T00:00:00", "0001-01-01T00:00:00.000000Z"),
      ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
      ("9999-12-31T23:59:59-18", nil), ("2023-02-29T00:00:00Z", nil), ("2023-13-01T00:00:00Z", nil),
      ("2023-01-01", nil), ("2023-01-01T00:00:00ZZ", nil), ("infinity", nil), ("", nil),
    ] as [(String, String?)])
  func `times are read and written as ISO 8601`(text: String, expected: String?) {
    #expect(EventTime(text.utf8)?.text == expected)
  }

  @Test func `every day of three centuries has its date`() throws {
    var time = try #require(EventTime("1850-01-01T00:00:00Z".utf8))
    for _ in 0..<110_000 {
      #expect(EventTime(time.text.utf8) == time)
      time = try #require(EventTime(microseconds: time.microseconds + 86_400_000_001))
    }
  }

  @Test func `windows begin at multiples of their size, before 1970 too`() {
    let windows = TumblingWindows(sizeMicroseconds: 300_000_000)
    for (text, start) in [
      ("2026-11-21T10:05:00Z", "2026-11-21T10:05:00.000000Z"),
      ("2026-11-21T10:09:59.999999Z", "2026-11-21T10:05:00.000000Z"),
      ("2026-11-21T10:10:00Z", "2026-11-21T10:10:00.000000Z"),
      ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:55:00.000000Z"),
      ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
    ] {
      #expect(EventTime(text.utf8).map { windows.start(of: $0).text } == start)
    }
    #expect(windows.graceMicroseconds == 86_100_000_000)
  }
}
