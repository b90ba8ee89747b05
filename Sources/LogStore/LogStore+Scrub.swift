internal import Bytes
internal import Platform

/// How far a log's files have been looked through.
package struct ScrubPlace: Equatable, Sendable {
  package let log: LogID
  /// The newest segment when the log was begun with: a log that grows faster than it is looked
  /// through would hold up all others.
  fileprivate var last: Offset?
  fileprivate var segment = Offset.zero
  fileprivate var position: Int64 = 0
  /// Where that segment's written part ended when it was begun with, for the same reason.
  fileprivate var end: Int64 = 0
  /// What the log had taken back by then.
  fileprivate var truncations = 0
  /// How often what is to be looked at was waited for.
  fileprivate var rounds = 0

  package init(_ log: LogID) { self.log = log }
}

package enum ScrubStep: Equatable, Sendable {
  /// Bytes are on their way from the disk.
  case waiting(ScrubPlace)
  /// A region is whole.
  case whole(ScrubPlace)
  /// All that is in the segments' files was looked through, or the log has failed.
  case done
  /// The disk does not give it.
  case unreadable(String)
}

/// What was read, or is being read, for the region at a place. Of its own: what readers have in
/// memory says nothing of the file.
struct ScrubReads {
  let place: ScrubPlace
  let reads: SegmentReads

  func serves(_ other: ScrubPlace) -> Bool {
    place.log == other.log && place.segment == other.segment && place.position == other.position
      && place.truncations == other.truncations
  }
}

/// Looking through segments' files beside those who write and truncate them.
///
/// (1) Only bytes that no write has which waits or is under way are looked at, and of those only
///     whole batches. They never change, but for a truncation.
/// (2) What was read before a truncation is never judged after it.
/// (3) What is judged is what the file has, also where the same bytes are in memory: they are gone
///     from there before the file is needed.
extension LogStore {
  private static let scrubRoundsMax = 20
  /// Of what lies around a region: the batches that reach into it and out of it are read as well.
  private static let scrubMargin: Int64 = 64 << 10

  /// Checks the next region of the log's files, whether it was checked before or not: what nobody
  /// reads is damaged unnoticed, until the other copies are, too. A damaged log is failed.
  package func scrub(_ place: ScrubPlace) -> ScrubStep {
    guard let slot = slots[place.log], logs[slot].failure == nil,
      let (index, place) = next(place, slot)
    else {
      scrubbed = nil
      return .done
    }
    let regions = VerifiedRegions.bytes
    let limit = min(place.end, scrubEnd(of: logs[slot].segments[index]))
    let region = place.position..<min(limit, (place.position / regions + 1) * regions)
    let reads: SegmentReads
    if let scrubbed, scrubbed.serves(place) {
      reads = scrubbed.reads
    } else {
      reads = SegmentReads(blocks)
      scrubbed = ScrubReads(place: place, reads: reads)
    }
    if place.rounds < Self.scrubRoundsMax, waits(for: region, limit, reads, slot, index) {
      var place = place
      place.rounds += 1
      return .waiting(place)
    }
    scrubbed = nil
    return judge(place, region, limit, reads, slot, index)
  }

  /// Where to look: in the segment that the place is in, if something is left there, or in a later
  /// one. Nil if there is nothing left.
  private func next(_ place: ScrubPlace, _ slot: Int) -> (index: Int, ScrubPlace)? {
    var place = place
    let segments = logs[slot].segments
    let last = place.last ?? segments[segments.count - 1].base
    place.last = last
    if place.truncations != logs[slot].truncations {
      // What was counted on may be gone, and other bytes there.
      place.truncations = logs[slot].truncations
      place.end = 0
      place.rounds = 0
    }
    for index in segments.indices where segments[index].base >= place.segment {
      guard segments[index].base <= last else { return nil }
      let end = scrubEnd(of: segments[index])
      if segments[index].base != place.segment || place.end == 0 {
        if segments[index].base != place.segment { place.position = 0 }
        place.segment = segments[index].base
        place.end = end
        place.rounds = 0
      }
      if place.position < min(place.end, end) { return (index, place) }
    }
    return nil
  }

  /// The end of a batch up to which the segment's file has it, at or near the end of what it has.
  private func scrubEnd(of segment: Segment) -> Int64 {
    guard let written = segment.tail?.written, written < segment.size else { return segment.size }
    return IndexLookup.entry(atOrBefore: written, in: segment.index).map { Int64($0.position) } ?? 0
  }

  /// Whether the region and what is around it, up to `limit`, is on the way from the file.
  private func waits(
    for region: Range<Int64>, _ limit: Int64, _ reads: SegmentReads, _ slot: Int, _ index: Int
  ) -> Bool {
    let first = max(0, region.lowerBound - Self.scrubMargin)
    let range = first..<min(limit, region.upperBound + Self.scrubMargin)
    let block = blocks.blockBytes
    let (waits, _) = read(
      [range], into: reads, range.count / Int(block) + 2, slot, index
    ) { position, _ in
      let first = position / block * block
      return first..<min(first + block, limit)
    }
    return !waits.isEmpty
  }

  private func judge(
    _ place: ScrubPlace, _ region: Range<Int64>, _ limit: Int64, _ reads: SegmentReads,
    _ slot: Int, _ index: Int
  ) -> ScrubStep {
    let segment = logs[slot].segments[index]
    do throws(DiskError) {
      guard
        try isWhole(
          slot, index, from: region.lowerBound, to: region.upperBound, limit: limit,
          fileSource(slot, index, reads))
      else {
        let path = segment.dataPath(place.log)
        failLog(
          slot,
          "its segment \(path) is damaged near byte \(place.position); restore it from a backup or "
            + "a replica")
        return .done
      }
    } catch {
      return .unreadable("\(error)")
    }
    let regions = VerifiedRegions.bytes
    let number = region.lowerBound / regions
    if region.lowerBound % regions == 0,
      region.upperBound >= min((number + 1) * regions, segment.verified.trustedFrom)
    {
      withLog(slot) { $0.segments[index].verified.note(Int(number)) }
    }
    var place = place
    place.rounds = 0
    place.position = region.upperBound
    return .whole(place)
  }
}
