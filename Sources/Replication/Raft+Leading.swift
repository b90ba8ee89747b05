package import Bytes

extension Raft {
  /// Leadership is on its way to somebody else: nothing new is to be appended.
  package var isTransferring: Bool { isLeader && leadership.transfer != nil }

  /// Who is to lead was asked to stand: what is appended now is behind what it has.
  package var isTargetAsked: Bool { isLeader && leadership.transfer?.isAsked == true }

  mutating func lead(into effects: inout [Effect]) {
    leadership = Leadership()
    for peer in (membership.voters + membership.learners).sorted() where peer != id {
      leadership.peers.append(Progress(peer: peer, end: end))
      leadership.peers[leadership.peers.count - 1].isActive = !lostPeers.contains(peer)
    }
    history.begin(epoch, at: end.offset)
    end = LogPosition(epoch: epoch, offset: end.offset)
    role = .leader
    held = nil
    timeoutsAlone = 0
    effects.append(.elected(epoch))
    effects.append(.leaderChanged(id, epoch))
    effects.append(.beginEpoch(epoch))
    if plants(.readyWhenElected) { becomeReady(into: &effects) }
    replicate(into: &effects)
  }

  mutating func stepDown(into effects: inout [Effect]) {
    guard isLeader else { return }
    for read in leadership.reads { effects.append(.answerRead(read.token, nil)) }
    for token in leadership.waitingReads { effects.append(.answerRead(token, nil)) }
    leadership = Leadership()
    role = .follower(leader: nil)
    rearm()
    effects.append(.leaderChanged(nil, epoch))
  }

  // MARK: Sending

  mutating func replicate(into effects: inout [Effect]) {
    for index in leadership.peers.indices { replicate(toPeerAt: index, into: &effects) }
  }

  private mutating func replicate(toPeerAt index: Int, into effects: inout [Effect]) {
    guard isEpochDurable else { return }
    let progress = leadership.peers[index]
    guard !progress.isSending, !progress.isResetting, !isGone(progress) else { return }
    if progress.next.offset < start {
      leadership.peers[index].isResetting = true
      leadership.peers[index].silentTicks = 0
      // What is committed there, and no more: an epoch may just have begun at the start.
      return effects.append(.sendReset(to: progress.peer, history.position(at: start)))
    }
    if progress.isProbing {
      guard !progress.isPaused else { return }
      leadership.peers[index].isPaused = true
    } else {
      guard progress.next != end, progress.bytesInFlight < options.bytesInFlightMax else { return }
    }
    leadership.peers[index].isSending = true
    effects.append(
      .replicate(to: progress.peer, after: progress.next, bytesMax: options.appendBytesMax))
  }

  /// The message that a `.replicate` sends.
  package func append(to peer: NodeID, after previous: LogPosition, _ entries: [Entry]) -> Message {
    Message(
      from: id, to: peer, version: membership.version, epoch: epoch,
      body: .append(
        AppendRequest(previous: previous, entries: entries, committed: committed, start: start)))
  }

  mutating func noteSent(_ sent: Sent, into effects: inout [Effect]) {
    guard isLeader, sent.epoch == epoch, let index = leadership.index(of: sent.to) else { return }
    leadership.peers[index].noteSent(sent)
    replicate(toPeerAt: index, into: &effects)
  }

  mutating func appended(_ position: LogPosition, into effects: inout [Effect]) {
    guard isLeader, position.epoch == epoch, position > end else { return }
    end = position
    replicate(into: &effects)
  }

  // MARK: Answers

  mutating func answered(
    _ response: AppendResponse, from peer: NodeID, into effects: inout [Effect]
  ) {
    guard isLeader, let index = leadership.index(of: peer) else { return }
    switch response {
    case .accepted(let position, let verified):
      guard has(position), has(verified) else { return }
      leadership.peers[index].accepted(position, verified, end, options)
      commit(into: &effects)
      handOver(into: &effects)
    case .rejected(let previous, let hint):
      let guess = common(hint)
      leadership.peers[index].rejected(previous, guess)
    }
    replicate(toPeerAt: index, into: &effects)
  }

  /// Who has an older membership is sent what it lacks all the same: of group 0, the change itself
  /// is in it. What it has on its disk does not count.
  mutating func answeredBehind(
    _ response: AppendResponse, from peer: NodeID, into effects: inout [Effect]
  ) {
    guard isLeader, let index = leadership.index(of: peer) else { return }
    switch response {
    case .accepted(_, let verified):
      guard has(verified) else { return }
      leadership.peers[index].followed(verified)
    case .rejected(let previous, let hint):
      leadership.peers[index].rejected(previous, common(hint))
    }
    replicate(toPeerAt: index, into: &effects)
  }

