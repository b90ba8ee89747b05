import Bytes
import KafkaWire
import Testing

@Suite struct `Frames` {
  @Test func `of Kafka's own client are read, header and body, and written alike`() throws {
    #expect(GoldenVector.frames.count == 3)
    for (number, golden) in GoldenVector.frames.enumerated() {
      let frame = try RequestFrame(golden.bytes[...])
      #expect(frame.api.rawValue == golden.key)
      #expect(frame.version == golden.version)
      #expect(frame.header.clientId == "cli")
      #expect(frame.header.correlationId == Int32(number + 1))

      func check<Request: WireRequest>(_ type: Request.Type) throws {
        let encoded = try Frame.request(
          frame.decode(type), version: frame.version,
          correlationId: frame.header.correlationId, clientId: frame.header.clientId)
        #expect(Array(encoded.bytes.dropFirst(4)) == golden.bytes)
        #expect(try Frame.size(in: encoded.bytes[...]) == golden.bytes.count)
      }
      switch frame.api {
      case .apiVersions: try check(ApiVersionsRequest.self)
      case .metadata: try check(MetadataRequest.self)
      default: try check(ProduceRequest.self)
      }
    }
  }

  @Test func `end where Kafka's requests end, whatever trails them`() throws {
    for vector in GoldenVector.all {
      func check<M: WireMessage>(_ type: M.Type) throws {
        let exact = try M.decode(vector.bytes[...], version: vector.version)
        let trailed = try M.decode((vector.bytes + [1, 2, 3])[...], version: vector.version)
        #expect(trailed == exact, "\(vector.name) v\(vector.version)")
      }
      let type = try #require(message(named: vector.name))
      try check(type)
    }
  }

  @Test(arguments: 9...13 as ClosedRange<Int16>)
  func `of librdkafka that ask for all topics carry stray bytes, and are understood`(
    version: Int16
  ) throws {
    // It writes a null array as four bytes where one is due.
    let request = try MetadataRequest.decode(hex("00000000 01 00 00")[...], version: version)
    #expect(request.topics == nil)
    #expect(request.allowAutoTopicCreation == false)
    #expect(request.includeTopicAuthorizedOperations == false)
  }

  @Test func `of the wrong size are refused`() throws {
    #expect(try Frame.size(in: hex("000000")[...]) == nil)
    #expect(try Frame.size(in: hex("06400000")[...]) == Frame.sizeMax)
    #expect(throws: WireError.frameSize(Frame.sizeMax + 1)) {
      try Frame.size(in: hex("06400001")[...])
    }
    #expect(throws: WireError.frameSize(-1)) { try Frame.size(in: hex("ffffffff")[...]) }
  }

  @Test func `of an unknown API are refused, of an unknown version are for the caller to judge`()
    throws
  {
    #expect(throws: WireError.unknownAPI(4)) {
      try RequestFrame(hex("0004 0000 00000001 ffff")[...])
    }
    let frame = try RequestFrame(hex("0012 0063 00000007 0003636c69 00 ff")[...])
    #expect(frame.api == .apiVersions)
    #expect(frame.header.correlationId == 7)
    #expect(frame.body == [0xff])
    #expect(throws: WireError.unsupportedVersion(0x63)) {
      try frame.decode(ApiVersionsRequest.self)
    }
  }

  @Test(arguments: APIKey.allCases)
  func `have flexible headers from the API's first flexible version on`(api: APIKey) {
    for version in api.versions {
      let isFlexible = api.flexibleSince.map { version >= $0 } ?? false
      #expect(api.requestHeaderVersion(version) == (isFlexible ? 2 : 1))
      let response: Int16 = isFlexible && api != .apiVersions ? 1 : 0
      #expect(api.responseHeaderVersion(version) == response)
    }
  }

  @Test func `of ApiVersions responses have the oldest header, even when the body is flexible`()
    throws
  {
    let frame = try Frame.response(ApiVersionsResponse(), version: 3, correlationId: 5)
    #expect(frame.bytes == hex("0000000c 00000005 0000 01 00000000 00"))
    let read = try ResponseFrame(frame.bytes[4...], api: .apiVersions, version: 3)
    #expect(read.correlationId == 5)
    #expect(read.body.count == 8)
  }
}

@Suite struct `External records` {
  static func response(_ records: [RecordBytes?]) -> FetchResponse {
    FetchResponse.with {
      $0.responses = [
        .with {
          $0.topic = "t"
          $0.partitions = records.enumerated().map { index, records in
            .with {
              $0.partitionIndex = Int32(index)
              $0.records = records
            }
          }
        }
      ]
    }
  }

  @Test(arguments: APIKey.fetch.versions)
  func `put into their holes make the frame that carries them inside`(version: Int16) throws {
    let contents = [[], [1, 2, 3], Array(repeating: 7, count: 300)] as [[UInt8]]
    let inside = try Frame.response(
      Self.response(contents.map { .bytes($0[...]) } + [nil]), version: version, correlationId: 9)
    let outside = try Frame.response(
      Self.response(contents.map { .external(size: $0.count) } + [nil]), version: version,
      correlationId: 9)

    #expect(inside.holes.isEmpty)
    #expect(inside.segments == [.bytes(inside.bytes[...])])
    #expect(outside.holes.map(\.size) == [0, 3, 300])
    #expect(outside.size == inside.bytes.count)

    var sent: [UInt8] = []
    var next = 0
    for segment in outside.segments {
      switch segment {
      case .bytes(let bytes): sent += bytes
      case .external(let size):
        #expect(size == contents[next].count)
        sent += contents[next]
        next += 1
      }
    }
    #expect(sent == inside.bytes)
  }

  @Test func `too large for any frame are refused`() {
    #expect(throws: WireError.self) {
      try Frame.response(
        Self.response([.external(size: 1 << 30), .external(size: 1 << 30)]), version: 12,
        correlationId: 1)
    }
    for size in [-1, Int(Int32.max), .max] {
      #expect(throws: WireError.frameSize(size)) {
        try Frame.response(
          Self.response([.external(size: size)]), version: 12, correlationId: 1)
      }
    }
  }
}
