package import Platform

/// Where a node listens for the other nodes of its cluster.
package struct PeerAddress: Hashable, Sendable {
  package var node: Int32
  package var address: SocketAddress

  package init(node: Int32, address: SocketAddress) {
    self.node = node
    self.address = address
  }
}

/// Who a node is. Said first on every connection between nodes, by both sides.
package struct PeerHello: Equatable, Sendable {
  /// The cluster's id; zero and zero if the node knows of none yet.
  package var clusterHigh: UInt64
  package var clusterLow: UInt64
  package var node: Int32
  /// The id of its store, which is another one when its disk was lost.
  package var incarnation: UInt64
  /// Which start of the node this is.
  package var boot: UInt64
  /// The last group of its journal when it said so.
  package var journalGroup: UInt64
  /// Where clients reach it.
  package var clientHost: String
  package var clientPort: UInt16
  /// Of no meaning here. At most `stateBytesMax`.
  package var state: [UInt8]

  package static let stateBytesMax = 64 << 10
  package static let hostBytesMax = 255

  package init(
    clusterHigh: UInt64 = 0, clusterLow: UInt64 = 0, node: Int32, incarnation: UInt64,
    boot: UInt64, journalGroup: UInt64 = 0, clientHost: String = "", clientPort: UInt16 = 0,
    state: [UInt8] = []
  ) {
    self.clusterHigh = clusterHigh
    self.clusterLow = clusterLow
    self.node = node
    self.incarnation = incarnation
    self.boot = boot
    self.journalGroup = journalGroup
    self.clientHost = clientHost
    self.clientPort = clientPort
    self.state = state
  }

  /// One process, from its start to its end.
  package var life: PeerLife { PeerLife(incarnation: incarnation, boot: boot) }

  /// What is too large to be said, if anything is.
  package var excess: String? {
    if clientHost.utf8.count > Self.hostBytesMax {
      return "the host that clients are told has \(clientHost.utf8.count) bytes, more than "
        + "\(Self.hostBytesMax)"
    }
    if state.count > Self.stateBytesMax {
      return "the state of a node has \(state.count) bytes, more than \(Self.stateBytesMax)"
    }
    return nil
  }
}

package struct PeerLife: Equatable, Sendable {
  package var incarnation: UInt64
  package var boot: UInt64
}

/// The two connections of a pair of nodes.
package enum PeerChannel: UInt8, Sendable, CaseIterable {
  /// Appends and catching up. Lives on the node's loop.
  case bulk = 1
  /// Votes, transfers, heartbeats: never waits behind the other or behind a disk. Lives on the
  /// liveness thread.
  case urgent = 2
}

/// Bounds and times of the connections between nodes, in milliseconds and bytes.
package struct PeerOptions: Sendable {
  package var heartbeatMilliseconds: Int64 = 20
  /// How long a peer may say nothing. If nil: 200 where the liveness threads of both have
  /// SCHED_FIFO, 500 where one has not and may be late by as much.
  package var silenceMilliseconds: Int64?
  /// How long a peer's loop or journal may stand still while it has work. Not less than what
  /// threads wait for a core on a machine that has too few: a node that is taken for stalled then
  /// leaves its work to others, which have no core either.
  package var stallMilliseconds: Int64 = 400
  /// How long a connection may take to come about, before another is tried.
  package var connectMilliseconds: Int64 = 200
  /// How long a connection may be there before both sides have said who they are.
  package var helloMilliseconds: Int64 = 500
  /// How long a connection's bytes may stay unconfirmed, for the kernel.
  package var unconfirmedMilliseconds = 2000
  /// Bytes that wait for one peer, on each channel. Beyond, the connections are closed and made
  /// again, and who sends has to begin again.
  package var queueBytesMax = 64 << 20
  /// Whether the liveness thread asks for SCHED_FIFO.
  package var isRealtime = true

  package init() {}

  func silence(isRealtime: Bool) -> Int64 { silenceMilliseconds ?? (isRealtime ? 200 : 500) }
}

/// What went between this node and another, since the start.
package struct PeerMetrics: Equatable, Sendable {
  package var node: Int32
  package var isConnected = false
  package var bytesIn: UInt64 = 0
  package var bytesOut: UInt64 = 0
  package var framesIn: UInt64 = 0
  package var framesOut: UInt64 = 0
  /// How often both connections came to stand, after the first time.
  package var reconnects: UInt64 = 0
  /// Of heartbeats: the last, and an average in which each counts for an eighth.
  package var roundTripNanoseconds: UInt64 = 0
  package var roundTripAverageNanoseconds: UInt64 = 0
  /// Bytes that wait to be sent.
  package var queueBytes = 0
}

/// What is wrong with a connection, in one sentence without a full stop.
package struct PeerFault: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
