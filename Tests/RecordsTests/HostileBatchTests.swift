import Bytes
import Records
import Testing

@Suite struct `Hostile batches` {
  @Test(arguments: Vectors.batches + ["l", "m", "n"])
  func `cut at any byte are refused`(name: String) throws {
    let bytes = try Vectors.named(name)
    for cut in 0..<bytes.count {
      #expect(throws: RecordError.self) { try readEverything(Array(bytes[..<cut])) }
      var walk = RecordBatches(bytes[..<cut])
      while let batch = try? walk.next() { Issue.record("a batch of \(batch.bytes.count) bytes") }
    }
  }

  @Test(arguments: Vectors.batches)
  func `whose record section is cut, length and CRC mended, are refused`(name: String) throws {
    let bytes = try Vectors.named(name)
    var header = try RecordBatch(bytes).header
    var decompressor = Decompressor()
    for cut in 61..<bytes.count {
      header.batchLength = Int32(cut - 12)
      let batch = try RecordBatch(resealed(header, Array(bytes[61..<cut])))
      #expect(throws: RecordError.self) { try readRecords(batch, &decompressor) }
    }
  }

  @Test(arguments: Vectors.batches)
  func `with any byte changed fail the CRC, or it lies outside`(name: String) throws {
    let original = try Vectors.named(name)
    for index in original.indices {
      for mask in [0x01, 0x80, 0xff] as [UInt8] {
        var bytes = original
        bytes[index] ^= mask
        // Base offset, length, leader epoch, magic; the CRC itself fails to match.
        if index < 17 {
          _ = try? readEverything(bytes)
        } else {
          #expect(throws: RecordError.self) { try RecordBatch(bytes).checkCRC() }
        }
      }
    }
  }

  @Test(arguments: Vectors.batches)
  func `with any byte of the records changed and the CRC mended never trap`(name: String) throws {
    let original = try Vectors.named(name)
    let header = try RecordBatch(original).header
    var decompressor = Decompressor()
    for index in 61..<original.count {
      for value in [0, 1, 0x7f, 0x80, 0xfe, 0xff] as [UInt8] {
        var bytes = original
        bytes[index] = value
        let batch = try RecordBatch(resealed(header, Array(bytes[61...])))
        _ = try? readRecords(batch, &decompressor)
      }
    }
  }

  @Test(arguments: 0..<5 as Range<UInt16>)
  func `of random bytes in every codec never trap`(codec: UInt16) throws {
    var dice = Dice(state: UInt64(codec))
    var decompressor = Decompressor()
    for _ in 0..<3000 {
      let section = dice.bytes(Int.random(in: 0...80, using: &dice))
      let count = Int32.random(in: -2...4, using: &dice)
      let batch = try RecordBatch(batch(section, count: count, attributes: codec))
      _ = try? readRecords(batch, &decompressor)
    }
  }

  @Test func `of headers with random fields never trap`() throws {
    var dice = Dice(state: 42)
    var decompressor = Decompressor()
    for _ in 0..<3000 {
      var bytes = try Vectors.named("a")
      for index in 21..<61 where Bool.random(using: &dice) {
        bytes[index] = [0, 0x7f, 0x80, 0xff].randomElement(using: &dice) ?? 0
      }
      bytes.withUnsafeMutableBytes { RecordBatchHeader.sealCRC($0) }
      let batch = try RecordBatch(bytes)
      _ = (batch.header.lastOffset, batch.header.nextOffset, batch.header.lastSequence)
      _ = try? readRecords(batch, &decompressor)
    }
  }

