import LocalCluster
import Testing

/// What is said of three nodes of which one dies, comes back, and stands still.
@Suite struct `What happens in a cluster` {
  private func glance(
    leads: Int, leaderless: Int = 0, missing: Int = 0, learns: Int = 0, lost: [Int32] = [],
    starts: Bool = true
  ) -> NodeGlance {
    var glance = NodeGlance()
    glance.hasStarted = starts
    glance.leads = leads
    glance.learns = learns
    glance.leaderless = leaderless
    glance.underReplicated = missing
    for node: Int32 in 1...3 { glance.isConnected[node] = !lost.contains(node) }
    return glance
  }

  /// Three nodes that lead four partitions each.
  private func cluster() -> ClusterWatch {
    var watch = ClusterWatch((1...3).map { ($0, "127.0.0.1:909\($0 + 1)") })
    for node: Int32 in 1...3 {
      #expect(
        watch.take(.started(node: node, process: 100 + node), at: 0)
          == [.started(node: node, process: 100 + node)])
    }
    #expect(!watch.isWhole)
    for node: Int32 in 1...3 {
      #expect(watch.take(.seen(node: node, glance(leads: 0, starts: false)), at: 50) == [])
      #expect(
        watch.take(.seen(node: node, glance(leads: 4)), at: 100)
          == [.serves(node: node, after: nil)])
    }
    #expect(watch.isWhole)
    return watch
  }

  @Test func `a failover is over when every other node knows all leaders, and not before`() {
    var watch = cluster()
    #expect(
      watch.take(.ended(node: 2, status: 137), at: 1000) == [.ended(node: 2, status: 137)])
    #expect(watch.isUnsettled(at: 1000))
    // Asked before, or before it has noticed.
    #expect(watch.take(.seen(node: 1, glance(leads: 4)), at: 1001) == [])
    #expect(watch.take(.seen(node: 3, glance(leads: 5, missing: 5, lost: [2])), at: 1004) == [])
    #expect(
      watch.take(.seen(node: 1, glance(leads: 4, leaderless: 1, lost: [2])), at: 1010) == [])
    #expect(
      watch.take(.seen(node: 1, glance(leads: 7, missing: 7, lost: [2])), at: 1023) == [
        .moved(
          from: 2, count: 4, to: [.init(node: 1, count: 3), .init(node: 3, count: 1)],
          milliseconds: 23, isAtMost: false)
      ])
    #expect(!watch.isUnsettled(at: 1023))
    #expect(watch.rows.map(\.state) == [.up, .down, .up])
    #expect(watch.rows.map(\.leads) == [7, nil, 5])
  }

  @Test func `a node that comes back has caught up when no leader misses it`() {
    var watch = cluster()
    _ = watch.take(.ended(node: 2, status: 137), at: 1000)
    for node: Int32 in [1, 3] {
      _ = watch.take(.seen(node: node, glance(leads: 6, missing: 6, lost: [2])), at: 1020)
    }
    _ = watch.take(.started(node: 2, process: 200), at: 2000)
    #expect(watch.rows[1].state == .restarting)
    #expect(watch.rows[1].restarts == 1)
    #expect(watch.rows[1].process == 200)
    #expect(
      watch.take(.seen(node: 2, glance(leads: 0)), at: 2300) == [.serves(node: 2, after: 300)])
    #expect(watch.rows[1].state == .catchingUp)
    #expect(watch.take(.seen(node: 1, glance(leads: 6)), at: 2400) == [])
    #expect(watch.take(.seen(node: 3, glance(leads: 6, missing: 2)), at: 2400) == [])
    #expect(!watch.isWhole)
    #expect(
      watch.take(.seen(node: 3, glance(leads: 6)), at: 2600)
        == [.caughtUp(node: 2, milliseconds: 1600)])
    #expect(watch.isWhole)
    #expect(watch.rows.map(\.state) == [.up, .up, .up])
  }

  @Test func `a node that lost its disk is replaced, and has not caught up before`() {
    var watch = cluster()
    _ = watch.take(.ended(node: 3, status: 1), at: 1000)
    for node: Int32 in [1, 2] {
      _ = watch.take(.seen(node: node, glance(leads: 6, missing: 6, lost: [3])), at: 1020)
    }
    _ = watch.take(.started(node: 3, process: 200), at: 2000)
    _ = watch.take(.seen(node: 3, glance(leads: 0, learns: 12)), at: 2300)
    #expect(watch.rows[2].state == .replacing)
    for node: Int32 in [1, 2] {
      #expect(watch.take(.seen(node: node, glance(leads: 6)), at: 2400) == [])
    }
    #expect(
      watch.take(.seen(node: 3, glance(leads: 0)), at: 2500)
        == [.caughtUp(node: 3, milliseconds: 1500)])
  }

  @Test func `a process that stands still is silent after a second, from its last answer on`() {
    var watch = cluster()
    #expect(watch.take(.unanswered(node: 1), at: 1000) == [])
    // The others may have known for long.
    _ = watch.take(.seen(node: 2, glance(leads: 4, leaderless: 4, lost: [1])), at: 300)
    _ = watch.take(.seen(node: 2, glance(leads: 6, missing: 6, lost: [1])), at: 400)
    _ = watch.take(.seen(node: 3, glance(leads: 6, missing: 6, lost: [1])), at: 450)
    #expect(watch.take(.unanswered(node: 1), at: 1100) == [.silent(node: 1)])
    #expect(watch.rows[0].state == .silent)
    #expect(
      watch.take(.seen(node: 2, glance(leads: 6, missing: 6, lost: [1])), at: 1150) == [
        .moved(
          from: 1, count: 4, to: [.init(node: 2, count: 2), .init(node: 3, count: 2)],
          milliseconds: 350, isAtMost: true)
      ])
    #expect(watch.take(.seen(node: 1, glance(leads: 0)), at: 3000) == [.answers(node: 1)])
    // Killed while it is silent, it is lost once.
    #expect(watch.take(.ended(node: 1, status: 137), at: 3100).count == 1)
  }

  @Test func `who leads is told when it stays so and nobody is missed`() {
    var watch = cluster()
    let even: [ClusterEvent] = [
      .spread([.init(node: 1, count: 4), .init(node: 2, count: 4), .init(node: 3, count: 4)])
    ]
    #expect(watch.take(.seen(node: 1, glance(leads: 4)), at: 1099) == [])
    #expect(watch.take(.seen(node: 2, glance(leads: 4)), at: 1100) == even)
    #expect(watch.take(.seen(node: 3, glance(leads: 4)), at: 2500) == [])
    // On their way they come one by one.
    _ = watch.take(.seen(node: 2, glance(leads: 3)), at: 3000)
    _ = watch.take(.seen(node: 1, glance(leads: 5)), at: 3500)
    #expect(watch.take(.seen(node: 1, glance(leads: 5)), at: 4400) == [])
    _ = watch.take(.seen(node: 3, glance(leads: 4, missing: 1)), at: 4450)
    #expect(watch.take(.seen(node: 1, glance(leads: 5)), at: 4600) == [])
    _ = watch.take(.seen(node: 3, glance(leads: 4)), at: 4700)
    #expect(
      watch.take(.seen(node: 1, glance(leads: 5)), at: 5700) == [
        .spread([.init(node: 1, count: 5), .init(node: 2, count: 3), .init(node: 3, count: 4)])
      ])
    // What it was for a moment was not told of, and is not told of when it is over.
    _ = watch.take(.seen(node: 1, glance(leads: 4)), at: 6000)
    _ = watch.take(.seen(node: 1, glance(leads: 5)), at: 6500)
    #expect(watch.take(.seen(node: 1, glance(leads: 5)), at: 7600) == [])
  }

  @Test func `without a majority nothing has moved`() {
    var watch = cluster()
    _ = watch.take(.ended(node: 1, status: 137), at: 1000)
    _ = watch.take(.ended(node: 2, status: 137), at: 1000)
    #expect(
      watch.take(.seen(node: 3, glance(leads: 0, leaderless: 12, lost: [1, 2])), at: 1100) == [])
    #expect(watch.leaderless == 12)
    #expect(watch.isUnsettled(at: 1100))
    // It is not looked at like that for ever.
    #expect(!watch.isUnsettled(at: 60_000))
  }

  @Test func `events are sentences`() {
    #expect(
      ClusterEvent.ended(node: 2, status: 137).text == "node 2 was killed by signal 9")
    #expect(ClusterEvent.ended(node: 2, status: 1).text == "node 2 has ended with 1")
    #expect(
      ClusterEvent.moved(
        from: 2, count: 1, to: [.init(node: 1, count: 1)], milliseconds: 8, isAtMost: false
      ).text
        == "1 partition moved from node 2 to node 1 in 8 ms")
    #expect(
      ClusterEvent.moved(
        from: 2, count: 4, to: [.init(node: 1, count: 3), .init(node: 3, count: 1)],
        milliseconds: 1250, isAtMost: true
      ).text == "4 partitions moved from node 2 to node 1 (3), node 3 (1) in at most 1.2 s")
    #expect(
      ClusterEvent.spread([.init(node: 1, count: 4), .init(node: 3, count: 2)]).text
        == "6 partitions led by node 1 (4), node 3 (2)")
  }
}

