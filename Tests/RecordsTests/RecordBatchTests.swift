import Bytes
import Records
import Testing

@Suite struct `Record batches made by Kafka` {
  @Test(arguments: Vectors.batches)
  func `pass the CRC, and their header is read and written to the same bytes`(name: String) throws {
    let bytes = try Vectors.named(name)
    let batch = try RecordBatch(bytes)
    try batch.checkCRC()
    var header = [UInt8](repeating: 0, count: 61)
    header.withUnsafeMutableBytes { batch.header.write(to: $0) }
    #expect(header[...] == bytes[..<61])
  }

  @Test(arguments: ["a", "b", "d", "e", "f", "g"])
  func `hold the same two records in every codec`(name: String) throws {
    var decompressor = Decompressor()
    let batch = try RecordBatch(Vectors.named(name))
    #expect(try batch.records(&decompressor) == Vectors.records)
  }

  @Test(arguments: Vectors.batches)
  func `are built again from their records: uncompressed byte for byte`(name: String) throws {
    var decompressor = Decompressor()
    var compressor = Compressor()
    let bytes = try Vectors.named(name)
    let batch = try RecordBatch(bytes)
    let header = batch.header
    let codec = try header.attributes.codec
    let isLogAppendTime = header.attributes.timestampType == .logAppendTime
    var builder = RecordBatchBuilder(
      baseOffset: header.baseOffset, leaderEpoch: header.partitionLeaderEpoch, codec: codec,
      producer: .init(
        id: header.producerID, epoch: header.producerEpoch, baseSequence: header.baseSequence),
      attributes: header.attributes.intersection([.transactional, .control]),
      logAppendTime: isLogAppendTime ? header.maxTimestamp : nil)
    let records = try batch.records(&decompressor)
    for (index, record) in records.enumerated() {
      // What the append time hides, the deltas still tell.
      let timestamp = isLogAppendTime ? Vectors.records[index].timestamp : record.timestamp
      try builder.append(
        key: record.key, value: record.value, headers: record.headers, timestamp: timestamp)
    }
    let built = builder.build(&compressor)
    if codec == .uncompressed { #expect(built == bytes) }
    let again = try RecordBatch(built)
    try again.checkCRC()
    #expect(again.header.attributes == header.attributes)
    #expect(again.header.maxTimestamp == header.maxTimestamp)
    #expect(try again.records(&decompressor) == records)
  }

  @Test func `Java's framing is met to the byte by lz4 and snappy`() throws {
    var decompressor = Decompressor()
    var compressor = Compressor()
    for (name, codec) in [("e", Codec.snappy), ("f", .lz4)] {
      let batch = try RecordBatch(Vectors.named(name))
      let section = try batch.recordSection(&decompressor)
      let prefix = codec == .snappy ? 16 : 7
      let written = compressor.compress(section, codec)
      #expect(written[..<prefix] == batch.storedRecords.prefix(prefix))
    }
  }

  @Test func `the header says what the batch says`() throws {
    let header = try RecordBatch(Vectors.named("b")).header
    #expect(header.baseOffset == Offset(100))
    #expect(header.partitionLeaderEpoch == LeaderEpoch(5))
    #expect(header.attributes.isTransactional)
    #expect(!header.attributes.isControl)
    #expect(!header.attributes.hasDeleteHorizon)
    #expect(header.producerID == ProducerID(4242))
    #expect(header.producerEpoch == ProducerEpoch(3))
    #expect((header.baseSequence, header.lastSequence) == (7, 8))
    #expect((header.lastOffset, header.nextOffset) == (Offset(101), Offset(102)))
    #expect(header.recordsCount == 2)
    #expect(header.batchSize == 116)
  }

  @Test func `the append time is the time of every record`() throws {
    var decompressor = Decompressor()
    let batch = try RecordBatch(Vectors.named("c"))
    #expect(batch.header.attributes.timestampType == .logAppendTime)
    let times = try batch.records(&decompressor).map(\.timestamp)
    #expect(times == [Timestamp(1_700_000_009_999), Timestamp(1_700_000_009_999)])
  }

  @Test func `sequences go on at zero after the largest`() {
    #expect(RecordBatchHeader.sequence(Int32.max, advancedBy: 1) == 0)
    #expect(RecordBatchHeader.sequence(Int32.max - 1, advancedBy: 3) == 1)
    #expect(RecordBatchHeader.sequence(0, advancedBy: Int32.max) == Int32.max)
  }

  @Test func `markers are read and built to the same bytes`() throws {
    var decompressor = Decompressor()
    for (name, commit) in [("h", true), ("i", false)] {
      let bytes = try Vectors.named(name)
      let batch = try RecordBatch(bytes)
      let expected: ControlRecord =
        commit ? .commit(coordinatorEpoch: 9) : .abort(coordinatorEpoch: 9)
      #expect(try batch.controlRecord(&decompressor) == expected)
      let built = ControlRecord.endMarker(
        commit: commit, producerID: ProducerID(4242), producerEpoch: ProducerEpoch(3),
        coordinatorEpoch: 9, timestamp: Timestamp(1_700_000_001_000),
        baseOffset: batch.header.baseOffset, leaderEpoch: LeaderEpoch(5))
      #expect(built == bytes)
    }
    #expect(try RecordBatch(Vectors.named("j")).controlRecord(&decompressor) == .leaderChange)
    #expect(try RecordBatch(Vectors.named("a")).controlRecord(&decompressor) == nil)
  }

  @Test(
    arguments: [
      ("", "000000000009"), ("0000", "000000000009"), ("ffff0001", "000000000009"),
      ("00000001", ""), ("00000000", "0000000000"), ("00000001", "ffff00000009"),
    ])
  func `a control record that is too short or of a negative version is refused`(
    key: String, value: String
  ) {
    #expect(throws: RecordError.malformedControlRecord) {
      try ControlRecord(key: bytes(key)[...], value: bytes(value)[...])
    }
  }

