/// What a consumer tells its group's leader: which topics it wants and, for cooperative
/// rebalancing, what it owns (KIP-429, v1; KIP-792, v2; KIP-881, v3). Opaque to the broker.
package struct ConsumerProtocolSubscription: ConsumerProtocolMessage {
  package static var versions: ClosedRange<Int16> { 0...3 }
  package static var flexibleSince: Int16? { nil }

  package var topics: [String] = []
  package var userData: ArraySlice<UInt8>?
  package var ownedPartitions: [ConsumerProtocolTopicPartitions] = []
  package var generationId: Int32 = -1
  package var rackId: String?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topics", &topics)
    try v.field("userData", &userData)
    try v.field("ownedPartitions", &ownedPartitions, .since(1).ignorable)
    try v.field("generationId", &generationId, .since(2).ignorable, absent: -1)
    try v.field("rackId", &rackId, .since(3).ignorable)
  }
}

/// What the group's leader gives a consumer. Opaque to the broker.
package struct ConsumerProtocolAssignment: ConsumerProtocolMessage {
  package static var versions: ClosedRange<Int16> { 0...3 }
  package static var flexibleSince: Int16? { nil }

  package var assignedPartitions: [ConsumerProtocolTopicPartitions] = []
  package var userData: ArraySlice<UInt8>?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("assignedPartitions", &assignedPartitions)
    try v.field("userData", &userData)
  }
}

/// Partitions of one topic, wanted or owned or assigned.
package struct ConsumerProtocolTopicPartitions: WireStruct {
  package var topic: String = ""
  package var partitions: [Int32] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("topic", &topic)
    try v.field("partitions", &partitions)
  }
}
