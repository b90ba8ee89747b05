/// Whether a node is to be talked to, by the first thing it says.
package struct PeerHandshake {
  package var own: PeerHello
  /// All nodes that may connect, this one or not.
  package var nodes: [Int32]

  package init(own: PeerHello, nodes: [Int32]) {
    self.own = own
    self.nodes = nodes
  }

  /// Of a connection that the other side began.
  package func judge(_ opening: PeerOpening) throws(PeerFault) {
    let node = opening.hello.node
    guard opening.to == own.node else {
      throw PeerFault("it looks for node \(opening.to), and this is node \(own.node)")
    }
    guard node != own.node else {
      throw PeerFault("it says it is node \(node), which is this node")
    }
    guard nodes.contains(node) else {
      throw PeerFault("node \(node) is none of the nodes that node \(own.node) was told of")
    }
    guard node < own.node else {
      throw PeerFault("node \(own.node) connects to node \(node), not the other way round")
    }
    try judge(cluster: opening.hello)
  }

  /// Of the answer on a connection that was begun from here.
  package func judge(
    _ answer: PeerOpening, from node: Int32, session: UInt64, channel: PeerChannel
  ) throws(PeerFault) {
    guard answer.hello.node != own.node else {
      throw PeerFault("where node \(node) should be there is this node")
    }
    guard answer.hello.node == node else {
      throw PeerFault("where node \(node) should be there is node \(answer.hello.node)")
    }
    guard answer.to == own.node, answer.session == session, answer.channel == channel else {
      throw PeerFault("it answered what it was not asked")
    }
    try judge(cluster: answer.hello)
  }

  /// Of what a peer says of itself later.
  package func judge(news: PeerHello, of life: PeerLife, node: Int32) throws(PeerFault) {
    guard news.node == node, news.life == life else {
      throw PeerFault("it says it has become another node")
    }
    try judge(cluster: news)
  }

  package func judge(cluster hello: PeerHello) throws(PeerFault) {
    let isKnown = hello.clusterHigh | hello.clusterLow != 0
    let isOwnKnown = own.clusterHigh | own.clusterLow != 0
    guard isKnown, isOwnKnown else { return }
    guard hello.clusterHigh == own.clusterHigh, hello.clusterLow == own.clusterLow else {
      throw PeerFault(
        "node \(hello.node) belongs to cluster \(hello.clusterName), node \(own.node) to "
          + own.clusterName)
    }
  }
}

extension PeerHello {
  fileprivate var clusterName: String {
    String(clusterHigh, radix: 16) + "-" + String(clusterLow, radix: 16)
  }
}
