/// The first thing that a producer asks for in a transaction (KIP-98). From v4 on, which is not
/// here, it is asked by brokers, of many transactions at once (KIP-890).
package struct AddPartitionsToTxnRequest: WireRequest {
  package typealias Response = AddPartitionsToTxnResponse
  package static var api: APIKey { .addPartitionsToTxn }

  package var v3AndBelowTransactionalId: String = ""
  package var v3AndBelowProducerId: Int64 = 0
  package var v3AndBelowProducerEpoch: Int16 = 0
  package var v3AndBelowTopics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("v3AndBelowTransactionalId", &v3AndBelowTransactionalId)
    try v.field("v3AndBelowProducerId", &v3AndBelowProducerId)
    try v.field("v3AndBelowProducerEpoch", &v3AndBelowProducerEpoch)
    try v.field("v3AndBelowTopics", &v3AndBelowTopics)
  }
}

extension AddPartitionsToTxnRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var partitions: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("partitions", &partitions)
    }
  }
}

/// The outcome, partition by partition.
package struct AddPartitionsToTxnResponse: WireResponse {
  package static var api: APIKey { .addPartitionsToTxn }

  package var throttleTimeMs: Int32 = 0
  package var resultsByTopicV3AndBelow: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("resultsByTopicV3AndBelow", &resultsByTopicV3AndBelow)
  }
}

extension AddPartitionsToTxnResponse {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var resultsByPartition: [Partition] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("resultsByPartition", &resultsByPartition)
    }
  }

  package struct Partition: WireStruct {
    package var partitionIndex: Int32 = 0
    package var partitionErrorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("partitionErrorCode", &partitionErrorCode)
    }
  }
}
