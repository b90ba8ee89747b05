internal import Bytes

/// Memberships are decided in group 0, one voter more or less at a time. What two memberships that
/// are not neighbours decide must agree too, though their majorities may have nobody in common. So
/// group 0 issues version v + 1 only when one leader, in one epoch, has found that
///
/// (a) a majority of v's voters has on its disks all that is committed, and some of it of that
///     epoch (`commitVersion`): who is elected under v + 1 or v + 2 needs the vote of one of them;
/// (b) a majority of v's voters has adopted v (`isAdoptedByMajority`): then nobody is elected under
///     a version before v, since they refuse it, and whoever was is of an earlier epoch than (a).
///
/// Neither becomes untrue again, so a report may be late.
extension Raft {
  /// The membership under which this leader last found a majority to have all that is committed.
  package var commitVersion: Int64? { leadership.commitVersion }

  /// Of a leader: a majority has its membership.
  package var isAdoptedByMajority: Bool {
    guard isLeader else { return false }
    let version = membership.reached { node in
      if node == id { return membership.version }
      return leadership.index(of: node).map { leadership.peers[$0].version } ?? -1
    }
    return version.map { $0 >= membership.version } ?? false
  }

  /// Group 0 may issue the next membership, as far as this leader is concerned.
  package var isMembershipSettled: Bool {
    commitVersion == membership.version && isAdoptedByMajority
  }

  /// Learners that have all but what was just appended: they may become voters. Ascending.
  package var caughtUp: [NodeID] {
    guard isReady else { return [] }
    return leadership.peers.filter {
      ($0.isCaughtUp || $0.match == end) && membership.learners.contains($0.peer)
    }.map(\.peer)
  }

  /// It is newer; or this replica knows of its own only that it is in it.
  package func adopts(_ new: Membership) -> Bool {
    new.version > membership.version
      || new.version == membership.version && membership.voters.isEmpty && !new.voters.isEmpty
  }

  mutating func adopt(_ new: Membership, into effects: inout [Effect]) {
    guard adopts(new) else { return }
    let old = membership
    membership = new
    switch role {
    case .leader: membershipChanged(from: old, into: &effects)
    // Votes were given to who had another membership.
    case .preCandidate, .candidate: role = .follower(leader: nil)
    // What was acknowledged under an older one did not count.
    case .follower: acknowledge(into: &effects)
    }
    if isVoter { resigning = nil }
  }

  private mutating func membershipChanged(
    from old: Membership, into effects: inout [Effect]
  ) {
    guard isVoter else {
      stepDown(into: &effects)
      return resign(into: &effects)
    }
    // Who was out in between, or is a learner again, may be there anew, without what it had.
    let isNext = membership.version == old.version + 1 || plants(.keepProgress)
    var peers: [Progress] = []
    for node in (membership.voters + membership.learners).sorted() where node != id {
      let isSame =
        isNext
        && (old.learners.contains(node) || membership.voters.contains(node)
          || plants(.keepProgress))
      let known = isSame ? leadership.index(of: node).map { leadership.peers[$0] } : nil
      peers.append(known ?? Progress(peer: node, end: end))
      if lostPeers.contains(node) { peers[peers.count - 1].isActive = false }
    }
    leadership.peers = peers
    commit(into: &effects)
    replicate(into: &effects)
  }
}
