private import CCRC32C

/// CRC-32C (Castagnoli): polynomial 0x1EDC6F41, reflected in and out, all ones in and out, as used
/// by iSCSI (RFC 3720, appendix B.4) and by Kafka's record batch.
///
/// By the CPU's instruction where it has one, otherwise by a table of eight bytes a step.
package struct CRC32C: Sendable {
  /// The checksum of all bytes so far.
  package private(set) var value: UInt32

  package init(_ value: UInt32 = 0) {
    self.value = value
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    if CRC32C.hasInstruction {
      value = unsafe CRC32C.shift.withUnsafeBufferPointer { table in
        unsafe martlet_crc32c(value, base, bytes.count, table.baseAddress)
      }
    } else {
      unsafe updatePortably(bytes)
    }
  }

  package mutating func update(_ bytes: ArraySlice<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// Folds in an integer, big-endian.
  package mutating func update<T: FixedWidthInteger & BitwiseCopyable>(_ integer: T) {
    unsafe withUnsafeBytes(of: integer.bigEndian) { unsafe update($0) }
  }

  package static func of(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes)
    return crc.value
  }

  package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc = CRC32C()
    unsafe crc.update(bytes)
    return crc.value
  }

  /// The portable form, also the reference that tests hold the instruction against.
  package mutating func updatePortably(_ bytes: UnsafeRawBufferPointer) {
    var crc = ~value
    unsafe CRC32C.table.withUnsafeBufferPointer { table in
      var index = 0
      while bytes.count - index >= 8 {
        let word = unsafe UInt64(
          littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        let mixed = word ^ UInt64(crc)
        crc = 0
        for byte in 0..<8 {
          let column = Int(truncatingIfNeeded: (mixed &>> (8 * UInt64(byte))) & 0xff)
          unsafe crc ^= table[(7 - byte) * 256 + column]
        }
        index += 8
      }
      while index < bytes.count {
        unsafe crc = table[Int((crc ^ UInt32(bytes[index])) & 0xff)] ^ (crc &>> 8)
        index += 1
      }
    }
    value = ~crc
  }

  private static let hasInstruction = martlet_crc32c_available() != 0

  /// Row k, column b: the CRC of byte b followed by k zero bytes.
  private static let table: [UInt32] = {
    var table = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? (crc &>> 1) ^ 0x82f6_3b78 : crc &>> 1 }
      table[byte] = crc
    }
    for row in 1..<8 {
      for byte in 0..<256 {
        let before = table[(row - 1) * 256 + byte]
        table[row * 256 + byte] = table[Int(before & 0xff)] ^ (before &>> 8)
      }
    }
    return table
  }()

  /// Row k, column b: byte b, k bytes up, advanced over MARTLET_CRC_STREAM zero bytes.
  private static let shift: [UInt32] = {
    var shift = [UInt32](repeating: 0, count: 4 * 256)
    for row in 0..<4 {
      for byte in 0..<256 {
        var crc = UInt32(byte) &<< (8 * UInt32(row))
        for _ in 0..<Int(MARTLET_CRC_STREAM) { crc = table[Int(crc & 0xff)] ^ (crc &>> 8) }
        shift[row * 256 + byte] = crc
      }
    }
    return shift
  }()
}
