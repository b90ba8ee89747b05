internal import Bytes
internal import Replication

/// How this node stands in its cluster, for `/metrics`. Gathered when somebody asks.
extension Node {
  /// The partitions that this node has a replica of, counted.
  private struct Partitions {
    var roles: [Raft.Status.Role: Int] = [:]
    var leaderless = 0
    /// Of those that are led here:
    var underReplicated = 0
    var underMinimum = 0
    /// The most records that a node is behind in any of them.
    var lags: [Int32: Int64] = [:]
  }

  private var partitions: Partitions {
    var counts = Partitions()
    for replica in replicas.values {
      guard case .partition(let topic, let index) = replica.kind else { continue }
      let status = replica.raft.status
      counts.roles[status.role, default: 0] += 1
      if leader(of: replica.group) == nil { counts.leaderless += 1 }
      guard status.role == .leader else { continue }
      for peer in status.peers {
        let node = peer.node.rawValue
        counts.lags[node] = max(counts.lags[node] ?? 0, peer.lag)
      }
      let inSync = inSync(replica).count
      let wanted = controller.state.topic(topic)?.replicas(ofPartition: index).count ?? 1
      if inSync < wanted { counts.underReplicated += 1 }
      let minimum = topicNames[topic].flatMap { topics[$0]?.config.minInsyncReplicas } ?? 1
      if inSync < minimum { counts.underMinimum += 1 }
    }
    return counts
  }

  func addCluster(_ text: inout MetricsText) {
    let partitions = partitions
    text.family(
      "martlet_partitions", "gauge", "Partitions that this node has a replica of, by its role.")
    let roles: [Raft.Status.Role] = [.leader, .follower, .learner, .fenced]
    let candidates =
      partitions.roles[.candidate, default: 0] + partitions.roles[.preCandidate, default: 0]
    let counts = roles.map { ($0.rawValue, partitions.roles[$0, default: 0]) }
    for (role, count) in counts + [("candidate", candidates)] {
      text.sample("martlet_partitions", [("role", role)], "\(count)")
    }
    func gauge(_ name: String, _ value: Int, _ help: String) {
      text.family(name, "gauge", help)
      text.sample(name, [], "\(value)")
    }
    gauge(
      "martlet_under_replicated_partitions", partitions.underReplicated,
      "Partitions led here with fewer replicas in sync than there are to be.")
    gauge(
      "martlet_under_min_isr_partitions", partitions.underMinimum,
      "Partitions led here with fewer replicas in sync than min.insync.replicas says.")
    gauge(
      "martlet_leaderless_partitions", partitions.leaderless,
      "Partitions with a replica here of which this node knows no leader that it reaches.")
    gauge(
      "martlet_node_started", hasStarted ? 1 : 0,
      "1 when the node knows what was committed before its start and takes clients.")
    gauge(
      "martlet_metadata_leader", isController ? 1 : 0,
      "1 on the node that decides for the cluster: what Kafka calls the controller.")
    func counter(_ name: String, _ value: UInt64, _ help: String) {
      text.family(name, "counter", help)
      text.sample(name, [], "\(value)")
    }
    counter(
      "martlet_elections_started_total", metrics.electionsStarted,
      "Elections in which this node asked for votes.")
    counter(
      "martlet_leaderships_won_total", metrics.elections, "Elections that this node has won.")
    counter(
      "martlet_leaderships_lost_total", metrics.leadershipsLost,
      "Leaderships that this node had and lost or handed over.")
    addPeers(&text, partitions.lags)
  }

  private func addPeers(_ text: inout MetricsText, _ lags: [Int32: Int64]) {
    guard !options.cluster.isAlone else { return }
    text.family(
      "martlet_peer_connected", "gauge",
      "1 if the other node answers; 0 if it is silent or cannot be reached.")
    text.family(
      "martlet_replication_lag_records", "gauge",
      "Records that a node is behind, the most in any partition led here.")
    for peer in peers.nodes {
      let labels = [("peer", "\(peer)")]
      text.sample("martlet_peer_connected", labels, peers.connected.contains(peer) ? "1" : "0")
      text.sample("martlet_replication_lag_records", labels, "\(lags[peer] ?? 0)")
    }
    guard let figures = peerMetrics?() else { return }
    let families: [(String, String, String, (PeerMetrics) -> String)] = [
      (
        "martlet_peer_bytes_in_total", "counter", "Bytes that another node sent.",
        { "\($0.bytesIn)" }
      ),
      (
        "martlet_peer_bytes_out_total", "counter", "Bytes that another node was sent.",
        { "\($0.bytesOut)" }
      ),
      (
        "martlet_peer_reconnects_total", "counter",
        "Connections to another node after the first.", { "\($0.reconnects)" }
      ),
      (
        "martlet_peer_round_trip_seconds", "gauge",
        "From a heartbeat to its answer, the average of the last few.",
        { "\(Double($0.roundTripAverageNanoseconds) / 1e9)" }
      ),
      (
        "martlet_peer_queue_bytes", "gauge", "Bytes that wait to be sent to another node.",
        { "\($0.queueBytes)" }
      ),
    ]
    for (name, type, help, value) in families {
      text.family(name, type, help)
      for peer in figures { text.sample(name, [("peer", "\(peer.node)")], value(peer)) }
    }
  }
}
