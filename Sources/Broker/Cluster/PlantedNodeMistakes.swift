/// Mistakes a node makes on purpose, so that tests can show that a simulation finds them.
package struct PlantedNodeMistakes: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  private init(bit: UInt32) { rawValue = 1 << bit }

  /// A batch is acknowledged when it is appended.
  package static let acknowledgeAppended = Self(bit: 0)
  /// And when it is durable here, whatever the others have.
  package static let acknowledgeDurableHere = Self(bit: 1)
  /// A duplicate is acknowledged though its original is not committed.
  package static let acknowledgeDuplicatesEarly = Self(bit: 2)
  /// Duplicates are appended again.
  package static let forgetDuplicates = Self(bit: 3)
  /// A leader is read from before its epoch's start is committed.
  package static let serveBeforeReady = Self(bit: 4)
  /// Offsets are answered before the coordinator has read them.
  package static let offsetsBeforeLoaded = Self(bit: 5)
  /// What was forwarded is answered before its effects can be seen.
  package static let answerForwardsEarly = Self(bit: 6)
  /// Votes are not written down.
  package static let forgetVotes = Self(bit: 8)
  /// What is durable is told without asking whether it was truncated since.
  package static let tellDurableEarly = Self(bit: 10)
  /// A follower writes what it is sent, and not the start of an epoch.
  package static let skipEpochStarts = Self(bit: 11)
  /// A node that was started takes part before it knows what was committed.
  package static let skipBarrier = Self(bit: 15)
  /// A node that lost its disk is taken for who it was.
  package static let ignoreIncarnations = Self(bit: 16)
  /// Committed offsets are acknowledged when they are appended.
  package static let acknowledgeOffsetsEarly = Self(bit: 17)
  /// The ends of logs are told without asking a majority.
  package static let endWithoutQuorum = Self(bit: 19)
  /// A producer's identity is answered before those it fences are refused everywhere.
  package static let answerFencesEarly = Self(bit: 20)
  /// Who is elected takes records without asking who was fenced meanwhile.
  package static let serveBeforeFences = Self(bit: 21)
}
