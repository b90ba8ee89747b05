internal import ConnectData

/// A moment of event time: microseconds since 1970 in UTC, within the years 1 to 9999, which every
/// sink can store and ISO 8601 can write.
package struct EventTime: Hashable, Comparable, Sendable {
  package static let range: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

  package let microseconds: Int64

  /// Nil outside the years 1 to 9999.
  package init?(microseconds: Int64) {
    guard Self.range.contains(microseconds) else { return nil }
    self.microseconds = microseconds
  }

  /// Into the range, for what is computed from times that are in it.
  package init(clamping microseconds: Int64) {
    self.microseconds = min(max(microseconds, Self.range.lowerBound), Self.range.upperBound)
  }

  package static func < (a: Self, b: Self) -> Bool { a.microseconds < b.microseconds }

  // MARK: Text

  /// `2026-11-21T10:05:00.000000Z`: always of one length, so that texts sort as times do.
  package var text: String {
    let (days, rest) = microseconds.dividedFlooring(by: 86_400_000_000)
    let (year, month, day) = CivilCalendar.date(days: Int(days))
    var digits: [UInt8] = []
    digits.reserveCapacity(27)
    func put(_ value: Int64, _ width: Int, _ after: Character) {
      var divisor: Int64 = 1
      for _ in 1..<width { divisor *= 10 }
      while divisor > 0 {
        digits.append(UInt8(0x30 + value / divisor % 10))
        divisor /= 10
      }
      digits.append(after.asciiValue ?? 0)
    }
    put(Int64(year), 4, "-")
    put(Int64(month), 2, "-")
    put(Int64(day), 2, "T")
    put(rest / 3_600_000_000, 2, ":")
    put(rest / 60_000_000 % 60, 2, ":")
    put(rest / 1_000_000 % 60, 2, ".")
    put(rest % 1_000_000, 6, "Z")
    return String(decoding: digits, as: UTF8.self)
  }

  /// ISO 8601 with `T` or a blank, up to nine places of a second (those after six are cut off), and
  /// `Z`, an offset, or neither, which is UTC. Nil for anything else.
  package init?(_ text: some Collection<UInt8>) {
    var reader = DigitReader(rest: Array(text)[...])
    guard let year = reader.number(4, 1...9999), reader.skip("-"),
      let month = reader.number(2, 1...12), reader.skip("-"),
      let day = reader.number(2, 1...31), reader.skip("T") || reader.skip(" "),
      let hour = reader.number(2, 0...24), reader.skip(":"),
      let minute = reader.number(2, 0...59)
    else { return nil }
    var micros = (hour * 60 + minute) * 60_000_000
    if reader.skip(":") {
      guard let second = reader.number(2, 0...60) else { return nil }
      micros += second * 1_000_000
      if reader.skip(".") {
        guard let fraction = reader.fraction() else { return nil }
        micros += fraction
      }
    }
    guard let offset = reader.offsetMinutes() else { return nil }
    let days = CivilCalendar.days(year: Int(year), month: Int(month), day: Int(day))
    // There is no 30 February.
    guard CivilCalendar.date(days: days).day == day else { return nil }
    self.init(microseconds: Int64(days) * 86_400_000_000 + micros - offset * 60_000_000)
  }
}

extension EventTime: CustomStringConvertible {
  package var description: String { text }
}

private struct DigitReader {
  var rest: ArraySlice<UInt8>

  mutating func skip(_ character: Character) -> Bool {
    guard let first = rest.first, first == character.asciiValue else { return false }
    rest.removeFirst()
    return true
  }

  mutating func digit() -> Int64? {
    guard let first = rest.first, (0x30...0x39).contains(first) else { return nil }
    rest.removeFirst()
    return Int64(first - 0x30)
  }

  mutating func number(_ width: Int, _ range: ClosedRange<Int64>) -> Int64? {
    var value: Int64 = 0
    for _ in 0..<width {
      guard let digit = digit() else { return nil }
      value = value * 10 + digit
    }
    return range.contains(value) ? value : nil
  }

  mutating func fraction() -> Int64? {
    var value: Int64 = 0
    var places = 0
    while let digit = digit() {
      places += 1
      guard places <= 9 else { return nil }
      if places <= 6 { value = value * 10 + digit }
    }
    guard places > 0 else { return nil }
    for _ in min(places, 6)..<6 { value *= 10 }
    return value
  }

  /// `Z`, `+02`, `+0200`, `+02:00`, or nothing; nil if there is anything else.
  mutating func offsetMinutes() -> Int64? {
    if rest.isEmpty { return 0 }
    if skip("Z") || skip("z") { return rest.isEmpty ? 0 : nil }
    let isNegative = rest.first == UInt8(ascii: "-")
    guard skip("+") || skip("-"), let hours = number(2, 0...18) else { return nil }
    _ = skip(":")
    let minutes = rest.isEmpty ? 0 : number(2, 0...59)
    guard let minutes, rest.isEmpty else { return nil }
    return (isNegative ? -1 : 1) * (hours * 60 + minutes)
  }
}
