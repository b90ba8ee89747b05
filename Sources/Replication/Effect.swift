package import Bytes

/// What happened.
package enum Input: Equatable, Sendable {
  /// The replica has been made: the first input. Who is the only voter, and has no learners, leads
  /// at once; others wait.
  case began
  /// Ask for pre-votes now, without waiting for a timer: who is to lead a new group first.
  case campaign
  /// A unit of time went by.
  case tick
  case received(Message)
  /// The connection to a peer broke, or it is silent for too long: it may be dead. Every restart of
  /// a peer is a loss, also one that nobody was quick enough to miss it in. A replica that is made
  /// while a peer is lost is told so after `began`.
  case peerLost(NodeID)
  /// A lost peer is there again.
  case peerFound(NodeID)
  /// The vote is on the disk.
  case voted(Vote)
  /// The log is on the disk up to here: nothing that was truncated since it was written counts.
  case durable(LogPosition)
  /// The leader's log has grown to here.
  case appended(LogPosition)
  /// A `.replicate` was done.
  case sent(Sent)
  /// Somebody wants to know what is committed.
  case read(UInt64)
  /// Leadership is to go to somebody, or to who has most.
  case transfer(NodeID?)
  case membership(Membership)
  /// The log's start has moved.
  case startAdvanced(Offset)
  /// The disk is in doubt.
  case fenced
  /// What is committed is to be known by the others now.
  case announce
  /// Whether others are to lead, if one of them can: this one's disk has no room.
  case yields(Bool)
}

/// How far a peer was sent entries.
package struct Sent: Equatable, Sendable {
  package var to: NodeID
  package var epoch: LeaderEpoch
  package var after: LogPosition
  package var through: LogPosition
  package var bytes: Int

  package init(
    to: NodeID, epoch: LeaderEpoch, after: LogPosition, through: LogPosition, bytes: Int
  ) {
    self.to = to
    self.epoch = epoch
    self.after = after
    self.through = through
    self.bytes = bytes
  }
}

/// What is to be done, in this order.
package enum Effect: Equatable, Sendable {
  case send(Message)
  /// Write the vote; `.voted` when it is durable.
  case recordVote(Vote)
  /// Remove what is after it.
  case truncate(LogPosition)
  /// Append the entries, but what of them is below `from`; `.durable` when they are.
  case write([Entry], from: Offset)
  /// Begin an epoch at the log's end; `.durable` when it is.
  case beginEpoch(LeaderEpoch)
  /// Throw everything away and begin there; `.durable` when that is.
  case reset(ResetRequest)
  /// Send what follows `after` in the log, `bytesMax` at most but one batch at least, and say so
  /// (`.sent`). `message` makes it.
  case replicate(to: NodeID, after: LogPosition, bytesMax: Int)
  /// Send a reset to where the log starts.
  case sendReset(to: NodeID, LogPosition)
  case committed(LogPosition)
  case advanceStart(Offset)
  /// This replica leads; it may not serve yet.
  case elected(LeaderEpoch)
  case ready(LeaderEpoch)
  case leaderChanged(NodeID?, LeaderEpoch)
  /// All below the offset was committed when the read was asked for; nil if nobody can tell here.
  case answerRead(UInt64, Offset?)
  /// What is committed is not what this log has.
  case damaged(String)
}