@Suite struct `A node's page` {
  @Test func `says how it stands, and pages of others say nothing`() throws {
    let page = """
      # HELP martlet_partitions Partitions that this node has a replica of, by its role.
      # TYPE martlet_partitions gauge
      martlet_partitions{role="leader"} 4
      martlet_partitions{role="follower"} 7
      martlet_partitions{role="learner"} 1
      martlet_partitions{role="fenced"} 2
      martlet_partitions{role="candidate"} 0
      martlet_node_started 1
      martlet_metadata_leader 0
      martlet_leaderless_partitions 3
      martlet_under_replicated_partitions 2
      martlet_peer_connected{peer="1"} 1
      martlet_peer_connected{peer="3"} 0
      martlet_replication_lag_records{peer="1"} 1e+06
      martlet_topic_records_in_total{topic="a b"} 5
      """
    var expected = NodeGlance()
    expected.hasStarted = true
    expected.leads = 4
    expected.follows = 7
    expected.learns = 3
    expected.leaderless = 3
    expected.underReplicated = 2
    expected.isConnected = [1: true, 3: false]
    expected.lags = [1: 1_000_000]
    #expect(NodeGlance(metrics: page) == expected)
    for value in ["1e300", "-1e300", "nan", "inf", "9223372036854775808", "x", ""] {
      let page = "martlet_partitions{role=\"leader\"} 1\nmartlet_leaderless_partitions \(value)"
      #expect(NodeGlance(metrics: page) != nil)
    }
    #expect(NodeGlance(metrics: "martlet_capture_streaming 1\n") == nil)
    #expect(NodeGlance(metrics: "") == nil)
  }
}

