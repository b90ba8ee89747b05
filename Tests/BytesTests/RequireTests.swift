import Bytes
import Testing

@Suite struct `What must be true` {
  @Test func `lets the program go on if it is, and builds no message`() {
    var built = 0
    func message() -> String {
      built += 1
      return ""
    }
    require(1 + 1 == 2, message())
    #expect(built == 0)
  }

  @Test func `stops it otherwise, with the numbers and the place on standard error`() async {
    let result = await #expect(
      processExitsWith: .failure, observing: [\.standardErrorContent]
    ) {
      let end = Int.random(in: 7...7)
      require(end < 5, "the log ends at \(end)")
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("the log ends at 7"))
    #expect(text.contains("RequireTests.swift:"))
  }
}
