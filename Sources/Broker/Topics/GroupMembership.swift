package import KafkaWire

/// A partition whose replicas agree on its log: a topic's id and the partition's index. Group 0,
/// which keeps the metadata, is zero and zero.
package struct GroupKey: Hashable, Sendable {
  package var topic: UUID16
  package var partition: Int32

  package init(topic: UUID16, partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  package static let metadata = GroupKey(topic: .zero, partition: 0)
}

extension GroupKey: Comparable {
  package static func < (a: GroupKey, b: GroupKey) -> Bool {
    (a.topic.high, a.topic.low, a.partition) < (b.topic.high, b.topic.low, b.partition)
  }
}

extension GroupKey: CustomStringConvertible {
  package var description: String { self == .metadata ? "group 0" : "\(topic)-\(partition)" }
}

/// A node with the disk it has: a node that lost its disk is another incarnation, and nobody in the
/// groups in which the lost one was.
package struct NodeIncarnation: Hashable, Sendable {
  package var node: Int32
  /// The random id of the node's store. Zero: whichever the node has, in metadata from before nodes
  /// were registered, and where there is only one node.
  package var incarnation: UInt64

  package init(node: Int32, incarnation: UInt64) {
    self.node = node
    self.incarnation = incarnation
  }

  /// One and the same, as far as one can tell.
  func matches(_ other: NodeIncarnation) -> Bool {
    node == other.node
      && (incarnation == other.incarnation || incarnation == 0 || other.incarnation == 0)
  }
}

/// Who is in a group.
///
/// (1) Versions go up by one, and neighbours differ by one voter at most: any majority of one has
///     somebody in common with any majority of the other.
/// (2) There is a voter. A node is in a group once, as voter or as learner.
package struct GroupMembership: Equatable, Sendable {
  package var version: Int64
  /// Ascending by node.
  package private(set) var voters: [NodeIncarnation]
  /// Get everything and count for nothing. Ascending by node.
  package private(set) var learners: [NodeIncarnation]

  package init(
    version: Int64, voters: [NodeIncarnation], learners: [NodeIncarnation] = []
  ) {
    self.version = version
    self.voters = voters.sorted { $0.node < $1.node }
    self.learners = learners.sorted { $0.node < $1.node }
  }

  package func voter(_ node: Int32) -> NodeIncarnation? { voters.first { $0.node == node } }
  package func learner(_ node: Int32) -> NodeIncarnation? { learners.first { $0.node == node } }

  /// (2)
  var isSound: Bool {
    let nodes = (voters + learners).map(\.node).sorted()
    return !voters.isEmpty && zip(nodes, nodes.dropFirst()).allSatisfy { $0 < $1 }
  }

  /// (1), counting those who are voters of one and not of the other.
  func votersDiffering(from other: GroupMembership) -> Int {
    func missing(_ some: [NodeIncarnation], in others: [NodeIncarnation]) -> Int {
      some.count { one in !others.contains { $0.matches(one) } }
    }
    return missing(voters, in: other.voters) + missing(other.voters, in: voters)
  }

  /// With the incarnations filled in that were left open.
  func resolved(_ incarnation: (Int32) -> UInt64) -> GroupMembership {
    func filled(_ members: [NodeIncarnation]) -> [NodeIncarnation] {
      members.map { member in
        guard member.incarnation == 0 else { return member }
        return NodeIncarnation(node: member.node, incarnation: incarnation(member.node))
      }
    }
    guard
      voters.contains(where: { $0.incarnation == 0 })
        || learners.contains(where: { $0.incarnation == 0 })
    else { return self }
    return GroupMembership(version: version, voters: filled(voters), learners: filled(learners))
  }
}

/// A node that made itself known.
package struct RegisteredNode: Equatable, Sendable {
  package var id: Int32
  /// Of the disk it has now.
  package var incarnation: UInt64
  /// Where clients reach it.
  package var host: String
  package var port: Int32
  package var rack: String?

  package init(
    id: Int32, incarnation: UInt64, host: String, port: Int32, rack: String? = nil
  ) {
    self.id = id
    self.incarnation = incarnation
    self.host = host
    self.port = port
    self.rack = rack
  }

  package var current: NodeIncarnation { NodeIncarnation(node: id, incarnation: incarnation) }
}
