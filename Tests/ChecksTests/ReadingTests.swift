import Bytes
import Checks
import Testing

@Suite struct `Who judges what is shown` {
  private func written(_ count: Int64) -> HistoryScript {
    var script = HistoryScript()
    for offset in 0..<count { script.write(1, UInt64(offset + 1), at: offset) }
    return script
  }

  private func seen(_ offsets: Int64...) -> [SeenRecord] {
    offsets.map { HistoryScript.seen($0, UInt64($0 + 1)) }
  }

  @Test(
    arguments: [
      ([Int64](), []), ([0, 1, 2], []), ([1, 2], []), ([0, 2], [8]), ([0, 1, 1], [8]),
      ([2, 1], [8]),
    ])
  func `C8: a reader goes on where it was`(offsets: [Int64], violated: [Int]) {
    var script = written(3)
    for offset in offsets { script.poll(3, HistoryScript.seen(offset, UInt64(offset + 1))) }
    script.end([1, 2, 3])
    #expect(script.judged().violated == violated)
  }

  @Test func `C8: or where it was told to`() {
    var script = written(3)
    script.by(3, .positioned(partition: 0, Offset(2)))
    script.poll(3, HistoryScript.seen(2, 3))
    script.by(3, .positioned(partition: 0, Offset(0)))
    script.poll(3, HistoryScript.seen(0, 1))
    script.by(3, .assigned(group: 1, generation: 4, partitions: [0]))
    script.poll(3, HistoryScript.seen(2, 3))
    #expect(script.judged().violated == [])
    script.by(3, .positioned(partition: 0, Offset(0)))
    script.poll(3, HistoryScript.seen(1, 2))
    #expect(script.judged().violated == [8])
  }

  @Test func `C8: a compacted log has gaps`() {
    var script = written(3)
    script.by(0, .partition(0, isCompacted: true, trims: false))
    script.poll(3, HistoryScript.seen(0, 1), HistoryScript.seen(2, 3))
    script.finally(0, [HistoryScript.seen(0, 1), HistoryScript.seen(2, 3)])
    #expect(script.judged().violated == [])
  }

  @Test func `C8: what is read is committed`() {
    for (mark, violated) in [(Int64(2), [Int]()), (1, [8])] {
      var script = written(2)
      script.poll(3, HistoryScript.seen(1, 2), highWatermark: mark)
      script.end([1, 2])
      #expect(script.judged().violated == violated)
    }
  }

  @Test func `C8: what is read has the bytes that were written`() {
    var script = written(1)
    script.poll(3, SeenRecord(Offset(0), value: 1, crc: 7))
    script.end([1])
    #expect(script.judged().violated == [8])
  }

  @Test func `C8: the final read of a client skips nothing`() {
    var script = written(1)
    _ = script.begin(1, 2, 3)
    script.finally(0, [HistoryScript.seen(0, 1), HistoryScript.seen(2, 3)])
    #expect(script.judged().violated == [8])
  }

  private func marks(
    _ epoch: Int32, _ high: Int64, start: Int64 = 0, stable: Int64 = -1
  ) -> HistoryEvent.What {
    .watermarks(
      partition: 0,
      Watermarks(
        epoch: LeaderEpoch(epoch), high: Offset(high), stable: Offset(stable), start: Offset(start))
    )
  }

  @Test func `C9: watermarks and log starts go forward for each who looks`() {
    var script = written(9)
    script.by(3, marks(1, 5))
    script.by(4, marks(1, 4))
    script.by(3, marks(1, 6, start: 2, stable: 5))
    script.by(3, marks(2, 6, start: 2, stable: 5))
    // From a leader that is none any more.
    script.by(3, marks(1, 3))
    #expect(script.judged().violated == [])
    for wrong in [marks(2, 5, start: 2), marks(2, 7, start: 1), marks(3, 7, start: 2, stable: 4)] {
      var copy = script
      copy.by(3, wrong)
      #expect(copy.judged().violated == [9])
    }
    script.by(3, marks(4, 7, start: 8))
    #expect(script.judged().violated == [9])
  }

  @Test(arguments: [Int64(1), 2, 3])
  func `C9: the end is not before what was acknowledged when it was asked for`(end: Int64) {
    var script = written(2)
    script.by(3, .endInvoked(operation: 1, partition: 0))
    script.write(1, 3, at: 2)
    script.by(3, .endAnswered(operation: 1, Offset(end)))
    #expect(script.judged().violated == (end == 1 ? [9] : []))
  }

