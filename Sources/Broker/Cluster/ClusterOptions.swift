package import Platform
package import Replication

/// One node of a cluster, as every node's configuration names it.
package struct ClusterMember: Equatable, Sendable {
  package var id: Int32
  /// Where clients connect.
  package var client: SocketAddress
  /// Where the other nodes connect.
  package var peer: SocketAddress

  package init(id: Int32, client: SocketAddress, peer: SocketAddress) {
    self.id = id
    self.client = client
    self.peer = peer
  }
}

/// How the nodes of a cluster keep time with each other.
package struct ClusterOptions: Sendable {
  /// All nodes there are, this one among them, by id. Empty for a node that is alone.
  package var members: [ClusterMember] = []
  /// Which start of the node this is: larger with each.
  package var boot: UInt64 = 0
  /// Of the clock that elections and heartbeats are counted by.
  package var tickMilliseconds: Int64 = 20
  /// A follower that hears nothing for this long, and up to twice as long, asks for votes. What
  /// breaks a connection is noticed at once; this is for who hangs.
  package var electionTicks = 12
  package var heartbeatTicks = 2
  /// Requests that wait to be passed on to the leader of the metadata, at most.
  package var forwardsMax = 1000
  /// After so long without an answer, the client is told to try again.
  package var forwardMilliseconds: Int64 = 10_000
  /// Clients are still told of a node that was lost less than this ago.
  package var listedMilliseconds: Int64 = 30_000

  /// None but in tests of simulations.
  package var planted: PlantedNodeMistakes = []
  /// The same, of the replicas.
  package var plantedInReplicas: PlantedMistakes = []

  package init() {}

  package var isAlone: Bool { members.count <= 1 }
}
