internal import Bytes

// The whole state as bytes, so that the metadata log can be cut off below it.
//
//   0   u32 magic "MMET"
//   4   u32 CRC-32C of the rest
//   8   u8  version
//   9   count of records, each a count of bytes and the record (see `MetadataRecord`)
//   …   count of fencings, each u64: how recently each transactional id was used, then the next
//   …   from version 1 on: who is in which group (see `MetadataState+Groups`)
//
// Counts are unsigned varints. Equal states have equal bytes.

extension MetadataState {
  private static let snapshotMagic: UInt32 = 0x4d4d_4554
  private static let snapshotVersion: UInt8 = 1
  private static let snapshotHeaderBytes = 8

  /// This state as a snapshot.
  package func encoded() -> [UInt8] {
    var body = MetadataFields()
    let records = records
    body.put(count: records.count)
    for record in records { body.put(record.encoded()) }
    let fencings = fencings
    body.put(count: fencings.count)
    for fencing in fencings { body.put(fixed: fencing) }
    putGroups(into: &body)
    let rest = [Self.snapshotVersion] + body.bytes

    var header = MetadataFields()
    header.put(fixed: Self.snapshotMagic)
    header.put(fixed: CRC32C.of(rest[...]))
    return header.bytes + rest
  }

  /// The state that a snapshot holds.
  package init(decoding bytes: ArraySlice<UInt8>) throws(MetadataError) {
    var fields = MetadataFieldReader(bytes)
    guard bytes.count > Self.snapshotHeaderBytes,
      try fields.uint32() == Self.snapshotMagic,
      try fields.uint32() == CRC32C.of(bytes.dropFirst(Self.snapshotHeaderBytes))
    else { throw .notASnapshot }
    let version = try fields.uint8()
    guard version <= Self.snapshotVersion else { throw .notASnapshot }
    self.init()
    for _ in 0..<(try fields.count(ofSize: 1)) {
      let size = try fields.count(ofSize: 1)
      try load(MetadataRecord(decoding: try fields.slice(size)))
    }
    var fencings: [UInt64] = []
    for _ in 0..<(try fields.count(ofSize: 8)) { fencings.append(try fields.uint64()) }
    try restore(fencings)
    if version > 0 { try restoreGroups(&fields) }
    guard fields.isAtEnd else { throw .notASnapshot }
  }
}
