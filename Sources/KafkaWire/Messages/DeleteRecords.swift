/// Moves the start of partitions up to an offset; -1 means the high watermark (KIP-107).
package struct DeleteRecordsRequest: WireRequest {
  package typealias Response = DeleteRecordsResponse
  package static var api: APIKey { .deleteRecords }

  package var topics: [Topic] = []
  package var timeoutMs: Int32 = 0

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics)
    try v.field("timeoutMs", &timeoutMs)
  }
}

extension DeleteRecordsRequest {
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
    package var offset: Int64 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("offset", &offset)
    }
  }
}

/// The new starts.
package struct DeleteRecordsResponse: WireResponse {
  package static var api: APIKey { .deleteRecords }

  package var throttleTimeMs: Int32 = 0
  package var topics: [Topic] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("topics", &topics)
  }
}

extension DeleteRecordsResponse {
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
    package var lowWatermark: Int64 = 0
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("partitionIndex", &partitionIndex)
      try v.field("lowWatermark", &lowWatermark)
      try v.field("errorCode", &errorCode)
    }
  }
}
