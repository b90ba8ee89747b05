/// Topics to be removed, by name or, from v6 on, by id (KIP-516).
package struct DeleteTopicsRequest: WireRequest {
  package typealias Response = DeleteTopicsResponse
  package static var api: APIKey { .deleteTopics }

  package var topics: [Topic] = []
  package var topicNames: [String] = []
  package var timeoutMs: Int32 = 0

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics, .since(6))
    try v.field("topicNames", &topicNames, .until(5).ignorable)
    try v.field("timeoutMs", &timeoutMs)
  }
}

extension DeleteTopicsRequest {
  package struct Topic: WireStruct {
    package var name: String?
    package var topicId = UUID16.zero

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("topicId", &topicId)
    }
  }
}

/// The outcome of removing, topic by topic.
package struct DeleteTopicsResponse: WireResponse {
  package static var api: APIKey { .deleteTopics }

  package var throttleTimeMs: Int32 = 0
  package var responses: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("responses", &responses)
  }
}

extension DeleteTopicsResponse {
  package struct Topic: WireStruct {
    package var name: String? = ""
    package var topicId = UUID16.zero
    package var errorCode = ErrorCode.none
    package var errorMessage: String?

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name, nullable: .since(6))
      try v.field("topicId", &topicId, .since(6).ignorable)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage, .since(5).ignorable)
    }
  }
}
