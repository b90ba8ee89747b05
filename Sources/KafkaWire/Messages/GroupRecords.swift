/// Key of a committed offset in `__consumer_offsets`, record type 1.
package struct OffsetCommitKey: WireMessage {
  package static var versions: ClosedRange<Int16> { 0...0 }
  package static var flexibleSince: Int16? { nil }

  package var group: String = ""
  package var topic: String = ""
  package var partition: Int32 = 0

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("group", &group)
    try v.field("topic", &topic)
    try v.field("partition", &partition)
  }
}

/// A committed offset in `__consumer_offsets`.
package struct OffsetCommitValue: GroupRecordValue {
  package static var versions: ClosedRange<Int16> { 0...4 }
  package static var flexibleSince: Int16? { 4 }

  package var offset: Int64 = 0
  package var leaderEpoch: Int32 = -1
  package var metadata: String = ""
  package var commitTimestamp: Int64 = 0
  package var expireTimestamp: Int64 = -1

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("offset", &offset)
    try v.field("leaderEpoch", &leaderEpoch, .since(3).ignorable, absent: -1)
    try v.field("metadata", &metadata)
    try v.field("commitTimestamp", &commitTimestamp)
    try v.field("expireTimestamp", &expireTimestamp, .only(1).ignorable, absent: -1)
  }
}

/// Key of a classic group in `__consumer_offsets`, record type 2.
package struct GroupMetadataKey: WireMessage {
  package static var versions: ClosedRange<Int16> { 0...0 }
  package static var flexibleSince: Int16? { nil }

  package var group: String = ""

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("group", &group)
  }
}

/// A generation of a classic group in `__consumer_offsets`.
package struct GroupMetadataValue: GroupRecordValue {
  package static var versions: ClosedRange<Int16> { 0...4 }
  package static var flexibleSince: Int16? { 4 }

  package var protocolType: String = ""
  package var generation: Int32 = 0
  package var protocolName: String? = ""
  package var leader: String? = ""
  package var currentStateTimestamp: Int64 = -1
  package var members: [Member] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("protocolType", &protocolType)
    try v.field("generation", &generation)
    try v.field("protocol", &protocolName)
    try v.field("leader", &leader)
    try v.field("currentStateTimestamp", &currentStateTimestamp, .since(2).ignorable, absent: -1)
    try v.field("members", &members)
  }
}

extension GroupMetadataValue {
  package struct Member: WireStruct {
    package var memberId: String = ""
    package var groupInstanceId: String?
    package var clientId: String = ""
    package var clientHost: String = ""
    package var rebalanceTimeout: Int32 = -1
    package var sessionTimeout: Int32 = 0
    package var subscription: ArraySlice<UInt8> = []
    package var assignment: ArraySlice<UInt8> = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("memberId", &memberId)
      try v.field("groupInstanceId", &groupInstanceId, .since(3).ignorable)
      try v.field("clientId", &clientId)
      try v.field("clientHost", &clientHost)
      try v.field("rebalanceTimeout", &rebalanceTimeout, .since(1).ignorable, absent: -1)
      try v.field("sessionTimeout", &sessionTimeout)
      try v.field("subscription", &subscription)
      try v.field("assignment", &assignment)
    }
  }
}
