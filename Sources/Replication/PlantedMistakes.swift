/// Mistakes that a replica makes on purpose: who tests replicas plants one and must find it. Each
/// is one that some system has made, or that this one had.
package struct PlantedMistakes: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  private init(bit: UInt32) { rawValue = 1 << bit }

  // MARK: Elections
  /// A vote is said before it is on the disk.
  package static let voteBeforeDurable = Self(bit: 0)
  /// Logs are compared by their lengths only.
  package static let voteByOffset = Self(bit: 1)
  /// Epochs are raised without asking first.
  package static let noPreVote = Self(bit: 2)
  /// A leader does not mind that it hears of nobody.
  package static let noCheckQuorum = Self(bit: 3)
  /// Leadership is given to who does not have everything.
  package static let transferBehind = Self(bit: 4)
  /// A new leader serves before it knows what is committed.
  package static let readyWhenElected = Self(bit: 5)

  // MARK: Counting
  /// What earlier leaders wrote is committed by counting (Raft, figure 8).
  package static let commitOldEpoch = Self(bit: 6)
  /// A leader counts itself before its disk.
  package static let countSelfEarly = Self(bit: 7)
  /// A follower acknowledges what is not on its disk.
  package static let acknowledgeEarly = Self(bit: 8)
  /// A follower takes its own log for the leader's, as far as the leader has committed.
  package static let commitUnverified = Self(bit: 9)
  /// Reads are answered without asking whether this still leads.
  package static let readWithoutQuorum = Self(bit: 10)

  // MARK: Logs
  /// What an append brings replaces what is there, also where that is the same.
  package static let truncateWhatMatches = Self(bit: 11)
  /// The starts of epochs that have no width survive a truncation to where they are.
  package static let keepEpochStarts = Self(bit: 12)
  /// A reset that comes late takes acknowledged records away.
  package static let resetAcknowledged = Self(bit: 13)

  // MARK: Memberships
  /// Learners are counted as voters.
  package static let countLearners = Self(bit: 14)
  /// Votes and acknowledgements count whatever membership their senders have.
  package static let countOldVersions = Self(bit: 15)
  /// Who has lost its log answers to those who take it for the one it was.
  package static let forgetJoining = Self(bit: 16)
  /// What was known of a node is believed of who replaced it.
  package static let keepProgress = Self(bit: 17)
  /// A sole voter tells of an epoch that a crash may make it forget.
  package static let tellEpochEarly = Self(bit: 18)

  // MARK: Quiet
  /// A leader falls quiet though somebody lacks something.
  package static let quietTooEarly = Self(bit: 19)
  /// Who is quiet does not mind that the leader is lost.
  package static let quietForTheDead = Self(bit: 20)
  /// Who is put out, or has a damaged disk, leads no more and does not say so.
  package static let leaveSilently = Self(bit: 21)
}
