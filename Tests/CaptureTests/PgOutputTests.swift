import Capture
import Foundation
import Testing

/// What a server really sent, by `golden.sh` of the data: SQL, options, and one file per slot.
@Suite struct `Replication messages` {
  private struct Line {
    var lsn: LSN
    var xid: UInt32
    var message: [UInt8]
  }

  private static let files = [
    ("v1.txt", 1), ("v1bin.txt", 1), ("v2s.txt", 2), ("v3_two_phase_origin.txt", 3),
    ("v3_two_phase_streaming.txt", 3),
  ]

  private static func lines(_ file: String) throws -> [Line] {
    try RecordedEvents.text("pgoutput/\(file)").split(separator: "\n").map { line in
      let parts = line.split(separator: " ")
      let message = try RecordedEvents.bytes(hex: parts[2])
      return Line(
        lsn: try #require(LSN(String(parts[0]))), xid: try #require(UInt32(parts[1])),
        message: message)
    }
  }

  private static func decoded(_ file: String, _ version: Int) throws -> [ReplicationMessage] {
    var decoder = PgOutputDecoder(protocolVersion: version)
    return try lines(file).map { try decoder.decode($0.message[...]) }
  }

  private static func name(_ message: ReplicationMessage) -> String {
    String(describing: message).prefix { $0 != "(" }.description
  }

  private static func text(_ text: String) -> TupleColumn { .text(ArraySlice(text.utf8)) }

