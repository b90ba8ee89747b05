/// Record batches to be appended, by topic and partition. Every partition carries exactly one batch
/// of format v2; names give way to topic ids in v13 (KIP-516). Answered unless `acks` is 0.
package struct ProduceRequest: WireRequest {
  package typealias Response = ProduceResponse
  package static var api: APIKey { .produce }

  package var transactionalId: String?
  /// -1 all in-sync replicas, 1 the leader, 0 nobody: then there is no response.
  package var acks: Int16 = 0
  package var timeoutMs: Int32 = 0
  package var topicData: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("transactionalId", &transactionalId)
    try v.field("acks", &acks)
    try v.field("timeoutMs", &timeoutMs)
    try v.field("topicData", &topicData)
  }
}

extension ProduceRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var partitionData: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, .until(12).ignorable)
      try v.field("topicId", &topicId, .since(13).ignorable)
      try v.field("partitionData", &partitionData)
    }
  }

  package struct Partition: WireStruct {
    package var index: Int32 = 0
    package var records: ArraySlice<UInt8>? = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("index", &index)
      try v.field("records", &records)
    }
  }
}

/// Where the batches were put, partition by partition. From v10 on a partition that is led
/// elsewhere says where (KIP-951).
package struct ProduceResponse: WireResponse {
  package static var api: APIKey { .produce }

  package var responses: [Topic] = []
  package var throttleTimeMs: Int32 = 0
  package var nodeEndpoints: [NodeEndpoint] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("responses", &responses)
    try v.field("throttleTimeMs", &throttleTimeMs)
  }

  package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.tagged(0, "nodeEndpoints", &nodeEndpoints, .since(10))
  }
}

extension ProduceResponse {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var partitionResponses: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, .until(12).ignorable)
      try v.field("topicId", &topicId, .since(13).ignorable)
      try v.field("partitionResponses", &partitionResponses)
    }
  }

  package struct Partition: WireStruct {
    package var index: Int32 = 0
    package var errorCode = ErrorCode.none
    package var baseOffset: Int64 = 0
    package var logAppendTimeMs: Int64 = -1
    package var logStartOffset: Int64 = -1
    package var recordErrors: [RecordError] = []
    package var errorMessage: String?
    package var currentLeader = LeaderIdAndEpoch()

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("index", &index)
      try v.field("errorCode", &errorCode)
      try v.field("baseOffset", &baseOffset)
      try v.field("logAppendTimeMs", &logAppendTimeMs)
      try v.field("logStartOffset", &logStartOffset, .since(5).ignorable, absent: -1)
      try v.field("recordErrors", &recordErrors, .since(8).ignorable)
      try v.field("errorMessage", &errorMessage, .since(8).ignorable)
    }

    package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.tagged(0, "currentLeader", &currentLeader, .since(10))
    }
  }

  package struct RecordError: WireStruct {
    package var batchIndex: Int32 = 0
    package var batchIndexErrorMessage: String?

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("batchIndex", &batchIndex)
      try v.field("batchIndexErrorMessage", &batchIndexErrorMessage)
    }
  }
}
