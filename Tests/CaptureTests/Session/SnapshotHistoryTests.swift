import Capture
import Testing

@Suite struct `A snapshot that was interrupted` {
  private func key(_ text: String) -> KeyDigest { KeyDigest(Array(text.utf8)) }

  private func record(
    _ lsns: [UInt64], _ tables: [PositionRecord.Table]
  ) -> PositionRecord {
    var record = PositionRecord(
      phase: .streaming, through: LSN(lsns[0]), slot: "s", publication: "p", database: "d",
      system: SystemIdentity(identifier: "1", timeline: 1))
    record.generations = lsns.map { .init(lsn: LSN($0)) }
    record.tables = tables
    return record
  }

  @Test func `that was not leaves nothing out`() {
    let history = SnapshotHistory(record([100], [.init(name: "t", completed: 1)]), written: [:])
    #expect(!history.contains(change: LSN(100), of: "t", key: key("a")))
    #expect(history.end == LSN(100))
    let none = SnapshotHistory(record([100], []), written: [:])
    #expect(!none.contains(change: LSN(5), of: "other", key: nil))
  }

  @Test func `keeps every change of its first rows and none that later rows have seen`() {
    let history = SnapshotHistory(
      record([100, 200, 300], [.init(name: "t", completed: 3), .init(name: "u", completed: 1)]),
      written: [0: [key("first"): 1, key("second"): 2]])
    let cases: [(String, UInt64, Bool)] = [
      ("first", 100, false), ("first", 250, false), ("second", 199, true), ("second", 200, false),
      ("third", 299, true), ("third", 300, false),
    ]
    for (name, commit, isContained) in cases {
      #expect(history.contains(change: LSN(commit), of: "t", key: key(name)) == isContained)
    }
    #expect(!history.contains(change: LSN(150), of: "u", key: key("third")))
    #expect(history.end == LSN(300))
  }

  @Test func `lets rows repeat that cannot be told apart, and loses no change of theirs`() {
    let history = SnapshotHistory(
      record([100, 200], [.init(name: "t", completed: 2, repeats: true)]), written: [:])
    #expect(!history.contains(change: LSN(150), of: "t", key: nil))
  }

  @Test func `knows when a truncation concerns some rows only`() {
    let history = SnapshotHistory(
      record([100, 200], [.init(name: "t", completed: 2), .init(name: "u", completed: 2)]),
      written: [0: [key("a"): 1]])
    #expect(history.containsWholeTable(change: LSN(150), of: "t") == nil)
    #expect(history.containsWholeTable(change: LSN(150), of: "u") == true)
    #expect(history.containsWholeTable(change: LSN(200), of: "t") == false)
  }

  @Test func `finds the keys of its rows in the topics`() {
    let keys = SnapshotKeys(base: 1, tables: [0: 2, 1: .max])
    func row(_ generation: UInt16, _ table: UInt16) -> CapturePosition {
      .row(base: 1, generation: generation, counter: 1, table: table)
    }
    #expect(keys.take(row(1, 0), Array("a".utf8)[...]))
    #expect(keys.take(row(2, 0), Array("b".utf8)[...]))
    #expect(keys.take(row(2, 1), Array("c".utf8)[...]))
    #expect(keys.take(row(1, 9), Array("d".utf8)[...]))
    // Of before, and of behind.
    #expect(keys.take(.row(base: 0, generation: 1, counter: 1, table: 0), Array("e".utf8)[...]))
    #expect(!keys.take(.change(commit: LSN(2), ordinal: 1, subRecord: 0), Array("f".utf8)[...]))
    #expect(keys.written == [0: [key("a"): 1], 1: [key("c"): 2]])
    #expect(keys.unknowable.isEmpty)
  }

  @Test func `gives up on tables without keys, and beyond its bound`() {
    let keys = SnapshotKeys(base: 0, tables: [0: .max, 1: .max], keysMax: 2)
    for index in 0..<3 {
      _ = keys.take(.row(base: 0, generation: 1, counter: 1, table: 0), [UInt8(index)])
    }
    #expect(keys.unknowable == [0] && keys.isFull)
    _ = keys.take(.row(base: 0, generation: 1, counter: 1, table: 1), nil)
    #expect(keys.unknowable == [0, 1])
    #expect(keys.written.isEmpty)
  }

  /// Random histories of rows, snapshots and crashes against what the topics must say.
  @Test(arguments: 0..<200) func `folds to the table, and repeats nothing`(seed: Int) {
    var random = Generator(state: UInt64(seed + 1) &* 0x9e37_79b9_7f4a_7c15 | 1)
    /// What committed: at an LSN, a key got a version or none.
    var log: [(lsn: UInt64, key: Int, version: Int?)] = []
    var state: [Int: Int] = [:]
    var version = 0
    func commitSome(_ count: Int, from lsn: UInt64) {
      for step in 0..<count {
        let key = Int(random.next() % 12)
        version += 1
        let isDelete = state[key] != nil && random.next() % 3 == 0
        state[key] = isDelete ? nil : version
        log.append((lsn + UInt64(step), key, isDelete ? nil : version))
      }
    }
    commitSome(30, from: 10)
    var topic: [(key: Int, version: Int?)] = []
    var written: [KeyDigest: UInt16] = [:]
    let generations = 1 + Int(random.next() % 4)
    var record = record([1000], [.init(name: "t")])
    for generation in 1...generations {
      let lsn = UInt64(1000 * generation)
      if generation > 1 { record.generations.append(.init(lsn: LSN(lsn))) }
      let rows = state.sorted { $0.key < $1.key }.filter { written[key("\($0.key)")] == nil }
      let isLast = generation == generations
      for row in rows where isLast || random.next() % 2 == 0 {
        topic.append((row.key, row.value))
        written[key("\(row.key)")] = UInt16(generation)
      }
      commitSome(20, from: lsn)
    }
    record.tables[0].completed = generations
    let history = SnapshotHistory(
      record, written: [0: written.filter { $0.value < generations }])
    for change in log where change.lsn >= 1000 {
      let isContained = history.contains(
        change: LSN(change.lsn), of: "t", key: key("\(change.key)"))
      if !isContained { topic.append((change.key, change.version)) }
    }
    var folded: [Int: Int] = [:]
    for record in topic { folded[record.key] = record.version }
    #expect(folded == state)
    // Versions rise per key: nothing old behind something new, nothing twice.
    for (name, records) in Dictionary(grouping: topic, by: \.key) {
      let versions = records.compactMap(\.version)
      #expect(versions == versions.sorted() && Set(versions).count == versions.count, "key \(name)")
    }
  }

  @Test func `tells keys apart as MurmurHash3 does`() {
    // Of the empty input, with seed 0.
    #expect(KeyDigest([UInt8]()) == KeyDigest(ArraySlice<UInt8>()))
    var seen: Set<KeyDigest> = []
    for index in 0..<100_000 { seen.insert(key("{\"id\":\(index)}")) }
    #expect(seen.count == 100_000)
  }
}
