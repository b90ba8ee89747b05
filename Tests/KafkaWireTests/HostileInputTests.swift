import Bytes
import KafkaWire
import Testing

@Suite struct `Hostile input` {
  @Test(arguments: GoldenVector.all)
  func `cut anywhere throws`(vector: GoldenVector) throws {
    func check<M: WireMessage>(_ type: M.Type) {
      for cut in vector.bytes.indices {
        #expect(throws: WireError.self, "cut at \(cut)") {
          try M.decode(vector.bytes[..<cut], version: vector.version)
        }
      }
    }
    let type = try #require(message(named: vector.name))
    check(type)
  }

  @Test(arguments: GoldenVector.all)
  func `with any byte replaced decodes to something or throws`(vector: GoldenVector) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      for index in vector.bytes.indices {
        for byte: UInt8 in [0x00, 0x7f, 0x80, 0xff] {
          var bytes = vector.bytes
          bytes[index] = byte
          guard let message = try? M.decode(bytes[...], version: vector.version) else { continue }
          // Whatever was let in can be shown and sent on.
          _ = message.described(version: vector.version)
          let again = try message.encoded(version: vector.version)
          #expect(try M.decode(again[...], version: vector.version) == message)
        }
      }
    }
    let type = try #require(message(named: vector.name))
    try check(type)
  }

  @Test(arguments: GoldenVector.all)
  func `read as any other version decodes to something or throws`(vector: GoldenVector) throws {
    func check<M: WireMessage>(_ type: M.Type) {
      for version in M.versions {
        _ = try? M.decode(vector.bytes[...], version: version)
      }
    }
    let type = try #require(message(named: vector.name))
    check(type)
  }

  @Test(arguments: allMessages.indices)
  func `of random bytes decodes to something or throws`(index: Int) {
    func check<M: WireMessage>(_ type: M.Type) {
      var generator = SeededGenerator(seed: UInt64(index))
      for version in M.versions {
        for _ in 0..<200 {
          let count = Int.random(in: 0..<80, using: &generator)
          let bytes = (0..<count).map { _ in
            // Mostly small numbers: counts and lengths that lead further in.
            Bool.random(using: &generator)
              ? UInt8.random(in: 0..<4, using: &generator)
              : UInt8.random(in: 0...255, using: &generator)
          }
          _ = try? M.decode(bytes[...], version: version)
        }
      }
    }
    check(allMessages[index])
  }

  @Test func `a count is held against the bytes that remain before anything is reserved`() {
    // Fetch v4: five integers, then the count of topics.
    let start = [UInt8](repeating: 0, count: 17)
    #expect(throws: WireError.malformed(.countExceedsInput(at: 17, count: 0x7fff_ffff))) {
      try FetchRequest.decode((start + hex("7fffffff 00000000"))[...], version: 4)
    }
    #expect(throws: WireError.malformed(.negativeLength(at: 17, length: -2))) {
      try FetchRequest.decode((start + hex("fffffffe"))[...], version: 4)
    }
    #expect(throws: WireError.unexpectedNull(at: 17)) {
      try FetchRequest.decode((start + hex("ffffffff"))[...], version: 4)
    }
    // DeleteGroups v2: a compact array of compact strings.
    #expect(throws: WireError.malformed(.countExceedsInput(at: 0, count: 0xffff_fffe))) {
      try DeleteGroupsRequest.decode(hex("ffffffff0f 00")[...], version: 2)
    }
    #expect(throws: WireError.malformed(.varintTooLong(at: 0))) {
      try DeleteGroupsRequest.decode(hex("ffffffffffffffffff01 00")[...], version: 2)
    }
    #expect(throws: WireError.malformed(.varintTooLong(at: 0))) {
      try DeleteGroupsRequest.decode(hex("8080808080808080808000")[...], version: 2)
    }
  }

  @Test func `integers in an array are counted at their width`() {
    // Two partitions are said to follow, and seven bytes do.
    let bytes = hex("00 02 03 0000000000000000 00")
    #expect(throws: WireError.self) { try OffsetFetchRequest.decode(bytes[...], version: 6) }
  }

  @Test func `a count reserves no more than its bound, however many bytes remain`() {
    for stride in [1, 16, 64, 200, 1 << 20] {
      let count = WireDecoder.reservedCount(1 << 20, stride: stride)
      #expect(count * stride <= WireDecoder.reservedBytesMax)
    }
    #expect(WireDecoder.reservedCount(3, stride: 64) == 3)
  }

  @Test func `arrays of one message hold a bounded number of elements, together`() throws {
    func request(groups: Int) throws -> ArraySlice<UInt8> {
      let count = UInt32(groups + 1)
      let prefix = [
        UInt8(count & 0x7f | 0x80), UInt8(count >> 7 & 0x7f | 0x80),
        UInt8(count >> 14 & 0x7f | 0x80), UInt8(count >> 21),
      ]
      return (prefix + [UInt8](repeating: 1, count: groups) + [0])[...]
    }
    let most = try DeleteGroupsRequest.decode(
      request(groups: WireDecoder.elementsMax), version: 2)
    #expect(most.groupsNames.count == WireDecoder.elementsMax)
    #expect(throws: WireError.tooManyElements(at: 0)) {
      try DeleteGroupsRequest.decode(request(groups: WireDecoder.elementsMax + 1), version: 2)
    }
  }

  @Test func `nested counts that all claim the rest of a large frame end at once`() {
    // Metadata response v0, no brokers, and every topic claims more partitions than there are.
    var bytes = hex("00000000 000fffff")
    for _ in 0..<100_000 { bytes += hex("0000 0000 0000ffff") }
    let time = ContinuousClock().measure {
      #expect(throws: WireError.self) { try MetadataResponse.decode(bytes[...], version: 0) }
    }
    #expect(time < .seconds(2))
  }

  @Test func `a string must be UTF-8 and no longer than versions without varints allow`() {
    #expect(throws: WireError.malformed(.notUTF8(at: 6))) {
      try DeleteGroupsRequest.decode(hex("00000001 0001 ff")[...], version: 0)
    }
    let long = hex("02 818002") + [UInt8](repeating: 0x61, count: 32_768) + [0]
    #expect(throws: WireError.stringTooLong(size: 32_768)) {
      try DeleteGroupsRequest.decode(long[...], version: 2)
    }
    #expect(throws: WireError.stringTooLong(size: 32_768)) {
      try DeleteGroupsRequest.with { $0.groupsNames = [String(repeating: "a", count: 32_768)] }
        .encoded(version: 2)
    }
  }
}

