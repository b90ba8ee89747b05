/// Mistakes a store makes on purpose, so that tests can show that a simulation finds them.
package struct PlantedStoreMistakes: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  private init(bit: UInt32) { rawValue = 1 << bit }

  /// What is damaged in the journal is passed over, as if it had never been there.
  package static let truncateAtDamage = Self(bit: 1)
  /// A follower does not remember what producers wrote.
  package static let followersForgetProducers = Self(bit: 2)
  /// What becomes durable is told though it was truncated since.
  package static let ignoreTruncations = Self(bit: 3)
  /// Votes are gone after a start.
  package static let forgetVotes = Self(bit: 4)
  /// The starts of epochs are gone after a start.
  package static let forgetEpochStarts = Self(bit: 5)
  /// Producers are gone after a start.
  package static let forgetProducers = Self(bit: 6)
}
