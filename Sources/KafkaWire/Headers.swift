/// Stands before every request. Version 2, the flexible one, ends with a tag section.
package struct RequestHeader: WireMessage {
  package static var versions: ClosedRange<Int16> { 1...2 }
  package static var flexibleSince: Int16? { 2 }

  package var requestApiKey: Int16 = 0
  package var requestApiVersion: Int16 = 0
  /// Comes back in the response.
  package var correlationId: Int32 = 0
  package var clientId: String? = ""

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("requestApiKey", &requestApiKey)
    try v.field("requestApiVersion", &requestApiVersion)
    try v.field("correlationId", &correlationId)
    // Never compact: a broker must be able to find the correlation id and the client's name in a
    // request whose version it does not know.
    let isFlexible = v.isFlexible
    v.isFlexible = false
    try v.field("clientId", &clientId)
    v.isFlexible = isFlexible
  }
}

/// Stands before every response. Version 1, the flexible one, ends with a tag section.
package struct ResponseHeader: WireMessage {
  package static var versions: ClosedRange<Int16> { 0...1 }
  package static var flexibleSince: Int16? { 1 }

  package var correlationId: Int32 = 0

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("correlationId", &correlationId)
  }
}