@Suite struct `The screen of a cluster` {
  @Test func `has a line for each node and the newest events, in 80 columns`() {
    var watch = ClusterWatch([(1, "127.0.0.1:9092"), (2, String(repeating: "host", count: 40))])
    _ = watch.take(.started(node: 1, process: 4711), at: 0)
    _ = watch.take(.started(node: 2, process: 4712), at: 0)
    var glance = NodeGlance()
    glance.hasStarted = true
    glance.leads = 12
    glance.follows = 24
    glance.lags = [2: .max]
    _ = watch.take(.seen(node: 1, glance), at: 10)
    let events =
      (0..<30).map { ("12:00:\($0)", "event \($0)") }
      + [("12:01:00", String(repeating: "a long event ", count: 9))]
    let lines = ClusterScreen.lines(
      watch, directory: String(repeating: "dir/", count: 40), events: events, eventLines: 6)
    for line in lines { #expect(line.count <= 80, "\(line)") }
    #expect(
      lines[3] == "1     up               12       24        -     4711       1  127.0.0.1:9092")
    #expect(lines[4].hasPrefix("2     starting"))
    #expect(lines.count == 6 + 6)
    #expect(lines.contains("12:00:29  event 29"))
    #expect(lines.last?.hasPrefix("          ") == true)
  }
}