  @Test func `a control record of a type nobody knows is no error`() throws {
    #expect(try ControlRecord(key: [0, 0, 0, 77], value: nil) == .unknown(type: 77))
  }

  @Test(arguments: [("l", Int8(0)), ("m", 1), ("n", 1)])
  func `the old formats are recognised and refused by name`(name: String, magic: Int8) throws {
    let bytes = try Vectors.named(name)
    #expect(throws: RecordError.legacyFormat(magic: magic)) { try RecordBatch(bytes) }
    #expect("\(RecordError.legacyFormat(magic: magic))".contains("message format v2"))
  }

  @Test func `what is no batch is refused with what is wrong`() throws {
    var bytes = try Vectors.named("a")
    #expect(throws: RecordError.bytesAfterBatch(at: 116, count: 1)) {
      try RecordBatch(bytes + [0])
    }
    bytes[16] = 3
    #expect(throws: RecordError.unknownMagic(3)) { try RecordBatch(bytes) }
    bytes[16] = 2
    bytes[11] = 48
    #expect(throws: RecordError.batchLengthTooSmall(48)) { try RecordBatch(bytes) }
    bytes[8] = 0x80
    #expect(throws: RecordError.batchLengthTooSmall(Int32.min + 48)) { try RecordBatch(bytes) }
  }
}

@Suite struct `A batch's place and time in the log` {
  @Test func `are set without touching the CRC`() throws {
    var bytes = try Vectors.named("a")
    bytes.withUnsafeMutableBytes { memory in
      guard let base = memory.baseAddress else { return }
      RecordBatchHeader.patch(base, baseOffset: Offset(1 << 40), leaderEpoch: LeaderEpoch(77))
    }
    let batch = try RecordBatch(bytes)
    try batch.checkCRC()
    #expect(batch.header.baseOffset == Offset(1 << 40))
    #expect(batch.header.partitionLeaderEpoch == LeaderEpoch(77))
    let original = try Vectors.named("a")
    #expect(bytes[16...] == original[16...])
    #expect(bytes[8..<12] == original[8..<12])
  }

  @Test func `the append time is set as Kafka sets it`() throws {
    var bytes = try Vectors.named("a")
    bytes.withUnsafeMutableBytes {
      RecordBatchHeader.patchLogAppendTime($0, Timestamp(1_700_000_009_999))
    }
    #expect(try bytes == Vectors.named("c"))
    bytes.withUnsafeMutableBytes {
      RecordBatchHeader.patch(
        $0, .init(type: .createTime, maxTimestamp: Timestamp(1_700_000_000_123)))
    }
    #expect(try bytes == Vectors.named("a"))
  }
}

@Suite struct `A run of batches` {
  static let names = ["a", "g", "k", "h"]

  @Test func `is walked batch by batch, wherever its slice starts`() throws {
    let run = try Self.names.flatMap { try Vectors.named($0) }
    var walk = RecordBatches(([9, 9, 9] + run)[3...])
    var seen: [[UInt8]] = []
    while let batch = try walk.next() { seen.append(Array(batch.bytes)) }
    #expect(try seen == Self.names.map { try Vectors.named($0) })
    #expect(walk.truncatedSize == 0)
    #expect(walk.position == run.count)
  }

  @Test func `whatever byte it is cut at, it yields the whole batches and tells the rest`() throws {
    let run = try Self.names.flatMap { try Vectors.named($0) }
    var ends = [0]
    for name in Self.names { try ends.append(ends[ends.count - 1] + Vectors.named(name).count) }
    for cut in 0...run.count {
      var walk = RecordBatches(run[..<cut])
      var count = 0
      while try walk.nextHeader() != nil { count += 1 }
      let whole = ends.lastIndex { $0 <= cut } ?? 0
      #expect(count == whole)
      #expect(walk.truncatedSize == cut - ends[whole])
    }
  }

  @Test func `garbage in it is an error, not an end`() throws {
    let run = try Vectors.named("a") + [UInt8](repeating: 0xff, count: 61)
    var walk = RecordBatches(run[...])
    #expect(try walk.next() != nil)
    #expect(throws: RecordError.unknownMagic(-1)) { try walk.next() }
    #expect(throws: RecordError.unknownMagic(-1)) { try walk.next() }
  }
}
