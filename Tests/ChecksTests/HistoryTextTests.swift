import Bytes
import Checks
import Testing

@Suite struct `A history in a file` {
  private static let every: [HistoryEvent.What] = [
    .named(.group, number: 4, "a \"name\"\\ with\nlines and ü"),
    .cluster(nodes: 3),
    .partition(2, isCompacted: true, trims: false),
    .produceInvoked(
      operation: .max, partition: 1, producer: .unsaid,
      records: [HistoryRecord(value: .max, crc: .max), HistoryRecord(value: 1, crc: 0)]),
    .produceInvoked(operation: 0, partition: 1, producer: .raw(5, epoch: 3, 9), records: []),
    .produceInvoked(operation: 0, partition: 1, producer: nil, records: []),
    .produceAnswered(operation: 7, .ok(Offset(.max), LeaderEpoch(3), node: 2)),
    .produceAnswered(operation: 7, .failed),
    .produceAnswered(operation: 7, .unknown),
    .producerIDGiven(ProducerID(7), ProducerEpoch(2), isBump: true),
    .positioned(partition: 1, Offset(-1)),
    .polled(
      partition: 1,
      records: [
        SeenRecord(Offset(1), value: .max, crc: 2, epoch: LeaderEpoch(3)),
        SeenRecord(Offset(2), value: 0, crc: 0),
      ], highWatermark: Offset(-1)),
    .endInvoked(operation: 1, partition: 2),
    .endAnswered(operation: 1, Offset(3)),
    .endAnswered(operation: 1, nil),
    .watermarks(
      partition: 1,
      Watermarks(epoch: LeaderEpoch(1), high: Offset(2), stable: Offset(-1), start: Offset(3))),
    .led(partition: 1, LeaderEpoch(2), node: 3),
    .assigned(group: 1, generation: -1, partitions: [1, 2]),
    .commitInvoked(operation: 1, group: 2, generation: 3, partition: 4, Offset(5)),
    .commitAnswered(operation: 1, .failed),
    .offsetFetchInvoked(operation: 1, group: 2, partition: 3),
    .offsetFetchAnswered(operation: 1, Offset(-1)),
    .offsetFetchAnswered(operation: 1, nil),
    .faultBegan(fault: 1, kind: "kill", nodes: [1, 2]),
    .faultEnded(fault: 1),
    .durable(partition: 1, ends: [Offset(1), Offset(0)], quorum: 2),
    .finalRead(
      reader: 1, partition: 2, producer: .raw(1, 2),
      records: [SeenRecord(Offset(0), value: 1, crc: 2)]),
    .finalRange(reader: 0, partition: 1, start: .zero, end: Offset(9)),
    .finalHash(node: 1, partition: 2, start: .zero, end: Offset(9), hash: .max),
    .table("orders", position: .max, isSource: false, rows: 1, hash: 2),
    .limits(Resources(memoryBytes: 1, descriptors: 2, threads: -1, diskBytes: 3)),
    .resources(
      node: 1, Resources(memoryBytes: 1, descriptors: 2, threads: 3, diskBytes: 4)),
    .errorCode(-1),
  ]

