import Bytes
import Records
import Testing

@Suite struct `The batch builder` {
  @Test(arguments: Codec.allCases, [1, 2, 1000])
  func `builds what is read back, in every codec`(codec: Codec, count: Int) throws {
    var dice = Dice(state: UInt64(count))
    var compressor = Compressor()
    var decompressor = Decompressor()
    var builder = RecordBatchBuilder(baseOffset: Offset(7), codec: codec)
    var records: [Record] = []
    for index in 0..<count {
      let record = Record(
        offset: Offset(7 + Int64(index)),
        timestamp: Timestamp(Int64.random(in: 0...(1 << 41), using: &dice)),
        key: index % 3 == 0 ? nil : dice.bytes(index % 70)[...],
        value: index % 5 == 1 ? nil : slice(String(repeating: "value \(index) ", count: index % 9)),
        headers: (0..<index % 4).map {
          RecordHeader(key: "h\($0 / 2)", value: $0 == 1 ? nil : dice.bytes($0)[...])
        })
      records.append(record)
      #expect(
        builder.wouldFit(
          key: record.key, value: record.value, headers: record.headers,
          timestamp: record.timestamp))
      try builder.append(
        key: record.key, value: record.value, headers: record.headers,
        timestamp: record.timestamp)
    }
    let bytes = builder.build(&compressor)
    let batch = try RecordBatch(bytes)
    try batch.checkCRC()
    #expect(try batch.header.attributes.codec == codec)
    #expect(batch.header.recordsCount == Int32(count))
    #expect(batch.header.lastOffsetDelta == Int32(count - 1))
    #expect(batch.header.baseTimestamp == records[0].timestamp)
    #expect(batch.header.maxTimestamp == records.map(\.timestamp).max())
    #expect(try batch.records(&decompressor) == records)
    if codec == .uncompressed { #expect(bytes.count == builder.size) }
    let rules = ProduceRules(produceVersion: 7, timestampAfterMaxMilliseconds: .max)
    _ = try ProducedBatch.validate(
      bytes[...], rules, now: .none, &decompressor, &compressor)
  }

  @Test(arguments: Codec.allCases)
  func `builds records of several mebibytes`(codec: Codec) throws {
    var dice = Dice(state: 1)
    var compressor = Compressor()
    var decompressor = Decompressor()
    var builder = RecordBatchBuilder(codec: codec, bytesMax: 16 << 20)
    let values = [dice.bytes(5 << 20), [UInt8](repeating: 7, count: 4 << 20)]
    for value in values {
      try builder.append(key: nil, value: value[...], timestamp: Timestamp(1))
    }
    let records = try RecordBatch(builder.build(&compressor)).records(&decompressor)
    #expect(records.map { $0.value.map(Array.init) } == values)
  }

  @Test(arguments: Codec.allCases)
  func `never exceeds its limit, and fills it to the byte`(codec: Codec) throws {
    var dice = Dice(state: 3)
    var compressor = Compressor()
    var decompressor = Decompressor()
    var builder = RecordBatchBuilder(codec: codec, bytesMax: 5000)
    while true {
      let value = dice.bytes(50)[...]
      guard builder.wouldFit(key: nil, value: value, timestamp: Timestamp(5)) else { break }
      try builder.append(key: nil, value: value, timestamp: Timestamp(5))
    }
    // length 2, attributes, timestamp, offset 2, key, length 2, headers
    let rest = 5000 - builder.size - 10
    var last = dice.bytes(rest + 1)[...]
    while !builder.wouldFit(key: nil, value: last, timestamp: Timestamp(5)) { last.removeFirst() }
    let before = builder.size
    #expect(throws: RecordError.self) {
      try builder.append(key: [1], value: dice.bytes(5000)[...], timestamp: Timestamp(5))
    }
    #expect(builder.size == before)
    try builder.append(key: nil, value: last, timestamp: Timestamp(5))
    #expect(builder.size >= 4998)
    // Noise does not compress: the codec is given up rather than the limit.
    let bytes = builder.build(&compressor)
    #expect(bytes.count <= 5000)
    let batch = try RecordBatch(bytes)
    try batch.checkCRC()
    #expect(try batch.records(&decompressor).count == builder.recordsCount)
  }

  @Test func `keeps timestamps at the ends of 64 bits`() throws {
    var compressor = Compressor()
    var decompressor = Decompressor()
    var builder = RecordBatchBuilder()
    let times: [Int64] = [.max, .min, 0, -1, 1]
    for time in times { try builder.append(key: nil, value: nil, timestamp: Timestamp(time)) }
    let records = try RecordBatch(builder.build(&compressor)).records(&decompressor)
    #expect(records.map(\.timestamp.rawValue) == times)
  }

  @Test func `keeps header keys that are not UTF-8, empty, repeated and in order`() throws {
    var compressor = Compressor()
    var decompressor = Decompressor()
    let headers = [
      RecordHeader(keyBytes: [0xff, 0xfe], value: [1]), RecordHeader(key: "", value: []),
      RecordHeader(key: "a", value: nil), RecordHeader(key: "a", value: [2]),
      RecordHeader(key: "a", value: nil),
    ]
    var builder = RecordBatchBuilder(codec: .zstd)
    try builder.append(key: [], value: [], headers: headers, timestamp: .none)
    let records = try RecordBatch(builder.build(&compressor)).records(&decompressor)
    #expect(records[0].headers == headers)
    #expect(records[0].headers[0].key == "\u{fffd}\u{fffd}")
    #expect(records[0].key == [])
    #expect(records[0].value == [])
  }

  @Test func `leaves the gaps that compaction makes, and its delete horizon`() throws {
    var compressor = Compressor()
    var decompressor = Decompressor()
    let horizon = Timestamp(1_700_000_500_000)
    var builder = RecordBatchBuilder(baseOffset: Offset(10), deleteHorizon: horizon)
    for (delta, time) in [(2, 1_700_000_000_000), (5, 1_700_000_000_001)] as [(Int32, Int64)] {
      try builder.append(key: [1], value: nil, timestamp: Timestamp(time), offsetDelta: delta)
    }
    let batch = try RecordBatch(builder.build(&compressor, lastOffsetDelta: 9))
    #expect(batch.header.attributes.hasDeleteHorizon)
    #expect(batch.header.baseTimestamp == horizon)
    #expect(batch.header.nextOffset == Offset(20))
    let records = try batch.records(&decompressor)
    #expect(records.map(\.offset) == [Offset(12), Offset(15)])
    #expect(records.map(\.timestamp.rawValue) == [1_700_000_000_000, 1_700_000_000_001])
  }

  @Test func `leaves an empty batch that covers the same offsets and sequences`() throws {
    var decompressor = Decompressor()
    let original = try RecordBatch(Vectors.named("b")).header
    let batch = try RecordBatch(original.emptyBatch())
    try batch.checkCRC()
    #expect(batch.bytes.count == 61)
    #expect(batch.header.nextOffset == original.nextOffset)
    #expect(batch.header.lastSequence == original.lastSequence)
    #expect(batch.header.baseTimestamp == .none)
    #expect(try batch.records(&decompressor) == [])
  }

  @Test func `a walk stops where it is told to`() throws {
    var decompressor = Decompressor()
    let batch = try RecordBatch(Vectors.named("g"))
    var visited: [String] = []
    try batch.forEachRecord(&decompressor) { record, section in
      let value = record.value.map { section.extracting($0).withUnsafeBytes { Array($0) } }
      visited.append(String(decoding: value ?? [], as: UTF8.self))
      return .stop
    }
    #expect(visited == ["hello"])
  }
}
