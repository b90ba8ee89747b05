import Platform
import Processors
import Testing

@Suite struct `What is said of dead letters` {
  private func example(_ error: EventError, offset: Int64) -> DeadLetterExample {
    DeadLetterExample(error, topic: "orders", partition: 2, offset: offset, deadLetterTopic: "dlq")
  }

  @Test func `the first of each kind is said whole, and no other`() {
    var notices = DeadLetterNotices()
    let lines = notices.take([example(.missing("status"), offset: 7)], count: 3, now: 0)
    #expect(lines.count == 1)
    for part in ["topic orders, partition 2, offset 7", "'status'", "goes to dlq", "missing-field"]
    {
      #expect(lines.first?.contains(part) == true, "\(lines)")
    }
    #expect(notices.take([example(.missing("id"), offset: 9)], count: 1, now: 1) == [])
    let other = notices.take([example(.invalid("id", "is odd"), offset: 10)], count: 1, now: 2)
    #expect(other.count == 1)
    #expect(other.first?.contains("offset 10") == true)
  }

  @Test func `those that follow are counted, once a minute while there are any`() {
    var notices = DeadLetterNotices()
    let pause = DeadLetterNotices.pauseMilliseconds
    #expect(notices.take([example(.missing("a"), offset: 1)], count: 1, now: 1000).count == 1)
    #expect(notices.summary(now: 1000 + 2 * pause) == nil, "there was no other")
    #expect(
      notices.take([example(.missing("a"), offset: 2)], count: 5, now: 1000 + pause - 1) == [])
    #expect(notices.summary(now: 1000 + pause - 1) == nil)
    let summary = notices.summary(now: 1000 + pause)
    #expect(summary?.hasPrefix("5 more records went to dlq") == true)
    #expect(notices.summary(now: 1000 + 3 * pause) == nil)
    let lines = notices.take([example(.missing("a"), offset: 8)], count: 1, now: 1000 + 3 * pause)
    #expect(lines.count == 1)
    #expect(lines.first?.hasPrefix("1 more record went") == true)
  }

  @Test func `a processor says it of what it reads`() throws {
    var script = EventScript()
    let good = script.order("c", 1, "5", "completed", seconds: 0)
    let bad = (1...3).map { offset in
      InputRecord(
        partition: 0, offset: Int64(offset), timestamp: 0, key: nil, value: Array("{".utf8)[...])
    }
    let topics = MemoryTopics([good] + bad, partitions: 1)
    let directory = try TemporaryDirectory()
    let path = directory.path + "/results.db"
    let said = Condition<[String]>([])
    let runner = ProcessorRunner(
      name: "revenue", task: Revenue.task(), sink: { SQLiteSink(path: path) },
      transport: { MemoryTransport(topics) }, notice: { line in said.withLock { $0.append(line) } })
    runner.start()
    #expect(runner.wait(milliseconds: 20_000) { $0.counts.deadLettered == 3 })
    runner.stop()
    let lines = said.withLock { $0 }
    #expect(lines.count == 1, "\(lines)")
    #expect(lines.first?.contains("topic orders, partition 0, offset 1: ") == true, "\(lines)")
    #expect(lines.first?.contains("goes to dlq-topic") == true, "\(lines)")
  }
}
