import Capture
import Testing

@Suite struct `The partitions of a topic` {
  private func topic(_ partitions: Int32, written: UInt64?) -> FoundTopic {
    FoundTopic(name: "t", partitions: partitions, written: written)
  }

  private func counts(_ entries: (from: UInt64, count: Int32)...) -> PartitionCounts? {
    PartitionCounts(entries: entries.map { .init(from: $0.from, count: $0.count) })
  }

  @Test func `what may be there is divided as it was, what is behind it as the topic is`() throws {
    let after = try PartitionCounts(2).continued(by: topic(3, written: 900), through: 500)
    #expect(after == counts((0, 2), (901, 3)))
    #expect(after.count(at: 500) == 2)
    #expect(after.count(at: 900) == 2)
    #expect(after.count(at: 901) == 3)
  }

  @Test func `where nothing is newer than what was recorded, the topic is taken as it is`() throws {
    #expect(
      try PartitionCounts(2).continued(by: topic(3, written: 499), through: 500)
        == PartitionCounts(3))
    #expect(
      try PartitionCounts(2).continued(by: topic(1, written: nil), through: 500)
        == PartitionCounts(1))
  }

  @Test func `a crash between adding and writing leaves no trace of what was not written`() throws {
    let first = try PartitionCounts(2).continued(by: topic(3, written: 900), through: 500)
    let second = try first.continued(by: topic(5, written: 900), through: 500)
    #expect(second == counts((0, 2), (901, 5)))
    // Nor does it matter how often it begins like that.
    #expect(try second.continued(by: topic(5, written: 900), through: 500) == second)
  }

  @Test func `all that was written since the last record is kept, however often it changed`() throws
  {
    let first = try PartitionCounts(2).continued(by: topic(3, written: 900), through: 500)
    let second = try first.continued(by: topic(5, written: 1200), through: 500)
    #expect(second == counts((0, 2), (901, 3), (1201, 5)))
    // What is recorded by then needs no number any more.
    let third = try second.continued(by: topic(5, written: 1500), through: 1201)
    #expect(third == counts((1201, 5)))
    let between = try second.continued(by: topic(5, written: 1500), through: 1000)
    #expect(between == counts((901, 3), (1201, 5)))
  }

  @Test func `fewer partitions than changes were written to are refused, with what to do`() throws {
    let error = #expect(throws: PartitionError.self) {
      try PartitionCounts(3).continued(by: topic(2, written: 900), through: 500)
    }
    let sentence = error.map { "\($0)" } ?? ""
    #expect(sentence.contains("'t' has 2 partitions, and had 3"))
    #expect(sentence.contains("--forget"))
  }

  /// Any history of starts, writes, records and added partitions: a change that is there is looked
  /// for where it was put.
  @Test(arguments: 0..<200)
  func `a change that comes again goes where it went`(seed: UInt64) throws {
    var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    func random(_ bound: UInt64) -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state % bound
    }
    var partitions: Int32 = 1
    var recorded = OutputPartitions([topic(partitions, written: nil)])
    // By how many partitions each position was divided when it was written.
    var written: [UInt64: Int32] = [:]
    var through: UInt64 = 1
    for _ in 0..<12 {
      if random(2) == 0 { partitions += Int32(random(3)) }
      try recorded.take(topic(partitions, written: written.keys.max()), through: through)
      let reached = (written.keys.max() ?? through) + random(20)
      for position in through..<(through + random(40)) where position <= reached {
        let count = recorded["t"].count(at: position)
        if let before = written[position] {
          #expect(before == count, "position \(position) is looked for elsewhere")
        } else if random(3) > 0 {
          written[position] = count
        }
      }
      // At most what is behind the last one written.
      through = min(through + random(15), (written.keys.max() ?? through) + 1)
    }
  }

  @Test func `the record has what differs from most, and reads it back`() throws {
    let found = [
      FoundTopic(name: "a", partitions: 3, written: nil),
      FoundTopic(name: "b", partitions: 1, written: nil),
      FoundTopic(name: "c", partitions: 3, written: nil),
    ]
    var partitions = OutputPartitions(found)
    #expect(partitions.usual == 3)
    #expect(partitions.others.keys.sorted() == ["b"])
    try partitions.take(FoundTopic(name: "a", partitions: 4, written: 90), through: 50)
    var record = PositionRecord(
      phase: .streaming, through: LSN(50), slot: "s", publication: "p", database: "d",
      system: SystemIdentity(identifier: "7", timeline: 1))
    record.partitions = partitions
    let read = try PositionRecord(json: Array(record.json.utf8))
    #expect(read == record)
    #expect(read.partitions?["a"] == counts((0, 3), (91, 4)))
    #expect(read.partitions?["never seen"] == PartitionCounts(3))
    record.partitions = nil
    #expect(try PositionRecord(json: Array(record.json.utf8)) == record)
  }
}
