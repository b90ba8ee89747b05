/// State and members of classic groups.
package struct DescribeGroupsRequest: WireRequest {
  package typealias Response = DescribeGroupsResponse
  package static var api: APIKey { .describeGroups }

  package var groups: [String] = []
  package var includeAuthorizedOperations: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groups", &groups)
    try v.field("includeAuthorizedOperations", &includeAuthorizedOperations, .since(3))
  }
}

/// State and members, group by group.
package struct DescribeGroupsResponse: WireResponse {
  package static var api: APIKey { .describeGroups }

  package var throttleTimeMs: Int32 = 0
  package var groups: [Group] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
    try v.field("groups", &groups)
  }
}

extension DescribeGroupsResponse {
  package struct Group: WireStruct {
    package var errorCode = ErrorCode.none
    package var errorMessage: String?
    package var groupId: String = ""
    package var groupState: String = ""
    package var protocolType: String = ""
    package var protocolData: String = ""
    package var members: [Member] = []
    /// A bit for each operation; the smallest integer where nobody asked.
    package var authorizedOperations: Int32 = .min

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage, .since(6))
      try v.field("groupId", &groupId)
      try v.field("groupState", &groupState)
      try v.field("protocolType", &protocolType)
      try v.field("protocolData", &protocolData)
      try v.field("members", &members)
      try v.field("authorizedOperations", &authorizedOperations, .since(3), absent: .min)
    }
  }

  package struct Member: WireStruct {
    package var memberId: String = ""
    package var groupInstanceId: String?
    package var clientId: String = ""
    package var clientHost: String = ""
    package var memberMetadata: ArraySlice<UInt8> = []
    package var memberAssignment: ArraySlice<UInt8> = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("memberId", &memberId)
      try v.field("groupInstanceId", &groupInstanceId, .since(4).ignorable)
      try v.field("clientId", &clientId)
      try v.field("clientHost", &clientHost)
      try v.field("memberMetadata", &memberMetadata)
      try v.field("memberAssignment", &memberAssignment)
    }
  }
}
