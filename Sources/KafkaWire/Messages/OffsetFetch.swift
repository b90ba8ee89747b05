/// Offsets that groups have committed; many groups at once from v8 on (KIP-709). Nil topics means
/// all.
package struct OffsetFetchRequest: WireRequest {
  package typealias Response = OffsetFetchResponse
  package static var api: APIKey { .offsetFetch }

  package var groupId: String = ""
  package var topics: [Topic]? = []
  package var groups: [Group] = []
  package var requireStable: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId, .until(7))
    try v.field("topics", &topics, .until(7), nullable: .since(2), absent: [])
    try v.field("groups", &groups, .since(8))
    try v.field("requireStable", &requireStable, .since(7))
  }
}

extension OffsetFetchRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var partitionIndexes: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("partitionIndexes", &partitionIndexes)
    }
  }

  package struct Group: WireStruct {
    package var groupId: String = ""
    package var memberId: String?
    package var memberEpoch: Int32 = -1
    package var topics: [GroupTopic]? = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("groupId", &groupId)
      try v.field("memberId", &memberId, .since(9).ignorable)
      try v.field("memberEpoch", &memberEpoch, .since(9).ignorable, absent: -1)
      try v.field("topics", &topics)
    }
  }

  package struct GroupTopic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var partitionIndexes: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, .until(9).ignorable)
      try v.field("topicId", &topicId, .since(10).ignorable)
      try v.field("partitionIndexes", &partitionIndexes)
    }
  }
}

/// Committed offsets, -1 where there is none.
package struct OffsetFetchResponse: WireResponse {
  package static var api: APIKey { .offsetFetch }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []
  package var errorCode = ErrorCode.none
  package var groups: [Group] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(3).ignorable)
    try v.field("topics", &topics, .until(7))
    try v.field("errorCode", &errorCode, .between(2, 7).ignorable)
    try v.field("groups", &groups, .since(8))
  }
}

extension OffsetFetchResponse {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var committedOffset: Int64 = 0
    package var committedLeaderEpoch: Int32 = -1
    package var metadata: String? = ""
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("committedOffset", &committedOffset)
      try v.field("committedLeaderEpoch", &committedLeaderEpoch, .since(5).ignorable, absent: -1)
      try v.field("metadata", &metadata)
      try v.field("errorCode", &errorCode)
    }
  }

  package struct Group: WireStruct {
    package var groupId: String = ""
    package var topics: [GroupTopic] = []
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("groupId", &groupId)
      try v.field("topics", &topics)
      try v.field("errorCode", &errorCode)
    }
  }

  package struct GroupTopic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var partitions: [GroupPartition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, .until(9).ignorable)
      try v.field("topicId", &topicId, .since(10).ignorable)
      try v.field("partitions", &partitions)
    }
  }

  package struct GroupPartition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var committedOffset: Int64 = 0
    package var committedLeaderEpoch: Int32 = -1
    package var metadata: String? = ""
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("committedOffset", &committedOffset)
      try v.field("committedLeaderEpoch", &committedLeaderEpoch)
      try v.field("metadata", &metadata)
      try v.field("errorCode", &errorCode)
    }
  }
}
