/// Committed offsets to be forgotten, of topics that the group does not read (KIP-496).
package struct OffsetDeleteRequest: WireRequest {
  package typealias Response = OffsetDeleteResponse
  package static var api: APIKey { .offsetDelete }

  package var groupId: String = ""
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId)
    try v.field("topics", &topics)
  }
}

extension OffsetDeleteRequest {
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

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
    }
  }
}

/// The outcome, partition by partition.
package struct OffsetDeleteResponse: WireResponse {
  package static var api: APIKey { .offsetDelete }

  package var errorCode = ErrorCode.none
  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("errorCode", &errorCode)
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("topics", &topics)
  }
}

extension OffsetDeleteResponse {
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

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("errorCode", &errorCode)
    }
  }
}
