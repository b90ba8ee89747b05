package import Bytes

/// What replicas of one group say to each other.
package struct Message: Equatable, Sendable {
  package var from: NodeID
  package var to: NodeID
  /// Of the sender's membership.
  package var version: Int64
  /// The sender's epoch.
  package var epoch: LeaderEpoch
  package var body: Body

  package init(
    from: NodeID, to: NodeID, version: Int64, epoch: LeaderEpoch, body: Body
  ) {
    self.from = from
    self.to = to
    self.version = version
    self.epoch = epoch
    self.body = body
  }

  package enum Body: Equatable, Sendable {
    case voteRequest(VoteRequest)
    case voteResponse(VoteResponse)
    case append(AppendRequest)
    case appended(AppendResponse)
    case heartbeat(Heartbeat)
    /// `isQuiet`: the sender expects no more heartbeats before something happens.
    case heartbeatAnswer(context: UInt64, isQuiet: Bool)
    case reset(ResetRequest)
    /// The leader asks the receiver to be elected, at once.
    case takeOver
    /// The sender does not lead the epoch any more, and will not lead another.
    case resigned
  }
}

package struct Heartbeat: Equatable, Sendable {
  /// Nothing below it will ever change.
  package var committed: LogPosition
  /// Where the leader's log starts.
  package var start: Offset
  /// Comes back.
  package var context: UInt64
  /// All has everything. There will be no more heartbeats when all have said that they know.
  package var isQuiet: Bool

  package init(committed: LogPosition, start: Offset, context: UInt64, isQuiet: Bool) {
    self.committed = committed
    self.start = start
    self.context = context
    self.isQuiet = isQuiet
  }
}

package struct VoteRequest: Equatable, Sendable {
  package enum Kind: UInt8, Sendable {
    /// Would you vote for me (Ongaro, dissertation, 9.6)? Changes nothing at either side.
    case preVote
    case vote
    /// As `vote`, on behalf of the leader: nobody is to hold on to it.
    case takeOver
  }

  package var kind: Kind
  /// The epoch the candidate would lead.
  package var proposed: LeaderEpoch
  /// Where its log ends.
  package var end: LogPosition

  package init(kind: Kind, proposed: LeaderEpoch, end: LogPosition) {
    self.kind = kind
    self.proposed = proposed
    self.end = end
  }
}

package struct VoteResponse: Equatable, Sendable {
  package var isPreVote: Bool
  package var proposed: LeaderEpoch
  package var isGranted: Bool

  package init(isPreVote: Bool, proposed: LeaderEpoch, isGranted: Bool) {
    self.isPreVote = isPreVote
    self.proposed = proposed
    self.isGranted = isGranted
  }
}

/// What follows a position in the leader's log.
package struct AppendRequest: Equatable, Sendable {
  package var previous: LogPosition
  package var entries: [Entry]
  package var committed: LogPosition
  /// Where the leader's log starts.
  package var start: Offset

  package init(previous: LogPosition, entries: [Entry], committed: LogPosition, start: Offset) {
    self.previous = previous
    self.entries = entries
    self.committed = committed
    self.start = start
  }
}

/// The start of an epoch, which has no width, or record batches of one epoch.
package struct Entry: Equatable, Sendable {
  package var epoch: LeaderEpoch
  /// Where the log ends with it.
  package var end: Offset
  /// Whole batches; none for the start of an epoch.
  package var bytes: ArraySlice<UInt8>

  package init(epoch: LeaderEpoch, end: Offset, bytes: ArraySlice<UInt8>) {
    self.epoch = epoch
    self.end = end
    self.bytes = bytes
  }

  package var position: LogPosition { LogPosition(epoch: epoch, offset: end) }
}

package enum AppendResponse: Equatable, Sendable {
  /// As the leader has it: what is on the disk, and what is in the log.
  case accepted(durable: LogPosition, verified: LogPosition)
  /// The log does not have the prefix. What it has of it is nowhere after the hint.
  case rejected(previous: LogPosition, hint: LogPosition)
}

/// Begin anew: what the leader still has starts here, and everything before it is committed. The
/// history is that of this prefix.
package struct ResetRequest: Equatable, Sendable {
  package var start: LogPosition
  package var history: EpochHistory
  /// What the state machine at the other end needs to go on from there.
  package var state: ArraySlice<UInt8>

  package init(start: LogPosition, history: EpochHistory, state: ArraySlice<UInt8>) {
    self.start = start
    self.history = history
    self.state = state
  }
}
