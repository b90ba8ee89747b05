package import Bytes

/// What a leader knows of one peer.
struct Progress: Sendable {
  let peer: NodeID
  /// On its disk, and as here.
  var match: LogPosition?
  /// What it is sent next begins after this.
  var next: LogPosition
  /// One append at a time until it is known what it has.
  var isProbing = true
  /// The probe is on its way.
  var isPaused = false
  var isSending = false
  var isResetting = false
  /// Ends of what is on its way, with their bytes.
  var inFlight: [(end: LogPosition, bytes: Int)] = []
  var bytesInFlight = 0
  /// Since it said something that helps.
  var silentTicks = 0
  /// Heard of since majorities were last counted.
  var isActive = true
  var context: UInt64 = 0

  mutating func probe(from position: LogPosition) {
    next = position
    isProbing = true
    isPaused = false
    isResetting = false
    inFlight = []
    bytesInFlight = 0
    silentTicks = 0
  }

  mutating func landed(_ position: LogPosition) {
    let count = inFlight.prefix { $0.end <= position }.count
    bytesInFlight -= inFlight[..<count].reduce(0) { $0 + $1.bytes }
    inFlight.removeFirst(count)
  }
}

/// What only a leader has.
struct Leadership: Sendable {
  /// Ascending by node.
  var peers: [Progress] = []
  var context: UInt64 = 0
  /// Wait until there is something to read.
  var waitingReads: [UInt64] = []
  /// Wait until a majority has answered the context.
  var reads: [(context: UInt64, token: UInt64, offset: Offset)] = []
  var transfer: (target: NodeID, ticks: Int, isAsked: Bool)?
  var heartbeatTicks = 0
  var quorumTicks = 0
  var isReady = false
}

extension Raft {
  /// Leadership is on its way to somebody else: nothing new is to be appended.
  package var isTransferring: Bool {
    if case .leader(let leadership) = role { leadership.transfer != nil } else { false }
  }

  mutating func lead(into effects: inout [Effect]) {
    var leadership = Leadership()
    for peer in (membership.voters + membership.learners).sorted() where peer != id {
      leadership.peers.append(Progress(peer: peer, next: end))
    }
    history.begin(epoch, at: end.offset)
    end = LogPosition(epoch: epoch, offset: end.offset)
    role = .leader(leadership)
    held = nil
    effects.append(.elected(epoch))
    effects.append(.leaderChanged(id, epoch))
    effects.append(.beginEpoch(epoch))
    replicate(into: &effects)
  }

  mutating func stepDown(into effects: inout [Effect]) {
    guard case .leader(let leadership) = role else { return }
    for token in leadership.reads.map(\.token) + leadership.waitingReads {
      effects.append(.answerRead(token, nil))
    }
    role = .follower(leader: nil)
    rearm()
    effects.append(.leaderChanged(nil, epoch))
  }

  /// Changes what is known of one peer; nil if there is none.
  private mutating func update<R>(_ peer: NodeID, _ body: (inout Progress) -> R) -> R? {
    guard case .leader(var leadership) = role,
      let index = leadership.peers.firstIndex(where: { $0.peer == peer })
    else { return nil }
    let result = body(&leadership.peers[index])
    role = .leader(leadership)
    return result
  }

  // MARK: Sending

  mutating func replicate(into effects: inout [Effect]) {
    guard case .leader(let leadership) = role else { return }
    for peer in leadership.peers.map(\.peer) { replicate(to: peer, into: &effects) }
  }

  private mutating func replicate(to peer: NodeID, into effects: inout [Effect]) {
    guard isEpochDurable else { return }
    let (start, end) = (start, end)
    // What is committed there, and no more: an epoch may just have begun at the start.
    let base = history.position(at: start)
    let options = options
    let effect: Effect?? = update(peer) { progress in
      guard !progress.isSending, !progress.isResetting else { return nil }
      if progress.next.offset < start {
        progress.isResetting = true
        progress.silentTicks = 0
        return .sendReset(to: peer, base)
      }
      if progress.isProbing {
        guard !progress.isPaused else { return nil }
        progress.isPaused = true
      } else {
        guard progress.next != end, progress.bytesInFlight < options.bytesInFlightMax else {
          return nil
        }
      }
      progress.isSending = true
      return .replicate(to: peer, after: progress.next, bytesMax: options.appendBytesMax)
    }
    if let effect = effect ?? nil { effects.append(effect) }
  }

  /// The message that a `.replicate` sends.
  package func append(to peer: NodeID, after previous: LogPosition, _ entries: [Entry]) -> Message {
    Message(
      from: id, to: peer, version: membership.version, epoch: epoch,
      body: .append(
        AppendRequest(previous: previous, entries: entries, committed: committed, start: start)))
  }

