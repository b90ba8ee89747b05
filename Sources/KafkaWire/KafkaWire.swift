import Bytes

// KafkaWire: every request and response of Kafka's protocol as a value. No socket, no clock.
//
// A message is a struct that lists its fields once, in wire order, in `walk`, and its tagged fields
// in `walkTags`. Decoder, sizer, encoder and printer are visitors of that list:
//
//     WireDecoder   bytes -> value      checks everything, throws on anything malformed
//     WireSizer     value -> size       refuses what a version cannot say
//     WireEncoder   value -> bytes      fills memory of exactly that size
//     WirePrinter   value -> one line   for logs and traces
//
// A frame on the connection is:
//
//     size          int32, of what follows; at most `Frame.sizeMax`
//     header        request: v1, or v2 from the API's first flexible version on
//                   response: v0, or v1 from the API's first flexible version on;
//                   always v0 for ApiVersions, which is read before any version is agreed
//     body          may be followed by bytes nobody knows: they are ignored
//
// (1) No input makes this module trap, and none makes it allocate without bound: a message holds at
//     most `WireDecoder.elementsMax` array elements, and a count alone reserves at most
//     `WireDecoder.reservedBytesMax`.
// (2) The size computed for a message is the number of bytes written for it.
// (3) Encoding reads a message's arrays in place; nothing is copied but the bytes going out.

/// Anything that has fields: a message, an array's element, a tagged struct.
package protocol WireStruct: WireNullable {
  /// Every field at its default.
  init()

  /// The fields that are not tagged, in wire order.
  ///
  /// Mutating because the decoder fills the fields in; every other visitor leaves them as they are.
  mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError)

  /// The tagged fields (KIP-482), in ascending order of their tags.
  mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError)
}

extension WireStruct {
  package static var zero: Self { Self() }

  package mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {}

  package mutating func visit<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.structure(&self)
  }

  package static func visit<V: WireVisitor>(_ value: inout Self?, _ v: inout V) throws(WireError) {
    try v.structure(&value)
  }

  /// A value built in place: `FetchRequest.with { $0.maxWaitMs = 500 }`. Generic, so for the rare
  /// message; where there are many partitions, make a `var` and set its fields.
  package static func with<E: Error>(
    _ fill: (inout Self) throws(E) -> Void
  ) throws(E) -> Self {
    var value = Self()
    try fill(&value)
    return value
  }
}

/// A struct with versions of its own: what stands alone between a header and the end of a frame, or
/// in a record.
package protocol WireMessage: WireStruct {
  static var versions: ClosedRange<Int16> { get }
  /// The first version with compact lengths and tag sections (KIP-482); nil where there is none.
  static var flexibleSince: Int16? { get }

  // Requirements, so that each message carries its own specialized code: a caller in another module
  // makes one dynamic call per message instead of one per field.
  mutating func walk(decoder: inout WireDecoder) throws(WireError)
  mutating func walk(sizer: inout WireSizer) throws(WireError)
  mutating func walk(encoder: inout WireEncoder) throws(WireError)
}

extension WireMessage {
  package mutating func walk(decoder: inout WireDecoder) throws(WireError) {
    try decoder.structure(&self)
  }

  package mutating func walk(sizer: inout WireSizer) throws(WireError) {
    try sizer.structure(&self)
  }

  package mutating func walk(encoder: inout WireEncoder) throws(WireError) {
    try encoder.structure(&self)
  }

  static func isFlexible(_ version: Int16) -> Bool {
    guard let flexibleSince else { return false }
    return version >= flexibleSince
  }

  /// The message that `bytes` begin with. What comes after it is ignored.
  package static func decode(
    _ bytes: ArraySlice<UInt8>, version: Int16
  ) throws(WireError) -> Self {
    var reader = ByteReader(bytes)
    return try decode(&reader, version: version)
  }

  /// As `decode`, leaving the reader behind the message.
  static func decode(_ reader: inout ByteReader, version: Int16) throws(WireError) -> Self {
    guard versions.contains(version) else { throw .unsupportedVersion(version) }
    var decoder = WireDecoder(reader, version: version, isFlexible: isFlexible(version))
    var message = Self()
    try message.walk(decoder: &decoder)
    reader = decoder.reader
    return message
  }

  /// The message on one line, as a version would send it.
  package func described(version: Int16) -> String {
    WirePrinter.print(self, version: version)
  }
}

/// A request's or a response's body. Versions come from the API's entry in `APIKey`.
package protocol APIMessage: WireMessage {
  static var api: APIKey { get }
}

extension APIMessage {
  package static var versions: ClosedRange<Int16> { api.versions }
  package static var flexibleSince: Int16? { api.flexibleSince }
}

package protocol WireRequest: APIMessage {
  associatedtype Response: WireResponse
}

package protocol WireResponse: APIMessage {}
