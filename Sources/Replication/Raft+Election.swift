internal import Bytes

/// Who asked for votes while there was a leader.
struct HeldRequest: Sendable {
  var request: VoteRequest
  var from: NodeID
  var version: Int64
}

// MARK: - Standing

extension Raft {
  /// The only voter of a group without learners leads without a vote record and without waiting for
  /// a disk. That is safe:
  ///
  /// - All of its log is committed: nobody can be elected without its vote, or lead what follows
  ///   without having this log. (A larger membership comes only after a commit in this epoch.)
  /// - The epoch is new: it is above all that this replica has voted in or has in its log, and
  ///   nobody leads an epoch without its vote.
  /// - A crash may make it forget the epoch and use the number again, for other records. So nobody
  ///   else is told anything in it until its start is on the disk (`isEpochDurable`), which is
  ///   from where a restart takes the epoch. Nothing that was appended is acknowledged before.
  /// - What else the vote record is for, not to vote for another in the same epoch: after a restart
  ///   the log has entries of this epoch, and who asks for a vote in it has none.
  ///
  /// With a learner or a second voter there is somebody else to be told of an epoch: then a vote is
  /// recorded as always. Who leads already when they come goes on: its epoch is one like others.
  mutating func began(into effects: inout [Effect]) {
    guard membership.voters == [id], membership.learners.isEmpty, !isLeader, durable == end,
      epoch.rawValue < .max
    else { return }
    if end > committed {
      committed = end
      effects.append(.committed(end))
    }
    vote = Vote(epoch: next(epoch), candidate: id.rawValue)
    lead(into: &effects)
    becomeReady(into: &effects)
  }

  /// Others had so many timeouts to be elected in: then nobody else can be.
  private static let timeoutsYielded = 3

  /// It does not stand for now.
  var isHoldingBack: Bool {
    isYielding && timeoutsAlone < Self.timeoutsYielded && membership.quorum > 1
  }

  /// Asks who would vote for this replica.
  mutating func campaign(into effects: inout [Effect]) {
    rearm()
    let before = leader
    let stands = isVoter && !isHoldingBack
    role = stands ? .preCandidate(granted: [id], refused: []) : .follower(leader: nil)
    if before != nil { effects.append(.leaderChanged(nil, epoch)) }
    guard stands else { return }
    guard membership.quorum > 1, !plants(.noPreVote) else {
      return standForElection(.vote, into: &effects)
    }
    ask(.preVote, proposed: next(epoch), into: &effects)
  }

  /// Votes for itself and asks the others to.
  mutating func standForElection(_ kind: VoteRequest.Kind, into effects: inout [Effect]) {
    guard epoch.rawValue < .max else {
      effects.append(.damaged("there is no epoch after \(epoch.rawValue)"))
      return
    }
    rearm()
    let before = leader
    vote = Vote(epoch: next(epoch), candidate: id.rawValue)
    promisedVote = nil
    verified = nil
    held = nil
    role = .candidate(granted: [], refused: [])
    if before != nil { effects.append(.leaderChanged(nil, epoch)) }
    effects.append(.recordVote(vote))
    ask(kind, proposed: epoch, into: &effects)
  }

  private func next(_ epoch: LeaderEpoch) -> LeaderEpoch {
    LeaderEpoch(epoch.rawValue < .max ? epoch.rawValue + 1 : .max)
  }

  private func ask(
    _ kind: VoteRequest.Kind, proposed: LeaderEpoch, into effects: inout [Effect]
  ) {
    let request = VoteRequest(kind: kind, proposed: proposed, end: end)
    for peer in membership.voters where peer != id {
      effects.append(message(.voteRequest(request), to: peer))
    }
  }

  mutating func count(
    _ response: VoteResponse, from peer: NodeID, into effects: inout [Effect]
  ) {
    guard membership.voters.contains(peer) else { return }
    switch role {
    case .preCandidate(var granted, var refused):
      guard response.isPreVote, response.proposed == next(epoch) else { return }
      note(peer, response.isGranted, &granted, &refused)
      role = .preCandidate(granted: granted, refused: refused)
      if granted.count >= membership.quorum {
        standForElection(.vote, into: &effects)
      } else if refused.count >= membership.quorum {
        role = .follower(leader: nil)
      }
    case .candidate(var granted, var refused):
      guard !response.isPreVote, response.proposed == epoch else { return }
      note(peer, response.isGranted, &granted, &refused)
      role = .candidate(granted: granted, refused: refused)
      if refused.count >= membership.quorum { role = .follower(leader: nil) }
      leadIfElected(into: &effects)
    case .follower, .leader: break
    }
  }

  private func note(
    _ peer: NodeID, _ isGranted: Bool, _ granted: inout [NodeID], _ refused: inout [NodeID]
  ) {
    guard !granted.contains(peer), !refused.contains(peer) else { return }
    if isGranted { granted.append(peer) } else { refused.append(peer) }
  }

  private mutating func leadIfElected(into effects: inout [Effect]) {
    guard case .candidate(let granted, _) = role, granted.count >= membership.quorum else { return }
    lead(into: &effects)
  }
}

// MARK: - Voting

extension Raft {
  /// A leader was heard of lately, or this is one, which asks the others itself.
  private var hasLeader: Bool { isLeader || (leader != nil && ticks < options.electionTicks) }

