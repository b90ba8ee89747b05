package import KafkaWire

/// The cluster as the node that answers sees it at this moment: brokers and leaders.
package struct ClusterView: Sendable {
  /// A registered broker.
  package struct Broker: Equatable, Sendable {
    package var id: Int32
    package var host: String
    package var port: Int32
    package var rack: String?
    /// The node that answers reaches it.
    package var isAlive: Bool
    /// Clients are told of it in Metadata.
    package var isListed: Bool

    package init(
      id: Int32, host: String, port: Int32, rack: String? = nil, isAlive: Bool = true,
      isListed: Bool? = nil
    ) {
      self.id = id
      self.host = host
      self.port = port
      self.rack = rack
      self.isAlive = isAlive
      self.isListed = isListed ?? isAlive
    }

    package init(_ node: RegisteredNode, isAlive: Bool, isListed: Bool? = nil) {
      self.init(
        id: node.id, host: node.host, port: node.port, rack: node.rack, isAlive: isAlive,
        isListed: isListed)
    }
  }

  /// Who leads a partition.
  package struct Leadership: Equatable, Sendable {
    /// Nil while there is none.
    package var leader: Int32?
    package var epoch: Int32
    /// The voters that have caught up, as far as is known; nil where nothing is, and whoever is
    /// alive is told of.
    package var inSync: [Int32]?

    package init(leader: Int32?, epoch: Int32, inSync: [Int32]?) {
      self.leader = leader
      self.epoch = epoch
      self.inSync = inSync
    }

    /// Nothing is known of the partition yet.
    package static let none = Leadership(leader: nil, epoch: -1, inSync: nil)
  }

  /// Sorted by id.
  package let brokers: [Broker]
  /// Whom admin clients send their requests to: the leader of group 0, -1 while there is none.
  package let controllerId: Int32
  /// By topic id and partition.
  package let leadership: @Sendable (UUID16, Int32) -> Leadership

  package init(
    brokers: [Broker], controllerId: Int32,
    leadership: @escaping @Sendable (UUID16, Int32) -> Leadership
  ) {
    precondition(!brokers.isEmpty, "whoever answers is a broker")
    self.brokers = brokers.sorted { $0.id < $1.id }
    self.controllerId = controllerId
    self.leadership = leadership
  }

  func hasBroker(_ id: Int32) -> Bool { brokers.contains { $0.id == id } }

  func isAlive(_ id: Int32) -> Bool { brokers.contains { $0.id == id && $0.isAlive } }

  /// As many replicas as are wanted, or the most that the brokers allow and that is odd.
  func replicationFactor(atMost wanted: Int64) -> Int {
    let count = brokers.count
    return min(Int(clamping: wanted), count.isMultiple(of: 2) ? count - 1 : count)
  }
}

/// Operations as the bits of Kafka's AclOperation codes (KIP-430). Nobody is refused anything yet,
/// so each kind of resource has all the operations there are for it.
package enum AuthorizedOperations {
  private enum Operation: Int32 {
    case read = 3
    case write, create, delete, alter, describe, clusterAction, describeConfigs, alterConfigs
    case idempotentWrite
  }

  private static func bits(_ operations: [Operation]) -> Int32 {
    operations.reduce(0) { $0 | 1 << $1.rawValue }
  }

  package static let notAsked = Int32.min
  package static let topic = bits([
    .read, .write, .create, .delete, .alter, .describe, .describeConfigs, .alterConfigs,
  ])
  package static let cluster = bits([
    .create, .alter, .describe, .clusterAction, .describeConfigs, .alterConfigs, .idempotentWrite,
  ])
}