  private func read(_ bytes: [UInt8], pieces: Int = .max) throws -> [HistoryEvent] {
    var reader = HistoryReader()
    var events: [HistoryEvent] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      reader.feed(rest.prefix(pieces))
      rest = rest.dropFirst(pieces)
      while let event = try reader.next() { events.append(event) }
    }
    return events
  }

  private func written(_ events: [HistoryEvent]) -> [UInt8] {
    var writer = HistoryWriter()
    for event in events { writer.write(event) }
    return writer.take()
  }

  @Test func `every event is read as it was written`() throws {
    for (index, what) in Self.every.enumerated() {
      let event = HistoryEvent(time: .max, process: Int32(-index), what)
      #expect(try read(written([event])) == [event])
    }
  }

  @Test(arguments: [1, 2, 7, 100, 4096])
  func `in pieces of any size`(pieces: Int) throws {
    let events = RandomHistory(seed: UInt64(pieces), steps: 300).events
    #expect(try read(written(events), pieces: pieces) == events)
  }

  @Test func `in the form that other languages write`() throws {
    let text = """
      {"t": 5, "p": 1, "e": "produce", "op": 3, "part": 0, \
      "records": [[7, 8], [9, 10]], "x": {"y": [1.5e3, null]}}

      {"e": "ended", "t": 6, "op": 3, "offset": null, "p": 1}\r
      {"t": 7, "e": "fault", "id": 1, "text": "\\u006bill \\ud83d\\ude00", "nodes": [  ]}

      """
    #expect(
      try read(Array(text.utf8)) == [
        HistoryEvent(
          time: 5, process: 1,
          .produceInvoked(
            operation: 3, partition: 0, producer: nil,
            records: [HistoryRecord(value: 7, crc: 8), HistoryRecord(value: 9, crc: 10)])),
        HistoryEvent(time: 6, process: 1, .endAnswered(operation: 3, nil)),
        HistoryEvent(time: 7, process: 0, .faultBegan(fault: 1, kind: "kill 😀", nodes: [])),
      ])
  }

  @Test func `a last line that was cut short is no event and no error`() throws {
    let events = [HistoryEvent(time: 1, process: 1, .cluster(nodes: 3))]
    let whole = written(events)
    for cut in 0..<whole.count {
      var reader = HistoryReader()
      reader.feed(whole + whole[..<cut])
      #expect(try reader.next() == events[0])
      #expect(try reader.next() == nil)
      #expect(reader.isTorn == (cut > 0))
    }
  }

  @Test(arguments: [
    "{}", "x", "{\"t\":1}", "{\"t\":1,\"e\":\"nothing\"}",
    "{\"t\":-1,\"e\":\"cluster\",\"nodes\":1}",
    "{\"t\":1,\"e\":\"cluster\"}", "{\"t\":1,\"e\":\"cluster\",\"nodes\":1",
    "{\"t\":1,\"e\":\"cluster\",\"nodes\":9999999999}",
    "{\"t\":99999999999999999999,\"e\":\"end\"}",
    "{\"t\":1,\"e\":\"produce\",\"op\":1,\"part\":1,\"records\":[1]}",
    "{\"t\":1,\"e\":\"produced\",\"op\":1,\"outcome\":\"perhaps\"}",
    "{\"t\":1,\"e\":\"cluster\",\"nodes\":1} x",
  ])
  func `any other line that is no event is an error`(line: String) {
    #expect(throws: HistoryError.self) { try read(Array(line.utf8) + [10]) }
  }

  @Test(arguments: 0..<20)
  func `nothing that is read traps the reader or the judge`(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    let bytes = written(
      RandomHistory(seed: UInt64(seed), steps: 200).events
        + Self.every.map { HistoryEvent(time: 1 << 60, process: 1, $0) })
    for _ in 0..<30 {
      var broken = bytes
      for _ in 0...random.below(20) {
        let digits = Array("0123456789-,[]{}\":x\\ \n".utf8)
        broken[random.below(broken.count)] = digits[random.below(digits.count)]
      }
      let judge = Judge()
      var reader = HistoryReader()
      reader.feed(broken)
      while true {
        do {
          guard let event = try reader.next() else { break }
          judge.observe(event)
        } catch { continue }
      }
      _ = judge.finish().text
    }
  }

  @Test func `several files are one history, by time`() throws {
    let events = RandomHistory(seed: 3, steps: 300).events
    var writers = [HistoryWriter](repeating: HistoryWriter(), count: 80)
    for event in events { writers[Int(event.process)].write(event) }
    var files = writers.map(\.bytes)
    var merge = HistoryMerge(files: files.count) { index in
      defer { files[index].removeFirst(min(100, files[index].count)) }
      return Array(files[index].prefix(100))
    }
    var merged: [HistoryEvent] = []
    while let (event, place) = try merge.next() {
      #expect(place.file == Int(event.process))
      merged.append(event)
    }
    #expect(merged == events)
    #expect(merge.tornLines == 0)
  }

  @Test func `of equal times, what begins is first`() throws {
    let answer = HistoryEvent(time: 5, process: 1, .produceAnswered(operation: 1, .failed))
    let begin = HistoryEvent(time: 5, process: 2, .endInvoked(operation: 1, partition: 0))
    var files = [written([answer]), written([begin]) + [7]]
    var merge = HistoryMerge(files: 2) { index in
      defer { files[index] = [] }
      return files[index]
    }
    #expect(try merge.next()?.event == begin)
    #expect(try merge.next()?.event == answer)
    #expect(try merge.next() == nil)
    #expect(merge.tornLines == 1)
  }

  @Test func `a report says the same for people and for programs`() {
    var script = HistoryScript()
    script.by(0, .named(.partition, number: 0, "orders-0"))
    script.write(1, 11, at: 0)
    script.end([])
    let report = script.judged()
    #expect(report.text.contains("C4 violated 1 times"))
    #expect(report.text.contains("orders-0: value 11 was acknowledged at 0"))
    #expect(report.text.hasSuffix("NOT CLEAN\n"))
    #expect(report.json.contains("\"C4\":1"))
    #expect(report.json.contains("\"C11\":null"))
    // Nobody looked, so nobody says that there is none.
    #expect(report.json.contains("\"C16\":null"))
    #expect(report.json.contains("\"C17 was never looked at: "))
    #expect(report.text.contains("\n  C18 was never looked at: no bound was given\n"))
    #expect(report.json.hasPrefix("{\"clean\":false,"))
  }

  @Test func `a history without an acknowledgement is not said to be clean`() {
    var script = HistoryScript()
    _ = script.begin(1, 11)
    script.end([])
    for report in [script.judged(), HistoryScript().judged()] {
      #expect(report.isClean)
      #expect(!report.hasSubstance)
      #expect(report.json.hasPrefix("{\"clean\":false,\"events\":"))
      #expect(report.text.hasSuffix("NOTHING TO JUDGE: no record was acknowledged\n"))
    }
    #expect(HistoryScript().judged().neverLookedAt == Check.allCases)
  }

  @Test func `what was looked at is known`() {
    var script = HistoryScript()
    script.write(1, 11, at: 0, as: .raw(5, 0))
    script.write(1, 12, at: 1, as: .raw(5, 1))
    script.poll(2, HistoryScript.seen(0, 11), HistoryScript.seen(1, 12))
    script.by(0, .durable(partition: 0, ends: [Offset(2), Offset(2)], quorum: 2))
    script.end([11, 12], nodes: [1, 2])
    let missing = script.judged(longestGapMax: 1 << 40).neverLookedAt.map(\.rawValue)
    #expect(missing == [11, 12, 13, 19, 20])
  }
}
