import Bytes
import KafkaWire
import Testing

@Suite struct `Embedded messages` {
  @Test func `of consumers carry their version, and a newer one is read as the newest known`()
    throws
  {
    let subscription = ConsumerProtocolSubscription.with {
      $0.topics = ["orders"]
      $0.generationId = 4
      $0.rackId = "r"
    }
    var bytes = try subscription.embedded(version: 3)
    #expect(bytes.prefix(2) == [0, 3])
    #expect(try ConsumerProtocolSubscription.decode(embedded: bytes[...]) == subscription)
    bytes[1] = 9
    #expect(try ConsumerProtocolSubscription.decode(embedded: (bytes + [0])[...]) == subscription)
    bytes[0] = 0x80
    #expect(throws: WireError.unsupportedVersion(-32_759)) {
      try ConsumerProtocolSubscription.decode(embedded: bytes[...])
    }
    #expect(throws: WireError.malformed(.truncated(at: 0, needed: 2))) {
      try ConsumerProtocolAssignment.decode(embedded: [0])
    }
  }

  @Test func `of group records carry type or version`() throws {
    let key = GroupRecordKey.offsetCommit(
      .with {
        $0.group = "g"
        $0.topic = "t"
        $0.partition = 7
      })
    let bytes = try #require(try key.encoded())
    #expect(bytes == hex("0001 000167 000174 00000007"))
    #expect(try GroupRecordKey.decode(bytes[...]) == key)
    #expect(try GroupRecordKey.decode(hex("0003 0001")[...]) == .unknown(type: 3))

    let group = GroupRecordKey.groupMetadata(.with { $0.group = "g" })
    #expect(try group.encoded() == hex("0002 000167"))

    let value = OffsetCommitValue.with {
      $0.offset = 5
      $0.leaderEpoch = 2
      $0.commitTimestamp = 9
    }
    for version: Int16 in 3...4 {
      let bytes = try value.value(version: version)
      #expect(bytes.prefix(2) == [0, UInt8(version)])
      #expect(try OffsetCommitValue.decode(value: bytes[...]) == value)
    }
    #expect(throws: WireError.unsupportedVersion(5)) {
      try OffsetCommitValue.decode(value: hex("0005")[...])
    }
  }
}

@Suite struct `Error codes` {
  @Test func `have Kafka's numbers, names and retriability`() {
    #expect(ErrorCode.known.count == 135)
    #expect(ErrorCode.known.allSatisfy { $0.name != nil })
    #expect(ErrorCode.unknownServerError.description == "UNKNOWN_SERVER_ERROR(-1)")
    #expect(ErrorCode.none.description == "NONE(0)")
    #expect(ErrorCode.notLeaderOrFollower.rawValue == 6)
    #expect(ErrorCode.shareSessionLimitReached.description == "SHARE_SESSION_LIMIT_REACHED(133)")
    #expect(ErrorCode.known.filter(\.isRetriable).count == 32)
    #expect(!ErrorCode.unknownServerError.isRetriable)
  }

  @Test func `without a name are kept`() {
    for code in [Int16.min, -2, 134, .max] {
      #expect(ErrorCode(rawValue: code).name == nil)
      #expect(ErrorCode(rawValue: code).description == "UNKNOWN(\(code))")
    }
  }
}

@Suite struct `Ids of sixteen bytes` {
  @Test func `have one text form, Kafka's`() {
    let id = UUID16(high: 0xde82_3540_09f3_7f5b, low: 0xfd58_a2e1_7f35_477a)
    #expect(id.base64url == "3oI1QAnzf1v9WKLhfzVHeg")
    #expect(UUID16.zero.base64url == "AAAAAAAAAAAAAAAAAAAAAA")
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<1000 {
      let id = UUID16(high: generator.next(), low: generator.next())
      #expect(UUID16(base64url: id.base64url) == id)
    }
  }

  @Test(arguments: [
    "", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB",
    "AAAAAAAAAAAA+AAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAé",
  ])
  func `are not read from other text`(text: String) {
    #expect(UUID16(base64url: text) == nil)
  }
}

@Suite struct `Printed messages` {
  @Test func `are one line, with bytes as their number`() {
    let response = FetchResponse.with {
      $0.throttleTimeMs = 3
      $0.responses = [
        .with {
          $0.topic = "line\nbreak"
          $0.partitions = [
            .with {
              $0.errorCode = .offsetOutOfRange
              $0.records = .bytes([1, 2, 3])
            },
            .with {
              $0.abortedTransactions = nil
              $0.records = .external(size: 9)
            },
          ]
        }
      ]
    }
    #expect(
      response.described(version: 4) == """
        {throttleTimeMs: 3, responses: [{topic: "line\\nbreak", partitions: [{partitionIndex: 0, \
        errorCode: OFFSET_OUT_OF_RANGE(1), highWatermark: 0, lastStableOffset: -1, \
        abortedTransactions: [], records: <3 bytes>}, {partitionIndex: 0, errorCode: NONE(0), \
        highWatermark: 0, lastStableOffset: -1, abortedTransactions: null, \
        records: <9 external bytes>}]}]}
        """)
  }

  @Test func `show tagged fields that say something, and the first of many elements`() {
    let request = FetchRequest.with { $0.replicaState.replicaId = 2 }
    #expect(
      request.described(version: 15).hasSuffix("replicaState: {replicaId: 2, replicaEpoch: -1}}"))
    let groups = DeleteGroupsRequest.with { $0.groupsNames = (1...20).map { "\($0)" } }
    #expect(groups.described(version: 0).hasSuffix("\"16\", and 4 more]}"))
  }
}

/// No message of ours has a nullable struct yet; the group protocol of KIP-848 does.
private struct Holder: WireMessage {
  struct Inner: WireStruct {
    var number: Int16 = 0
    init() {}
    mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
      try v.field("number", &number)
    }
  }

  static var versions: ClosedRange<Int16> { 0...1 }
  static var flexibleSince: Int16? { 1 }
  var inner: Inner?
  var hint: Inner?

  init() {}

  mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("inner", &inner)
  }

  mutating func walkTags<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.tagged(0, "hint", &hint, .since(1))
  }
}

@Suite struct `Nullable structs` {
  @Test func `are a byte, then the struct if there is one`() throws {
    var holder = Holder()
    #expect(try holder.encoded(version: 0) == hex("ff"))
    #expect(try holder.encoded(version: 1) == hex("ff 00"))
    holder.inner = .with { $0.number = 5 }
    #expect(try holder.encoded(version: 0) == hex("01 0005"))
    holder.hint = .with { $0.number = 6 }
    let bytes = hex("01 0005 00 01 00 04 01 0006 00")
    #expect(try holder.encoded(version: 1) == bytes)
    #expect(try Holder.decode(bytes[...], version: 1) == holder)
    #expect(holder.described(version: 1) == "{inner: {number: 5}, hint: {number: 6}}")
  }
}
