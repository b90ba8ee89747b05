internal import Bytes
internal import Platform
internal import Records

/// Which parts of a segment's file are known to hold what was written.
///
/// What this process wrote was checked on its way; what an earlier one wrote is checked when it is
/// read for the first time, a region at a time, so that recovery need not read it all and no
/// damaged byte is ever served.
struct VerifiedRegions {
  static let bytes: Int64 = 1 << 20

  /// Bytes from here on were written by this process.
  var trustedFrom: Int64 = 0
  private var regions: [Bool] = []

  /// The first region that touches `range` and is not verified.
  func firstUnverified(in range: Range<Int64>) -> Int? {
    let end = min(range.upperBound, trustedFrom)
    guard range.lowerBound < end else { return nil }
    let touched = Int(range.lowerBound / Self.bytes)...Int((end - 1) / Self.bytes)
    return touched.first { $0 >= regions.count || !regions[$0] }
  }

  mutating func note(_ region: Int) {
    while regions.count <= region { regions.append(false) }
    regions[region] = true
  }

  /// What is at or after `position` will be written anew by this process.
  mutating func truncate(to position: Int64) { trustedFrom = min(trustedFrom, position) }
}

extension LogStore {
  /// Checks what of this part of a segment was not checked before. Throws if it is damaged; the log
  /// is failed then.
  func verify(
    _ slot: Int, _ index: Int, _ range: Range<Int64>, _ source: SegmentSource
  ) throws(DiskError) {
    while let region = logs[slot].segments[index].verified.firstUnverified(in: range) {
      let first = Int64(region) * VerifiedRegions.bytes
      let segment = logs[slot].segments[index]
      let end = min(first + VerifiedRegions.bytes, segment.verified.trustedFrom)
      guard try isWhole(slot, index, from: first, to: end, limit: segment.size, source) else {
        let why = "its segment \(segment.dataPath(logs[slot].id)) is damaged near byte \(first)"
        failLog(slot, why + "; restore it from a backup or a replica")
        throw .failed("reading a damaged segment", errno: 5)
      }
      withLog(slot) { $0.segments[index].verified.note(region) }
    }
  }

  /// Whether the batches from the last index entry at or before `first` up to `end` are what was
  /// written: each with its CRC, following the one before, of the epoch the log knows. A batch ends
  /// at `limit`, and nothing behind it is looked at.
  func isWhole(
    _ slot: Int, _ index: Int, from first: Int64, to end: Int64, limit: Int64,
    _ source: SegmentSource
  ) throws(DiskError) -> Bool {
    let segment = logs[slot].segments[index]
    let entry = try withIndex(slot, index) { table in
      IndexLookup.entry(atOrBefore: first, in: table)
    }
    var position = entry.map { Int64($0.position) } ?? 0
    var next = segment.base + (entry.map { Int64($0.relativeOffset) } ?? 0)
    var scan = BatchScan(source)
    while position < end {
      guard let header = try scan.header(at: position, limit: limit),
        header.baseOffset == next,
        logs[slot].epochs.epoch(at: next).map({ $0 == header.partitionLeaderEpoch })
          ?? (next < logs[slot].logStart),
        let batch = try scan.batch(at: position, header), (try? batch.checkCRC()) != nil
      else { return false }
      position += Int64(header.batchSize)
      next = header.nextOffset
    }
    return true
  }
}
