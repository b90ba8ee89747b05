/// Settings of topics and brokers; nil keys means all of them.
package struct DescribeConfigsRequest: WireRequest {
  package typealias Response = DescribeConfigsResponse
  package static var api: APIKey { .describeConfigs }

  package var resources: [Resource] = []
  package var includeSynonyms: Bool = false
  package var includeDocumentation: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("resources", &resources)
    try v.field("includeSynonyms", &includeSynonyms)
    try v.field("includeDocumentation", &includeDocumentation, .since(3))
  }
}

extension DescribeConfigsRequest {
  package struct Resource: WireStruct {
    /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
    package var resourceType: Int8 = 0
    package var resourceName: String = ""
    package var configurationKeys: [String]? = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("resourceType", &resourceType)
      try v.field("resourceName", &resourceName)
      try v.field("configurationKeys", &configurationKeys)
    }
  }
}

/// Settings, each with where its value comes from (KIP-226).
package struct DescribeConfigsResponse: WireResponse {
  package static var api: APIKey { .describeConfigs }

  package var throttleTimeMs: Int32 = 0
  package var results: [Resource] = []

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("results", &results)
  }
}

extension DescribeConfigsResponse {
  package struct Resource: WireStruct {
    package var errorCode = ErrorCode.none
    package var errorMessage: String? = ""
    /// 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
    package var resourceType: Int8 = 0
    package var resourceName: String = ""
    package var configs: [Config] = []

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("errorCode", &errorCode)
      try v.field("errorMessage", &errorMessage)
      try v.field("resourceType", &resourceType)
      try v.field("resourceName", &resourceName)
      try v.field("configs", &configs)
    }
  }

  package struct Config: WireStruct {
    package var name: String = ""
    package var value: String? = ""
    package var readOnly: Bool = false
    /// 1 topic, 2 dynamic broker, 3 dynamic default, 4 static broker, 5 default.
    package var configSource: Int8 = -1
    package var isSensitive: Bool = false
    package var synonyms: [Synonym] = []
    package var configType: Int8 = 0
    package var documentation: String? = ""

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("value", &value)
      try v.field("readOnly", &readOnly)
      try v.field("configSource", &configSource)
      try v.field("isSensitive", &isSensitive)
      try v.field("synonyms", &synonyms)
      try v.field("configType", &configType, .since(3).ignorable)
      try v.field("documentation", &documentation, .since(3).ignorable, absent: "")
    }
  }

  package struct Synonym: WireStruct {
    package var name: String = ""
    package var value: String? = ""
    package var source: Int8 = 0

    package init() {}

    package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("name", &name)
      try v.field("value", &value)
      try v.field("source", &source)
    }
  }
}
