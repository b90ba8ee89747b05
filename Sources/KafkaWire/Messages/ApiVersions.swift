/// The first request on a connection: which versions do we both speak (KIP-35, KIP-511)?
package struct ApiVersionsRequest: WireRequest {
  package typealias Response = ApiVersionsResponse
  package static var api: APIKey { .apiVersions }

  package var clientSoftwareName: String = ""
  package var clientSoftwareVersion: String = ""

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("clientSoftwareName", &clientSoftwareName, .since(3).ignorable)
    try v.field("clientSoftwareVersion", &clientSoftwareVersion, .since(3).ignorable)
  }
}

/// The ranges that are served and the features of the cluster (KIP-584). Its header is always v0.
package struct ApiVersionsResponse: WireResponse {
  package static var api: APIKey { .apiVersions }

  package var errorCode = ErrorCode.none
  package var apiKeys: [ApiVersion] = []
  package var throttleTimeMs: Int32 = 0
  package var supportedFeatures: [SupportedFeature] = []
  package var finalizedFeaturesEpoch: Int64 = -1
  package var finalizedFeatures: [FinalizedFeature] = []
  package var zkMigrationReady: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("errorCode", &errorCode)
    try v.field("apiKeys", &apiKeys)
    try v.field("throttleTimeMs", &throttleTimeMs, .since(1).ignorable)
  }

  package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.tagged(0, "supportedFeatures", &supportedFeatures, .since(3).ignorable)
    try v.tagged(
      1, "finalizedFeaturesEpoch", &finalizedFeaturesEpoch, .since(3).ignorable, absent: -1)
    try v.tagged(2, "finalizedFeatures", &finalizedFeatures, .since(3).ignorable)
    try v.tagged(3, "zkMigrationReady", &zkMigrationReady, .since(3).ignorable)
  }
}

extension ApiVersionsResponse {
  package struct ApiVersion: WireStruct {
    package var apiKey: Int16 = 0
    package var minVersion: Int16 = 0
    package var maxVersion: Int16 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("apiKey", &apiKey)
      try v.field("minVersion", &minVersion)
      try v.field("maxVersion", &maxVersion)
    }
  }

  package struct SupportedFeature: WireStruct {
    package var name: String = ""
    package var minVersion: Int16 = 0
    package var maxVersion: Int16 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("minVersion", &minVersion)
      try v.field("maxVersion", &maxVersion)
    }
  }

  package struct FinalizedFeature: WireStruct {
    package var name: String = ""
    package var maxVersionLevel: Int16 = 0
    package var minVersionLevel: Int16 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("maxVersionLevel", &maxVersionLevel)
      try v.field("minVersionLevel", &minVersionLevel)
    }
  }
}
