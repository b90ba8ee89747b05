import Bytes
import Foundation
import Replication

/// What may happen to a cluster, by chance. Each ends with a time in which everything works.
enum Scenario {
  /// Crashes, cuts, losses, slow disks, transfers and trims, in all proportions.
  static func trouble(seed: Int, _ planted: Planted = .init()) -> ModelCluster {
    let cluster = ModelCluster(
      nodes: seed % 4 == 3 ? 5 : 3, seed: UInt64(seed), planted: planted)
    var random = SeededGenerator(seed: UInt64(seed) &+ 77)
    cluster.lossPercent = [0, 2, 10, 30][random.below(4)]
    let crashes = [0, 200, 60][random.below(3)]
    let partitions = [0, 150, 50][random.below(3)]
    let flush = [20, 50, 95][random.below(3)]
    let trims = [0, 100][random.below(2)]
    // With pauses long enough to fall quiet.
    let isBusy = random.oneIn(2)
    for turn in 0..<3000 where cluster.problems.isEmpty {
      cluster.turn(flushPercent: flush)
      let one = cluster.replicas[random.below(cluster.replicas.count)]
      let other = cluster.replicas[random.below(cluster.replicas.count)]
      let isPause = !isBusy && turn % 300 > 50
      for replica in cluster.replicas where !isPause && random.oneIn(3) { cluster.produce(replica) }
      if random.oneIn(isPause ? 100 : 10) { cluster.read(one) }
      if crashes > 0, random.oneIn(crashes) { cluster.crash(one, isPowerCut: random.oneIn(2)) }
      if crashes > 0, random.oneIn(crashes / 2) { cluster.restart(other) }
      if partitions > 0, random.oneIn(partitions) { cluster.cuts.cut(from: one.id, to: other.id) }
      if partitions > 0, random.oneIn(partitions * 2) { cluster.cuts = Cuts() }
      if random.oneIn(300), let leader = cluster.readyLeader {
        cluster.step(leader, .transfer(random.oneIn(2) ? other.id : nil))
      }
      if random.oneIn(400) { cluster.doubt(other, by: one) }
      if crashes > 0, random.oneIn(crashes * 5) { cluster.step(one, .fenced) }
      if crashes > 0, random.oneIn(crashes), other.raft.isFenced { cluster.crash(other) }
      if trims > 0, random.oneIn(trims) { trim(cluster, random.below(5)) }
    }
    cluster.end(mustCommit: 1)
    return cluster
  }

  private static func trim(_ cluster: ModelCluster, _ kept: Int) {
    guard let leader = cluster.readyLeader else { return }
    let offset = leader.raft.committed.offset - Int64(kept)
    guard offset > leader.log.start else { return }
    leader.order(.start(offset))
    cluster.step(leader, .startAdvanced(offset))
  }

  /// Leaders come and go so often that little is written, and disks are slow: what matters here is
  /// who votes for whom, and what a leader may say of what others have written.
  static func shortLeaderships(seed: Int, _ planted: Planted = .init()) -> ModelCluster {
    let cluster = ModelCluster(
      nodes: seed % 2 == 0 ? 3 : 5, seed: UInt64(seed) &+ 1000, planted: planted)
    var random = SeededGenerator(seed: UInt64(seed) &+ 2000)
    cluster.lossPercent = [0, 5, 20][random.below(3)]
    let flush = [5, 15, 40][random.below(3)]
    let crashes = [8, 20, 50][random.below(3)]
    for _ in 0..<1500 where cluster.problems.isEmpty {
      cluster.turn(flushPercent: flush)
      let one = cluster.replicas[random.below(cluster.replicas.count)]
      let other = cluster.replicas[random.below(cluster.replicas.count)]
      for replica in cluster.replicas where random.oneIn(5) { cluster.produce(replica) }
      if random.oneIn(crashes) { cluster.crash(one) }
      if random.oneIn(max(2, crashes / 3)) { cluster.restart(other) }
      if random.oneIn(10) { cluster.doubt(other, by: one) }
      if random.oneIn(20) { cluster.step(one, .transfer(other.id)) }
      if random.oneIn(15) { cluster.cuts.cut(from: one.id, to: other.id) }
      if random.oneIn(30) { cluster.cuts = Cuts() }
      if random.oneIn(20) { cluster.read(one) }
    }
    cluster.end()
    return cluster
  }
}

