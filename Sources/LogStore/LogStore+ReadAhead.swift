package import Bytes
internal import Platform

/// Names a read into memory that is under way.
package struct ReadAheadID: Hashable, Comparable, Sendable {
  let rawValue: UInt64

  package static func < (a: ReadAheadID, b: ReadAheadID) -> Bool { a.rawValue < b.rawValue }
}

/// What is being read into memory.
struct ReadAhead {
  var file: OpenFile
  var range: Range<Int64>
}

/// Reading what is not in memory, without the owner's thread waiting for the disk: somebody who
/// reads a backlog would hold up everybody who appends.
extension LogStore {
  /// Read beyond what was asked for, so that the next one who asks finds it there.
  private static let extraBytes: Int64 = 1 << 20
  /// At most under way; whoever comes later reads for himself.
  package static let readsAheadMax = 256

  /// Begins to read what `slice(of:from:bytesMax:)` would look at into memory, if it is not there.
  /// `.readAhead` tells when it is. Nil if nothing is to be waited for, also where the slice would
  /// fail.
  package func readAhead(
    of log: LogID, from offset: Offset, bytesMax: Int
  ) throws(LogError) -> ReadAheadID? {
    let slot = try slot(of: log)
    let (start, limit) = withLog(slot) { ($0.logStart, $0.visible) }
    guard offset >= start, offset < limit.end else { return nil }
    // Who is at the end reads what was written a moment ago.
    guard withLog(slot, { $0.recentPlace(endingAt: offset) }) == nil else { return nil }
    let index = withLog(slot) { $0.segmentIndex(for: offset) }
    let (base, size) = withLog(slot) { ($0.segments[index].base, $0.segments[index].size) }
    let end = base == limit.segment ? limit.position : size
    let file: OpenFile
    let position: Int64
    do throws(DiskError) {
      file = try dataFile(slot, index)
      position = try withIndex(slot, index) { table in
        IndexLookup.position(ofOffset: offset - base, in: table)
      }
    } catch {
      // For the slice to report.
      return nil
    }
    var range = position..<min(end, position + Int64(bytesMax))
    // What is verified is verified by whole regions.
    if withLog(slot, { $0.segments[index].verified.firstUnverified(in: range) }) != nil {
      let regions = VerifiedRegions.bytes
      range = (range.lowerBound / regions * regions)..<min(end, range.upperBound + regions)
    }
    guard !range.isEmpty,
      !disk.isInMemory(file.id, position: range.lowerBound, count: range.count)
    else { return nil }
    return begin(file, range.lowerBound..<min(end, range.upperBound + Self.extraBytes))
  }

  private func begin(_ file: OpenFile, _ range: Range<Int64>) -> ReadAheadID? {
    let same = readsAhead.filter { $0.value.file === file && $0.value.range == range }
    if let (id, _) = same.min(by: { $0.key < $1.key }) { return id }
    guard readsAhead.count < Self.readsAheadMax else { return nil }
    nextReadAhead += 1
    readsAheadBegun += 1
    let id = ReadAheadID(rawValue: nextReadAhead)
    readsAhead[id] = ReadAhead(file: file, range: range)
    submit(
      .readAhead(file.id, position: range.lowerBound, count: range.count), .readAhead(id, file))
    return id
  }

  func readAheadDone(_ id: ReadAheadID) {
    readsAhead[id] = nil
    emit(.readAhead(id))
  }
}
