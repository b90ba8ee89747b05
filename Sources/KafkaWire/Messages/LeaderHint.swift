/// The leader of a partition, told to who came to the wrong broker (KIP-951).
package struct LeaderIdAndEpoch: WireStruct {
  package var leaderId: Int32 = -1
  package var leaderEpoch: Int32 = -1

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("leaderId", &leaderId)
    try v.field("leaderEpoch", &leaderEpoch)
  }
}

/// Where a broker listens that a `LeaderIdAndEpoch` of the same response names.
package struct NodeEndpoint: WireStruct {
  package var nodeId: Int32 = 0
  package var host: String = ""
  package var port: Int32 = 0
  package var rack: String?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("nodeId", &nodeId)
    try v.field("host", &host)
    try v.field("port", &port)
    try v.field("rack", &rack)
  }
}