  @Test func `the plain stream has the messages that its SQL makes`() throws {
    var counts: [String: Int] = [:]
    for message in try Self.decoded("v1.txt", 1) { counts[Self.name(message), default: 0] += 1 }
    #expect(
      counts == [
        "begin": 11, "commit": 11, "relation": 6, "type": 3, "insert": 905, "update": 3,
        "delete": 2, "truncate": 1, "message": 2,
      ])
  }

  @Test(arguments: files)
  func `every line of every recording is a message, whole`(
    file: String, version: Int
  ) throws {
    var decoder = PgOutputDecoder(protocolVersion: version)
    for (number, line) in try Self.lines(file).enumerated() {
      #expect(throws: Never.self, "\(file):\(number + 1)") {
        try decoder.decode(line.message[...])
      }
    }
  }

  @Test func `values are what the SQL put there`() throws {
    let messages = try Self.decoded("v1.txt", 1)
    guard case .begin(let lsn, let time, let xid) = messages[0] else {
      Issue.record("\(messages[0])")
      return
    }
    #expect(lsn == LSN(0x1eae_76a8))
    #expect(time == 0x0003_03c1_a18c_4573)
    #expect(xid == 1643)
    #expect(messages[1] == .type(.init(xid: nil, oid: 0x4225, namespace: "public", name: "mood")))
    guard case .relation(let relation) = messages[2] else {
      Issue.record("\(messages[2])")
      return
    }
    #expect(relation.namespace == "public" && relation.name == "t")
    #expect(relation.replicaIdentity == .primaryKey)
    #expect(relation.columns.map(\.name) == ["id", "a", "n", "m", "ts", "big"])
    #expect(relation.columns.map(\.isKey) == [true, false, false, false, false, false])
    #expect(relation.columns.map(\.typeOID) == [23, 25, 1700, 0x4225, 1184, 25])
    #expect(relation.columns[2].typeModifier == (10 << 16 | 2) + 4)
    guard case .insert(nil, relation.oid, let row) = messages[3] else {
      Issue.record("\(messages[3])")
      return
    }
    #expect(
      Array(row[..<5])
        == ["1", "hello", "12.50", "ok", "2024-01-02 03:04:05.678+00"].map(Self.text))
    guard case .text(let big) = row[5] else {
      Issue.record("\(row[5])")
      return
    }
    #expect(big.count == 9600)
    #expect(
      messages[4]
        == .insert(
          xid: nil, relation: relation.oid,
          new: [Self.text("2")] + Array(repeating: .null, count: 5)))
  }

  @Test func `updates say what they know of the row before`() throws {
    let updates = try Self.decoded("v1.txt", 1).filter { Self.name($0) == "update" }
    guard case .update(_, _, nil, let plain) = updates[0],
      case .update(_, _, .key(let key), let moved) = updates[1],
      case .update(_, _, .full(let full), let changed) = updates[2]
    else {
      Issue.record("\(updates)")
      return
    }
    #expect(plain[1] == Self.text("bye"))
    // Kept out of line and not touched.
    #expect(plain[5] == .unchanged)
    #expect(key == [Self.text("1")] + Array(repeating: .null, count: 5))
    #expect(moved[0] == Self.text("11"))
    #expect(full == [Self.text("1"), Self.text("a")])
    #expect(changed == [Self.text("1"), Self.text("b")])
  }

  @Test func `binary columns are told from text`() throws {
    let inserts = try Self.decoded("v1bin.txt", 1).filter { Self.name($0) == "insert" }
    guard case .insert(_, _, let row) = inserts[0] else {
      Issue.record("\(inserts[0])")
      return
    }
    #expect(row[0] == .binary([0, 0, 0, 1]))
    #expect(row[1] == .binary(ArraySlice("hello".utf8)))
    #expect(row[3] == .binary(ArraySlice("ok".utf8)))
  }

  @Test func `truncation, messages and their options`() throws {
    let messages = try Self.decoded("v1.txt", 1)
    let truncates = messages.filter { Self.name($0) == "truncate" }
    guard case .truncate(nil, let relations, 0) = truncates[0] else {
      Issue.record("\(truncates)")
      return
    }
    #expect(relations.count == 2)
    let emitted = messages.compactMap { message -> String? in
      guard case .message(_, let isTransactional, _, let prefix, let content) = message else {
        return nil
      }
      return "\(isTransactional) \(prefix) \(String(decoding: content, as: UTF8.self))"
    }
    #expect(emitted.sorted() == ["false px nontx", "true px tx-msg"])
  }

  @Test func `a streamed transaction carries its ids, and what is rolled back is taken back`()
    throws
  {
    let messages = try Self.decoded("v2s.txt", 2)
    var segments = 0
    var inside: UInt32?
    var aborted: [UInt32: Set<UInt32>] = [:]
    var inserts: [UInt32: Int] = [:]
    for message in messages {
      switch message {
      case .streamStart(let xid, _):
        #expect(inside == nil)
        inside = xid
        segments += 1
      case .streamStop: inside = nil
      case .streamAbort(let xid, let subxid): aborted[xid, default: []].insert(subxid)
      case .insert(let xid, _, _):
        #expect((xid == nil) == (inside == nil))
        if let xid { inserts[xid, default: 0] += 1 }
      default: break
      }
    }
    let commits = messages.compactMap { message -> UInt32? in
      guard case .streamCommit(let xid, _, _, _, _) = message else { return nil }
      return xid
    }
    #expect(segments >= 6)
    #expect(commits.count == 1)
    let committed = try #require(commits.first)
    // 900 rows, and one after the savepoint in a subtransaction of its own.
    #expect(inserts[committed] == 900)
    let savepoint = try #require(aborted[committed]?.first)
    // Of its 300 rows those that were sent before the rollback was known.
    #expect(inserts[savepoint, default: 0] > 0)
    // The other transaction is gone whole.
    let gone = try #require(aborted.keys.first { $0 != committed })
    #expect(aborted[gone] == [gone])
    #expect(inserts[gone, default: 0] > 0)
    let kept = inserts.filter { $0.key != savepoint && $0.key != gone }
    #expect(kept.values.reduce(0, +) == 901)
  }

  @Test(arguments: ["v3_two_phase_origin.txt", "v3_two_phase_streaming.txt"])
  func `prepared transactions come in their parts`(file: String) throws {
    let names = try Self.decoded(file, 3).map(Self.name)
    #expect(names.contains("beginPrepare") && names.contains("prepare"))
    #expect(names.contains("commitPrepared") && names.contains("rollbackPrepared"))
    guard case .beginPrepare(let transaction) = try Self.decoded(file, 3)[0] else {
      Issue.record("not a prepared transaction")
      return
    }
    #expect(transaction.globalID == "gid-1")
    #expect(transaction.xid == 6133)
    #expect(names.contains("origin"))
    #expect(names.contains("streamPrepare") == (file == "v3_two_phase_streaming.txt"))
  }

  @Test(arguments: files)
  func `a message cut at any byte, or with a byte too many, is refused`(
    file: String, version: Int
  ) throws {
    var decoder = PgOutputDecoder(protocolVersion: version)
    var seen: [String: Int] = [:]
    for line in try Self.lines(file) {
      let before = decoder
      let message = try decoder.decode(line.message[...])
      // A few of each kind: they repeat.
      seen[Self.name(message), default: 0] += 1
      guard seen[Self.name(message), default: 0] <= 5 else { continue }
      // Not every one of 9,600 letters.
      let cuts = line.message.indices.filter { $0 < 200 || $0 % 97 == 0 }
      for cut in cuts {
        var damaged = before
        #expect(throws: PgOutputError.self) { try damaged.decode(line.message[..<cut]) }
      }
      var longer = before
      #expect(throws: PgOutputError.self) { try longer.decode((line.message + [0])[...]) }
    }
  }

  @Test func `counts that the message cannot hold are refused before memory is taken`() {
    var decoder = PgOutputDecoder(protocolVersion: 1)
    let truncate: [UInt8] = [UInt8(ascii: "T"), 0xff, 0xff, 0xff, 0xff, 0]
    let insert: [UInt8] = [UInt8(ascii: "I"), 0, 0, 0, 1, UInt8(ascii: "N"), 0x7f, 0xff, 0x6e]
    let negative: [UInt8] = [UInt8(ascii: "I"), 0, 0, 0, 1, UInt8(ascii: "N"), 0xff, 0xff]
    let column: [UInt8] =
      insert[..<6] + [0, 1, UInt8(ascii: "t"), 0xff, 0xff, 0xff, 0xff, 0x61]
    for message in [truncate, insert, negative, column] {
      #expect(throws: PgOutputError.self) { try decoder.decode(message[...]) }
    }
    #expect(throws: PgOutputError.empty) { try decoder.decode([]) }
  }

  @Test(arguments: 0..<8)
  func `random bytes and flipped bits never stop the decoder`(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let lines = try Self.lines("v1.txt").prefix(20).map(\.self)
    for _ in 0..<2000 {
      var decoder = PgOutputDecoder(protocolVersion: Int.random(in: 1...4, using: &random))
      let count = Int.random(in: 0...64, using: &random)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      if Bool.random(using: &random),
        let first = "BCORYIUDTMSEcAbPKrp".utf8.randomElement(using: &random), !bytes.isEmpty
      {
        bytes[0] = first
      }
      _ = try? decoder.decode(bytes[...])
      _ = try? StreamFrame.decode(bytes[...])
      var known = lines[Int.random(in: 0..<20, using: &random)].message
      known[Int.random(in: 0..<known.count, using: &random)] ^=
        1 << UInt8.random(in: 0..<8, using: &random)
      _ = try? decoder.decode(known[...])
    }
  }

  @Test func `messages of a younger protocol are refused`() {
    var decoder = PgOutputDecoder(protocolVersion: 1)
    #expect(throws: PgOutputError.unknownMessage(type: UInt8(ascii: "S"))) {
      try decoder.decode([UInt8(ascii: "S"), 0, 0, 0, 1, 1])
    }
    var streaming = PgOutputDecoder(protocolVersion: 2)
    #expect(throws: PgOutputError.unknownMessage(type: UInt8(ascii: "b"))) {
      try streaming.decode([UInt8(ascii: "b")])
    }
    #expect(throws: PgOutputError.segmentOutOfPlace(type: UInt8(ascii: "E"))) {
      try streaming.decode([UInt8(ascii: "E")])
    }
  }

  @Test func `frames of the stream, and what the server is told`() throws {
    let data: [UInt8] =
      [UInt8(ascii: "w")] + [0, 0, 0, 1, 0, 0, 0, 2] + [0, 0, 0, 1, 0, 0, 0, 3]
      + [0, 0, 0, 0, 0, 0, 0, 4] + [7, 8]
    #expect(
      try StreamFrame.decode(data[...])
        == .xLogData(
          walStart: LSN(0x1_0000_0002), walEnd: LSN(0x1_0000_0003), serverTime: 4, payload: [7, 8]))
    let keepalive: [UInt8] =
      [UInt8(ascii: "k")] + [0, 0, 0, 0, 0, 0, 0, 9] + [0, 0, 0, 0, 0, 0, 0, 5] + [1]
    #expect(
      try StreamFrame.decode(keepalive[...])
        == .keepalive(walEnd: LSN(9), serverTime: 5, replyRequested: true))
    for cut in keepalive.indices {
      #expect(throws: PgOutputError.self) { try StreamFrame.decode(keepalive[..<cut]) }
    }
    let status = StreamFrame.standbyStatusUpdate(
      written: LSN(3), flushed: LSN(2), applied: LSN(1), time: 258, replyNow: true)
    #expect(
      status == [UInt8(ascii: "r")] + [0, 0, 0, 0, 0, 0, 0, 3] + [0, 0, 0, 0, 0, 0, 0, 2]
        + [0, 0, 0, 0, 0, 0, 0, 1] + [0, 0, 0, 0, 0, 0, 1, 2] + [1])
  }

  @Test func `positions read as they are printed`() {
    #expect(LSN("16/B374D848") == LSN(0x16_b374_d848))
    #expect(LSN(0x16_b374_d848).description == "16/B374D848")
    #expect(LSN("0/0") == .zero)
    for wrong in ["", "/", "16", "16/", "/1", "1/2/3", "g/1", "123456789/1", "-1/1", "+1/1"] {
      #expect(LSN(wrong) == nil, "\(wrong)")
    }
  }
}

/// A generator that a seed decides.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
