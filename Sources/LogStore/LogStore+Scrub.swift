internal import Bytes
internal import Platform

/// How far a log's old segments have been looked through.
package struct ScrubPlace: Equatable, Sendable {
  package let log: LogID
  fileprivate var segment = Offset.zero
  fileprivate var position: Int64 = 0
  /// How often what is to be looked at was waited for.
  fileprivate var rounds = 0

  package init(_ log: LogID) { self.log = log }
}

package enum ScrubStep: Equatable, Sendable {
  /// Bytes are on their way from the disk.
  case waiting(ScrubPlace)
  /// A region is whole.
  case whole(ScrubPlace)
  /// All closed segments were looked through, or the log has failed.
  case done
  /// The disk does not give it.
  case unreadable(String)
}

extension LogStore {
  private static let scrubRoundsMax = 20
  /// Of what lies around a region: the batches that reach into it and out of it are read as well.
  private static let scrubMargin: Int64 = 64 << 10

  /// Checks the next region of the log's closed segments, whether it was checked before or not:
  /// what nobody reads is damaged unnoticed, until the other copies are, too. A damaged log is
  /// failed.
  package func scrub(_ place: ScrubPlace) -> ScrubStep {
    guard let slot = slots[place.log], logs[slot].failure == nil else { return .done }
    let closed = logs[slot].segments.dropLast()
    guard
      let index = closed.firstIndex(where: {
        $0.base > place.segment || ($0.base == place.segment && place.position < $0.size)
      })
    else { return .done }
    let segment = closed[index]
    var place = place
    if segment.base != place.segment {
      place.segment = segment.base
      place.position = 0
    }
    let regions = VerifiedRegions.bytes
    let end = min(segment.size, (place.position / regions + 1) * regions)
    let range =
      max(0, place.position - Self.scrubMargin)..<min(segment.size, end + Self.scrubMargin)
    let blocksMax = range.count / Int(blocks.blockBytes) + 2
    if place.rounds < Self.scrubRoundsMax,
      let waits = readAhead(range, end: segment.size, slot, index, blocksMax, ahead: 0),
      !waits.isEmpty
    {
      place.rounds += 1
      return .waiting(place)
    }
    place.rounds = 0
    do throws(DiskError) {
      guard try isWhole(slot, index, from: place.position, to: end, source(slot, index)) else {
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
    withLog(slot) { $0.segments[index].verified.note(Int(place.position / regions)) }
    place.position = end
    return .whole(place)
  }
}
