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

  /// Forgets epochs that ended before `start`; that of the record before it stays, and begins
  /// there. For who compares prefixes: of two epochs that begin at `start`, only one may be in both
  /// logs.
  package mutating func trim(to start: Offset) {
    guard let keep = entries.lastIndex(where: { $0.start < start }) else { return }
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

  /// Whether a log with this history, of which `end` is the end, has the prefix that `position`
  /// names.
  package func contains(_ position: LogPosition, end: LogPosition) -> Bool {
    guard position.offset <= end.offset else { return false }
    if position.epoch == .none { return position.offset <= (entries.first?.start ?? end.offset) }
    guard let index = entries.lastIndex(where: { $0.epoch <= position.epoch }) else { return false }
    let next = index + 1 < entries.count ? entries[index + 1].start : end.offset
    return entries[index].epoch == position.epoch
      && entries[index].start <= position.offset && position.offset <= next
  }

  /// The prefix that everything below `offset` is, without what has no width there.
  package func position(at offset: Offset) -> LogPosition {
    if offset > .zero, let first = entries.first, first.start == offset {
      return LogPosition(epoch: first.epoch, offset: offset)
    }
    let epoch = entries.last { $0.start < offset }?.epoch
    return LogPosition(epoch: epoch ?? .none, offset: offset)
  }
}
