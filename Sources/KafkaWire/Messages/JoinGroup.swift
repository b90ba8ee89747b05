/// A member enters, or re-enters, a classic consumer group.
package struct JoinGroupRequest: WireRequest {
  package typealias Response = JoinGroupResponse
  package static var api: APIKey { .joinGroup }

  package var groupId: String = ""
  package var sessionTimeoutMs: Int32 = 0
  package var rebalanceTimeoutMs: Int32 = -1
  package var memberId: String = ""
  package var groupInstanceId: String?
  package var protocolType: String = ""
  package var protocols: [GroupProtocol] = []
  package var reason: String?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId)
    try v.field("sessionTimeoutMs", &sessionTimeoutMs)
    try v.field("rebalanceTimeoutMs", &rebalanceTimeoutMs, .since(1).ignorable, absent: -1)
    try v.field("memberId", &memberId)
    try v.field("groupInstanceId", &groupInstanceId, .since(5))
    try v.field("protocolType", &protocolType)
    try v.field("protocols", &protocols)
    try v.field("reason", &reason, .since(8).ignorable)
  }
}

extension JoinGroupRequest {
  package struct GroupProtocol: WireStruct {
    package var name: String = ""
    package var metadata: ArraySlice<UInt8> = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("metadata", &metadata)
    }
  }
}

/// A generation of the group; its leader learns all members and assigns their partitions.
package struct JoinGroupResponse: WireResponse {
  package static var api: APIKey { .joinGroup }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var generationId: Int32 = -1
  package var protocolType: String?
  package var protocolName: String? = ""
  package var leader: String = ""
  /// For a static leader that comes back: the assignment stands (KIP-814).
  package var skipAssignment: Bool = false
  package var memberId: String = ""
  package var members: [Member] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(2).ignorable)
    try v.field("errorCode", &errorCode)
    try v.field("generationId", &generationId)
    try v.field("protocolType", &protocolType, .since(7).ignorable)
    try v.field("protocolName", &protocolName, nullable: .since(7))
    try v.field("leader", &leader)
    try v.field("skipAssignment", &skipAssignment, .since(9))
    try v.field("memberId", &memberId)
    try v.field("members", &members)
  }
}

extension JoinGroupResponse {
  package struct Member: WireStruct {
    package var memberId: String = ""
    package var groupInstanceId: String?
    package var metadata: ArraySlice<UInt8> = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("memberId", &memberId)
      try v.field("groupInstanceId", &groupInstanceId, .since(5).ignorable)
      try v.field("metadata", &metadata)
    }
  }
}
