/// Topics and their leaders, in pages (KIP-966). An empty list of topics means all of them.
package struct DescribeTopicPartitionsRequest: WireRequest {
  package typealias Response = DescribeTopicPartitionsResponse
  package static var api: APIKey { .describeTopicPartitions }

  package var topics: [Topic] = []
  package var responsePartitionLimit: Int32 = 2000
  /// Where to go on; nil for the beginning.
  package var cursor: PartitionCursor?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics)
    try v.field("responsePartitionLimit", &responsePartitionLimit)
    try v.field("cursor", &cursor)
  }
}

extension DescribeTopicPartitionsRequest {
  package struct Topic: WireStruct {
    package var name: String = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
    }
  }
}

/// A place in the order of all partitions.
package struct PartitionCursor: WireStruct {
  package var topicName: String = ""
  package var partitionIndex: Int32 = 0

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topicName", &topicName)
    try v.field("partitionIndex", &partitionIndex)
  }
}

/// A page of them, and where the next one begins.
package struct DescribeTopicPartitionsResponse: WireResponse {
  package static var api: APIKey { .describeTopicPartitions }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []
  package var nextCursor: PartitionCursor?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("topics", &topics)
    try v.field("nextCursor", &nextCursor)
  }
}

extension DescribeTopicPartitionsResponse {
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
      try v.field("name", &name)
      try v.field("topicId", &topicId)
      try v.field("isInternal", &isInternal)
      try v.field("partitions", &partitions)
      try v.field("topicAuthorizedOperations", &topicAuthorizedOperations)
    }
  }

  package struct Partition: WireStruct {
    package var errorCode = ErrorCode.none
    package var partitionIndex: Int32 = 0
    package var leaderId: Int32 = 0
    package var leaderEpoch: Int32 = -1
    package var replicaNodes: [Int32] = []
    package var isrNodes: [Int32] = []
    /// Null makes the Java client fail.
    package var eligibleLeaderReplicas: [Int32]?
    package var lastKnownElr: [Int32]?
    package var offlineReplicas: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("partitionIndex", &partitionIndex)
      try v.field("leaderId", &leaderId)
      try v.field("leaderEpoch", &leaderEpoch)
      try v.field("replicaNodes", &replicaNodes)
      try v.field("isrNodes", &isrNodes)
      try v.field("eligibleLeaderReplicas", &eligibleLeaderReplicas)
      try v.field("lastKnownElr", &lastKnownElr)
      try v.field("offlineReplicas", &offlineReplicas)
    }
  }
}
