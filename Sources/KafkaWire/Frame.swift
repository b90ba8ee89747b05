import Bytes

/// What travels over a connection: an int32 size, a header, a body.
package enum Frame {
  /// The largest frame taken from a peer, without its size prefix: Kafka's default for
  /// `socket.request.max.bytes`. A larger or negative size closes the connection.
  package static let sizeMax = 104_857_600

  /// The size of the frame that `buffer` begins with, behind the four bytes that say it; nil until
  /// those are there.
  package static func size(
    in buffer: ArraySlice<UInt8>, max sizeMax: Int = sizeMax
  ) throws(WireError) -> Int? {
    var reader = ByteReader(buffer)
    guard reader.remaining >= 4 else { return nil }
    var prefix: Int32
    do throws(ByteError) { prefix = try reader.int32() } catch { throw .malformed(error) }
    let size = Int(prefix)
    guard (0...sizeMax).contains(size) else { throw .frameSize(size) }
    return size
  }

  /// A response with its size and the header that the API and the version ask for.
  package static func response<Body: WireResponse>(
    _ body: Body, version: Int16, correlationId: Int32
  ) throws(WireError) -> EncodedFrame {
    try EncodedFrame(
      header: ResponseHeader.with { $0.correlationId = correlationId },
      headerVersion: Body.api.responseHeaderVersion(version),
      body: body, bodyVersion: version)
  }

  /// A request with its size and header.
  package static func request<Body: WireRequest>(
    _ body: Body, version: Int16, correlationId: Int32, clientId: String?
  ) throws(WireError) -> EncodedFrame {
    let header = RequestHeader.with {
      $0.requestApiKey = Body.api.rawValue
      $0.requestApiVersion = version
      $0.correlationId = correlationId
      $0.clientId = clientId
    }
    return try EncodedFrame(
      header: header, headerVersion: Body.api.requestHeaderVersion(version),
      body: body, bodyVersion: version)
  }
}

/// A request as it came in: header read, body not yet.
package struct RequestFrame: Equatable, Sendable {
  package let api: APIKey
  package let header: RequestHeader
  /// Shares the storage of the frame.
  package let body: ArraySlice<UInt8>

  package var version: Int16 { header.requestApiVersion }

  /// Reads the header of a frame whose size prefix is cut off.
  ///
  /// The version may be one that we do not serve: an ApiVersions request of any version deserves an
  /// answer, so that is for the caller to refuse.
  package init(_ frame: ArraySlice<UInt8>) throws(WireError) {
    var reader = ByteReader(frame)
    let key: Int16
    let version: Int16
    do throws(ByteError) {
      key = try reader.int16()
      version = try reader.int16()
    } catch { throw .malformed(error) }
    guard let api = APIKey(rawValue: key) else { throw .unknownAPI(key) }

    self.api = api
    reader = ByteReader(frame)
    header = try RequestHeader.decode(&reader, version: api.requestHeaderVersion(version))
    body = frame.dropFirst(reader.position)
  }

  /// The body, which must be of the API that the header names.
  package func decode<Body: WireRequest>(_ type: Body.Type) throws(WireError) -> Body {
    precondition(Body.api == api, "a \(api) request is decoded as \(Body.api)")
    return try Body.decode(body, version: version)
  }
}

/// A response as it came in: header read, body not yet.
package struct ResponseFrame: Equatable, Sendable {
  package let correlationId: Int32
  /// Shares the storage of the frame.
  package let body: ArraySlice<UInt8>

  /// Reads the header of the answer to a request of that API and version; the frame's size prefix
  /// is cut off. Answers come in the order of the requests, so the caller knows.
  package init(_ frame: ArraySlice<UInt8>, api: APIKey, version: Int16) throws(WireError) {
    var reader = ByteReader(frame)
    let header = try ResponseHeader.decode(
      &reader, version: api.responseHeaderVersion(version))
    correlationId = header.correlationId
    body = frame.dropFirst(reader.position)
  }
}
