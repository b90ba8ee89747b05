/// A member of a classic group is alive.
package struct HeartbeatRequest: WireRequest {
  package typealias Response = HeartbeatResponse
  package static var api: APIKey { .heartbeat }

  package var groupId: String = ""
  package var generationId: Int32 = 0
  package var memberId: String = ""
  package var groupInstanceId: String?

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupId", &groupId)
    try v.field("generationId", &generationId)
    try v.field("memberId", &memberId)
    try v.field("groupInstanceId", &groupInstanceId, .since(3))
  }
}

/// Tells the member whether its generation still stands.
package struct HeartbeatResponse: WireResponse {
  package static var api: APIKey { .heartbeat }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
    try v.field("errorCode", &errorCode)
  }
}
