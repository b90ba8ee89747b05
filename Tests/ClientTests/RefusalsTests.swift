import Client
import Testing

@Suite struct `What brokers refuse for a while` {
  let one = TopicPartition("t", 1)

  @Test func `is said when it has lasted two seconds, and every thirty`() {
    var refusals = Refusals()
    var said: [Int64] = []
    for now in stride(from: 0 as Int64, through: 70_000, by: 100) {
      refusals.note(one, "refused", now: now)
      for line in refusals.due(now: now) {
        #expect(line == "refused")
        said.append(now)
      }
    }
    #expect(said == [2000, 32_000, 62_000])
  }

  @Test func `is over when it is served, or when nobody tries any more`() {
    var refusals = Refusals()
    refusals.note(one, "refused", now: 0)
    refusals.clear(one)
    #expect(refusals.due(now: 3000) == [])
    refusals.note(one, "refused", now: 4000)
    #expect(refusals.due(now: 20_000) == [])
  }

  @Test func `is of sixteen partitions at most`() {
    var refusals = Refusals()
    for partition in 0..<100 as Range<Int32> {
      refusals.note(TopicPartition("t", partition), "\(partition)", now: 0)
    }
    #expect(refusals.due(now: 3000) == (0..<16).map { "\($0)" })
  }
}
