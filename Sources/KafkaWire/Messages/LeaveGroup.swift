/// Members leave a classic group; many at once from v3 on (KIP-345).
package struct LeaveGroupRequest: WireRequest {
  package typealias Response = LeaveGroupResponse
  package static var api: APIKey { .leaveGroup }

  package var groupId: String = ""
  package var memberId: String = ""
  package var members: [Member] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId)
    try v.field("memberId", &memberId, .until(2))
    try v.field("members", &members, .since(3))
  }
}

extension LeaveGroupRequest {
  package struct Member: WireStruct {
    package var memberId: String = ""
    package var groupInstanceId: String?
    package var reason: String?

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("memberId", &memberId)
      try v.field("groupInstanceId", &groupInstanceId)
      try v.field("reason", &reason, .since(5).ignorable)
    }
  }
}

/// The outcome of leaving, member by member from v3 on.
package struct LeaveGroupResponse: WireResponse {
  package static var api: APIKey { .leaveGroup }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var members: [Member] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
    try v.field("errorCode", &errorCode)
    try v.field("members", &members, .since(3))
  }
}

extension LeaveGroupResponse {
  package struct Member: WireStruct {
    package var memberId: String = ""
    package var groupInstanceId: String? = ""
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("memberId", &memberId)
      try v.field("groupInstanceId", &groupInstanceId)
      try v.field("errorCode", &errorCode)
    }
  }
}