  mutating func judge(
    _ request: VoteRequest, from candidate: NodeID, version: Int64, into effects: inout [Effect]
  ) {
    // Who is not in the group any more, or does not know it yet, is not to lead it.
    guard version >= membership.version || plants(.countOldVersions) else {
      return answer(request, candidate, version, isGranted: false, into: &effects)
    }
    switch request.kind {
    case .preVote:
      if hasLeader, request.proposed > epoch {
        held = HeldRequest(request: request, from: candidate, version: version)
        return
      }
      let wouldVote =
        request.proposed > epoch && isUpToDate(request)
        && (version > membership.version || yields(to: candidate, request))
      if wouldVote, case .preCandidate = role {
        role = .follower(leader: nil)
        rearm()
      }
      answer(request, candidate, version, isGranted: wouldVote, into: &effects)
    case .vote:
      if hasLeader, request.proposed > epoch { return }
      decide(request, candidate, version, into: &effects)
    case .takeOver:
      decide(request, candidate, version, into: &effects)
    }
  }

  /// Of two who stand at once, the one with less gives way, or both would split the votes.
  private func yields(to candidate: NodeID, _ request: VoteRequest) -> Bool {
    guard case .preCandidate = role else { return true }
    return request.end > end || candidate > id
  }

  private mutating func decide(
    _ request: VoteRequest, _ candidate: NodeID, _ version: Int64,
    into effects: inout [Effect]
  ) {
    if request.proposed > epoch { follow(nil, in: request.proposed, into: &effects) }
    let wish = Vote(epoch: epoch, candidate: candidate.rawValue)
    guard request.proposed == epoch, leader == nil, isUpToDate(request),
      vote.candidate == -1 || vote == wish
    else { return answer(request, candidate, version, isGranted: false, into: &effects) }
    rearm()
    if durableVote == wish {
      return answer(request, candidate, version, isGranted: true, into: &effects)
    }
    guard vote != wish else { return }
    vote = wish
    promisedVote = (candidate, epoch, version)
    effects.append(.recordVote(wish))
    if plants(.voteBeforeDurable) {
      answer(request, candidate, version, isGranted: true, into: &effects)
    }
  }

  /// The candidate has all that is here.
  private func isUpToDate(_ request: VoteRequest) -> Bool {
    plants(.voteByOffset) ? request.end.offset >= end.offset : request.end >= end
  }

  private func answer(
    _ request: VoteRequest, _ candidate: NodeID, _ version: Int64, isGranted: Bool,
    into effects: inout [Effect]
  ) {
    let response = VoteResponse(
      isPreVote: request.kind == .preVote, proposed: request.proposed, isGranted: isGranted)
    answer(response, candidate, version, into: &effects)
  }

  /// Under the candidate's membership, if that is newer: who votes need not know it. Of group 0,
  /// nodes that were started know it only as far as each knew what was committed; if they waited
  /// for each other to know it, nobody would be elected to tell them.
  private func answer(
    _ response: VoteResponse, _ candidate: NodeID, _ version: Int64, into effects: inout [Effect]
  ) {
    effects.append(
      .send(
        Message(
          from: id, to: candidate, version: max(version, membership.version), epoch: epoch,
          body: .voteResponse(response))))
  }

  /// The vote is durable: it counts now, or may be said.
  mutating func voted(_ written: Vote, into effects: inout [Effect]) {
    if written.epoch >= durableVote.epoch { durableVote = written }
    guard written == vote else { return }
    if case .candidate(var granted, let refused) = role, written.candidate == id.rawValue {
      if !granted.contains(id) { granted.append(id) }
      role = .candidate(granted: granted, refused: refused)
      return leadIfElected(into: &effects)
    }
    guard let promised = promisedVote, promised.epoch == epoch else { return }
    promisedVote = nil
    let response = VoteResponse(isPreVote: false, proposed: epoch, isGranted: true)
    answer(response, promised.to, promised.version, into: &effects)
  }

  /// A connection broke. If it was the leader's, nobody waits for a timer; nor does a leader that
  /// is left with less than a majority.
  mutating func lost(_ peer: NodeID, into effects: inout [Effect]) {
    if peer != id, !lostPeers.contains(peer) { lostPeers.append(peer) }
    if isStill, plants(.quietForTheDead) { return }
    guard isLeader else { return leaderGone(peer, into: &effects) }
    lostFollower(peer)
    guard !plants(.noCheckQuorum) else { return }
    let left = membership.voters.reduce(0) { $0 + (lostPeers.contains($1) ? 0 : 1) }
    if left < membership.quorum { stepDown(into: &effects) }
  }

  mutating func found(_ peer: NodeID, into effects: inout [Effect]) {
    guard let index = lostPeers.firstIndex(of: peer) else { return }
    lostPeers.remove(at: index)
    if isLeader { foundFollower(peer, into: &effects) }
  }

  mutating func leaderGone(_ peer: NodeID, into effects: inout [Effect]) {
    guard case .follower(let leader?) = role, leader == peer else { return }
    isStill = false
    role = .follower(leader: nil)
    effects.append(.leaderChanged(nil, epoch))
    // Somebody may have seen it before and have asked.
    if let held, held.from != peer, held.request.proposed > epoch, held.request.end >= end,
      held.request.end > end || held.from > id || isHoldingBack
    {
      self.held = nil
      rearm()
      return judge(held.request, from: held.from, version: held.version, into: &effects)
    }
    held = nil
    campaign(into: &effects)
  }
}
