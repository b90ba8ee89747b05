/// Records of many partitions from given offsets on, held back until there are `minBytes` of them
/// or `maxWaitMs` is over. Sessions (KIP-227, v7) let a client send only what changed; topic ids
/// replace names in v13 (KIP-516).
package struct FetchRequest: WireRequest {
  package typealias Response = FetchResponse
  package static var api: APIKey { .fetch }

  package var clusterId: String?
  /// The broker that fetches, -1 for a consumer.
  package var replicaId: Int32 = -1
  package var replicaState = ReplicaState()
  package var maxWaitMs: Int32 = 0
  package var minBytes: Int32 = 0
  package var maxBytes: Int32 = .max
  /// 0 read uncommitted, 1 read committed.
  package var isolationLevel: Int8 = 0
  package var sessionId: Int32 = 0
  /// -1 closes the session, 0 opens one, larger ones count up.
  package var sessionEpoch: Int32 = -1
  package var topics: [Topic] = []
  /// Partitions to be removed from the session.
  package var forgottenTopicsData: [ForgottenTopic] = []
  package var rackId: String = ""

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("replicaId", &replicaId, .until(14), absent: -1)
    try v.field("maxWaitMs", &maxWaitMs)
    try v.field("minBytes", &minBytes)
    try v.field("maxBytes", &maxBytes)
    try v.field("isolationLevel", &isolationLevel)
    try v.field("sessionId", &sessionId, .since(7).ignorable)
    try v.field("sessionEpoch", &sessionEpoch, .since(7).ignorable, absent: -1)
    try v.field("topics", &topics)
    try v.field("forgottenTopicsData", &forgottenTopicsData, .since(7))
    try v.field("rackId", &rackId, .since(11).ignorable)
  }

  package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.tagged(0, "clusterId", &clusterId, .since(12).ignorable)
    try v.tagged(1, "replicaState", &replicaState, .since(15))
  }
}

extension FetchRequest {
  package struct ReplicaState: WireStruct {
    /// The broker that fetches, -1 for a consumer.
    package var replicaId: Int32 = -1
    package var replicaEpoch: Int64 = -1

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("replicaId", &replicaId)
      try v.field("replicaEpoch", &replicaEpoch)
    }
  }

  package struct Topic: WireStruct {
    package var topic: String = ""
    package var topicId = UUID16.zero
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic, .until(12).ignorable)
      try v.field("topicId", &topicId, .since(13).ignorable)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partition: Int32 = 0
    package var currentLeaderEpoch: Int32 = -1
    package var fetchOffset: Int64 = 0
    package var lastFetchedEpoch: Int32 = -1
    package var logStartOffset: Int64 = -1
    package var partitionMaxBytes: Int32 = 0
    package var replicaDirectoryId = UUID16.zero
    package var highWatermark: Int64 = .max

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partition", &partition)
      try v.field("currentLeaderEpoch", &currentLeaderEpoch, .since(9).ignorable, absent: -1)
      try v.field("fetchOffset", &fetchOffset)
      try v.field("lastFetchedEpoch", &lastFetchedEpoch, .since(12), absent: -1)
      try v.field("logStartOffset", &logStartOffset, .since(5).ignorable, absent: -1)
      try v.field("partitionMaxBytes", &partitionMaxBytes)
    }

    package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.tagged(0, "replicaDirectoryId", &replicaDirectoryId, .since(17).ignorable)
      try v.tagged(1, "highWatermark", &highWatermark, .since(18).ignorable, absent: .max)
    }
  }

  package struct ForgottenTopic: WireStruct {
    package var topic: String = ""
    package var topicId = UUID16.zero
    package var partitions: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic, .until(12).ignorable)
      try v.field("topicId", &topicId, .since(13).ignorable)
      try v.field("partitions", &partitions)
    }
  }
}

/// Record batches as they lie in the log, partition by partition. A batch is never cut at its
/// front: the first may begin before the offset that was asked for.
package struct FetchResponse: WireResponse {
  package static var api: APIKey { .fetch }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var sessionId: Int32 = 0
  package var responses: [Topic] = []
  package var nodeEndpoints: [NodeEndpoint] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("errorCode", &errorCode, .since(7).ignorable)
    try v.field("sessionId", &sessionId, .since(7))
    try v.field("responses", &responses)
  }

  package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.tagged(0, "nodeEndpoints", &nodeEndpoints, .since(16))
  }
}

extension FetchResponse {
  package struct Topic: WireStruct {
    package var topic: String = ""
    package var topicId = UUID16.zero
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic, .until(12).ignorable)
      try v.field("topicId", &topicId, .since(13).ignorable)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var errorCode = ErrorCode.none
    package var highWatermark: Int64 = 0
    package var lastStableOffset: Int64 = -1
    package var logStartOffset: Int64 = -1
    package var divergingEpoch = EpochEndOffset()
    package var currentLeader = LeaderIdAndEpoch()
    package var snapshotId = SnapshotId()
    /// Only for read committed; must be in the order of `firstOffset`.
    package var abortedTransactions: [AbortedTransaction]? = []
    package var preferredReadReplica: Int32 = -1
    package var records: RecordBytes? = .bytes([])

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("errorCode", &errorCode)
      try v.field("highWatermark", &highWatermark)
      try v.field("lastStableOffset", &lastStableOffset)
      try v.field("logStartOffset", &logStartOffset, .since(5).ignorable, absent: -1)
      try v.field("abortedTransactions", &abortedTransactions)
      try v.field("preferredReadReplica", &preferredReadReplica, .since(11), absent: -1)
      try v.field("records", &records)
    }

    package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.tagged(0, "divergingEpoch", &divergingEpoch, .since(12))
      try v.tagged(1, "currentLeader", &currentLeader, .since(12))
      try v.tagged(2, "snapshotId", &snapshotId, .since(12))
    }
  }

  package struct EpochEndOffset: WireStruct {
    package var epoch: Int32 = -1
    package var endOffset: Int64 = -1

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("epoch", &epoch)
      try v.field("endOffset", &endOffset)
    }
  }

  package struct SnapshotId: WireStruct {
    package var endOffset: Int64 = -1
    package var epoch: Int32 = -1

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("endOffset", &endOffset)
      try v.field("epoch", &epoch)
    }
  }

  package struct AbortedTransaction: WireStruct {
    package var producerId: Int64 = 0
    package var firstOffset: Int64 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("producerId", &producerId)
      try v.field("firstOffset", &firstOffset)
    }
  }
}
