internal import ConnectData
internal import JSON

/// Dates, times and intervals in `DateStyle = ISO` and `IntervalStyle = postgres`.
extension JSONText {
  /// What the JDBC driver makes of ±infinity and Debezium passes on, whatever the unit.
  private static let positiveInfinity: Int64 = 9_223_372_036_825_200_000
  private static let negativeInfinity: Int64 = -9_223_372_036_832_400_000

  private static func infinity(_ text: ArraySlice<UInt8>) -> Bool? {
    guard let first = text.first, first == UInt8(ascii: "i") || first == UInt8(ascii: "-") else {
      return nil
    }
    if text.elementsEqual("infinity".utf8) { return true }
    return text.elementsEqual("-infinity".utf8) ? false : nil
  }

  mutating func date(_ text: ArraySlice<UInt8>) throws(ValueError) {
    if let isPositive = Self.infinity(text) {
      return integer(Int64(isPositive ? Int32.max : Int32.min))
    }
    var cursor = TextCursor(text)
    let (year, month, day) = try CalendarTime.date(&cursor)
    try CalendarTime.end(cursor)
    integer(CivilCalendar.days(year: year, month: month, day: day))
  }

  mutating func time(_ text: ArraySlice<UInt8>, _ unit: TimeUnit) throws(ValueError) {
    var cursor = TextCursor(text)
    let time = try CalendarTime.time(&cursor)
    guard cursor.isAtEnd else { throw .malformed }
    integer(unit.count(ofMicroseconds: time))
  }

  mutating func timestamp(_ text: ArraySlice<UInt8>, _ unit: TimeUnit) throws(ValueError) {
    if let isPositive = Self.infinity(text) {
      return integer(isPositive ? Self.positiveInfinity : Self.negativeInfinity)
    }
    let (days, time) = try Self.dateAndTime(text)
    if unit == .milliseconds {
      // Years that microseconds cannot count are there in milliseconds.
      return integer(Int64(days) * 86_400_000 + time / 1000)
    }
    let microseconds = CalendarTime.microseconds(days: days, time: time)
    integer(unit.count(ofMicroseconds: microseconds))
  }

  private static func dateAndTime(
    _ text: ArraySlice<UInt8>
  ) throws(ValueError) -> (days: Int, time: Int64) {
    var cursor = TextCursor(text)
    let (year, month, day) = try CalendarTime.date(&cursor)
    try cursor.expect(UInt8(ascii: " "))
    let time = try CalendarTime.time(&cursor)
    try CalendarTime.end(cursor)
    return (CivilCalendar.days(year: year, month: month, day: day), time)
  }

  /// ISO 8601 in UTC, whatever the session's zone was.
  mutating func zonedTimestamp(
    _ text: ArraySlice<UInt8>, fractionDigits: Int
  ) throws(ValueError) {
    if Self.infinity(text) != nil { return string(text) }
    var cursor = TextCursor(text)
    var (year, month, day) = try CalendarTime.date(&cursor)
    try cursor.expect(UInt8(ascii: " "))
    var time = try CalendarTime.time(&cursor)
    let offset = try CalendarTime.offset(&cursor)
    try CalendarTime.end(cursor)
    if offset != 0 || time >= CalendarTime.microsecondsPerDay {
      time -= offset * 1_000_000
      var days = CivilCalendar.days(year: year, month: month, day: day)
      while time < 0 {
        time += CalendarTime.microsecondsPerDay
        days -= 1
      }
      while time >= CalendarTime.microsecondsPerDay {
        time -= CalendarTime.microsecondsPerDay
        days += 1
      }
      (year, month, day) = CivilCalendar.date(days: days)
    }
    byte(UInt8(ascii: "\""))
    CalendarTime.writeDate(year, month, day, to: &self)
    byte(UInt8(ascii: "T"))
    CalendarTime.writeTime(time, fractionDigits: fractionDigits, to: &self)
    raw("Z\"")
  }

  /// Normalised to UTC, which loses the offset, as Debezium's ZonedTime does.
  mutating func zonedTime(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var cursor = TextCursor(text)
    var time = try CalendarTime.time(&cursor)
    time -= try CalendarTime.offset(&cursor) * 1_000_000
    guard cursor.isAtEnd else { throw .malformed }
    while time < 0 { time += CalendarTime.microsecondsPerDay }
    time %= CalendarTime.microsecondsPerDay
    byte(UInt8(ascii: "\""))
    CalendarTime.writeTime(time, fractionDigits: nil, to: &self)
    raw("Z\"")
  }

  mutating func isoDate(_ text: ArraySlice<UInt8>) throws(ValueError) {
    if Self.infinity(text) != nil { return string(text) }
    var cursor = TextCursor(text)
    let (year, month, day) = try CalendarTime.date(&cursor)
    try CalendarTime.end(cursor)
    byte(UInt8(ascii: "\""))
    CalendarTime.writeDate(year, month, day, to: &self)
    raw("Z\"")
  }

