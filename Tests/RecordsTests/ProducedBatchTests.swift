import Bytes
import Records
import Testing

private let now = Timestamp(1_700_000_000_500)
private let early = Timestamp(1_700_000_000_000)

private func validate(
  _ bytes: [UInt8], _ rules: ProduceRules, now: Timestamp = now
) throws(ProduceRejection) -> ProducedBatch {
  var decompressor = Decompressor()
  var compressor = Compressor()
  return try ProducedBatch.validate(bytes[...], rules, now: now, &decompressor, &compressor)
}

/// The error's reason, or nil where the batch was taken.
private func reason(_ bytes: [UInt8], _ rules: ProduceRules) -> ProduceRejection.Reason? {
  do {
    _ = try validate(bytes, rules)
    return nil
  } catch { return error.reason }
}

/// Vector `name` with its header changed, length and CRC mended.
private func changed(
  _ name: String, _ change: (inout RecordBatchHeader) -> Void
) throws -> [UInt8] {
  let bytes = try Vectors.named(name)
  var header = try RecordBatch(bytes).header
  change(&header)
  return resealed(header, Array(bytes[61...]))
}

private func stored(_ batch: ProducedBatch) throws -> RecordBatch {
  var bytes = Array(batch.bytes)
  if let patch = batch.timestampPatch {
    bytes.withUnsafeMutableBytes { RecordBatchHeader.patch($0, patch) }
  }
  let stored = try RecordBatch(bytes)
  try stored.checkCRC()
  #expect(stored.header.attributes == batch.header.attributes)
  #expect(stored.header.maxTimestamp == batch.header.maxTimestamp)
  #expect(stored.header.batchLength == batch.header.batchLength)
  return stored
}

@Suite struct `A produced batch` {
  let rules = ProduceRules(produceVersion: 9)

  @Test(arguments: ["a", "b", "d", "e", "f", "g"])
  func `that is good is stored as it came`(name: String) throws {
    let bytes = try Vectors.named(name)
    let batch = try validate(bytes, rules)
    #expect(batch.bytes == bytes[...])
    #expect(batch.timestampPatch == nil)
    #expect(batch.maxTimestampOffsetDelta == 1)
    #expect(batch.logAppendTime == .none)
    #expect(try batch.header == RecordBatch(bytes).header)
  }

