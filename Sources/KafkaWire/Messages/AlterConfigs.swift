/// Replaces all settings of a resource by those given. Superseded by
/// `IncrementalAlterConfigsRequest`.
package struct AlterConfigsRequest: WireRequest {
  package typealias Response = AlterConfigsResponse
  package static var api: APIKey { .alterConfigs }

  package var resources: [Resource] = []
  package var validateOnly: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("resources", &resources)
    try v.field("validateOnly", &validateOnly)
  }
}

extension AlterConfigsRequest {
  package struct Resource: WireStruct {
    /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
    package var resourceType: Int8 = 0
    package var resourceName: String = ""
    package var configs: [Config] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("resourceType", &resourceType)
      try v.field("resourceName", &resourceName)
      try v.field("configs", &configs)
    }
  }

  package struct Config: WireStruct {
    package var name: String = ""
    package var value: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("value", &value)
    }
  }
}

/// The outcome, resource by resource.
package struct AlterConfigsResponse: WireResponse {
  package static var api: APIKey { .alterConfigs }

  package var throttleTimeMs: Int32 = 0
  package var responses: [Resource] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("responses", &responses)
  }
}

extension AlterConfigsResponse {
  package struct Resource: WireStruct {
    package var errorCode = ErrorCode.none
    package var errorMessage: String? = ""
    /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
    package var resourceType: Int8 = 0
    package var resourceName: String = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
      try v.field("resourceType", &resourceType)
      try v.field("resourceName", &resourceName)
    }
  }
}
