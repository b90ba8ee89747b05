package import Bytes

/// Which leader epoch began at which offset of one log (KIP-101, KIP-320).
///
/// Epochs and offsets never go back; two epochs may begin at the same offset (one whose leader
/// wrote nothing but its start). The last entry at or below an offset is the epoch of the record
/// there.
package struct EpochHistory: Equatable, Sendable {
  package struct Entry: Equatable, Sendable {
    package var epoch: LeaderEpoch
    package var start: Offset

    package init(epoch: LeaderEpoch, start: Offset) {
      self.epoch = epoch
      self.start = start
    }
  }

  package private(set) var entries: [Entry] = []

  package init() {}

  package var latest: LeaderEpoch { entries.last?.epoch ?? .none }

  /// Notes that `epoch` begins at `start`. An epoch that is known already changes nothing.
  package mutating func begin(_ epoch: LeaderEpoch, at start: Offset) {
    if let last = entries.last {
      guard epoch > last.epoch else { return }
      require(
        start >= last.start,
        "epoch \(epoch) begins at \(start), before the one it follows at \(last.start)")
    }
    entries.append(Entry(epoch: epoch, start: start))
  }

  /// Removes every epoch above `position.epoch`, also those that begin at its offset, and what
  /// begins after its offset.
  package mutating func truncate(to position: LogPosition) {
    while let last = entries.last, last.epoch > position.epoch || last.start > position.offset {
      entries.removeLast()
    }
  }

  /// Forgets epochs that ended at or before `start`; the one that contains it begins there.
  package mutating func dropBefore(_ start: Offset) {
    guard let keep = entries.lastIndex(where: { $0.start <= start }) else { return }
    entries.removeFirst(keep)
    entries[0].start = max(entries[0].start, start)
  }

  /// The epoch of the record at `offset`, if it is one of the known.
  package func epoch(at offset: Offset) -> LeaderEpoch? {
    entries.last { $0.start <= offset }?.epoch
  }

  /// OffsetForLeaderEpoch: the largest known epoch at or below `epoch` and where it ends. For an
  /// epoch below all that are known: that epoch, and where the first known one begins. Nil for one
  /// above the latest.
  package func end(of epoch: LeaderEpoch, logEnd: Offset) -> LogPosition? {
    guard let last = entries.last, epoch <= last.epoch else { return nil }
    if epoch == last.epoch { return LogPosition(epoch: epoch, offset: logEnd) }
    guard let next = entries.firstIndex(where: { $0.epoch > epoch }) else { return nil }
    let found = next > 0 ? entries[next - 1].epoch : epoch
    return LogPosition(epoch: found, offset: entries[next].start)
  }
}
