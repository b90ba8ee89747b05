internal import Bytes
package import Records

/// Where a record stands in what it was made from: strictly increasing within each output
/// partition, so that whoever comes back knows what is there already.
///
/// Travels in the header `martlet.position`: 16 bytes, big-endian, major then minor. Capture:
/// (commit LSN, ordinal of the change in its transaction << 3 | sub-record). Processors: (number of
/// the committed batch, index in it).
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

  /// The header that carries it.
  package var header: RecordHeader {
    let value = unsafe ByteWriter.array(16) { writer in
      unsafe writer.integer(major)
      unsafe writer.integer(minor)
    }
    return RecordHeader(keyBytes: Self.headerKeyBytes, value: value[...])
  }

  /// The position in a record's headers; nil if there is none, or one of another length.
  package init?(_ headers: [RecordHeader]) {
    guard let value = headers.last(where: { $0.keyBytes == Self.headerKeyBytes })?.value,
      value.count == 16
    else { return nil }
    var reader = ByteReader(value)
    guard let major = try? reader.uint64(), let minor = try? reader.uint64() else { return nil }
    self.init(major, minor)
  }
}