  /// Fields of one record after its length, which the test puts in front.
  @Test(
    arguments: [
      // attributes, timestampDelta, offsetDelta, key, value, headers
      ("", .truncated), ("00", .truncated), ("0000", .truncated), ("000000", .truncated),
      ("00000001", .truncated), ("0000000101", .truncated),
      ("000000030100", .negativeLength(-2)), ("000000010300", .negativeLength(-2)),
      ("000000ffffffff0f0100", .negativeLength(Int(Int32.min))),
      ("000000feffffff0f0100", .truncated),
      ("00000001feffffff0f00", .truncated),
      ("000000ffffffff1f0100", .varintTooLong), ("00000080808080800100", .varintTooLong),
      ("0080808080808080808002000101", .varintTooLong), ("0080808080808080808080", .varintTooLong),
      ("000000010101", .negativeHeadersCount(-1)),
      ("0000000101feffffff0f", .headersCountExceedsRecord(Int(Int32.max))),
      ("0000000101ffffffff0f", .negativeHeadersCount(Int(Int32.min))),
      ("000000010104000000", .headersCountExceedsRecord(2)),
      ("0000000101020101", .negativeLength(-1)), ("0000000101020003", .negativeLength(-2)),
      ("000000010102feffffff0f00", .truncated),
      ("0000000101000000", .unusedBytes(2)),
      ("000001010100", .offsetDeltaOutOfRange(-1, lastOffsetDelta: 0)),
      ("000002010100", .offsetDeltaOutOfRange(1, lastOffsetDelta: 0)),
      ("0000feffffff0f010100", .offsetDeltaOutOfRange(.max, lastOffsetDelta: 0)),
    ] as [(String, RecordFault)])
  func `a record is refused with what is wrong in it`(hex: String, expected: RecordFault) throws {
    let body = bytes(hex)
    var decompressor = Decompressor()
    let batch = try RecordBatch(batch([UInt8(body.count * 2)] + body, count: 1))
    do {
      try readRecords(batch, &decompressor)
      Issue.record("\(hex) was taken for a record")
    } catch RecordError.malformedRecord(0, _, let fault) {
      #expect(fault == expected)
    }
  }

  @Test(arguments: ["01", "ffffffff0f", "feffffff0f", "80808080808000", "10", "80"])
  func `a record's length that cannot be is refused`(hex: String) throws {
    var decompressor = Decompressor()
    let batch = try RecordBatch(batch(bytes(hex) + bytes("0000000101"), count: 1))
    #expect(throws: RecordError.self) { try readRecords(batch, &decompressor) }
  }

  @Test func `a records count beyond the records, or short of them, is refused`() throws {
    var decompressor = Decompressor()
    let record = bytes("0c000000010100")
    for count in [2, 1 << 20, Int32.max] {
      let batch = try RecordBatch(batch(record, count: count))
      #expect(throws: RecordError.malformedRecord(index: 1, at: 7, .truncated)) {
        try readRecords(batch, &decompressor)
      }
    }
    let none = try RecordBatch(batch(record, count: 0))
    #expect(throws: RecordError.bytesAfterLastRecord(at: 0, count: 7)) {
      try readRecords(none, &decompressor)
    }
    let negative = try RecordBatch(batch(record, count: -1))
    #expect(throws: RecordError.negativeRecordsCount(-1)) {
      try readRecords(negative, &decompressor)
    }
    for codec in 5...7 as ClosedRange<UInt16> {
      let unknown = try RecordBatch(batch(record, count: 1, attributes: codec))
      #expect(throws: RecordError.unknownCodec(id: UInt8(codec))) {
        try readRecords(unknown, &decompressor)
      }
    }
  }

  @Test func `varints of every length are read in every field`() throws {
    var decompressor = Decompressor()
    // The same record, its varints padded to more bytes than they need.
    for zero in ["00", "8000", "808000", "80808000", "8080808000"] {
      let minusOne = zero == "00" ? "01" : "81" + zero.dropFirst(2)
      let body = bytes("00" + zero + zero + minusOne + minusOne + zero)
      let batch = try RecordBatch(batch([UInt8(body.count * 2)] + body, count: 1))
      let records = try batch.records(&decompressor)
      #expect(records == [Record(offset: .zero, timestamp: .none, key: nil, value: nil)])
    }
  }
}
