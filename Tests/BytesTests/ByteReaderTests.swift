import Bytes
import Testing

@Suite struct `Byte reader and writer` {
  @Test(
    arguments: [
      (0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (2, "04"), (63, "7e"), (-64, "7f"),
      (64, "8001"), (-65, "8101"), (8191, "fe7f"), (-8192, "ff7f"), (8192, "808001"),
      (2_147_483_647, "feffffff0f"), (-2_147_483_648, "ffffffff0f"),
    ] as [(Int32, String)])
  func `signed varints are zigzag LEB128`(value: Int32, hex: String) throws {
    let bytes = bytes(hex)
    var reader = ByteReader(bytes)
    #expect(try reader.varint() == value)
    #expect(reader.isAtEnd)
    #expect(Varint.size(value) == bytes.count)
    #expect(unsafe ByteWriter.array(bytes.count) { unsafe $0.varint(value) } == bytes)
  }

  @Test(
    arguments: [
      (0, "00"), (-1, "01"), (Int64.max, "feffffffffffffffff01"),
      (Int64.min, "ffffffffffffffffff01"),
    ] as [(Int64, String)])
  func `signed varlongs are zigzag LEB128`(value: Int64, hex: String) throws {
    let bytes = bytes(hex)
    var reader = ByteReader(bytes)
    #expect(try reader.varlong() == value)
    #expect(Varint.sizeLong(value) == bytes.count)
    #expect(unsafe ByteWriter.array(bytes.count) { unsafe $0.varlong(value) } == bytes)
  }

  @Test(
    arguments: [
      (0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16383, "ff7f"),
      (16384, "808001"), (2_097_151, "ffff7f"), (268_435_456, "8080808001"),
      (4_294_967_295, "ffffffff0f"),
    ] as [(UInt32, String)])
  func `unsigned varints are LEB128`(value: UInt32, hex: String) throws {
    let bytes = bytes(hex)
    var reader = ByteReader(bytes)
    #expect(try reader.unsignedVarint() == value)
    #expect(Varint.sizeUnsigned(value) == bytes.count)
    #expect(unsafe ByteWriter.array(bytes.count) { unsafe $0.unsignedVarint(value) } == bytes)
  }

  @Test(arguments: ["ffffffff10", "8080808080", "ffffffffff01", "80", ""])
  func `a varint that is too long or cut short is refused`(hex: String) {
    var reader = ByteReader(bytes(hex))
    #expect(throws: ByteError.self) { try reader.unsignedVarint() }
  }

  @Test(arguments: ["ffffffffffffffffff02", "80808080808080808080", "80"])
  func `a varlong that is too long or cut short is refused`(hex: String) {
    var reader = ByteReader(bytes(hex))
    #expect(throws: ByteError.self) { try reader.varlong() }
  }

  @Test func `fixed-width integers are big-endian and read back`() throws {
    let bytes = unsafe ByteWriter.array(15) { writer in
      unsafe writer.integer(Int8(-2))
      unsafe writer.integer(Int16(0x0102))
      unsafe writer.integer(UInt32(0x0304_0506))
      unsafe writer.integer(Int64(0x0708_090a_0b0c_0d0e))
    }
    #expect(bytes == [0xfe] + Array(1...14))
    var reader = ByteReader(bytes)
    #expect(try reader.int8() == -2)
    #expect(try reader.int16() == 0x0102)
    #expect(try reader.uint32() == 0x0304_0506)
    #expect(try reader.int64() == 0x0708_090a_0b0c_0d0e)
    #expect(throws: ByteError.truncated(at: 15, needed: 1)) { try reader.uint8() }
  }

  @Test func `slices share storage, and lengths beyond the input or below zero are refused`() throws
  {
    let input = [UInt8](0..<10)
    var reader = ByteReader(input[2..<8])
    #expect(try reader.slice(2) == [2, 3])
    #expect(reader.remaining == 4)
    #expect(throws: ByteError.truncated(at: 2, needed: 5)) { try reader.slice(5) }
    #expect(throws: ByteError.negativeLength(at: 2, length: -1)) { try reader.slice(-1) }
    #expect(throws: ByteError.negativeLength(at: 2, length: -9)) { try reader.skip(-9) }
    try reader.skip(4)
    #expect(reader.isAtEnd)
  }

  @Test func `text that is not UTF-8 is refused`() throws {
    var good = ByteReader(Array("é漢".utf8))
    #expect(try good.string(5) == "é漢")
    var bad = ByteReader([0x61, 0xff])
    #expect(throws: ByteError.notUTF8(at: 0)) { try bad.string(2) }
  }
}

func bytes(_ hex: String) -> [UInt8] {
  var digits = hex.utf8.makeIterator()
  var bytes: [UInt8] = []
  while let high = digits.next(), let low = digits.next() {
    bytes.append(UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16) ?? 0)
  }
  return bytes
}