  @Test func `is exactly one, and nothing else`() throws {
    let a = try Vectors.named("a")
    #expect(reason([], rules) == .invalidRecord)
    #expect(reason(a + a, rules) == .invalidRecord)
    #expect(reason(a + [0], rules) == .invalidRecord)
    for cut in 1..<a.count { #expect(reason(Array(a[..<cut]), rules) == .corruptMessage) }
  }

  @Test(arguments: ["l", "m", "n"])
  func `in an old format is refused with what to do`(name: String) throws {
    let bytes = try Vectors.named(name)
    do {
      _ = try validate(bytes, rules)
      Issue.record("taken")
    } catch {
      #expect(error.reason == .invalidRecord)
      #expect(error.message.contains("v3"))
    }
  }

  @Test func `damaged on its way is to be sent again`() throws {
    let a = try Vectors.named("a")
    for index in 17..<a.count {
      var bytes = a
      bytes[index] ^= 0x10
      #expect(reason(bytes, rules) == .corruptMessage)
    }
  }

  @Test func `larger than the topic or the segment allows is refused`() throws {
    let a = try Vectors.named("a")
    var rules = rules
    rules.batchBytesMax = 116
    #expect(reason(a, rules) == nil)
    rules.batchBytesMax = 115
    #expect(reason(a, rules) == .messageTooLarge)
    rules.batchBytesMax = 1000
    rules.segmentBytesMax = 115
    #expect(reason(a, rules) == .recordListTooLarge)
    rules.segmentBytesMax = 1000
    rules.decompressedBytesMax = 54
    #expect(reason(a, rules) == nil)
    #expect(try reason(Vectors.named("g"), rules) == .messageTooLarge)
    rules.decompressedBytesMax = 55
    #expect(try reason(Vectors.named("g"), rules) == nil)
  }

  @Test(
    arguments: [
      { $0.recordsCount = 1 }, { $0.recordsCount = 0 }, { $0.recordsCount = -1 },
      { $0.recordsCount = 3 }, { $0.lastOffsetDelta = 0 }, { $0.lastOffsetDelta = -1 },
      { $0.lastOffsetDelta = .max }, { $0.lastOffsetDelta = .min },
      { ($0.lastOffsetDelta, $0.recordsCount) = (2, 3) },
      { ($0.lastOffsetDelta, $0.recordsCount) = (0, 1) },
      { ($0.lastOffsetDelta, $0.recordsCount) = (.max, .min) },
      { $0.attributes.insert(.control) }, { $0.attributes.insert(.deleteHorizon) },
      { $0.attributes.insert(.transactional) },
      { $0.producerID = ProducerID(1) },
      { ($0.producerID, $0.producerEpoch) = (ProducerID(1), ProducerEpoch(0)) },
      { ($0.producerID, $0.baseSequence) = (ProducerID(1), 0) },
    ] as [@Sendable (inout RecordBatchHeader) -> Void])
  func `whose header contradicts itself is refused`(
    change: @Sendable (inout RecordBatchHeader) -> Void
  ) throws {
    #expect(try reason(changed("a", change), rules) == .invalidRecord)
  }

  @Test(arguments: ["h", "i", "j"])
  func `of control records is refused`(name: String) throws {
    #expect(try reason(Vectors.named(name), rules) == .invalidRecord)
  }

  @Test func `whose offsets are not 0, 1, 2 is refused, naming the record`() throws {
    // The second record's delta, 01 as a varint 02, becomes 0.
    var bytes = try Vectors.named("a")
    let index = try #require(bytes.firstRange(of: [0x3c, 0x00, 0xf6, 0x01, 0x02]))
    bytes[index.upperBound - 1] = 0
    bytes.withUnsafeMutableBytes { RecordBatchHeader.sealCRC($0) }
    do {
      _ = try validate(bytes, rules)
      Issue.record("taken")
    } catch {
      #expect(error.reason == .invalidRecord)
      #expect(error.recordFaults.map(\.index) == [1])
    }
  }

  @Test func `with a null key is refused by a compacted topic, naming each record`() throws {
    var rules = rules
    rules.isCompacted = true
    let bytes = try Vectors.named("g")
    do {
      _ = try validate(bytes, rules)
      Issue.record("taken")
    } catch {
      #expect(error.reason == .invalidRecord)
      #expect(error.recordFaults.map(\.index) == [1])
      #expect(error.recordFaults[0].message.contains("compacted"))
    }
    #expect(try reason(Vectors.named("k"), rules) == nil)
  }

  @Test func `lists no more faults than the bound, and counts them all`() throws {
    var compressor = Compressor()
    var builder = RecordBatchBuilder()
    for _ in 0..<1000 { try builder.append(key: nil, value: nil, timestamp: now) }
    var rules = rules
    rules.isCompacted = true
    let bytes = builder.build(&compressor)
    do {
      _ = try validate(bytes, rules)
      Issue.record("taken")
    } catch {
      #expect(error.recordFaults.count == ProduceRejection.recordFaultsMax)
      #expect(error.message.contains("1000 of the batch's 1000"))
    }
  }

  @Test func `in zstd needs Produce version 7`() throws {
    var rules = rules
    rules.produceVersion = 6
    #expect(try reason(Vectors.named("g"), rules) == .unsupportedCompressionType)
    #expect(try reason(Vectors.named("f"), rules) == nil)
    #expect(
      try reason(changed("a") { $0.attributes = BatchAttributes(rawValue: 5) }, rules)
        == .unsupportedCompressionType)
  }

  @Test func `whose compressed data is broken under a good CRC is not to be sent again`() throws {
    let bytes = try Vectors.named("g")
    var section = Array(bytes[61...])
    section[0] = 0
    #expect(try reason(resealed(RecordBatch(bytes).header, section), rules) == .invalidRecord)
  }
}

@Suite struct `Timestamps of a produced batch` {
  @Test func `outside the topic's range are refused, at its ends taken`() throws {
    let bytes = try Vectors.named("a")
    var rules = ProduceRules(produceVersion: 9)
    rules.timestampBeforeMaxMilliseconds = now.rawValue - early.rawValue
    #expect(reason(bytes, rules) == nil)
    rules.timestampBeforeMaxMilliseconds -= 1
    do {
      _ = try validate(bytes, rules)
      Issue.record("taken")
    } catch {
      #expect(error.reason == .invalidTimestamp)
      #expect(error.recordFaults.map(\.index) == [0])
    }
    // Now 123 ms before the first record: the second is in the future.
    rules.timestampBeforeMaxMilliseconds = .max
    rules.timestampAfterMaxMilliseconds = 246
    let before = Timestamp(early.rawValue - 123)
    _ = try validate(bytes, rules, now: before)
    rules.timestampAfterMaxMilliseconds = 245
    #expect(throws: ProduceRejection.self) { try validate(bytes, rules, now: before) }
    // Nothing overflows.
    rules.timestampAfterMaxMilliseconds = .max
    _ = try validate(bytes, rules, now: Timestamp(.max))
    #expect(throws: ProduceRejection.self) {
      try validate(bytes, rules, now: Timestamp(.min))
    }
  }

  @Test func `that are none are always taken`() throws {
    var compressor = Compressor()
    var builder = RecordBatchBuilder()
    try builder.append(key: nil, value: nil, timestamp: .none)
    var rules = ProduceRules(produceVersion: 9)
    rules.timestampBeforeMaxMilliseconds = 0
    let batch = try validate(builder.build(&compressor), rules)
    #expect(batch.timestampPatch == nil)
    #expect(batch.header.maxTimestamp == .none)
  }

  @Test func `have their maximum computed anew`() throws {
    for wrong in [Timestamp.none, Timestamp(5), Timestamp(.max)] {
      let bytes = try changed("d") { $0.maxTimestamp = wrong }
      let batch = try validate(bytes, ProduceRules(produceVersion: 9))
      #expect(
        batch.timestampPatch
          == .init(type: .createTime, maxTimestamp: Timestamp(1_700_000_000_123)))
      #expect(try stored(batch).bytes == Vectors.named("d")[...])
    }
  }

  @Test func `are the log's on a topic that says so`() throws {
    let rules = ProduceRules(produceVersion: 9, timestampType: .logAppendTime)
    let time = Timestamp(1_700_000_009_999)
    let batch = try validate(Vectors.named("a"), rules, now: time)
    #expect(batch.logAppendTime == time)
    #expect(batch.maxTimestampOffsetDelta == 0)
    #expect(try stored(batch).bytes == Vectors.named("c")[...])
  }

  @Test func `marked as the log's by the producer are refused or unmarked`() throws {
    let bytes = try Vectors.named("c")
    let appendTime = ProduceRules(produceVersion: 9, timestampType: .logAppendTime)
    #expect(reason(bytes, appendTime) == .invalidTimestamp)
    let createTime = ProduceRules(produceVersion: 9)
    let batch = try validate(bytes, createTime)
    #expect(try stored(batch).bytes == Vectors.named("a")[...])
  }
}

