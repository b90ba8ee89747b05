import Bytes
import Checks
import Testing

/// For each check a history that violates only it, beside one that is like it and clean.
@Suite struct `Who judges what was written` {
  @Test func `a clean history is clean`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0, as: .unsaid)
    let lost = script.begin(1, 12, as: .unsaid)
    script.by(1, .produceAnswered(operation: lost, .unknown))
    script.write(1, 13, at: 1, as: .unsaid)
    let refused = script.begin(2, 21)
    script.by(2, .produceAnswered(operation: refused, .failed))
    _ = script.begin(2, 22)
    script.poll(3, HistoryScript.seen(0, 11), HistoryScript.seen(1, 13))
    script.end([11, 13, 22], nodes: [1, 2, 3])
    let report = script.judged()
    #expect(report.isClean, "\(report.text)")
    #expect(report.unjudged == [])
    #expect(report.recordsAcknowledged == 2)
    #expect(report.recordsUnknown == 2)
    #expect(report.recordsFailed == 1)
  }

  @Test func `C1: an offset that showed another value`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0)
    _ = script.begin(2, 12)
    script.poll(3, HistoryScript.seen(0, 12))
    script.end([11, 12])
    let report = script.judged()
    #expect(report.violated == [1])
    #expect(report.violations.first?.events == [2, 4])
    #expect(report.violations.first?.offset == 0)
  }

  @Test func `C2: a value twice, and only if its producer is idempotent`() {
    for producer in [nil, HistoryProducer.unsaid] {
      var script = HistoryScript()
      script.write(1, 11, at: 0, as: producer)
      script.end([11, 11])
      let report = script.judged()
      #expect(report.violated == (producer == nil ? [] : [2]))
      #expect(report.duplicated == 1)
    }
  }

  @Test func `C2: a value in another partition than it was written to`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0)
    script.end([11])
    script.end([11], in: 1)
    #expect(script.judged().violated == [2])
  }

  @Test func `C3: what was refused is seen, before or after`() {
    var after = HistoryScript()
    let first = after.begin(1, 11)
    after.by(1, .produceAnswered(operation: first, .failed))
    after.poll(3, HistoryScript.seen(0, 11))
    after.end([11])
    #expect(after.judged().violated == [3])
    var before = HistoryScript()
    let second = before.begin(1, 11)
    before.poll(3, HistoryScript.seen(0, 11))
    before.by(1, .produceAnswered(operation: second, .failed))
    #expect(before.judged().violated == [3])
  }

  @Test func `C3: what nobody wrote is seen`() {
    var script = HistoryScript()
    script.end([11])
    #expect(script.judged().violated == [3])
  }

  @Test func `C4: what was acknowledged is not there`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0)
    script.write(1, 12, at: 1)
    _ = script.begin(2, 13)
    // Something else is there, of which nothing was known: also C1.
    script.end([11, 13])
    #expect(script.judged().violated == [1, 4])
  }

  @Test func `C4: nor with other bytes`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0)
    script.finally(0, [SeenRecord(Offset(0), value: 11, crc: 1)])
    let report = script.judged()
    #expect(report.violated == [4])
    #expect(report.lost == 1)
  }

  @Test func `C4: a log's beginning may go only where it trims itself`() {
    for trims in [true, false] {
      var script = HistoryScript()
      script.by(0, .partition(0, isCompacted: false, trims: trims))
      script.write(1, 11, at: 0)
      script.write(1, 12, at: 1)
      script.finally(0, [HistoryScript.seen(1, 12)])
      let report = script.judged()
      #expect(report.violated == (trims ? [] : [4]))
      #expect(report.trimmed == (trims ? 1 : 0))
    }
  }

  @Test func `a history without a final read is not judged clean`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0)
    let report = script.judged()
    #expect(report.isClean)
    #expect(report.unjudged == ["partition 0: no final read"])
  }

  @Test func `C5: what was seen does not stay, acknowledged or not`() {
    var script = HistoryScript()
    _ = script.begin(1, 11)
    script.poll(3, HistoryScript.seen(0, 11))
    _ = script.begin(1, 12)
    script.by(99, .finalRange(reader: 0, partition: 0, start: Offset(0), end: Offset(0)))
    // The end that was seen went back as well.
    #expect(script.judged().violated == [5, 9])
  }

  @Test func `C6: what began after an acknowledgement comes after it`() {
    for isConcurrent in [true, false] {
      var script = HistoryScript()
      let first = isConcurrent ? script.begin(2, 21) : 0
      script.write(1, 11, at: 1)
      let second = isConcurrent ? first : script.begin(2, 21)
      script.acknowledge(2, second, at: 0)
      script.end([21, 11])
      #expect(script.judged().violated == (isConcurrent ? [] : [6]))
    }
  }

  @Test func `C6: also for what has no answer, by where it is found`() {
    var script = HistoryScript()
    _ = script.begin(2, 21)
    script.write(1, 11, at: 1)
    _ = script.begin(2, 22)
    script.end([22, 11])
    #expect(script.judged().violated == [6])
  }

  @Test func `C7: a producer's order, in acknowledgements`() {
    for isInOrder in [true, false] {
      var script = HistoryScript()
      let first = script.begin(1, 11, as: .unsaid)
      let second = script.begin(1, 12, as: .unsaid)
      script.acknowledge(1, first, at: isInOrder ? 0 : 1)
      script.acknowledge(1, second, at: isInOrder ? 1 : 0)
      #expect(script.judged().violated == (isInOrder ? [] : [7]))
    }
  }

  @Test func `C7: a producer's order, in what is found in the end`() {
    var script = HistoryScript()
    _ = script.begin(1, 11, as: .unsaid)
    _ = script.begin(1, 12, as: .unsaid)
    script.end([12, 11])
    #expect(script.judged().violated == [7])
  }

  @Test func `C7: a gap in the sequences of one who says them`() {
    for hasGap in [true, false] {
      var script = HistoryScript()
      script.write(1, 11, at: 0, as: .raw(7, 0))
      if hasGap { _ = script.begin(1, 12, as: .raw(7, 1)) }
      script.write(1, 13, at: 1, as: .raw(7, hasGap ? 2 : 1))
      script.end([11, 13])
      #expect(script.judged().violated == (hasGap ? [7] : []))
    }
  }

  @Test func `C7: a gap in the batches of a replica, whoever wrote them`() {
    for second: Int32 in [1, 2] {
      var script = HistoryScript()
      script.write(1, 11, at: 0, as: .unsaid)
      script.write(1, 12, at: 1, as: .unsaid)
      for (index, sequence) in [0, second].enumerated() {
        let record = HistoryScript.seen(Int64(index), 11 + UInt64(index))
        script.by(
          99,
          .finalRead(
            reader: 1, partition: 0, producer: .raw(7, sequence), records: [record]))
      }
      script.by(99, .finalRange(reader: 1, partition: 0, start: Offset(0), end: Offset(2)))
      #expect(script.judged().violated == (second == 1 ? [] : [7]))
    }
  }

  @Test func `C10: two leaders in one epoch`() {
    for epoch: Int32 in [0, 1] {
      var script = HistoryScript()
      let first = script.begin(1, 11)
      script.acknowledge(1, first, at: 0, epoch: 0, node: 1)
      let second = script.begin(1, 12)
      script.acknowledge(1, second, at: 1, epoch: epoch, node: 2)
      script.finally(0, [HistoryScript.seen(0, 11), HistoryScript.seen(1, 12, epoch: epoch)])
      #expect(script.judged().violated == (epoch == 1 ? [] : [10]))
    }
  }

  @Test func `C10: epochs follow the offsets`() {
    var script = HistoryScript()
    _ = script.begin(1, 11, 12)
    script.finally(0, [HistoryScript.seen(0, 11, epoch: 3), HistoryScript.seen(1, 12, epoch: 2)])
    #expect(script.judged().violated == [10])
  }

  @Test func `C10: an offset keeps its epoch`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0, epoch: 3)
    script.finally(0, [HistoryScript.seen(0, 11, epoch: 4)])
    // It is not what was acknowledged, then.
    #expect(script.judged().violated == [4, 10])
  }

  @Test func `C14: a producer id given twice`() {
    for isBump in [true, false] {
      var script = HistoryScript()
      script.by(1, .producerIDGiven(ProducerID(7), ProducerEpoch(0), isBump: false))
      script.by(isBump ? 1 : 2, .producerIDGiven(ProducerID(7), ProducerEpoch(1), isBump: isBump))
      #expect(script.judged().violated == (isBump ? [] : [14]))
    }
  }

  @Test func `C14: two write by one id`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0, as: .raw(7, 0))
    script.write(2, 12, at: 1, as: .raw(7, 1))
    script.end([11, 12])
    #expect(script.judged().violated == [14])
  }

  @Test func `C14: two write by one id, by the batches of a replica`() {
    for (id, violated) in [(Int64(7), [14]), (8, [])] {
      var script = HistoryScript()
      script.write(1, 11, at: 0, as: .unsaid)
      script.write(2, 12, at: 1, as: .unsaid)
      let first = HistoryScript.seen(0, 11)
      let second = HistoryScript.seen(1, 12)
      script.by(
        99, .finalRead(reader: 1, partition: 0, producer: .raw(7, 0), records: [first]))
      script.by(
        99,
        .finalRead(
          reader: 1, partition: 0, producer: .raw(id, id == 7 ? 1 : 0), records: [second]))
      script.by(99, .finalRange(reader: 1, partition: 0, start: Offset(0), end: Offset(2)))
      #expect(script.judged().violated == violated)
    }
  }

  @Test func `C15: an older epoch is acknowledged after a newer one`() {
    var script = HistoryScript()
    let late = script.begin(1, 11, as: .raw(7, epoch: 0, 0))
    script.write(1, 12, at: 1, as: .raw(7, epoch: 1, 0))
    // Written before, and said late: no harm.
    script.acknowledge(1, late, at: 0)
    #expect(script.judged().violated == [])
    script.write(1, 13, at: 2, as: .raw(7, epoch: 0, 1))
    #expect(script.judged().violated == [15])
  }

  @Test func `C15: by where it was written`() {
    var script = HistoryScript()
    let late = script.begin(1, 11, as: .raw(7, epoch: 0, 0))
    script.write(1, 12, at: 0, as: .raw(7, epoch: 1, 0))
    script.acknowledge(1, late, at: 1)
    #expect(script.judged().violated == [15])
  }

  @Test func `C15: by the batches of a replica`() {
    var script = HistoryScript()
    _ = script.begin(1, 11, as: .unsaid)
    _ = script.begin(1, 12, as: .unsaid)
    for (index, epoch) in [Int16(1), 0].enumerated() {
      let record = HistoryScript.seen(Int64(index), 11 + UInt64(index))
      script.by(
        99,
        .finalRead(
          reader: 1, partition: 0, producer: .raw(7, epoch: epoch, 0), records: [record]))
    }
    script.by(99, .finalRange(reader: 1, partition: 0, start: Offset(0), end: Offset(2)))
    #expect(script.judged().violated == [15])
  }

  @Test func `what is wrong is known at the event that shows it`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0, as: .unsaid)
    script.poll(3, HistoryScript.seen(0, 11))
    script.poll(4, HistoryScript.seen(1, 11))
    let judge = Judge()
    let counts = script.events.map { event in
      judge.observe(event)
      return judge.violationCount
    }
    #expect(counts == [0, 0, 0, 1])
    #expect(judge.violations.map(\.check) == [.oneOffsetPerValue])
  }

  @Test func `an answer to nothing is said`() {
    var script = HistoryScript()
    script.acknowledge(1, 5, at: 0)
    let report = script.judged()
    #expect(!report.isClean)
    #expect(report.malformedCount == 1)
  }

  @Test func `a value written twice is said`() {
    var script = HistoryScript()
    _ = script.begin(1, 11)
    _ = script.begin(1, 11)
    #expect(script.judged().malformedCount == 1)
  }

  @Test func `of many violations the first are kept and all are counted`() {
    var script = HistoryScript()
    script.end((1...100).map { UInt64($0) })
    let report = script.judged()
    #expect(report.count(.nothingRefusedIsSeen) == 100)
    #expect(report.violations.count == 20)
  }
}