  mutating func isoTime(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var cursor = TextCursor(text)
    let time = try CalendarTime.time(&cursor)
    guard cursor.isAtEnd else { throw .malformed }
    byte(UInt8(ascii: "\""))
    CalendarTime.writeTime(time, fractionDigits: nil, to: &self)
    raw("Z\"")
  }

  mutating func isoTimestamp(_ text: ArraySlice<UInt8>) throws(ValueError) {
    if Self.infinity(text) != nil { return string(text) }
    let (days, time) = try Self.dateAndTime(text)
    let (year, month, day) = CivilCalendar.date(days: days)
    byte(UInt8(ascii: "\""))
    CalendarTime.writeDate(year, month, day, to: &self)
    byte(UInt8(ascii: "T"))
    CalendarTime.writeTime(time, fractionDigits: nil, to: &self)
    raw("Z\"")
  }

  // MARK: Intervals

  /// `MicroDuration`: a month is 30.4375 days, a year twelve of them.
  mutating func interval(_ text: ArraySlice<UInt8>) throws(ValueError) {
    let interval = try IntervalText(text)
    let microsecondsPerMonth: Int64 = 2_629_800_000_000
    let (months, tooManyMonths) = interval.months.multipliedReportingOverflow(
      by: microsecondsPerMonth)
    let (days, tooManyDays) = interval.days.multipliedReportingOverflow(
      by: CalendarTime.microsecondsPerDay)
    let (date, isOver) = months.addingReportingOverflow(days)
    let (sum, isFar) = date.addingReportingOverflow(interval.microseconds)
    if tooManyMonths || tooManyDays || isOver || isFar {
      integer(interval.months < 0 || interval.days < 0 ? Int64.min : .max)
    } else {
      integer(sum)
    }
  }

  /// `P1Y2M3DT4H5M6.78S`, every part always there, as Debezium has it.
  mutating func isoInterval(_ text: ArraySlice<UInt8>) throws(ValueError) {
    let interval = try IntervalText(text)
    raw("\"P")
    integer(interval.months / 12)
    raw("Y")
    integer(interval.months % 12)
    raw("M")
    integer(interval.days)
    raw("DT")
    let seconds = interval.microseconds / 1_000_000
    integer(seconds / 3600)
    raw("H")
    integer(seconds / 60 % 60)
    raw("M")
    if interval.microseconds < 0 && seconds % 60 == 0 && interval.microseconds % 1_000_000 != 0 {
      byte(UInt8(ascii: "-"))
    }
    integer(seconds % 60)
    var fraction = Int((interval.microseconds % 1_000_000).magnitude)
    if fraction > 0 {
      var digits = 6
      while fraction % 10 == 0 {
        fraction /= 10
        digits -= 1
      }
      raw(".")
      padded(fraction, digits: digits)
    }
    raw("S\"")
  }
}

/// `1 year 2 mons 3 days 04:05:06.78`, `-1 days +02:03:00`: each part has its own sign.
private struct IntervalText {
  var months: Int64 = 0
  var days: Int64 = 0
  var microseconds: Int64 = 0

  init(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var cursor = TextCursor(text)
    guard !cursor.isAtEnd else { throw .malformed }
    while !cursor.isAtEnd {
      let isNegative = cursor.skip(UInt8(ascii: "-"))
      if !isNegative { _ = cursor.skip(UInt8(ascii: "+")) }
      let number = Int64(try cursor.digits(10).value) * (isNegative ? -1 : 1)
      if cursor.next == UInt8(ascii: ":") {
        try time(&cursor, hours: number.magnitude, isNegative: isNegative)
        guard cursor.isAtEnd else { throw .malformed }
        return
      }
      try cursor.expect(UInt8(ascii: " "))
      let start = cursor.index
      while let byte = cursor.next, byte != UInt8(ascii: " ") { cursor.index += 1 }
      switch String(decoding: cursor.text[start..<cursor.index], as: UTF8.self) {
      case "year", "years": months += number * 12
      case "mon", "mons": months += number
      case "day", "days": days += number
      default: throw .malformed
      }
      _ = cursor.skip(UInt8(ascii: " "))
    }
  }

  private mutating func time(
    _ cursor: inout TextCursor, hours: UInt64, isNegative: Bool
  ) throws(ValueError) {
    try cursor.expect(UInt8(ascii: ":"))
    let minutes = Int64(try cursor.twoDigits())
    try cursor.expect(UInt8(ascii: ":"))
    let seconds = Int64(try cursor.twoDigits())
    // Ten digits of hours fit.
    let whole = Int64(hours) * 3600 + minutes * 60 + seconds
    let (product, overflow) = whole.multipliedReportingOverflow(by: 1_000_000)
    guard !overflow else { throw .malformed }
    let (sum, isOver) = product.addingReportingOverflow(try CalendarTime.fraction(&cursor))
    guard !isOver else { throw .malformed }
    microseconds = isNegative ? -sum : sum
  }
}
