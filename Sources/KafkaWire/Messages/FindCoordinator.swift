/// The broker that coordinates a group or a transactional id; many at once from v4 on (KIP-699).
package struct FindCoordinatorRequest: WireRequest {
  package typealias Response = FindCoordinatorResponse
  package static var api: APIKey { .findCoordinator }

  package var key: String = ""
  /// 0 group, 1 transaction, 2 share group.
  package var keyType: Int8 = 0
  package var coordinatorKeys: [String] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("key", &key, .until(3))
    try v.field("keyType", &keyType, .since(1))
    try v.field("coordinatorKeys", &coordinatorKeys, .since(4))
  }
}

/// Where the coordinators are.
package struct FindCoordinatorResponse: WireResponse {
  package static var api: APIKey { .findCoordinator }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var errorMessage: String? = ""
  package var nodeId: Int32 = 0
  package var host: String = ""
  package var port: Int32 = 0
  package var coordinators: [Coordinator] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
    try v.field("errorCode", &errorCode, .until(3))
    try v.field("errorMessage", &errorMessage, .between(1, 3).ignorable, absent: "")
    try v.field("nodeId", &nodeId, .until(3))
    try v.field("host", &host, .until(3))
    try v.field("port", &port, .until(3))
    try v.field("coordinators", &coordinators, .since(4))
  }
}

extension FindCoordinatorResponse {
  package struct Coordinator: WireStruct {
    package var key: String = ""
    package var nodeId: Int32 = 0
    package var host: String = ""
    package var port: Int32 = 0
    package var errorCode = ErrorCode.none
    package var errorMessage: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("key", &key)
      try v.field("nodeId", &nodeId)
      try v.field("host", &host)
      try v.field("port", &port)
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
    }
  }
}