@Suite struct `Tagged fields` {
  /// ApiVersions request v3: two names, then the tag section.
  static let names = hex("02 61 02 62")

  @Test func `that are unknown are skipped, wherever they stand`() throws {
    let tags = hex("03  05 01 aa  07 00  8001 03 010203")
    let request = try ApiVersionsRequest.decode((Self.names + tags)[...], version: 3)
    #expect(request.clientSoftwareName == "a")
    #expect(request.clientSoftwareVersion == "b")

    // Between two that are known: finalizedFeaturesEpoch is tag 1, zkMigrationReady tag 3.
    let response = try ApiVersionsResponse.decode(
      hex("0000 01 00000000 03  01 08 0000000000000007  02 01 01  63 02 ffff")[...], version: 3)
    #expect(response.finalizedFeaturesEpoch == 7)
    #expect(response.finalizedFeatures == [])
  }

  @Test func `of a tagged struct do not disturb those around it`() throws {
    // Fetch request v15: replicaState, tag 1, holds an unknown tag 0, the number of clusterId.
    let state = hex("00000005 0000000000000006 01 00 01 02")
    let fields = hex("00000000 00000000 7fffffff 00 00000000 00000000 01 01 01")
    let bytes = fields + [2, 1, UInt8(state.count)] + state + hex("00 02 0263")
    let request = try FetchRequest.decode(bytes[...], version: 15)
    #expect(request.replicaState.replicaId == 5)
    #expect(request.replicaState.replicaEpoch == 6)
    #expect(request.clusterId == "c")
  }

  @Test func `must be as long as their size says`() {
    for section in ["01 01 09 0000000000000007 00", "01 01 07 00000000000007"] {
      #expect(throws: WireError.self) {
        try ApiVersionsResponse.decode(hex("0000 01 00000000" + section)[...], version: 3)
      }
    }
    #expect(throws: WireError.tagSizeMismatch(at: 10, tag: 1)) {
      try ApiVersionsResponse.decode(
        hex("0000 01 00000000 01 01 09 0000000000000007 00")[...], version: 3)
    }
    // More tags than there are bytes, and one that is longer than the rest.
    for tags in ["ffffffff0f", "01 05 ffffffff0f", "01 05 02 00"] {
      #expect(throws: WireError.self) {
        try ApiVersionsRequest.decode((Self.names + hex(tags))[...], version: 3)
      }
    }
  }

  @Test func `at their default are not written`() throws {
    let plain = try ProduceResponse.with {
      $0.responses = [.with { $0.partitionResponses = [.init()] }]
    }
    .encoded(version: 10)
    let hinted = try ProduceResponse.with {
      $0.responses = [
        .with {
          $0.partitionResponses = [.with { $0.currentLeader.leaderId = 2 }]
        }
      ]
    }.encoded(version: 10)
    // Tag, size, two integers and the tag section of the struct.
    #expect(hinted.count == plain.count + 2 + 9)
  }
}

@Suite struct `Fields that a version lacks` {
  @Test func `are dropped where that is harmless and refused where it is not`() throws {
    // rackId is ignorable; lastFetchedEpoch is not.
    #expect(throws: Never.self) {
      try FetchRequest.with { $0.rackId = "a" }.encoded(version: 10)
    }
    let request = FetchRequest.with {
      $0.topics = [.with { $0.partitions = [.with { $0.lastFetchedEpoch = 3 }] }]
    }
    #expect(throws: WireError.fieldNotInVersion("lastFetchedEpoch", 11)) {
      try request.encoded(version: 11)
    }
    #expect(throws: Never.self) { try request.encoded(version: 12) }
  }

  @Test func `are refused too where they are tagged`() {
    let response = FetchResponse.with {
      $0.responses = [.with { $0.partitions = [.with { $0.currentLeader.leaderId = 3 }] }]
    }
    #expect(throws: WireError.fieldNotInVersion("currentLeader", 11)) {
      try response.encoded(version: 11)
    }
  }

  @Test func `may not be null before null was allowed`() throws {
    let all = MetadataRequest.with { $0.topics = nil }
    #expect(throws: WireError.nullNotInVersion("topics", 0)) { try all.encoded(version: 0) }
    #expect(try all.encoded(version: 1) == hex("ffffffff"))
    #expect(throws: WireError.unexpectedNull(at: 0)) {
      try MetadataRequest.decode(hex("ffffffff")[...], version: 0)
    }
  }
}
