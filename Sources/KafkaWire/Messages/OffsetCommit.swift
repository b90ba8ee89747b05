/// Offsets that a consumer group has got to. Topic ids replace names in v10 (KIP-848).
package struct OffsetCommitRequest: WireRequest {
  package typealias Response = OffsetCommitResponse
  package static var api: APIKey { .offsetCommit }

  package var groupId: String = ""
  package var generationIdOrMemberEpoch: Int32 = -1
  package var memberId: String = ""
  package var groupInstanceId: String?
  package var retentionTimeMs: Int64 = -1
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId)
    try v.field("generationIdOrMemberEpoch", &generationIdOrMemberEpoch)
    try v.field("memberId", &memberId)
    try v.field("groupInstanceId", &groupInstanceId, .since(7))
    try v.field("retentionTimeMs", &retentionTimeMs, .until(4).ignorable, absent: -1)
    try v.field("topics", &topics)
  }
}

extension OffsetCommitRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, .until(9).ignorable)
      try v.field("topicId", &topicId, .since(10).ignorable)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var committedOffset: Int64 = 0
    package var committedLeaderEpoch: Int32 = -1
    package var committedMetadata: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("committedOffset", &committedOffset)
      try v.field("committedLeaderEpoch", &committedLeaderEpoch, .since(6).ignorable, absent: -1)
      try v.field("committedMetadata", &committedMetadata)
    }
  }
}

/// The outcome of a commit, partition by partition.
package struct OffsetCommitResponse: WireResponse {
  package static var api: APIKey { .offsetCommit }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(3).ignorable)
    try v.field("topics", &topics)
  }
}

extension OffsetCommitResponse {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, .until(9).ignorable)
      try v.field("topicId", &topicId, .since(10).ignorable)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("errorCode", &errorCode)
    }
  }
}
