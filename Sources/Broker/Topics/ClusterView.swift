package import KafkaWire

/// The cluster as the node that answers sees it at this moment: brokers and leaders.
package struct ClusterView: Sendable {
  /// A broker that clients can connect to.
  package struct Broker: Equatable, Sendable {
    package var id: Int32
    package var host: String
    package var port: Int32
    package var rack: String?

    package init(id: Int32, host: String, port: Int32, rack: String? = nil) {
      self.id = id
      self.host = host
      self.port = port
      self.rack = rack
    }
  }

  /// Who leads a partition.
  package struct Leadership: Equatable, Sendable {
    /// Nil while there is none.
    package var leader: Int32?
    package var epoch: Int32
    package var inSync: [Int32]
    package var offline: [Int32]

    package init(leader: Int32?, epoch: Int32, inSync: [Int32], offline: [Int32] = []) {
      self.leader = leader
      self.epoch = epoch
      self.inSync = inSync
      self.offline = offline
    }

    /// Nothing is known of the partition yet.
    package static let none = Leadership(leader: nil, epoch: -1, inSync: [])
  }

  /// Sorted by id.
  package let brokers: [Broker]
  /// Whom admin clients send their requests to.
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

  /// Brokers for `count` new partitions: in turns from `start` on, so that leaders and followers
  /// spread evenly, and the same on every node that asks.
  func placement(count: Int32, replicationFactor: Int, start: Int) -> [Int32] {
    precondition(replicationFactor <= brokers.count, "a broker holds one replica of a partition")
    var replicas: [Int32] = []
    replicas.reserveCapacity(Int(count) * replicationFactor)
    for partition in 0..<Int(count) {
      for replica in 0..<replicationFactor {
        replicas.append(brokers[(start + partition + replica) % brokers.count].id)
      }
    }
    return replicas
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