  @Test func `C9: nor before what another was told`() {
    var script = written(2)
    _ = script.begin(1, 3)
    script.by(3, .endInvoked(operation: 1, partition: 0))
    script.by(3, .endAnswered(operation: 1, Offset(3)))
    script.by(4, .endInvoked(operation: 1, partition: 0))
    script.by(4, .endAnswered(operation: 1, Offset(2)))
    #expect(script.judged().violated == [9])
  }

  @Test func `C9: the end that was told is there in the end`() {
    for values: [UInt64] in [[1, 2, 3], [1, 2]] {
      var script = written(2)
      _ = script.begin(1, 3)
      script.by(3, .endInvoked(operation: 1, partition: 0))
      script.by(3, .endAnswered(operation: 1, Offset(3)))
      script.end(values)
      #expect(script.judged().violated == (values.count == 3 ? [] : [9]))
    }
  }

  // MARK: In the end

  @Test func `C16: a replica that lacks a record`() {
    var script = written(3)
    script.end([1, 2, 3], nodes: [1, 2])
    script.by(99, .finalRead(reader: 3, partition: 0, producer: nil, records: seen(0, 2)))
    script.by(99, .finalRange(reader: 3, partition: 0, start: Offset(0), end: Offset(3)))
    let report = script.judged()
    #expect(report.violated == [16])
    #expect(report.violations.first?.message.contains("node 3") == true)
  }

  @Test func `C16: replicas of another length`() {
    var script = written(2)
    _ = script.begin(1, 3)
    script.end([1, 2], nodes: [1, 2])
    script.finally(3, seen(0, 1, 2))
    #expect(script.judged().violated == [16])
  }

  @Test func `C16: where logs trim themselves, each may begin where it likes`() {
    for trims in [true, false] {
      var script = written(3)
      script.by(0, .partition(0, isCompacted: false, trims: trims))
      script.end([1, 2, 3], nodes: [1, 2])
      script.finally(3, seen(1, 2))
      #expect(script.judged().violated == (trims ? [] : [16]))
    }
  }

  @Test func `C16: other bytes of the same records`() {
    var script = written(1)
    script.end([1])
    for (node, hash) in [(Int32(1), UInt64.max), (2, .max), (3, 5)] {
      #expect(script.judged().violated == [])
      script.by(
        99,
        .finalHash(node: node, partition: 0, start: Offset(0), end: Offset(1), hash: hash))
    }
    #expect(script.judged().violated == [16])
  }

  @Test(arguments: [[Int64(2), 2, 0], [2, 9, 0], [1, 2, 1], [2]])
  func `C17: what was acknowledged is on a majority of the disks`(ends: [Int64]) {
    var script = written(2)
    let quorum = ends.count / 2 + 1
    script.by(0, .durable(partition: 0, ends: ends.map { Offset($0) }, quorum: quorum))
    script.end([1, 2])
    #expect(script.judged().violated == (ends == [1, 2, 1] ? [17] : []))
  }

  // MARK: Bounds

  @Test func `C19: a table by its log is the table`() {
    for hash: UInt64 in [5, 6] {
      var script = HistoryScript()
      script.by(1, .table("orders", position: 77, isSource: true, rows: 3, hash: 5))
      #expect(script.judged().unjudged == ["table orders at 77: one side only"])
      script.by(1, .table("orders", position: 77, isSource: false, rows: 3, hash: hash))
      #expect(script.judged().unjudged == [])
      #expect(script.judged().violated == (hash == 5 ? [] : [19]))
    }
  }

  @Test func `C20: resources have bounds, and errors have names`() {
    var script = HistoryScript()
    let limits = Resources(memoryBytes: 100, descriptors: 10, threads: -1, diskBytes: 1000)
    script.by(0, .limits(limits))
    script.by(0, .resources(node: 1, limits))
    script.by(1, .errorCode(6))
    #expect(script.judged().violated == [])
    var much = script
    much.by(
      0,
      .resources(
        node: 1, Resources(memoryBytes: 1, descriptors: 11, threads: 9999, diskBytes: -1)))
    #expect(much.judged().violated == [20])
    script.by(1, .errorCode(-1))
    #expect(script.judged().violated == [20])
  }
}
