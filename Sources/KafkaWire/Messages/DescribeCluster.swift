/// The cluster and its brokers, for admin clients (KIP-700).
package struct DescribeClusterRequest: WireRequest {
  package typealias Response = DescribeClusterResponse
  package static var api: APIKey { .describeCluster }

  package var includeClusterAuthorizedOperations: Bool = false
  /// 1 brokers, 2 controllers.
  package var endpointType: Int8 = 1
  package var includeFencedBrokers: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("includeClusterAuthorizedOperations", &includeClusterAuthorizedOperations)
    try v.field("endpointType", &endpointType, .since(1), absent: 1)
    try v.field("includeFencedBrokers", &includeFencedBrokers, .since(2))
  }
}

/// The cluster and its brokers.
package struct DescribeClusterResponse: WireResponse {
  package static var api: APIKey { .describeCluster }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var errorMessage: String?
  /// 1 brokers, 2 controllers.
  package var endpointType: Int8 = 1
  package var clusterId: String = ""
  package var controllerId: Int32 = -1
  package var brokers: [Broker] = []
  /// A bit for each operation; the smallest integer where nobody asked.
  package var clusterAuthorizedOperations: Int32 = .min

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("errorCode", &errorCode)
    try v.field("errorMessage", &errorMessage)
    try v.field("endpointType", &endpointType, .since(1), absent: 1)
    try v.field("clusterId", &clusterId)
    try v.field("controllerId", &controllerId)
    try v.field("brokers", &brokers)
    try v.field("clusterAuthorizedOperations", &clusterAuthorizedOperations)
  }
}

extension DescribeClusterResponse {
  package struct Broker: WireStruct {
    package var brokerId: Int32 = 0
    package var host: String = ""
    package var port: Int32 = 0
    package var rack: String?
    package var isFenced: Bool = false

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("brokerId", &brokerId)
      try v.field("host", &host)
      try v.field("port", &port)
      try v.field("rack", &rack)
      try v.field("isFenced", &isFenced, .since(2))
    }
  }
}