extension Scenario {
  /// Nodes come, go, lose their disks or one log, and are replaced, while the usual happens.
  static func membershipChanges(seed: Int, _ planted: Planted = .init()) -> ModelCluster {
    var random = SeededGenerator(seed: UInt64(seed) &+ 5000)
    let nodes = 2 + random.below(4)
    let cluster = ModelCluster(
      nodes: nodes, voters: 1 + random.below(nodes), seed: UInt64(seed) &+ 6000, planted: planted)
    for replica in cluster.replicas { cluster.step(replica, .began) }
    cluster.lossPercent = [0, 2, 10][random.below(3)]
    cluster.groupZero.changeEvery = [10, 40, 100][random.below(3)]
    cluster.groupZero.isRestless = random.oneIn(2)
    let crashes = [0, 200, 50][random.below(3)]
    let partitions = [0, 150, 40][random.below(3)]
    let losses = [0, 300, 100][random.below(3)]
    let flush = [10, 50, 95][random.below(3)]
    let trims = [0, 100][random.below(2)]
    cluster.groupZero.deafTurns = [0, 0, 400][random.below(3)]
    for turn in 0..<4000 where cluster.problems.isEmpty {
      cluster.turn(flushPercent: flush)
      let one = cluster.replicas[random.below(nodes)]
      let other = cluster.replicas[random.below(nodes)]
      let isPause = turn % 300 > 150
      for replica in cluster.replicas where !isPause && random.oneIn(4) { cluster.produce(replica) }
      if random.oneIn(20) { cluster.read(one) }
      if crashes > 0, random.oneIn(crashes) { cluster.crash(one, isPowerCut: random.oneIn(2)) }
      if random.oneIn(25) { cluster.restart(other) }
      if partitions > 0, random.oneIn(partitions) { cluster.cuts.cut(from: one.id, to: other.id) }
      if partitions > 0, random.oneIn(partitions * 2) { cluster.cuts = Cuts() }
      if partitions > 0, random.oneIn(partitions * 5) { split(cluster, random.next()) }
      if losses > 0, random.oneIn(losses) { cluster.loseDisk(one) }
      if losses > 0, random.oneIn(losses) { cluster.damage(other) }
      if random.oneIn(300), let leader = cluster.readyLeader {
        cluster.step(leader, .transfer(random.oneIn(2) ? other.id : nil))
      }
      if random.oneIn(300) { cluster.doubt(other, by: one) }
      if trims > 0, random.oneIn(trims) { trim(cluster, random.below(5)) }
    }
    cluster.end(mustCommit: 1)
    return cluster
  }

  /// Two halves that do not reach each other.
  private static func split(_ cluster: ModelCluster, _ sides: UInt64) {
    let side = { (node: NodeID) in sides >> UInt64(node.rawValue) & 1 }
    for one in cluster.replicas {
      for other in cluster.replicas where side(one.id) != side(other.id) {
        cluster.cuts.cut(from: one.id, to: other.id)
      }
    }
  }

  /// Everybody is quiet, and then something happens to the leader or to another. There must be a
  /// leader again before long, who serves, without anybody's timers but of those who are awake.
  static func quietTrouble(seed: Int, _ planted: Planted = .init()) -> ModelCluster {
    let cluster = ModelCluster(
      nodes: seed % 2 == 0 ? 3 : 5, seed: UInt64(seed) &+ 3000, planted: planted)
    var random = SeededGenerator(seed: UInt64(seed) &+ 4000)
    cluster.liveness.silenceSpread = random.below(2) * 20
    cluster.step(cluster.replicas[0], .campaign)
    for _ in 0..<6 {
      guard cluster.settle(turns: 1500), let leader = cluster.readyLeader else { return cluster }
      cluster.lossPercent = [0, 2, 10][random.below(3)]
      let others = cluster.replicas.filter { $0.id != leader.id }
      switch random.below(6) {
      case 0: cluster.crash(leader)
      case 1: cluster.step(leader, .fenced)
      case 2: for other in others { cluster.cuts.cut(from: leader.id, to: other.id) }
      case 3: for other in others { cluster.cuts.cut(from: other.id, to: leader.id) }
      case 4:
        // Both ways, with a minority.
        for other in others.dropFirst(others.count / 2 - 1) {
          cluster.cuts.cut(from: leader.id, to: other.id)
          cluster.cuts.cut(from: other.id, to: leader.id)
        }
      default: cluster.crash(others[random.below(others.count)])
      }
      // Whoever is missed at all is missed by then.
      for _ in 0..<cluster.liveness.silenceMax + cluster.liveness.silenceSpread * 2 + 10 {
        if let leader = cluster.readyLeader, random.oneIn(3) { cluster.produce(leader) }
        if random.oneIn(3) {
          cluster.read(cluster.replicas[random.below(cluster.replicas.count)])
        }
        cluster.turn(flushPercent: 90)
      }
      cluster.mustServe(turns: 600)
      guard cluster.problems.isEmpty else { return cluster }
    }
    cluster.end(mustCommit: 6)
    return cluster
  }
}

