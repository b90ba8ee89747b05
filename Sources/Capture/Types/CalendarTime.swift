internal import JSON

/// Why the text of a value cannot be read as its type.
enum ValueError: Error, Equatable {
  case malformed
}

/// Reads a value's text from front to back.
struct TextCursor {
  let text: ArraySlice<UInt8>
  var index: Int

  init(_ text: ArraySlice<UInt8>) {
    self.text = text
    index = text.startIndex
  }

  var isAtEnd: Bool { index == text.endIndex }

  var next: UInt8? { index < text.endIndex ? text[index] : nil }

  mutating func skip(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    index += 1
    return true
  }

  mutating func expect(_ byte: UInt8) throws(ValueError) {
    guard skip(byte) else { throw .malformed }
  }

  /// One to `digitsMax` digits; how many, too.
  mutating func digits(_ digitsMax: Int) throws(ValueError) -> (value: Int, count: Int) {
    var value = 0
    let start = index
    while index < text.endIndex, index - start < digitsMax {
      let digit = text[index] &- 0x30
      guard digit < 10 else { break }
      value = value * 10 + Int(digit)
      index += 1
    }
    guard index > start else { throw .malformed }
    return (value, index - start)
  }

  mutating func twoDigits() throws(ValueError) -> Int {
    let (value, count) = try digits(2)
    guard count == 2 else { throw .malformed }
    return value
  }

  /// The rest is exactly this.
  func isRest(_ rest: StaticString) -> Bool {
    text.endIndex - index == rest.utf8CodeUnitCount
      && text[index...].elementsEqual(rest.description.utf8)
  }
}

/// Dates and times as Postgres's texts have them, as integers and without a library.
enum CalendarTime {
  static let microsecondsPerDay: Int64 = 86_400_000_000

  /// `2024-02-29`, of any year that Postgres has; ` BC` stands at the very end of the value.
  static func date(
    _ cursor: inout TextCursor
  ) throws(ValueError) -> (year: Int, month: Int, day: Int) {
    // Seven digits are more than Postgres has, and few enough for every product below.
    var (year, _) = try cursor.digits(7)
    try cursor.expect(UInt8(ascii: "-"))
    let month = try cursor.twoDigits()
    try cursor.expect(UInt8(ascii: "-"))
    let day = try cursor.twoDigits()
    guard (1...12).contains(month), (1...31).contains(day) else { throw .malformed }
    let end = cursor.text.endIndex
    if end - cursor.index >= 3, cursor.text[end - 1] == UInt8(ascii: "C"),
      cursor.text[end - 2] == UInt8(ascii: "B"), cursor.text[end - 3] == UInt8(ascii: " ")
    {
      // The year before 1 is 1 BC, and 0 here.
      year = 1 - year
    }
    return (year, month, day)
  }

  /// Nothing, or what remains of a date before our era.
  static func end(_ cursor: TextCursor) throws(ValueError) {
    guard cursor.isAtEnd || cursor.isRest(" BC") else { throw .malformed }
  }

  /// `13:14:15.123456` in microseconds since midnight; 24:00:00 is one.
  static func time(_ cursor: inout TextCursor) throws(ValueError) -> Int64 {
    let hours = try cursor.twoDigits()
    try cursor.expect(UInt8(ascii: ":"))
    let minutes = try cursor.twoDigits()
    try cursor.expect(UInt8(ascii: ":"))
    let seconds = try cursor.twoDigits()
    guard hours <= 24, minutes < 60, seconds <= 60 else { throw .malformed }
    return Int64((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + (try fraction(&cursor))
  }

  /// `.5`, or nothing, in microseconds.
  static func fraction(_ cursor: inout TextCursor) throws(ValueError) -> Int64 {
    guard cursor.skip(UInt8(ascii: ".")) else { return 0 }
    var (value, count) = try cursor.digits(6)
    while count < 6 {
      value *= 10
      count += 1
    }
    return Int64(value)
  }

  /// `+02`, `-05:30`, `+00:19:32` in seconds east of Greenwich.
  static func offset(_ cursor: inout TextCursor) throws(ValueError) -> Int64 {
    let isWest = cursor.next == UInt8(ascii: "-")
    guard isWest || cursor.next == UInt8(ascii: "+") else { throw .malformed }
    cursor.index += 1
    var seconds = try cursor.twoDigits() * 3600
    if cursor.skip(UInt8(ascii: ":")) { seconds += try cursor.twoDigits() * 60 }
    if cursor.skip(UInt8(ascii: ":")) { seconds += try cursor.twoDigits() }
    return Int64(isWest ? -seconds : seconds)
  }

  /// Microseconds since 1970. Years past 294246, which Postgres has, end at the last microsecond
  /// that 64 bits count.
  static func microseconds(days: Int, time: Int64) -> Int64 {
    let (product, overflow) = Int64(days).multipliedReportingOverflow(by: microsecondsPerDay)
    if overflow { return days < 0 ? .min : .max }
    let (sum, isOver) = product.addingReportingOverflow(time)
    return isOver ? .max : sum
  }

  /// A year as ISO 8601 and Java have it: four digits, more with a sign.
  static func writeDate(_ year: Int, _ month: Int, _ day: Int, to json: inout JSONText) {
    if year > 9999 { json.byte(UInt8(ascii: "+")) }
    if year < 0 { json.byte(UInt8(ascii: "-")) }
    if abs(year) > 9999 { json.integer(abs(year)) } else { json.padded(abs(year), digits: 4) }
    json.byte(UInt8(ascii: "-"))
    json.padded(month, digits: 2)
    json.byte(UInt8(ascii: "-"))
    json.padded(day, digits: 2)
  }

  /// `fractionDigits` of the fraction, nil: as many as there are without trailing zeros.
  static func writeTime(_ time: Int64, fractionDigits: Int?, to json: inout JSONText) {
    let seconds = Int(time / 1_000_000)
    json.padded(seconds / 3600, digits: 2)
    json.byte(UInt8(ascii: ":"))
    json.padded(seconds / 60 % 60, digits: 2)
    json.byte(UInt8(ascii: ":"))
    json.padded(seconds % 60, digits: 2)
    var fraction = Int(time % 1_000_000)
    var digits = 6
    if let fractionDigits {
      while digits > fractionDigits {
        fraction /= 10
        digits -= 1
      }
    } else {
      while digits > 0, fraction % 10 == 0 {
        fraction /= 10
        digits -= 1
      }
    }
    guard digits > 0 else { return }
    json.byte(UInt8(ascii: "."))
    json.padded(fraction, digits: digits)
  }
}
