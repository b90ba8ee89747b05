package import Records

/// Where a record stands in what it was made from: strictly increasing within each output
/// partition, so that whoever comes back knows what is there already.
///
/// Travels in the header `martlet.position`: 48 hexadecimal digits, major, minor and the owner's
/// hash, text because clients print headers. Capture: (commit LSN, ordinal of the change in its
/// transaction << 3 | sub-record). Processors: (number of the committed batch, index in it).
package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var major: UInt64
  package var minor: UInt64

  package init(_ major: UInt64, _ minor: UInt64) {
    self.major = major
    self.minor = minor
  }

  package static func < (a: Position, b: Position) -> Bool {
    (a.major, a.minor) < (b.major, b.minor)
  }

  package var description: String { "\(major):\(minor)" }

  package static let headerKey = "martlet.position"
  private static let headerKeyBytes = Array(headerKey.utf8)[...]
  private static let headerSize = 48
  private static let digits = Array("0123456789abcdef".utf8)

  /// Who writes a positioned record: of several writers of one topic, each goes by its own.
  package struct Owner: Hashable, Sendable {
    fileprivate let hash: UInt64

    /// Of the producer with that transactional id (FNV-1a, 64 bits).
    package init(_ transactionalID: String) {
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in transactionalID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      self.hash = hash
    }
  }

  /// The header that carries it.
  package func header(of owner: Owner) -> RecordHeader {
    var value: [UInt8] = []
    value.reserveCapacity(Self.headerSize)
    for part in [major, minor, owner.hash] {
      for shift in stride(from: UInt64(60), through: 0, by: -4) {
        value.append(Self.digits[Int(part >> shift & 15)])
      }
    }
    return RecordHeader(keyBytes: Self.headerKeyBytes, value: value[...])
  }

  /// The position in a record's headers; nil if there is none of that owner.
  package init?(_ headers: [RecordHeader], of owner: Owner) {
    guard let value = headers.last(where: { $0.keyBytes == Self.headerKeyBytes })?.value,
      value.count == Self.headerSize
    else { return nil }
    var parts: [UInt64] = [0, 0, 0]
    for (index, digit) in value.enumerated() {
      guard let number = Self.digits.firstIndex(of: digit) else { return nil }
      parts[index / 16] = parts[index / 16] << 4 | UInt64(number)
    }
    guard parts[2] == owner.hash else { return nil }
    self.init(parts[0], parts[1])
  }
}
