/// Elects leaders of partitions: the preferred ones, or any that is left (KIP-460). No list of
/// topics means all partitions.
package struct ElectLeadersRequest: WireRequest {
  package typealias Response = ElectLeadersResponse
  package static var api: APIKey { .electLeaders }

  /// 0 preferred, 1 unclean.
  package var electionType: Int8 = 0
  package var topicPartitions: [Topic]? = []
  package var timeoutMs: Int32 = 60000

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("electionType", &electionType, .since(1))
    try v.field("topicPartitions", &topicPartitions)
    try v.field("timeoutMs", &timeoutMs)
  }
}

extension ElectLeadersRequest {
  package struct Topic: WireStruct {
    package var topic: String = ""
    package var partitions: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic)
      try v.field("partitions", &partitions)
    }
  }
}

/// The outcome, partition by partition.
package struct ElectLeadersResponse: WireResponse {
  package static var api: APIKey { .electLeaders }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var replicaElectionResults: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("errorCode", &errorCode, .since(1))
    try v.field("replicaElectionResults", &replicaElectionResults)
  }
}

extension ElectLeadersResponse {
  package struct Topic: WireStruct {
    package var topic: String = ""
    package var partitionResult: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("topic", &topic)
      try v.field("partitionResult", &partitionResult)
    }
  }

  package struct Partition: WireStruct {
    package var partitionId: Int32 = 0
    package var errorCode = ErrorCode.none
    package var errorMessage: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionId", &partitionId)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
    }
  }
}