  mutating func noteSent(_ sent: Sent, into effects: inout [Effect]) {
    guard sent.epoch == epoch else { return }
    _ = update(sent.to) { progress in
      progress.isSending = false
      guard sent.after == progress.next, !progress.isProbing, sent.through != sent.after
      else { return }
      progress.next = sent.through
      progress.inFlight.append((sent.through, sent.bytes))
      progress.bytesInFlight += sent.bytes
    }
    replicate(to: sent.to, into: &effects)
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
    guard isLeader else { return }
    switch response {
    case .accepted(let position, let verified):
      guard has(position), has(verified) else { return }
      _ = update(peer) { progress in
        progress.isActive = true
        progress.silentTicks = 0
        let match = max(progress.match ?? position, position)
        progress.match = match
        progress.landed(match)
        if progress.isProbing || progress.isResetting {
          progress.probe(from: verified)
          progress.isProbing = false
          // Not on its disk yet, it may be lost and is waited for.
          if verified > match { progress.inFlight.append((verified, 0)) }
        } else if progress.next < match {
          progress.next = match
        }
      }
      commit(into: &effects)
      handOver(into: &effects)
    case .rejected(let previous, let hint):
      let guess = common(hint)
      _ = update(peer) { progress in
        progress.isActive = true
        let isStale = progress.match.map { previous <= $0 } ?? false
        guard progress.isResetting || !isStale && (!progress.isProbing || previous == progress.next)
        else { return }
        let match = progress.match ?? LogPosition(epoch: .none, offset: .zero)
        progress.probe(from: max(guess, match))
      }
    }
    replicate(to: peer, into: &effects)
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
    _ = update(peer) { progress in
      progress.isActive = false
      progress.probe(from: progress.match ?? progress.next)
      progress.isPaused = true
    }
  }

  /// Counts what majorities have on their disks.
  mutating func commit(into effects: inout [Effect]) {
    guard case .leader(let leadership) = role else { return }
    let none = LogPosition(epoch: .none, offset: .zero)
    let reached = membership.reached { node in
      if node == id { return min(durable, end) }
      return leadership.peers.first { $0.peer == node }?.match ?? none
    }
    guard let reached, reached.epoch == epoch, reached > committed else { return }
    committed = reached
    effects.append(.committed(reached))
    if !isReady { becomeReady(into: &effects) }
  }

  mutating func becomeReady(into effects: inout [Effect]) {
    guard case .leader(var leadership) = role else { return }
    leadership.isReady = true
    role = .leader(leadership)
    effects.append(.ready(epoch))
    beginReads(into: &effects)
  }

  // MARK: Time

  mutating func leaderTick(into effects: inout [Effect]) {
    guard case .leader(var leadership) = role else { return }
    leadership.heartbeatTicks += 1
    leadership.quorumTicks += 1
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
      let peer = leadership.peers[index]
      if peer.isActive, membership.voters.contains(peer.peer) { active += 1 }
      leadership.peers[index].isActive = false
    }
    if isCount { leadership.quorumTicks = 0 }
    role = .leader(leadership)
    if isCount, active < membership.quorum { return stepDown(into: &effects) }
    guard isBeat else { return }
    beat(into: &effects)
    replicate(into: &effects)
  }

  func beat(into effects: inout [Effect]) {
    guard isEpochDurable, case .leader(let leadership) = role else { return }
    for progress in leadership.peers {
      let known = min(committed, progress.match ?? LogPosition(epoch: .none, offset: .zero))
      effects.append(
        message(.heartbeat(committed: known, context: leadership.context), to: progress.peer))
    }
  }

  mutating func membershipChanged(into effects: inout [Effect]) {
    guard case .leader(var leadership) = role else { return }
    guard isVoter else { return stepDown(into: &effects) }
    let nodes = (membership.voters + membership.learners).sorted().filter { $0 != id }
    leadership.peers = nodes.map { node in
      leadership.peers.first { $0.peer == node } ?? Progress(peer: node, next: end)
    }
    role = .leader(leadership)
    commit(into: &effects)
    replicate(into: &effects)
  }
}

extension Progress {
  /// What was not answered for long is sent again.
  mutating func tick(_ options: Raft.Options) {
    guard isPaused || isResetting || !inFlight.isEmpty else { return }
    silentTicks += 1
    guard silentTicks >= max(options.heartbeatTicks * 2, options.electionTicks / 2) else { return }
    probe(from: match ?? next)
  }
}
