/// The leader of a classic group hands in the assignment, every other member asks for its part.
package struct SyncGroupRequest: WireRequest {
  package typealias Response = SyncGroupResponse
  package static var api: APIKey { .syncGroup }

  package var groupId: String = ""
  package var generationId: Int32 = 0
  package var memberId: String = ""
  package var groupInstanceId: String?
  package var protocolType: String?
  package var protocolName: String?
  package var assignments: [Assignment] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId)
    try v.field("generationId", &generationId)
    try v.field("memberId", &memberId)
    try v.field("groupInstanceId", &groupInstanceId, .since(3))
    try v.field("protocolType", &protocolType, .since(5).ignorable)
    try v.field("protocolName", &protocolName, .since(5).ignorable)
    try v.field("assignments", &assignments)
  }
}

extension SyncGroupRequest {
  package struct Assignment: WireStruct {
    package var memberId: String = ""
    package var assignment: ArraySlice<UInt8> = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("memberId", &memberId)
      try v.field("assignment", &assignment)
    }
  }
}

/// The member's part of the assignment: a `ConsumerProtocolAssignment` where the group is of
/// consumers.
package struct SyncGroupResponse: WireResponse {
  package static var api: APIKey { .syncGroup }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var protocolType: String?
  package var protocolName: String?
  package var assignment: ArraySlice<UInt8> = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
    try v.field("errorCode", &errorCode)
    try v.field("protocolType", &protocolType, .since(5).ignorable)
    try v.field("protocolName", &protocolName, .since(5).ignorable)
    try v.field("assignment", &assignment)
  }
}
