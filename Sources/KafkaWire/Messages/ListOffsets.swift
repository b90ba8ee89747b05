/// The offsets at given times: of the first record at or after a timestamp, or of a place that a
/// negative one names.
package struct ListOffsetsRequest: WireRequest {
  package typealias Response = ListOffsetsResponse
  package static var api: APIKey { .listOffsets }

  package var replicaId: Int32 = 0
  /// 0 read uncommitted, 1 read committed.
  package var isolationLevel: Int8 = 0
  package var topics: [Topic] = []
  package var timeoutMs: Int32 = 0

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("replicaId", &replicaId)
    try v.field("isolationLevel", &isolationLevel, .since(2))
    try v.field("topics", &topics)
    try v.field("timeoutMs", &timeoutMs, .since(10).ignorable)
  }
}

extension ListOffsetsRequest {
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
    package var currentLeaderEpoch: Int32 = -1
    package var timestamp: Int64 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("currentLeaderEpoch", &currentLeaderEpoch, .since(4).ignorable, absent: -1)
      try v.field("timestamp", &timestamp)
    }
  }
}

/// One offset for each partition asked for, -1 where there is none.
package struct ListOffsetsResponse: WireResponse {
  package static var api: APIKey { .listOffsets }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(2).ignorable)
    try v.field("topics", &topics)
  }
}

extension ListOffsetsResponse {
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
    package var errorCode = ErrorCode.none
    package var timestamp: Int64 = -1
    package var offset: Int64 = -1
    package var leaderEpoch: Int32 = -1

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("errorCode", &errorCode)
      try v.field("timestamp", &timestamp)
      try v.field("offset", &offset)
      try v.field("leaderEpoch", &leaderEpoch, .since(4), absent: -1)
    }
  }
}
