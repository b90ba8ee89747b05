internal import Bytes

// A snapshot of the metadata in the metadata log itself, so that the log can begin there. It may be
// larger than a batch can be, so it is cut into parts, one record each:
//
//   key     u32 index of the part, u32 count of parts
//   value   the part
//
// All other records of that log have no key. Parts follow one another without anything in between;
// a crash may leave the first ones without the rest, and those mean nothing.

/// Puts the parts of snapshots together while a metadata log is read.
package struct MetadataSnapshotParts: Sendable {
  package static let partBytesMax = 512 << 10

  private var bytes: [UInt8] = []
  private var next: UInt32 = 0

  package init() {}

  /// A snapshot as keys and values of records.
  package static func records(
    of state: MetadataState, partBytesMax: Int = partBytesMax
  ) -> [(key: [UInt8], value: [UInt8])] {
    let bytes = state.encoded()
    let starts = Array(stride(from: 0, to: bytes.count, by: partBytesMax))
    return starts.enumerated().map { index, start in
      var key = MetadataFields()
      key.put(fixed: UInt32(index))
      key.put(fixed: UInt32(starts.count))
      return (key.bytes, Array(bytes[start..<min(start + partBytesMax, bytes.count)]))
    }
  }

  /// Takes the next part in. The state, if it was the last one.
  package mutating func take(
    key: ArraySlice<UInt8>, value: ArraySlice<UInt8>
  ) throws(MetadataError) -> MetadataState? {
    var fields = MetadataFieldReader(key)
    let index = try fields.uint32()
    let count = try fields.uint32()
    // The first parts of a snapshot that was never finished are given up.
    if index == 0 { interrupt() }
    guard index == next, index < count, fields.isAtEnd else { throw .notASnapshot }
    bytes += value
    next += 1
    guard next == count else { return nil }
    defer { interrupt() }
    return try MetadataState(decoding: bytes[...])
  }

  /// Something else follows: what was begun is not whole.
  package mutating func interrupt() {
    bytes = []
    next = 0
  }
}
