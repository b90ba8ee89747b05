/// Topics to be made; -1 partitions or replicas means the default (KIP-464).
package struct CreateTopicsRequest: WireRequest {
  package typealias Response = CreateTopicsResponse
  package static var api: APIKey { .createTopics }

  package var topics: [Topic] = []
  package var timeoutMs: Int32 = 60000
  package var validateOnly: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics)
    try v.field("timeoutMs", &timeoutMs)
    try v.field("validateOnly", &validateOnly)
  }
}

extension CreateTopicsRequest {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var numPartitions: Int32 = 0
    package var replicationFactor: Int16 = 0
    package var assignments: [Assignment] = []
    package var configs: [Config] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("numPartitions", &numPartitions)
      try v.field("replicationFactor", &replicationFactor)
      try v.field("assignments", &assignments)
      try v.field("configs", &configs)
    }
  }

  package struct Assignment: WireStruct {
    package var partitionIndex: Int32 = 0
    package var brokerIds: [Int32] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("brokerIds", &brokerIds)
    }
  }

  package struct Config: WireStruct {
    package var name: String = ""
    package var value: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("value", &value)
    }
  }
}

/// The outcome and, from v5 on, what was made (KIP-525).
package struct CreateTopicsResponse: WireResponse {
  package static var api: APIKey { .createTopics }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("topics", &topics)
  }
}

extension CreateTopicsResponse {
  package struct Topic: WireStruct {
    package var name: String = ""
    package var topicId = UUID16.zero
    package var errorCode = ErrorCode.none
    package var errorMessage: String? = ""
    package var topicConfigErrorCode = ErrorCode.none
    package var numPartitions: Int32 = -1
    package var replicationFactor: Int16 = -1
    package var configs: [Config]? = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("topicId", &topicId, .since(7).ignorable)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
      try v.field("numPartitions", &numPartitions, .since(5).ignorable, absent: -1)
      try v.field("replicationFactor", &replicationFactor, .since(5).ignorable, absent: -1)
      try v.field("configs", &configs, .since(5).ignorable, absent: [])
    }

    package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.tagged(0, "topicConfigErrorCode", &topicConfigErrorCode, .since(5).ignorable)
    }
  }

  package struct Config: WireStruct {
    package var name: String = ""
    package var value: String? = ""
    package var readOnly: Bool = false
    /// 1 topic, 2 dynamic broker, 3 dynamic default, 4 static broker, 5 default.
    package var configSource: Int8 = -1
    package var isSensitive: Bool = false

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("value", &value)
      try v.field("readOnly", &readOnly)
      try v.field("configSource", &configSource)
      try v.field("isSensitive", &isSensitive)
    }
  }
}
