/// Groups to be forgotten with their offsets; they must be empty (KIP-229).
package struct DeleteGroupsRequest: WireRequest {
  package typealias Response = DeleteGroupsResponse
  package static var api: APIKey { .deleteGroups }

  package var groupsNames: [String] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("groupsNames", &groupsNames)
  }
}

/// The outcome, group by group.
package struct DeleteGroupsResponse: WireResponse {
  package static var api: APIKey { .deleteGroups }

  package var throttleTimeMs: Int32 = 0
  package var results: [Group] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("results", &results)
  }
}

extension DeleteGroupsResponse {
  package struct Group: WireStruct {
    package var groupId: String = ""
    package var errorCode = ErrorCode.none

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("groupId", &groupId)
      try v.field("errorCode", &errorCode)
    }
  }
}
