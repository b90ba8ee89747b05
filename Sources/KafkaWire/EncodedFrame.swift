import Bytes

/// A message ready to be sent: bytes, and the holes between them that the sender fills.
///
/// A Fetch response's records need not pass through this process: where a partition's records are
/// `.external`, the sizes in `bytes` count them, and a hole says where they go. The sender walks
/// `segments`: write, sendfile, write, sendfile, ..., write.
package struct EncodedFrame: Equatable, Sendable {
  /// `size` external bytes belong before `bytes[position]`.
  package struct Hole: Equatable, Sendable {
    package let position: Int
    package let size: Int
  }

  package enum Segment: Equatable, Sendable {
    case bytes(ArraySlice<UInt8>)
    /// The next external value, in the order of the message's partitions.
    case external(size: Int)
  }

  /// All bytes but the external ones, size prefix included.
  package let bytes: [UInt8]
  /// One for each external value, in the order of the message, those of size zero too.
  package let holes: [Hole]
  /// The first error in the message, or none: what a metric counts it as.
  package let error: ErrorCode

  /// A message without holes that somebody else has encoded, size prefix included.
  package init(whole bytes: [UInt8]) {
    self.bytes = bytes
    holes = []
    error = .none
  }

  /// Everything that goes over the connection.
  package var size: Int { holes.reduce(bytes.count) { $0 + $1.size } }

  /// What to send, in order. One segment of bytes where there are no holes.
  package var segments: [Segment] {
    var segments: [Segment] = []
    segments.reserveCapacity(2 * holes.count + 1)
    var sent = 0
    for hole in holes {
      if hole.position > sent { segments.append(.bytes(bytes[sent..<hole.position])) }
      segments.append(.external(size: hole.size))
      sent = hole.position
    }
    if sent < bytes.count { segments.append(.bytes(bytes[sent...])) }
    return segments
  }
}

extension EncodedFrame {
  init<Header: WireMessage, Body: WireMessage>(
    header: Header, headerVersion: Int16, body: Body, bodyVersion: Int16
  ) throws(WireError) {
    let headerSizer = try header.measured(version: headerVersion)
    let bodySizer = try body.measured(version: bodyVersion)
    let size = headerSizer.size + bodySizer.size
    guard let prefix = Int32(exactly: size) else { throw .frameSize(size) }

    var holes: [Hole] = []
    bytes = try unsafe ByteWriter.array(4 + size - bodySizer.externalSize) {
      (writer) throws(WireError) in
      unsafe writer.integer(prefix)
      try unsafe header.write(to: &writer, holes: &holes, version: headerVersion)
      try unsafe body.write(to: &writer, holes: &holes, version: bodyVersion)
    }
    self.holes = holes
    error = bodySizer.error
  }
}

extension WireMessage {
  /// The message's bytes, without header or size. Its records must all be here.
  package func encoded(version: Int16) throws(WireError) -> [UInt8] {
    try encoded(prefix: nil, version: version)
  }

  /// As `encoded`, behind an int16 that says how to read the rest.
  func encoded(prefix: Int16?, version: Int16) throws(WireError) -> [UInt8] {
    let sizer = try measured(version: version)
    precondition(sizer.externalSize == 0, "external records need a frame to belong to")
    let prefixSize = prefix == nil ? 0 : 2
    return try unsafe ByteWriter.array(prefixSize + sizer.size) { (writer) throws(WireError) in
      if let prefix { unsafe writer.integer(prefix) }
      var holes: [EncodedFrame.Hole] = []
      try unsafe write(to: &writer, holes: &holes, version: version)
    }
  }

  func measured(version: Int16) throws(WireError) -> WireSizer {
    guard Self.versions.contains(version) else { throw .unsupportedVersion(version) }
    var sizer = WireSizer(version: version, isFlexible: Self.isFlexible(version))
    var message = self
    try message.walk(sizer: &sizer)
    return sizer
  }

  func write(
    to writer: inout ByteWriter, holes: inout [EncodedFrame.Hole], version: Int16
  ) throws(WireError) {
    var encoder = unsafe WireEncoder(
      writer, holes: holes, version: version, isFlexible: Self.isFlexible(version))
    var message = self
    try message.walk(encoder: &encoder)
    unsafe writer = unsafe encoder.writer
    holes = encoder.holes
  }
}
