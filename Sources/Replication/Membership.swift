/// A node's number in the cluster.
package struct NodeID: RawRepresentable, Hashable, Comparable, Sendable {
  package var rawValue: Int32

  package init(rawValue: Int32) { self.rawValue = rawValue }
  package init(_ rawValue: Int32) { self.rawValue = rawValue }

  package static func < (a: NodeID, b: NodeID) -> Bool { a.rawValue < b.rawValue }
}

/// Who is in a group. Decided elsewhere (group 0), one voter more or less from version to version:
/// majorities of neighbours in that order have somebody in common.
package struct Membership: Equatable, Sendable {
  package var version: Int64
  /// Ascending.
  package var voters: [NodeID]
  /// Get everything and count for nothing. Ascending.
  package var learners: [NodeID]

  package init(version: Int64, voters: [NodeID], learners: [NodeID] = []) {
    self.version = version
    self.voters = voters.sorted()
    self.learners = learners.sorted()
  }

  package var quorum: Int { voters.count / 2 + 1 }

  /// The largest value that a majority of voters has reached.
  func reached<Value: Comparable>(
    isCountingLearners: Bool = false, _ value: (NodeID) -> Value
  ) -> Value? {
    // Voters are few, and a leader asks at every answer: better to look often than to sort a copy.
    var most: Value?
    for voter in voters {
      let candidate = value(voter)
      if let most, candidate <= most { continue }
      var count = 0
      for other in voters where value(other) >= candidate { count += 1 }
      if isCountingLearners { for other in learners where value(other) >= candidate { count += 1 } }
      if count >= quorum { most = candidate }
    }
    return most
  }
}
