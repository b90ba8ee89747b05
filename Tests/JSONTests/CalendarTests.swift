import ConnectData
import Testing

@Suite struct `Days and units of time` {
  @Test func `every day of 800 years is the day after the one before`() {
    var (year, month, day) = (1600, 1, 1)
    let first = -135_140
    for days in first..<first + 2 * 146_097 {
      #expect(CivilCalendar.days(year: year, month: month, day: day) == days)
      #expect(CivilCalendar.date(days: days) == (year, month, day))
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      day += 1
      if day > lengths[month - 1] { (month, day) = (month + 1, 1) }
      if month > 12 { (year, month) = (year + 1, 1) }
    }
    #expect(CivilCalendar.days(year: 1970, month: 1, day: 1) == 0)
    #expect(CivilCalendar.date(days: -719_529) == (-1, 12, 31))
  }

  @Test func `a unit counts down to what is whole, and to the last that 64 bits count`() {
    #expect(TimeUnit.milliseconds.count(ofMicroseconds: -1) == -1)
    #expect(TimeUnit.milliseconds.count(ofMicroseconds: 1999) == 1)
    #expect(TimeUnit.seconds.count(ofMicroseconds: -1_000_001) == -2)
    #expect(TimeUnit.nanoseconds.count(ofMicroseconds: .max) == .max)
    #expect(TimeUnit.nanoseconds.count(ofMicroseconds: .min) == .min)
    #expect(TimeUnit.nanoseconds.microseconds(-1) == -1)
    #expect(TimeUnit.seconds.microseconds(.max) == nil)
    for unit in [TimeUnit.seconds, .milliseconds, .microseconds, .nanoseconds] {
      #expect(unit.microseconds(unit.count(ofMicroseconds: 7_000_000)) == 7_000_000)
    }
  }
}
