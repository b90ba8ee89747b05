/// Moves partitions to other brokers, or gives that up (KIP-455).
package struct AlterPartitionReassignmentsRequest: WireRequest {
  package typealias Response = AlterPartitionReassignmentsResponse
  package static var api: APIKey { .alterPartitionReassignments }

  package var timeoutMs: Int32 = 60000
  package var allowReplicationFactorChange: Bool = true
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("timeoutMs", &timeoutMs)
    try v.field(
      "allowReplicationFactorChange", &allowReplicationFactorChange, .since(1), absent: true)
    try v.field("topics", &topics)
  }
}

extension AlterPartitionReassignmentsRequest {
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
    /// Nil gives up what is under way.
    package var replicas: [Int32]?

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("replicas", &replicas)
    }
  }
}

/// The outcome, partition by partition.
package struct AlterPartitionReassignmentsResponse: WireResponse {
  package static var api: APIKey { .alterPartitionReassignments }

  package var throttleTimeMs: Int32 = 0
  package var allowReplicationFactorChange: Bool = true
  package var errorCode = ErrorCode.none
  package var errorMessage: String? = ""
  package var responses: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field(
      "allowReplicationFactorChange", &allowReplicationFactorChange, .since(1).ignorable,
      absent: true)
    try v.field("errorCode", &errorCode)
    try v.field("errorMessage", &errorMessage)
    try v.field("responses", &responses)
  }
}

extension AlterPartitionReassignmentsResponse {
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
    package var errorMessage: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
    }
  }
}
