internal import Bytes

extension Raft {
  /// Whether the log has the prefix.
  func has(_ position: LogPosition) -> Bool {
    // What is below the start was committed.
    if position.offset < start { return true }
    return history.contains(position, end: end)
  }

  /// The most that this log can have of a prefix it does not have.
  private func most(of position: LogPosition) -> LogPosition {
    guard let index = history.entries.lastIndex(where: { $0.epoch <= position.epoch }) else {
      return LogPosition(epoch: .none, offset: start)
    }
    let entries = history.entries
    let epochEnd = index + 1 < entries.count ? entries[index + 1].start : end.offset
    let isSame = entries[index].epoch == position.epoch
    return LogPosition(
      epoch: entries[index].epoch, offset: isSame ? min(epochEnd, position.offset) : epochEnd)
  }

  mutating func append(
    _ request: AppendRequest, from leader: NodeID, into effects: inout [Effect]
  ) {
    guard !isLeader else {
      effects.append(
        .damaged("node \(leader.rawValue) leads epoch \(epoch.rawValue), as this does"))
      return
    }
    follow(leader, in: epoch, into: &effects)
    guard has(request.previous) else {
      let hint = most(of: request.previous)
      effects.append(
        message(.appended(.rejected(previous: request.previous, hint: hint)), to: leader))
      return
    }
    var at = request.previous
    for (index, entry) in request.entries.enumerated() {
      guard entry.position > at, entry.end >= at.offset else { return }
      if has(entry.position), !plants(.truncateWhatMatches) {
        at = entry.position
        continue
      }
      guard write(request.entries[index...], after: at, into: &effects) else { return }
      at = request.entries[request.entries.count - 1].position
      break
    }
    verified = max(verified ?? at, at)
    advanceCommit(to: request.committed, into: &effects)
    advanceStart(to: request.start, into: &effects)
    acknowledge(into: &effects)
  }

  /// Appends entries of which the first is not in the log, or not all of it.
  private mutating func write(
    _ entries: ArraySlice<Entry>, after at: LogPosition, into effects: inout [Effect]
  ) -> Bool {
    guard let first = entries.first else { return true }
    // An epoch has one leader: what both have of it is the same.
    let mine = most(of: first.position)
    let common = mine.epoch == first.epoch && !plants(.truncateWhatMatches) ? max(at, mine) : at
    if end != common {
      guard common >= committed || plants(.truncateWhatMatches) else {
        effects.append(
          .damaged(
            "epoch \(epoch.rawValue) continues behind offset \(common.offset.rawValue), below what "
              + "is committed, \(committed.offset.rawValue)"))
        return false
      }
      effects.append(.truncate(common))
      history.truncate(
        to: plants(.keepEpochStarts)
          ? LogPosition(epoch: LeaderEpoch(.max), offset: common.offset) : common)
      end = common
      durable = min(durable, common)
      if let there = verified { verified = min(there, common) }
    }
    effects.append(.write(Array(entries), from: common.offset))
    for entry in entries {
      history.begin(entry.epoch, at: min(entry.end, end.offset))
      end = entry.position
    }
    return true
  }

  /// Says what of the leader's log is on the disk.
  func acknowledge(into effects: inout [Effect]) {
    guard case .follower(let leader?) = role, let verified else { return }
    let durable = plants(.acknowledgeEarly) ? verified : durable
    effects.append(
      message(
        .appended(.accepted(durable: min(verified, durable), verified: verified)), to: leader))
  }

  mutating func becameDurable(_ position: LogPosition, into effects: inout [Effect]) {
    guard has(position), position > durable else { return }
    let before = durable
    durable = position
    if isLeader {
      if before.epoch < epoch { replicate(into: &effects) }
      return commit(into: &effects)
    }
    guard let verified, before < verified else { return }
    acknowledge(into: &effects)
  }

  private mutating func advanceCommit(to position: LogPosition, into effects: inout [Effect]) {
    guard let verified else { return }
    let safe = min(position, plants(.commitUnverified) ? end : verified)
    guard safe > committed else { return }
    committed = safe
    effects.append(.committed(safe))
  }

  private mutating func advanceStart(to offset: Offset, into effects: inout [Effect]) {
    guard offset > start, offset <= committed.offset else { return }
    start = offset
    history.trim(to: start)
    effects.append(.advanceStart(start))
  }

  mutating func heard(
    _ beat: Heartbeat, from leader: NodeID, _ version: Int64, into effects: inout [Effect]
  ) {
    guard !isLeader else { return }
    follow(leader, in: epoch, into: &effects)
    // The position is in the leader's log; if it is in this one, so is all before it. Who was
    // started again and has everything is told nothing else.
    if has(beat.committed) { verified = max(verified ?? beat.committed, beat.committed) }
    advanceCommit(to: beat.committed, into: &effects)
    advanceStart(to: beat.start, into: &effects)
    // Who knows of more than the leader does, or is not in its membership, has to be told more.
    isStill =
      beat.isQuiet && beat.committed == end && committed == end && durable == end
      && beat.start <= start && version == membership.version && !lostPeers.contains(leader)
    effects.append(
      message(.heartbeatAnswer(context: beat.context, isQuiet: isStill), to: leader))
  }

  mutating func reset(
    _ request: ResetRequest, from leader: NodeID, into effects: inout [Effect]
  ) {
    guard !isLeader else { return }
    follow(leader, in: epoch, into: &effects)
    // What is here of the prefix and behind it may have been acknowledged: a reset that was sent
    // before that is not to take it away. Who is asked anew has it.
    guard !has(request.start) || plants(.resetAcknowledged) else {
      verified = max(verified ?? request.start, request.start)
      advanceCommit(to: request.start, into: &effects)
      return acknowledge(into: &effects)
    }
    guard request.start.offset > committed.offset || plants(.resetAcknowledged) else {
      effects.append(
        .damaged(
          "the leader starts at offset \(request.start.offset.rawValue) in epoch "
            + "\(request.start.epoch.rawValue), which is committed here in another"))
      return
    }
    effects.append(.reset(request))
    history = request.history
    start = request.start.offset
    end = request.start
    durable = LogPosition(epoch: .none, offset: .zero)
    verified = request.start
    committed = request.start
    effects.append(.committed(committed))
  }
}
