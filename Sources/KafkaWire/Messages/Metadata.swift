/// Brokers, topics and their leaders. No list of topics (nil; in v0 an empty one) means all of
/// them, an empty list none.
package struct MetadataRequest: WireRequest {
  package typealias Response = MetadataResponse
  package static var api: APIKey { .metadata }

  package var topics: [Topic]? = []
  package var allowAutoTopicCreation: Bool = true
  package var includeClusterAuthorizedOperations: Bool = false
  package var includeTopicAuthorizedOperations: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics, nullable: .since(1))
    try v.field("allowAutoTopicCreation", &allowAutoTopicCreation, .since(4), absent: true)
    try v.field(
      "includeClusterAuthorizedOperations", &includeClusterAuthorizedOperations, .between(8, 10))
    try v.field("includeTopicAuthorizedOperations", &includeTopicAuthorizedOperations, .since(8))
  }
}

extension MetadataRequest {
  package struct Topic: WireStruct {
    package var topicId = UUID16.zero
    package var name: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topicId", &topicId, .since(10).ignorable)
      try v.field("name", &name, nullable: .since(10))
    }
  }
}

/// What a client needs to find its way. Topic ids from v10 on (KIP-516).
package struct MetadataResponse: WireResponse {
  package static var api: APIKey { .metadata }

  package var throttleTimeMs: Int32 = 0
  package var brokers: [Broker] = []
  package var clusterId: String?
  package var controllerId: Int32 = -1
  package var topics: [Topic] = []
  /// A bit for each operation; the smallest integer where nobody asked.
  package var clusterAuthorizedOperations: Int32 = .min
  package var errorCode = ErrorCode.none

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(3).ignorable)
    try v.field("brokers", &brokers)
    try v.field("clusterId", &clusterId, .since(2).ignorable)
    try v.field("controllerId", &controllerId, .since(1).ignorable, absent: -1)
    try v.field("topics", &topics)
    try v.field(
      "clusterAuthorizedOperations", &clusterAuthorizedOperations, .between(8, 10), absent: .min)
    try v.field("errorCode", &errorCode, .since(13).ignorable)
  }
}

extension MetadataResponse {
  package struct Broker: WireStruct {
    package var nodeId: Int32 = 0
    package var host: String = ""
    package var port: Int32 = 0
    package var rack: String?

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("nodeId", &nodeId)
      try v.field("host", &host)
      try v.field("port", &port)
      try v.field("rack", &rack, .since(1).ignorable)
    }
  }

  package struct Topic: WireStruct {
    package var errorCode = ErrorCode.none
    package var name: String? = ""
    package var topicId = UUID16.zero
    package var isInternal: Bool = false
    package var partitions: [Partition] = []
    /// A bit for each operation; the smallest integer where nobody asked.
    package var topicAuthorizedOperations: Int32 = .min

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("name", &name, nullable: .since(12))
      try v.field("topicId", &topicId, .since(10).ignorable)
      try v.field("isInternal", &isInternal, .since(1).ignorable)
      try v.field("partitions", &partitions)
      try v.field("topicAuthorizedOperations", &topicAuthorizedOperations, .since(8), absent: .min)
    }
  }

  package struct Partition: WireStruct {
    package var errorCode = ErrorCode.none
    package var partitionIndex: Int32 = 0
    package var leaderId: Int32 = 0
    package var leaderEpoch: Int32 = -1
    package var replicaNodes: [Int32] = []
    package var isrNodes: [Int32] = []
    package var offlineReplicas: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("partitionIndex", &partitionIndex)
      try v.field("leaderId", &leaderId)
      try v.field("leaderEpoch", &leaderEpoch, .since(7).ignorable, absent: -1)
      try v.field("replicaNodes", &replicaNodes)
      try v.field("isrNodes", &isrNodes)
      try v.field("offlineReplicas", &offlineReplicas, .since(5).ignorable)
    }
  }
}
