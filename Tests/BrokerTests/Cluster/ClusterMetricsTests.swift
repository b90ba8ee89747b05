import Broker
import KafkaWire
import Platform
import Testing

/// What Prometheus sees of three nodes, one of which dies and comes back.
@Suite struct `The metrics of a cluster` {
  private func value(_ sample: String, _ cluster: ClusterHarness, _ id: Int32) throws -> Double {
    let page = StatusPages.respond("/metrics", try cluster.node(id)).body
    let line = try #require(
      page.split(separator: "\n").first { $0.hasPrefix("\(sample) ") }, "no \(sample) in \(page)")
    return try #require(Double(line.dropFirst(sample.count + 1)))
  }

  private func sum(_ sample: String, _ cluster: ClusterHarness, _ ids: [Int32]) throws -> Double {
    try ids.reduce(0) { $0 + (try value(sample, cluster, $1)) }
  }

  private let led = "martlet_partitions{role=\"leader\"}"

  @Test func `count who leads, what is under-replicated, and elections`() throws {
    let cluster = try ClusterHarness(settings: [("min.insync.replicas", "3")])
    #expect(try cluster.createTopic("orders", partitions: 6) == .none)
    let all: [Int32] = [1, 2, 3]
    // The last of them has its replicas a little later.
    cluster.wait(500)
    #expect(try sum(led, cluster, all) == 6)
    #expect(try sum("martlet_partitions{role=\"follower\"}", cluster, all) == 12)
    #expect(try sum("martlet_under_replicated_partitions", cluster, all) == 0, "\(cluster.text)")
    #expect(try sum("martlet_under_min_isr_partitions", cluster, all) == 0)
    #expect(try sum("martlet_leaderless_partitions", cluster, all) == 0)
    #expect(try sum("martlet_metadata_leader", cluster, all) == 1)
    #expect(try sum("martlet_node_started", cluster, all) == 3)

    let leader = try #require(try cluster.leader("orders"))
    let others = all.filter { $0 != leader }
    let won = try sum("martlet_leaderships_won_total", cluster, others)
    let started = try sum("martlet_elections_started_total", cluster, others)
    let taken = try value(led, cluster, leader)
    cluster.kill(leader)
    #expect(try sum(led, cluster, others) == 6)
    #expect(try sum("martlet_leaderships_won_total", cluster, others) >= won + taken)
    #expect(try sum("martlet_elections_started_total", cluster, others) >= started + taken)
    #expect(try sum("martlet_under_replicated_partitions", cluster, others) == 6)
    #expect(try sum("martlet_under_min_isr_partitions", cluster, others) == 6)
    #expect(try sum("martlet_leaderless_partitions", cluster, others) == 0)
    #expect(
      try sum("martlet_peer_connected{peer=\"\(leader)\"}", cluster, others) == 0)
    #expect(
      try value("martlet_peer_connected{peer=\"\(others[0])\"}", cluster, others[1]) == 1)

    try cluster.start(leader)
    cluster.wait(2000)
    #expect(try sum("martlet_under_replicated_partitions", cluster, all) == 0)
    #expect(
      try sum("martlet_peer_connected{peer=\"\(leader)\"}", cluster, others) == 2)
  }

  @Test func `a node without a majority knows no leader`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders", partitions: 3) == .none)
    cluster.kill(2)
    cluster.kill(3)
    cluster.wait(2000)
    #expect(try value("martlet_leaderless_partitions", cluster, 1) == 3)
    #expect(try value(led, cluster, 1) == 0)
    #expect(try value("martlet_leaderships_lost_total", cluster, 1) >= 1)
  }

  @Test func `a batch is on the leader's disk before it is on those of a majority`() throws {
    let cluster = try ClusterHarness()
    #expect(try cluster.createTopic("orders") == .none)
    let leader = try #require(try cluster.leader("orders"))
    var time: UInt64 = 1
    for member in cluster.members { member.node?.nanoseconds = { time } }
    let others = [1, 2, 3].filter { $0 != leader }
    for other in others { cluster.hold(leader, other) }
    _ = try cluster.send(Requests.produce("orders", ["a", "b"]), version: 9, to: leader)
    let metrics = try cluster.node(leader).metrics
    #expect(metrics.appendLatency.count == 1)
    #expect(metrics.commitLatency.count == 0)
    let lag = "martlet_replication_lag_records{peer=\"\(others[0])\"}"
    #expect(try value(lag, cluster, leader) == 2)
    time += 5_000_000
    cluster.heal()
    cluster.wait(1000)
    #expect(try value(lag, cluster, leader) == 0)
    let later = try cluster.node(leader).metrics
    #expect(later.appendLatency.count == 1)
    #expect(later.appendLatency.sumMicroseconds == 0)
    #expect(later.commitLatency.count == 1)
    #expect(later.commitLatency.sumMicroseconds == 5000)
    #expect(try sum("martlet_append_duration_seconds_count", cluster, [1, 2, 3]) == 1)
  }
}
