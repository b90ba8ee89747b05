import Bytes
import Replication
import Testing

@Suite struct `Replicas in random trouble` {
  @Test(arguments: 0..<2000)
  func `agree on what was committed, lose none of it, and agree in the end`(seed: Int) {
    let cluster = ModelCluster(nodes: seed % 4 == 3 ? 5 : 3, seed: UInt64(seed))
    var random = SeededGenerator(seed: UInt64(seed) &+ 77)
    cluster.lossPercent = [0, 2, 10, 30][random.below(4)]
    let crashes = [0, 200, 60][random.below(3)]
    let partitions = [0, 150, 50][random.below(3)]
    let flush = [20, 50, 95][random.below(3)]
    let trims = [0, 100][random.below(2)]
    for _ in 0..<3000 where cluster.problems.isEmpty {
      cluster.turn(flushPercent: flush)
      let one = cluster.replicas[random.below(cluster.replicas.count)]
      let other = cluster.replicas[random.below(cluster.replicas.count)]
      for replica in cluster.replicas where random.oneIn(3) { cluster.produce(replica) }
      if random.oneIn(10) { cluster.read(one) }
      if crashes > 0, random.oneIn(crashes) { cluster.crash(one, isPowerCut: random.oneIn(2)) }
      if crashes > 0, random.oneIn(crashes / 2) { cluster.restart(other) }
      if partitions > 0, random.oneIn(partitions) { cluster.blocked.insert([one.id, other.id]) }
      if partitions > 0, random.oneIn(partitions * 2) { cluster.blocked = [] }
      if random.oneIn(300), let leader = cluster.readyLeader {
        cluster.step(leader, .transfer(random.oneIn(2) ? other.id : nil))
      }
      if random.oneIn(400) { cluster.step(one, .peerLost(other.id)) }
      if trims > 0, random.oneIn(trims), let leader = cluster.readyLeader {
        let offset = leader.raft.committed.offset - Int64(random.below(5))
        if offset > leader.log.start {
          leader.order(.start(offset))
          cluster.step(leader, .startAdvanced(offset))
        }
      }
    }
    #expect(cluster.problems == [])
    guard cluster.problems.isEmpty else { return }
    #expect(cluster.settle(), "no agreement in the end")
    #expect(cluster.problems == [])
    #expect(cluster.committed.count > 1)
  }

  /// Leaders come and go so often that little is written, and disks are slow: what matters here is
  /// who votes for whom, and what a leader may say of what others have written.
  @Test(arguments: 0..<2000)
  func `survive leaders that hardly live`(seed: Int) {
    let cluster = ModelCluster(nodes: seed % 2 == 0 ? 3 : 5, seed: UInt64(seed) &+ 1000)
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
      if random.oneIn(10) { cluster.step(one, .peerLost(other.id)) }
      if random.oneIn(20) { cluster.step(one, .transfer(other.id)) }
      if random.oneIn(15) { cluster.blocked.insert([one.id, other.id]) }
      if random.oneIn(30) { cluster.blocked = [] }
      if random.oneIn(20) { cluster.read(one) }
    }
    #expect(cluster.problems == [])
    guard cluster.problems.isEmpty else { return }
    #expect(cluster.settle(), "no agreement in the end")
    #expect(cluster.problems == [])
  }
}
