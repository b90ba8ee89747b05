import Capture
import Testing

@Suite struct `Positions` {
  @Test func `grow in the order in which records are written`() {
    let base: UInt64 = 0x100_0000
    let positions: [CapturePosition] = [
      .change(commit: LSN(base), ordinal: 1 << 40, subRecord: 7),
      .row(base: base, generation: 1, counter: 1, table: 4095),
      .row(base: base, generation: 1, counter: 2, table: 0),
      .row(base: base, generation: 2, counter: 1, table: 3),
      .row(base: base, generation: 1023, counter: 1 << 40, table: 3),
      .message(at: LSN(base + 1)),
      .begin(commit: LSN(base + 1)),
      .change(commit: LSN(base + 1), ordinal: 1, subRecord: 0),
      .change(commit: LSN(base + 1), ordinal: 1, subRecord: 2),
      .change(commit: LSN(base + 1), ordinal: 2, subRecord: 0),
      .change(commit: LSN(base + 8), ordinal: 1, subRecord: 0),
    ]
    for (earlier, later) in zip(positions, positions.dropFirst()) { #expect(earlier < later) }
  }

  @Test func `of rows say their generation and table, of changes do not`() throws {
    let row = try #require(
      CapturePosition.row(base: 7, generation: 1023, counter: 1 << 41 - 1, table: 4095).snapshotRow)
    #expect(row.generation == 1023 && row.table == 4095)
    #expect(CapturePosition.change(commit: LSN(7), ordinal: 9, subRecord: 1).snapshotRow == nil)
  }

  @Test func `records survive being written and read`() throws {
    var record = PositionRecord(
      phase: .snapshot, through: LSN(0x1_2345_6789), slot: "s", publication: "p", database: "d\"b",
      system: SystemIdentity(identifier: "7300000000000000001", timeline: 3))
    record.base = 42
    record.generations = [.init(lsn: LSN(0x1_0000_0000)), .init(lsn: LSN(0x1_0000_0100))]
    record.tables = [
      .init(name: "public.a", completed: 1), .init(name: "public.ü", repeats: true),
    ]
    #expect(try PositionRecord(json: Array(record.json.utf8)) == record)
    record.countsMessages = true
    #expect(try PositionRecord(json: Array(record.json.utf8)) == record)
  }

  @Test(arguments: [
    "", "{}", "[]", "{\"version\":2}", "{\"version\":1,\"phase\":\"gone\"}",
    """
    {"version":1,"phase":"snapshot","through":"0/1","slot":"s","publication":"p","database":"d",
    "system":"1","timeline":1,"base":"0/0","generations":[],"tables":[{"name":"t","completed":1}]}
    """,
    """
    {"version":1,"phase":"streaming","through":"1","slot":"s","publication":"p","database":"d",
    "system":"1","timeline":1,"base":"0/0","generations":[],"tables":[]}
    """,
  ])
  func `records that are not whole are refused`(text: String) {
    #expect(throws: PositionRecordError.self) { _ = try PositionRecord(json: Array(text.utf8)) }
  }

  @Test func `records of a later program with more members can be read`() throws {
    let record = PositionRecord(
      phase: .streaming, through: LSN(1 << 33), slot: "s", publication: "p", database: "d",
      system: SystemIdentity(identifier: "1", timeline: 1))
    let text = "{\"later\":[1,{\"a\":null}]," + record.json.dropFirst()
    #expect(try PositionRecord(json: Array(text.utf8)) == record)
  }
}