@Suite struct `The topic's codec` {
  @Test(arguments: Codec.allCases, ["a", "b", "d", "e", "f", "g"])
  func `is what the batch is stored in`(codec: Codec, name: String) throws {
    var decompressor = Decompressor()
    let bytes = try Vectors.named(name)
    let before = try RecordBatch(bytes).header
    var rules = ProduceRules(produceVersion: 9, compression: .codec(codec, level: nil))
    let batch = try validate(bytes, rules)
    #expect(try batch.header.attributes.codec == codec)
    let after = try stored(batch)
    #expect(try after.records(&decompressor) == Vectors.records)
    #expect(after.header.producerID == before.producerID)
    #expect(after.header.baseSequence == before.baseSequence)
    #expect(after.header.attributes.isTransactional == before.attributes.isTransactional)
    if try before.attributes.codec == codec {
      #expect(batch.bytes == bytes[...])
    } else {
      #expect(batch.header.crc == after.header.crc)
      #expect(batch.timestampPatch == nil)
      // The bound holds for what is stored, too.
      rules.batchBytesMax = max(bytes.count, after.bytes.count)
      #expect(reason(bytes, rules) == nil)
      rules.batchBytesMax = after.bytes.count - 1
      #expect(reason(bytes, rules) == .messageTooLarge)
    }
  }

  @Test func `goes together with the log's time`() throws {
    var decompressor = Decompressor()
    let rules = ProduceRules(
      produceVersion: 9, timestampType: .logAppendTime, compression: .codec(.zstd, level: 19))
    let batch = try validate(Vectors.named("f"), rules)
    #expect(batch.timestampPatch == nil)
    #expect(try stored(batch).records(&decompressor).map(\.timestamp) == [now, now])
  }
}

@Suite struct `Rejections` {
  @Test func `carry Kafka's names and codes`() {
    let codes = ProduceRejection.Reason.allCases.map { "\($0.rawValue) \($0.name)" }
    #expect(
      codes == [
        "2 CORRUPT_MESSAGE", "10 MESSAGE_TOO_LARGE", "18 RECORD_LIST_TOO_LARGE",
        "32 INVALID_TIMESTAMP", "76 UNSUPPORTED_COMPRESSION_TYPE", "87 INVALID_RECORD",
      ])
  }

  @Test func `hostile batches are refused and never trap`() throws {
    var dice = Dice(state: 5)
    for _ in 0..<20_000 {
      let names = ["a", "b", "d", "e", "f", "g"]
      var bytes = try Vectors.named(names.randomElement(using: &dice) ?? "a")
      for _ in 0..<Int.random(in: 1...4, using: &dice) {
        let index = Int.random(in: 21..<bytes.count, using: &dice)
        bytes[index] =
          [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &dice)]
          .randomElement(using: &dice) ?? 0
      }
      bytes.withUnsafeMutableBytes { RecordBatchHeader.sealCRC($0) }
      var rules = ProduceRules(produceVersion: 9, decompressedBytesMax: 1 << 20)
      rules.compression = .codec(.lz4, level: nil)
      rules.isCompacted = Bool.random(using: &dice)
      guard let batch = try? validate(bytes, rules, now: Timestamp(Int64(bitPattern: dice.next())))
      else { continue }
      try stored(batch).checkCRC()
    }
  }
}
