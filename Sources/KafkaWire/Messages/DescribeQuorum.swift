/// The replicas of the metadata log, for admin clients (KIP-595, KIP-836).
package struct DescribeQuorumRequest: WireRequest {
  package typealias Response = DescribeQuorumResponse
  package static var api: APIKey { .describeQuorum }

  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics)
  }
}

extension DescribeQuorumRequest {
  package struct Topic: WireStruct {
    package var topicName: String = ""
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topicName", &topicName)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
    }
  }
}

/// Who leads the metadata log, and how far the others are.
package struct DescribeQuorumResponse: WireResponse {
  package static var api: APIKey { .describeQuorum }

  package var errorCode = ErrorCode.none
  package var errorMessage: String? = ""
  package var topics: [Topic] = []
  package var nodes: [Node] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("errorCode", &errorCode)
    try v.field("errorMessage", &errorMessage, .since(2).ignorable, absent: "")
    try v.field("topics", &topics)
    try v.field("nodes", &nodes, .since(2))
  }
}

extension DescribeQuorumResponse {
  package struct Topic: WireStruct {
    package var topicName: String = ""
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topicName", &topicName)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var errorCode = ErrorCode.none
    package var errorMessage: String? = ""
    package var leaderId: Int32 = 0
    package var leaderEpoch: Int32 = 0
    package var highWatermark: Int64 = 0
    package var currentVoters: [ReplicaState] = []
    package var observers: [ReplicaState] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage, .since(2).ignorable, absent: "")
      try v.field("leaderId", &leaderId)
      try v.field("leaderEpoch", &leaderEpoch)
      try v.field("highWatermark", &highWatermark)
      try v.field("currentVoters", &currentVoters)
      try v.field("observers", &observers)
    }
  }

  package struct ReplicaState: WireStruct {
    package var replicaId: Int32 = 0
    package var replicaDirectoryId = UUID16.zero
    package var logEndOffset: Int64 = 0
    /// Milliseconds since 1970 by the leader's clock; -1 if it is not known.
    package var lastFetchTimestamp: Int64 = -1
    package var lastCaughtUpTimestamp: Int64 = -1

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("replicaId", &replicaId)
      try v.field("replicaDirectoryId", &replicaDirectoryId, .since(2))
      try v.field("logEndOffset", &logEndOffset)
      try v.field("lastFetchTimestamp", &lastFetchTimestamp, .since(1).ignorable, absent: -1)
      try v.field("lastCaughtUpTimestamp", &lastCaughtUpTimestamp, .since(1).ignorable, absent: -1)
    }
  }

  package struct Node: WireStruct {
    package var nodeId: Int32 = 0
    package var listeners: [Listener] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("nodeId", &nodeId)
      try v.field("listeners", &listeners)
    }
  }

  package struct Listener: WireStruct {
    package var name: String = ""
    package var host: String = ""
    package var port: UInt16 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("host", &host)
      try v.field("port", &port)
    }
  }
}
