package import Bytes

extension Raft {
  /// What a replica can say of itself: for metrics, and what DescribeQuorum answers (KIP-595).
  package struct Status: Equatable, Sendable {
    package enum Role: String, Sendable {
      case leader, candidate, follower, learner, fenced
      case preCandidate = "pre-candidate"
    }

    /// What the leader knows of another.
    package struct Peer: Equatable, Sendable {
      package var node: NodeID
      package var isVoter: Bool
      /// On its disk, as here; nil before it has said so.
      package var match: LogPosition?
      /// It was heard of lately.
      package var isActive: Bool
      /// Records that are here and, as far as is known, not on its disk.
      package var lag: Int64
      /// It had all that was here no longer ago than an election takes, as far as ticks tell: of
      /// one that is not active nothing is known.
      package var isCaughtUp: Bool

      package init(
        node: NodeID, isVoter: Bool, match: LogPosition?, isActive: Bool, lag: Int64,
        isCaughtUp: Bool
      ) {
        self.node = node
        self.isVoter = isVoter
        self.match = match
        self.isActive = isActive
        self.lag = lag
        self.isCaughtUp = isCaughtUp
      }
    }

    package var role: Role
    package var leader: NodeID?
    package var epoch: LeaderEpoch
    package var version: Int64
    package var start: Offset
    package var end: LogPosition
    package var durable: LogPosition
    package var committed: LogPosition
    /// Records in the log that are not known to be committed.
    package var lag: Int64
    /// Ascending by node; of a leader only.
    package var peers: [Peer]
  }

  package var status: Status {
    Status(
      role: roleWord, leader: leader, epoch: epoch, version: membership.version, start: start,
      end: end, durable: durable, committed: committed, lag: end.offset - committed.offset,
      peers: peerStatus)
  }

  private var roleWord: Status.Role {
    if isFenced { return .fenced }
    switch role {
    case .follower: return isVoter ? .follower : .learner
    case .preCandidate: return .preCandidate
    case .candidate: return .candidate
    case .leader: return .leader
    }
  }

  private var peerStatus: [Status.Peer] {
    leadership.peers.map { progress in
      Status.Peer(
        node: progress.peer, isVoter: membership.voters.contains(progress.peer),
        match: progress.match, isActive: progress.isActive,
        lag: end.offset - (progress.match?.offset ?? start),
        isCaughtUp: progress.isCaughtUp || progress.match == end)
    }
  }
}

extension Raft {
  /// The voters that have all that this leader has on their disks, and this one.
  package var inSync: [NodeID] {
    guard isLeader else { return [] }
    return membership.voters.filter { voter in
      voter == id
        || leadership.peers.first { $0.peer == voter }?.match.map { $0 >= committed } ?? false
    }
  }

  /// How far that many voters have this leader's log on their disks; nil if there are not as many.
  package func durable(onReplicas count: Int) -> LogPosition? {
    guard isLeader, count > 0 else { return nil }
    let ends = membership.voters.compactMap { voter in
      voter == id ? durable : leadership.peers.first { $0.peer == voter }?.match
    }
    return ends.count < count ? nil : ends.sorted(by: >)[count - 1]
  }
}
