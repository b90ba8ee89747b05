package import Bytes
internal import KafkaWire
package import LogStore
package import Replication

/// How this node stands in its groups: for tests and simulations.
extension Node {
  package func log(_ topic: String, _ index: Int32) -> LogID? {
    topics[topic]?.partition(index)?.log
  }

  /// It counts in the partition's majorities.
  package func isVoter(_ topic: String, _ index: Int32) -> Bool {
    guard let log = log(topic, index), let replica = replicas[log] else { return false }
    return replica.raft.membership.voters.contains(NodeID(options.id)) && !replica.raft.isFenced
  }

  /// How its replica of a partition stands; nil if it has none.
  package func status(of topic: String, _ index: Int32) -> Raft.Status? {
    log(topic, index).flatMap { replicas[$0]?.raft.status }
  }

  /// One line for the node and one for each group.
  package var clusterText: String {
    var lines = [
      "node \(options.id): \(hasStarted ? "started" : "not started"), "
        + "\(isController ? "controller" : "no controller"), metadata below "
        + "\(metadataApplied.rawValue) applied, knows nodes \(controller.state.nodes.map(\.id)), "
        + "connected to \(peers.connected.sorted())"
    ]
    for log in replicaLogs {
      guard let replica = replicas[log] else { continue }
      let status = replica.raft.status
      lines.append(
        "  \(place(of: replica)): \(status.role) of epoch \(status.epoch.rawValue), leader "
          + "\(status.leader.map { "\($0.rawValue)" } ?? "none"), version \(status.version), "
          + "voters "
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

  /// What can be seen of a replica at any time.
  package struct ReplicaGlance {
    package var group: GroupID
    package var log: LogID
    package var epoch: LeaderEpoch
    package var isLeader: Bool
    package var isReady: Bool
    package var isQuiet: Bool
    package var isFenced: Bool
    package var isVoter: Bool
    package var voters: Int
    /// Voters and learners.
    package var members: Int
    /// What it has promised, and a crash cannot make it forget.
    package var durableVote: Vote
    package var isEpochDurable: Bool
    package var start: Offset
    package var committed: LogPosition
    package var durable: LogPosition
    package var end: LogPosition
  }

  /// Of all replicas, in any order; of those only that took a step since they were last looked at
  /// so, if `onlyNew`.
  package func glance(onlyNew: Bool = false, _ take: (ReplicaGlance) -> Void) {
    for replica in replicas.values {
      if onlyNew {
        guard replica.isChanged else { continue }
        replica.isChanged = false
      }
      // One copy, where each look through the replica would make one.
      let raft = replica.raft
      take(
        ReplicaGlance(
          group: replica.group, log: replica.log, epoch: raft.epoch, isLeader: raft.isLeader,
          isReady: raft.isReady, isQuiet: raft.isQuiet, isFenced: raft.isFenced,
          isVoter: raft.membership.voters.contains(raft.id),
          voters: raft.membership.voters.count,
          members: raft.membership.voters.count + raft.membership.learners.count,
          durableVote: raft.durableVote, isEpochDurable: raft.isEpochDurable, start: raft.start,
          committed: raft.committed, durable: raft.durable, end: raft.end))
    }
  }

  /// Where epochs begin in a replica's log.
  package func epochs(of log: LogID) -> [EpochHistory.Entry] {
    replicas[log]?.raft.history.entries ?? []
  }

  /// Who is in a replica's group, as far as that knows.
  package func members(of log: LogID) -> [Int32] {
    guard let membership = replicas[log]?.raft.membership else { return [] }
    return (membership.voters + membership.learners).map(\.rawValue)
  }

  /// The partition's log on this node, if it is there.
  package func log(of topic: String, _ partition: Int32) -> LogID? {
    topics[topic]?.partition(partition)?.log
  }

  /// Something a simulation plants.
  @inline(__always)
  func plants(_ mistake: PlantedNodeMistakes) -> Bool {
    options.cluster.planted.rawValue & mistake.rawValue != 0
  }
}
