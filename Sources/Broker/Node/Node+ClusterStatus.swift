internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// How this node stands in its groups, in words: for logs of tests and simulations.
extension Node {
  /// One line for the node and one for each group.
  package var clusterText: String {
    var lines = [
      "node \(options.id): \(hasStarted ? "started" : "not started"), "
        + "\(isController ? "controller" : "no controller"), metadata below "
        + "\(metadataApplied.rawValue) applied, knows nodes \(controller.state.nodes.map(\.id)), "
        + "connected to \(peers.connected.sorted())"
    ]
    for log in replicas.keys.sorted() {
      guard let replica = replicas[log] else { continue }
      let status = replica.raft.status
      lines.append(
        "  \(place(of: replica)): \(status.role) of epoch \(status.epoch.rawValue), leader "
          + "\(status.leader.map { "\($0.rawValue)" } ?? "none"), version \(status.version), voters "
          + "\(replica.raft.membership.voters.map(\.rawValue)), learners "
          + "\(replica.raft.membership.learners.map(\.rawValue)), log \(status.start.rawValue) to "
          + "\(status.end.epoch.rawValue):\(status.end.offset.rawValue), durable "
          + "\(status.durable.epoch.rawValue):\(status.durable.offset.rawValue), committed "
          + "\(status.committed.epoch.rawValue):\(status.committed.offset.rawValue)"
          + (replica.isStuck ? ", waits for room" : "") + (replica.isReady ? ", serves" : ""))
      for peer in status.peers {
        lines.append(
          "    node \(peer.node.rawValue): has "
            + "\(peer.match.map { "\($0.epoch.rawValue):\($0.offset.rawValue)" } ?? "nothing")"
            + (peer.isActive ? "" : ", silent"))
      }
    }
    return lines.joined(separator: "\n")
  }
}
