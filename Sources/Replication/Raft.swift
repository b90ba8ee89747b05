package import Bytes

/// One replica's part in a Raft group (Ongaro and Ousterhout, 2014; Ongaro's dissertation for
/// pre-vote, transfer and reads), as a value: it is told what happened and answers with what is to
/// be done. It has no clock, disk, network or chance of its own, and never sees a record: entries
/// are positions in a log that its driver keeps.
///
///            peer gone, or time over          majority would       majority did
///   follower ───────────────▶ pre-candidate ───────────▶ candidate ───────────▶ leader
///      ▲                           │                          │                    │
///      └───────────────────────────┴──── higher epoch, or a leader of this one ────┘
///                                         leader: no majority heard from
///
/// (1) The offset is the index and the leader epoch is the term. An entry is a run of record
///     batches or the start of an epoch, which takes no offset. A position (epoch, end offset)
///     names exactly one prefix; all comparing is of positions.
/// (2) A replica counts, the leader included, up to what its disk has confirmed. What promises
///     something, a vote or an acknowledgement, leaves when the driver reports it durable.
/// (3) A leader commits by counting only in its own epoch (Raft, figure 8), and serves (`.ready`)
///     when its epoch's start is committed; who is the only voter, at once (`began`).
/// (4) Nothing below `committed` is ever truncated: who is asked to do so has lost something and
///     says that (`.damaged`).
/// (5) Messages may be lost, repeated and reordered, and come from earlier lives of their senders.
package struct Raft: Sendable {
  package struct Options: Sendable {
    /// A follower that hears nothing for so long, and up to twice as long, asks for votes; a leader
    /// that hears from no majority for so long steps down.
    package var electionTicks = 12
    package var heartbeatTicks = 2
    /// What is on its way to a follower at most.
    package var bytesInFlightMax = 8 << 20
    package var appendBytesMax = 1 << 20
    /// None but in tests of tests.
    package var planted: PlantedMistakes = []

    package init() {}
  }

  /// What the disk has after a start.
  package struct Stored: Sendable {
    package var vote = Vote()
    package var history = EpochHistory()
    package var start = Offset.zero
    package var end = LogPosition(epoch: .none, offset: .zero)
    /// At most what is committed.
    package var committed = Offset.zero
    /// The version of the membership that made this replica a member, as it is in group 0: what has
    /// an older one was for a replica that was here before, on a disk or a log that was lost. That
    /// one has promised things that this one does not know; a leader that has not heard of the
    /// change would count this one's acknowledgement as the other's.
    package var joinedVersion: Int64 = 0

    package init() {}
  }

  enum Role: Sendable {
    case follower(leader: NodeID?)
    case preCandidate(granted: [NodeID], refused: [NodeID])
    case candidate(granted: [NodeID], refused: [NodeID])
    case leader
  }

  package let id: NodeID
  package let options: Options
  package internal(set) var membership: Membership
  /// The epoch is the one this replica is in; the vote is the one it gave in it.
  package internal(set) var vote: Vote
  package internal(set) var history: EpochHistory
  package internal(set) var start: Offset
  package internal(set) var end: LogPosition
  package internal(set) var durable: LogPosition
  package internal(set) var committed: LogPosition
  var role = Role.follower(leader: nil)
  /// Of a leader. Not inside the role, where a change of it would be a change of a copy.
  var leadership = Leadership()
  /// The log is the leader's up to here, in this epoch.
  var verified: LogPosition?
  /// Who gets the vote when it is durable: there is one of each epoch at most.
  var promisedVote: (to: NodeID, epoch: LeaderEpoch, version: Int64)?
  /// The vote that is on the disk.
  package internal(set) var durableVote: Vote
  /// A pre-vote that was asked for while there was a leader.
  var held: HeldRequest?
  var ticks = 0
  var timeoutTicks = 0
  /// A follower that was told that nothing is owed to it.
  var isStill = false
  /// Others are to lead, if one of them can.
  package internal(set) var isYielding = false
  /// How often the time for an election was over since there was a leader.
  var timeoutsAlone = 0
  /// They were lost and are not found yet. Few.
  var lostPeers: [NodeID] = []
  /// The epoch that this replica led until it was put out of the group or its disk was in doubt: it
  /// says so until somebody leads the next, since nobody is sure to miss it.
  var resigning: LeaderEpoch?
  let joinedVersion: Int64
  /// Answers no one and asks for nothing: its disk is in doubt.
  package internal(set) var isFenced = false
  var random: SeededGenerator

  package init(
    id: NodeID, membership: Membership, stored: Stored, options: Options = .init(), seed: UInt64
  ) {
    self.id = id
    self.membership = membership
    self.options = options
    vote = stored.vote
    durableVote = stored.vote
    if stored.end.epoch > vote.epoch { vote = Vote(epoch: stored.end.epoch, candidate: -1) }
    history = stored.history
    start = stored.start
    joinedVersion = stored.joinedVersion
    end = stored.end
    durable = stored.end
    committed = stored.history.position(at: min(stored.committed, stored.end.offset))
    random = SeededGenerator(seed: seed)
    rearm()
  }

  package var epoch: LeaderEpoch { vote.epoch }

  package var leader: NodeID? {
    switch role {
    case .follower(let leader): leader
    case .leader: id
    default: nil
    }
  }

  package var isLeader: Bool {
    if case .leader = role { true } else { false }
  }

  /// A leader that knows what is committed and has all of it.
  package var isReady: Bool { isLeader && leadership.isReady }

  /// A crash cannot make this replica forget the epoch it is in.
  package var isEpochDurable: Bool {
    durableVote.epoch >= epoch || durable.epoch >= epoch || plants(.tellEpochEarly)
  }

  @inline(__always)
  func plants(_ mistake: PlantedMistakes) -> Bool {
    options.planted.rawValue & mistake.rawValue != 0
  }

  var isVoter: Bool { membership.voters.contains(id) }

  /// Takes in one thing that happened.
  package mutating func step(_ input: Input, into effects: inout [Effect]) {
    if isFenced { return stepFenced(input, into: &effects) }
    wake(by: input, into: &effects)
    switch input {
    case .began: began(into: &effects)
    case .campaign: if !isLeader, isVoter, !isHoldingBack { campaign(into: &effects) }
    case .tick: tick(into: &effects)
    case .received(let message): receive(message, into: &effects)
    case .peerLost(let peer): lost(peer, into: &effects)
    case .peerFound(let peer): found(peer, into: &effects)
    case .voted(let vote): voted(vote, into: &effects)
    case .durable(let position): becameDurable(position, into: &effects)
    case .appended(let position): appended(position, into: &effects)
    case .sent(let sent): noteSent(sent, into: &effects)
    case .read(let token): read(token, into: &effects)
    case .transfer(let target): transfer(to: target, into: &effects)
    case .membership(let membership): adopt(membership, into: &effects)
    case .startAdvanced(let offset): advanceStart(to: offset)
    case .fenced: fence(into: &effects)
    case .announce: beat(into: &effects)
    case .yields(let yields): isYielding = yields
    }
  }

  private mutating func stepFenced(_ input: Input, into effects: inout [Effect]) {
    switch input {
    case .startAdvanced(let offset): advanceStart(to: offset)
    case .read(let token): effects.append(.answerRead(token, nil))
    case .membership(let new): if adopts(new) { membership = new }
    case .tick: resignAgain(into: &effects)
    case .received(let message):
      if let epoch = resigning, message.epoch > epoch { resigning = nil }
    default: break
    }
  }

  private mutating func advanceStart(to offset: Offset) {
    guard offset > start, offset <= committed.offset else { return }
    start = offset
    history.trim(to: offset)
  }

  private mutating func fence(into effects: inout [Effect]) {
    if isLeader {
      stepDown(into: &effects)
      resign(into: &effects)
    }
    role = .follower(leader: nil)
    promisedVote = nil
    isStill = false
    isFenced = true
  }

  private mutating func tick(into effects: inout [Effect]) {
    guard !isQuiet else { return }
    if isLeader { return leaderTick(into: &effects) }
    resignAgain(into: &effects)
    ticks += 1
    guard ticks >= timeoutTicks else { return }
    if leader == nil { timeoutsAlone += 1 }
    campaign(into: &effects)
  }

  /// Begins to wait anew.
  mutating func rearm() {
    ticks = 0
    timeoutTicks = options.electionTicks + random.below(options.electionTicks)
  }

  mutating func follow(
    _ leader: NodeID?, in epoch: LeaderEpoch, into effects: inout [Effect]
  ) {
    if isLeader { stepDown(into: &effects) }
    let before = self.leader
    isStill = false
    if epoch > vote.epoch {
      vote = Vote(epoch: epoch, candidate: -1)
      promisedVote = nil
      verified = nil
    }
    role = .follower(leader: leader)
    if leader != nil {
      rearm()
      held = nil
      timeoutsAlone = 0
    }
    if before != leader { effects.append(.leaderChanged(leader, epoch)) }
  }

  func message(_ body: Message.Body, to peer: NodeID) -> Effect {
    .send(Message(from: id, to: peer, version: membership.version, epoch: epoch, body: body))
  }

  // MARK: Messages

  private mutating func receive(_ message: Message, into effects: inout [Effect]) {
    guard message.to == id, message.from != id, isOfThisLife(message) else { return }
    if case .voteRequest(let request) = message.body {
      return judge(request, from: message.from, version: message.version, into: &effects)
    }
    if message.epoch > epoch { follow(nil, in: message.epoch, into: &effects) }
    // Who would vote promises nothing, and need not have heard of this replica's epoch.
    if case .voteResponse(let response) = message.body, response.isPreVote, message.epoch < epoch {
      if counts(message) { count(response, from: message.from, into: &effects) }
      return
    }
    // Who is behind finds out by the answer.
    guard message.epoch == epoch else { return refuseOld(message, into: &effects) }
    switch message.body {
    case .voteRequest: break
    case .voteResponse(let response):
      guard counts(message) else { return }
      count(response, from: message.from, into: &effects)
    case .append(let request): append(request, from: message.from, into: &effects)
    case .heartbeat(let beat): heard(beat, from: message.from, message.version, into: &effects)
    case .reset(let request): reset(request, from: message.from, into: &effects)
    case .takeOver:
      guard isVoter, !isLeader else { return }
      standForElection(.takeOver, into: &effects)
    case .resigned: leaderGone(message.from, into: &effects)
    case .appended(let response):
      noteVersion(of: message)
      guard counts(message) else {
        return answeredBehind(response, from: message.from, into: &effects)
      }
      answered(response, from: message.from, into: &effects)
    case .heartbeatAnswer(let context, let isQuiet):
      noteVersion(of: message)
      guard counts(message) else { return }
      answered(context, isQuiet, from: message.from, into: &effects)
    }
  }

  /// Not what was said to who had this id before. But who does not know the membership any more in
  /// which this replica came in, because its log was reset, is sent what it lacks when it asks for
  /// it; what it says it has is not counted as being on a disk.
  private func isOfThisLife(_ message: Message) -> Bool {
    if message.version >= joinedVersion || plants(.forgetJoining) { return true }
    if case .appended = message.body { return true }
    return false
  }

  /// Not what was said under an older membership.
  private func counts(_ message: Message) -> Bool {
    message.version >= membership.version || plants(.countOldVersions)
  }

  private func refuseOld(_ message: Message, into effects: inout [Effect]) {
    switch message.body {
    case .append(let request):
      effects.append(
        self.message(
          .appended(.rejected(previous: request.previous, hint: request.previous)),
          to: message.from))
    case .heartbeat, .reset:
      effects.append(
        self.message(.heartbeatAnswer(context: 0, isQuiet: false), to: message.from))
    default: break
    }
  }
}
