internal import Bytes
internal import KafkaWire

/// What is told to who came to the wrong node (KIP-951).
extension LeaderIdAndEpoch {
  mutating func set(_ known: KnownLeader) {
    leaderId = known.leader
    leaderEpoch = known.epoch.rawValue
  }
}

extension [NodeEndpoint] {
  /// Once, however many partitions it leads.
  mutating func add(_ node: ClusterView.Broker) {
    guard !contains(where: { $0.nodeId == node.id }) else { return }
    var endpoint = NodeEndpoint()
    endpoint.nodeId = node.id
    endpoint.host = node.host
    endpoint.port = node.port
    endpoint.rack = node.rack
    append(endpoint)
  }
}
