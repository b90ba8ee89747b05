/// Raises the number of partitions of topics (KIP-195).
package struct CreatePartitionsRequest: WireRequest {
  package typealias Response = CreatePartitionsResponse
  package static var api: APIKey { .createPartitions }

  package var topics: [Topic] = []
  package var timeoutMs: Int32 = 0
  package var validateOnly: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics)
    try v.field("timeoutMs", &timeoutMs)
    try v.field("validateOnly", &validateOnly)
  }
}

extension CreatePartitionsRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var count: Int32 = 0
    package var assignments: [Assignment]? = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("count", &count)
      try v.field("assignments", &assignments)
    }
  }

  package struct Assignment: WireStruct {
    package var brokerIds: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("brokerIds", &brokerIds)
    }
  }
}

/// The outcome, topic by topic.
package struct CreatePartitionsResponse: WireResponse {
  package static var api: APIKey { .createPartitions }

  package var throttleTimeMs: Int32 = 0
  package var results: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("results", &results)
  }
}

extension CreatePartitionsResponse {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var errorCode = ErrorCode.none
    package var errorMessage: String?

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
    }
  }
}
