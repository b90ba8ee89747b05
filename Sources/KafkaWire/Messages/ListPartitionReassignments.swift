/// Which partitions are on the move (KIP-455). No list of topics means all of them.
package struct ListPartitionReassignmentsRequest: WireRequest {
  package typealias Response = ListPartitionReassignmentsResponse
  package static var api: APIKey { .listPartitionReassignments }

  package var timeoutMs: Int32 = 60000
  package var topics: [Topic]?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("timeoutMs", &timeoutMs)
    try v.field("topics", &topics)
  }
}

extension ListPartitionReassignmentsRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var partitionIndexes: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("partitionIndexes", &partitionIndexes)
    }
  }
}

/// The partitions that are on the move.
package struct ListPartitionReassignmentsResponse: WireResponse {
  package static var api: APIKey { .listPartitionReassignments }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var errorMessage: String? = ""
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("errorCode", &errorCode)
    try v.field("errorMessage", &errorMessage)
    try v.field("topics", &topics)
  }
}

extension ListPartitionReassignmentsResponse {
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
    /// All who have it or will.
    package var replicas: [Int32] = []
    package var addingReplicas: [Int32] = []
    package var removingReplicas: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("replicas", &replicas)
      try v.field("addingReplicas", &addingReplicas)
      try v.field("removingReplicas", &removingReplicas)
    }
  }
}