extension Scenario {
  /// Everybody stands all the time, and dies before the disk knows.
  static func elections(seed: Int, _ planted: Planted = .init()) -> ModelCluster {
    let cluster = ModelCluster(
      nodes: seed % 3 == 0 ? 5 : 3, seed: UInt64(seed) &+ 9000, planted: planted)
    var random = SeededGenerator(seed: UInt64(seed) &+ 10000)
    let flush = [5, 10, 30][random.below(3)]
    let campaigns = [6, 12, 25][random.below(3)]
    let crashes = [10, 25, 60][random.below(3)]
    let cuts = [0, 15, 40][random.below(3)]
    for _ in 0..<800 where cluster.problems.isEmpty {
      cluster.turn(flushPercent: flush)
      let one = cluster.replicas[random.below(cluster.replicas.count)]
      let other = cluster.replicas[random.below(cluster.replicas.count)]
      for replica in cluster.replicas where random.oneIn(6) { cluster.produce(replica) }
      for replica in cluster.replicas where random.oneIn(4) { cluster.read(replica) }
      if random.oneIn(campaigns) { cluster.step(one, .campaign) }
      if random.oneIn(campaigns) { cluster.step(one, .transfer(other.id)) }
      if random.oneIn(crashes) { cluster.crash(one) }
      if random.oneIn(max(2, crashes / 3)) { cluster.restart(other) }
      if cuts > 0, random.oneIn(cuts) { cluster.cuts.cut(from: one.id, to: other.id) }
      if cuts > 0, random.oneIn(cuts * 2) { cluster.cuts = Cuts() }
    }
    cluster.end()
    return cluster
  }

  /// Nothing fails but the way to one follower, for a while. That must not cost anybody a leader;
  /// and when leadership is given to that follower, it comes to it or stays.
  static func returning(seed: Int, _ planted: Planted = .init()) -> ModelCluster {
    let cluster = ModelCluster(
      nodes: seed % 2 == 0 ? 3 : 5, seed: UInt64(seed) &+ 7000, planted: planted)
    cluster.isDisorderly = false
    var random = SeededGenerator(seed: UInt64(seed) &+ 8000)
    cluster.step(cluster.replicas[0], .campaign)
    for _ in 0..<4 {
      guard cluster.settle(turns: 1000), let leader = cluster.readyLeader else { return cluster }
      let other = cluster.replicas[Int(leader.id.rawValue) % cluster.replicas.count]
      let elections = cluster.elections
      let isBothWays = random.oneIn(2)
      for peer in cluster.replicas where peer.id != other.id {
        cluster.cuts.cut(from: peer.id, to: other.id)
        if isBothWays { cluster.cuts.cut(from: other.id, to: peer.id) }
      }
      for turn in 0..<400 {
        if turn == 200 {
          cluster.cuts = Cuts()
          if random.oneIn(2) { cluster.step(leader, .transfer(other.id)) }
        }
        if random.oneIn(3) { cluster.produce(leader) }
        cluster.turn(flushPercent: 90)
      }
      let now = cluster.readyLeader?.id
      let isUnchanged = cluster.elections == elections && now == leader.id
      let isGiven = cluster.elections == elections + 1 && now == other.id
      if !isUnchanged, !isGiven {
        cluster.problem("\(cluster.elections - elections) were elected; \(leader.id) was to lead")
      }
      guard cluster.problems.isEmpty else { return cluster }
    }
    cluster.end(mustCommit: 4)
    return cluster
  }
}

extension ModelCluster {
  /// Something new is committed before long.
  func mustServe(turns: Int) {
    let before = committed.count
    let epochs = leaders.count
    for _ in 0..<turns {
      if let leader = readyLeader, random.oneIn(10) { produce(leader) }
      turn(flushPercent: 90)
      if committed.last?.value != nil, committed.count > before { return }
    }
    problem(
      "nothing is committed, \(leaders.count - epochs) were elected: "
        + "\(replicas.filter(\.isUp).map { Self.summary($0) })")
  }

  /// Everything works again, and all must agree before long.
  func end(mustCommit count: Int = 0) {
    guard problems.isEmpty, settle(), problems.isEmpty else { return }
    if committed.count < count { problem("nothing was committed") }
  }

  /// Writes down what happens, the last of it, if the environment asks for that.
  func tellStory() {
    guard ProcessInfo.processInfo.environment["MARTLET_SEED"] != nil else { return }
    let linesMax = 100_000
    note = { [unowned self] replica, input, effects in
      if input == .tick, effects.isEmpty { return }
      story.append("\(now): \(replica.rawValue) \(TraceText.input(input))")
      story += effects.map { "    \(TraceText.effect($0))" }
      if story.count > linesMax * 2 { story.removeFirst(linesMax) }
    }
  }
}
