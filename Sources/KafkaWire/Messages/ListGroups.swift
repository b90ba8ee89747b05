/// The groups that this broker coordinates, by state (KIP-518) and type (KIP-848). Empty filters
/// match all.
package struct ListGroupsRequest: WireRequest {
  package typealias Response = ListGroupsResponse
  package static var api: APIKey { .listGroups }

  package var statesFilter: [String] = []
  package var typesFilter: [String] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("statesFilter", &statesFilter, .since(4))
    try v.field("typesFilter", &typesFilter, .since(5))
  }
}

/// Groups, with no more than their names and states.
package struct ListGroupsResponse: WireResponse {
  package static var api: APIKey { .listGroups }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var groups: [Group] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
    try v.field("errorCode", &errorCode)
    try v.field("groups", &groups)
  }
}

extension ListGroupsResponse {
  package struct Group: WireStruct {
    package var groupId: String = ""
    package var protocolType: String = ""
    package var groupState: String = ""
    package var groupType: String = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("groupId", &groupId)
      try v.field("protocolType", &protocolType)
      try v.field("groupState", &groupState, .since(4).ignorable)
      try v.field("groupType", &groupType, .since(5).ignorable)
    }
  }
}
