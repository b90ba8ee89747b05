import Bytes
import Replication
import Testing

@Suite struct `What replicas say of themselves` {
  @Test func `is who leads, and how far it and the others are`() {
    let cluster = TraceCluster(nodes: 4)
    for command in ["members 2 1,2,3 4", "campaign 1", "deliver", "flush 1", "flush 2", "deliver"] {
      _ = cluster.run(command)
    }
    for command in ["flush 1", "flush 2", "deliver", "append 1 3", "flush 1", "deliver"] {
      _ = cluster.run(command)
    }
    for command in ["flush 2", "deliver", "lost 1 3", "fence 4"] { _ = cluster.run(command) }
    let position = { LogPosition(epoch: LeaderEpoch(0), offset: Offset($0)) }
    let leader = cluster[NodeID(1)].raft.status
    #expect(leader.role == .leader)
    #expect(leader.leader == NodeID(1))
    #expect(leader.epoch == LeaderEpoch(0))
    #expect(leader.version == 2)
    #expect(leader.end == position(3))
    #expect(leader.durable == position(3))
    #expect(leader.committed == position(3))
    #expect(leader.lag == 0)
    let none = LogPosition(epoch: .none, offset: .zero)
    #expect(
      leader.peers == [
        Raft.Status.Peer(
          node: NodeID(2), isVoter: true, match: position(3), isActive: true, lag: 0,
          isCaughtUp: true),
        Raft.Status.Peer(
          node: NodeID(3), isVoter: true, match: none, isActive: false, lag: 3, isCaughtUp: true),
        Raft.Status.Peer(
          node: NodeID(4), isVoter: false, match: none, isActive: true, lag: 3, isCaughtUp: true),
      ])
    let follower = cluster[NodeID(2)].raft.status
    #expect(follower.role == .follower)
    #expect(follower.leader == NodeID(1))
    #expect(follower.lag == 3)
    #expect(follower.peers == [])
    #expect(cluster[NodeID(3)].raft.status.role == .follower)
    #expect(cluster[NodeID(4)].raft.status.role == .fenced)
  }
}