  /// Versions only rise, so what was heard once stays true.
  mutating func noteVersion(of message: Message) {
    guard isLeader, let index = leadership.index(of: message.from) else { return }
    leadership.peers[index].version = max(leadership.peers[index].version, message.version)
  }

  /// The most of what a peer says it has that can be here as well.
  private func common(_ hint: LogPosition) -> LogPosition {
    let entries = history.entries
    guard let index = entries.lastIndex(where: { $0.epoch <= hint.epoch }) else {
      return LogPosition(epoch: .none, offset: .zero)
    }
    let epochEnd = index + 1 < entries.count ? entries[index + 1].start : end.offset
    let isSame = entries[index].epoch == hint.epoch
    return LogPosition(
      epoch: entries[index].epoch, offset: isSame ? min(epochEnd, hint.offset) : epochEnd)
  }

  mutating func lostFollower(_ peer: NodeID) {
    guard let index = leadership.index(of: peer) else { return }
    leadership.peers[index].isActive = false
    leadership.peers[index].probeAgain()
    leadership.peers[index].isPaused = true
  }

  mutating func foundFollower(_ peer: NodeID, into effects: inout [Effect]) {
    guard let index = leadership.index(of: peer) else { return }
    stir()
    leadership.peers[index].probeAgain()
    beat(toPeerAt: index, into: &effects)
    replicate(toPeerAt: index, into: &effects)
  }

  /// Counts what majorities have on their disks.
  mutating func commit(into effects: inout [Effect]) {
    guard isLeader else { return }
    let none = LogPosition(epoch: .none, offset: .zero)
    let reached = membership.reached(isCountingLearners: plants(.countLearners)) { node in
      if node == id { return plants(.countSelfEarly) ? end : min(durable, end) }
      guard let index = leadership.index(of: node) else { return none }
      return leadership.peers[index].match ?? none
    }
    guard let reached, reached.epoch == epoch || plants(.commitOldEpoch), reached >= committed
    else { return }
    leadership.commitVersion = membership.version
    guard reached > committed else { return }
    committed = reached
    effects.append(.committed(reached))
    if !isReady { becomeReady(into: &effects) }
    handOver(into: &effects)
  }

  mutating func becomeReady(into effects: inout [Effect]) {
    leadership.isReady = true
    effects.append(.ready(epoch))
    beginReads(into: &effects)
  }

  // MARK: Time

  mutating func leaderTick(into effects: inout [Effect]) {
    leadership.heartbeatTicks += 1
    leadership.quorumTicks += 1
    leadership.idleTicks += 1
    if leadership.transfer != nil {
      leadership.transfer?.ticks += 1
      // Who was asked has not come forward: this leader goes on.
      if let ticks = leadership.transfer?.ticks, ticks >= options.electionTicks {
        leadership.transfer = nil
      }
    }
    let isBeat = leadership.heartbeatTicks >= options.heartbeatTicks
    if isBeat { leadership.heartbeatTicks = 0 }
    let isCount = leadership.quorumTicks >= options.electionTicks
    var active = isVoter ? 1 : 0
    for index in leadership.peers.indices {
      leadership.peers[index].tick(options)
      guard isCount else { continue }
      let peer = leadership.peers[index].peer
      if leadership.peers[index].isActive, membership.voters.contains(peer) { active += 1 }
      leadership.peers[index].isActive = false
    }
    if isCount { leadership.quorumTicks = 0 }
    if isCount, active < membership.quorum, !plants(.noCheckQuorum) {
      return stepDown(into: &effects)
    }
    guard isBeat else { return }
    hush()
    beat(into: &effects)
    replicate(into: &effects)
  }

  func beat(into effects: inout [Effect]) {
    for index in leadership.peers.indices { beat(toPeerAt: index, into: &effects) }
  }

  private func beat(toPeerAt index: Int, into effects: inout [Effect]) {
    guard isEpochDurable else { return }
    let progress = leadership.peers[index]
    let match = progress.match ?? LogPosition(epoch: .none, offset: .zero)
    let beat = Heartbeat(
      committed: plants(.commitUnverified) ? committed : min(committed, match),
      start: start, context: leadership.context, isQuiet: leadership.quietContext != nil)
    effects.append(message(.heartbeat(beat), to: progress.peer))
  }
}
