/// Where leader epochs end, so that a reader can tell whether its log was truncated (KIP-320).
package struct OffsetForLeaderEpochRequest: WireRequest {
  package typealias Response = OffsetForLeaderEpochResponse
  package static var api: APIKey { .offsetForLeaderEpoch }

  package var replicaId: Int32 = -2
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("replicaId", &replicaId, .since(3).ignorable, absent: -2)
    try v.field("topics", &topics)
  }
}

extension OffsetForLeaderEpochRequest {
  package struct Topic: WireStruct {
    package var topic: String = ""
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var partition: Int32 = 0
    package var currentLeaderEpoch: Int32 = -1
    package var leaderEpoch: Int32 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partition", &partition)
      try v.field("currentLeaderEpoch", &currentLeaderEpoch)
      try v.field("leaderEpoch", &leaderEpoch)
    }
  }
}

/// The largest epoch not above the one asked for, and its end offset.
package struct OffsetForLeaderEpochResponse: WireResponse {
  package static var api: APIKey { .offsetForLeaderEpoch }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("topics", &topics)
  }
}

extension OffsetForLeaderEpochResponse {
  package struct Topic: WireStruct {
    package var topic: String = ""
    package var partitions: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic)
      try v.field("partitions", &partitions)
    }
  }

  package struct Partition: WireStruct {
    package var errorCode = ErrorCode.none
    package var partition: Int32 = 0
    package var leaderEpoch: Int32 = -1
    package var endOffset: Int64 = -1

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("partition", &partition)
      try v.field("leaderEpoch", &leaderEpoch)
      try v.field("endOffset", &endOffset)
    }
  }
}
