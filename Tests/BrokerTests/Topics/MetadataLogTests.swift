import Broker
import Bytes
import KafkaWire
import Testing

/// Requests that a seed determines, about few names, so that they meet each other.
private struct RandomRequests {
  var state: UInt64

  mutating func below(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(bound))
  }

  mutating func next() -> (ControllerRequest, Int16) {
    let name = ["a", "b", "a.c", "a_c", "long-name", "bad name"][below(6)]
    let config = [("retention.ms", "5"), ("cleanup.policy", "compact"), ("zz", "1")][below(3)]
    switch below(9) {
    case 0, 1:
      let topic = CreateTopicsRequest.Topic.new(
        name, Int32(below(5)), Int16(below(4)), below(2) == 0 ? [:] : ["segment.ms": "77"])
      let isTrial = below(4) == 0
      return (
        .createTopics(
          .with {
            $0.topics = [topic]
            $0.validateOnly = isTrial
          }), 7
      )
    case 2: return (.deleteTopics(.with { $0.topicNames = [name] }), 5)
    case 3:
      let count = Int32(below(9))
      return (
        .createPartitions(
          .with {
            $0.topics = [
              .with {
                $0.name = name
                $0.count = count
                $0.assignments = nil
              }
            ]
          }), 1
      )
    case 4:
      let change = IncrementalAlterConfigsRequest.Resource.of(
        2, name, [(config.0, Int8(below(4)), config.1)])
      return (.incrementalAlterConfigs(.with { $0.resources = [change] }), 0)
    case 5:
      let change = IncrementalAlterConfigsRequest.Resource.of(
        4, ["", "1", "2"][below(3)], [("log.retention.ms", Int8(below(2)), "\(below(9))")])
      return (.incrementalAlterConfigs(.with { $0.resources = [change] }), 0)
    case 6: return (.metadata(.with { $0.topics = [.with { $0.name = name }] }), 9)
    case 7:
      let id: String? = ["t", "u", nil][below(3)]
      return (
        .initProducerId(
          .with {
            $0.transactionalId = id
            $0.transactionTimeoutMs = 10
          }), 2
      )
    default: return (.identifyCluster(UUID16(high: 5, low: 5)), 0)
    }
  }
}

@Suite struct `The metadata log` {
  /// One of each.
  private let records: [MetadataRecord] = [
    .clusterIdentified(UUID16(high: 1, low: 2)),
    .topicCreated(
      TopicState(
        id: UUID16(high: 3, low: 4), name: "t", replicationFactor: 3,
        replicas: [1, 2, 3, 2, 3, 1], configs: ["retention.ms": "5"])),
    .partitionsAdded(topic: UUID16(high: 3, low: 4), first: 2, replicas: [3, 1, 2]),
    .topicConfigured(UUID16(high: 3, low: 4), ["cleanup.policy": "", "segment.ms": "7"]),
    .brokerConfigured(node: nil, ["log.retention.ms": "9"]),
    .brokerConfigured(node: 7, ["log.retention.ms": "8"]),
    .producerIdsTaken(first: ProducerID(0), count: 1000),
    .producerFenced(
      transactionalId: [0x65, 0xff],
      TransactionalProducer(
        id: ProducerID(5), epoch: ProducerEpoch(32_766), lastID: ProducerID(4),
        lastEpoch: ProducerEpoch(-1))),
    .transactionalIdGone([1]),
    .nodeRegistered(RegisteredNode(id: 2, incarnation: 0xfeed, host: "h2", port: 9092, rack: "r")),
    .nodeRegistered(RegisteredNode(id: 1, incarnation: .max, host: "h1", port: 1)),
    .membershipChanged(
      GroupKey(topic: UUID16(high: 3, low: 4), partition: 1),
      GroupMembership(
        version: 2, voters: [.init(node: 2, incarnation: 0), .init(node: 3, incarnation: 0)],
        learners: [.init(node: 1, incarnation: .max)])),
    .membershipChanged(
      .metadata, GroupMembership(version: 1, voters: [.init(node: 7, incarnation: 7)])),
    .reassigned(GroupKey(topic: UUID16(high: 3, low: 4), partition: 1), target: [2, 3, 1]),
    .reassigned(GroupKey(topic: UUID16(high: 3, low: 4), partition: 0), target: nil),
    .topicDeleted(UUID16(high: 3, low: 4)),
  ]

  @Test func `every record reads back, and ignores fields of a later version`() throws {
    for record in records {
      let bytes = record.encoded()
      #expect(try MetadataRecord(decoding: bytes[...]) == record)
      #expect(try MetadataRecord(decoding: (bytes + [1, 2, 3])[...]) == record)
    }
  }

  @Test func `cut or damaged bytes throw or give another record, and never trap`() throws {
    var read = 0
    for record in records {
      let bytes = record.encoded()
      for cut in bytes.indices {
        #expect(throws: MetadataError.self) { try MetadataRecord(decoding: bytes[..<cut]) }
      }
      for index in bytes.indices {
        for value in UInt8.min ... .max {
          var damaged = bytes
          damaged[index] = value
          guard let other = try? MetadataRecord(decoding: damaged[...]) else { continue }
          read += 1
          // Whatever was read can be applied or refused, and written again.
          var state = MetadataState()
          try state.load(records[1])
          try? state.load(other)
          #expect(try MetadataRecord(decoding: other.encoded()[...]) == other)
          #expect(try MetadataState(decoding: state.encoded()[...]) == state)
        }
      }
    }
    #expect(read > 1000)
  }

  @Test func `records of a later program are named, not guessed`() {
    #expect(throws: MetadataError.unknownRecord(type: 99, version: 0)) {
      try MetadataRecord(decoding: [99, 0])
    }
    #expect(throws: MetadataError.unknownRecord(type: 1, version: 1)) {
      try MetadataRecord(decoding: [1, 1])
    }
  }

  @Test func `records that contradict each other are refused and change nothing`() throws {
    var state = MetadataState()
    try state.load(records[1])
    let before = state
    let id = UUID16(high: 3, low: 4)
    let contradictions: [MetadataRecord] = [
      records[1], .partitionsAdded(topic: id, first: 1, replicas: [1, 2, 3]),
      .partitionsAdded(topic: id, first: 2, replicas: [1, 2]),
      .topicDeleted(UUID16(high: 9, low: 9)), .topicConfigured(UUID16(high: 9, low: 9), [:]),
      .producerIdsTaken(first: ProducerID(-1), count: 1),
      .producerIdsTaken(first: ProducerID(.max), count: 1),
    ]
    for record in contradictions {
      #expect(throws: MetadataError.self) { try state.load(record) }
    }
    #expect(state == before)
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `replay, snapshot and a second run agree with the state`(seed: UInt64) throws {
    var first = try ControllerHarness(brokers: 3)
    var second = try ControllerHarness(brokers: 3)
    var requests = RandomRequests(state: seed)
    var replies = 0
    var sent = 0
    for _ in 0..<300 {
      let (request, version) = requests.next()
      let effects = first.send(request, version: version)
      #expect(effects == second.send(request, version: version), "seed \(seed)")
      sent += 1
      replies += finished(effects)
      // Several requests are under way at once.
      if requests.below(3) == 0 {
        let effects = first.commit()
        #expect(effects == second.commit(), "seed \(seed)")
        replies += finished(effects)
      }
    }
    replies += finished(first.commit())
    #expect(replies == sent, "seed \(seed)")

    let state = first.controller.state
    var replayed = MetadataState()
    for record in first.log {
      try replayed.load(MetadataRecord(decoding: record.encoded()[...]))
    }
    #expect(replayed == state, "seed \(seed)")
    let snapshot = state.encoded()
    #expect(try MetadataState(decoding: snapshot[...]) == state, "seed \(seed)")
    #expect(replayed.encoded() == snapshot, "seed \(seed)")
    #expect(first.log.count > 30)
  }

  private func finished(_ effects: [Controller.Effect]) -> Int {
    effects.filter {
      switch $0 {
      case .reply, .askAgain: true
      default: false
      }
    }.count
  }

  @Test func `a cut or damaged snapshot throws`() throws {
    var state = MetadataState()
    for record in records.dropLast() { try state.load(record) }
    let bytes = state.encoded()
    #expect(try MetadataState(decoding: bytes[...]) == state)
    for cut in bytes.indices {
      #expect(throws: MetadataError.self) { try MetadataState(decoding: bytes[..<cut]) }
    }
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 0x10
      #expect(throws: MetadataError.self) { try MetadataState(decoding: damaged[...]) }
    }
  }
}

@Suite struct `Requests under way` {
  private func creation(_ name: String) -> ControllerRequest {
    .createTopics(.with { $0.topics = [.new(name)] })
  }

  @Test func `what was decided against records under way waits for them`() throws {
    var harness = try ControllerHarness()
    _ = harness.send(creation("t"), version: 7)
    #expect(harness.send(creation("t"), version: 7).isEmpty)
    let reading = ControllerRequest.metadata(
      .with {
        $0.topics = [.with { $0.name = "t" }]
        $0.allowAutoTopicCreation = false
      })
    guard case .reply(_, .metadata(let metadata)) = harness.send(reading, version: 9).first else {
      Issue.record("a read waits")
      return
    }
    #expect(metadata.topics.map(\.errorCode) == [.unknownTopicOrPartition])
    let effects = harness.commit()
    guard case .reply(ReplyToken(1), _) = effects.dropFirst().first,
      case .reply(ReplyToken(2), .createTopics(let response)) = effects.last
    else {
      Issue.record("\(effects)")
      return
    }
    #expect(response.topics.map(\.errorCode) == [.topicAlreadyExists])
  }

  @Test func `when the appends are lost everyone hears of it, and the names are free again`() throws
  {
    var harness = try ControllerHarness()
    _ = harness.send(creation("t"), version: 7)
    _ = harness.send(creation("t"), version: 7)
    _ = harness.send(
      .initProducerId(.with { $0.transactionalId = nil }), version: 1)
    harness.waiting = []
    let effects = harness.step(.appendsLost(.notController))
    #expect(
      effects == [
        .reply(ReplyToken(1), creation("t").refused(.notController, nil)),
        .reply(ReplyToken(2), creation("t").refused(.notController, nil)),
        .reply(
          ReplyToken(3),
          .initProducerId(
            .with {
              $0.errorCode = .coordinatorLoadInProgress
              $0.producerEpoch = -1
            })),
      ])
    #expect(try harness.created("t").errorCode == .none)
    #expect(try harness.identify(nil).producerId == 0)
  }

  @Test func `records of another node are taken in`() throws {
    var leader = try ControllerHarness()
    var follower = try ControllerHarness()
    for name in ["a", "b"] { _ = try leader.created(name) }
    let effects = follower.step(.committed(leader.log))
    #expect(effects.count == 2)
    #expect(follower.controller.state == leader.controller.state)
    #expect(try follower.created("a").errorCode == .topicAlreadyExists)
  }

  @Test func `a record is applied in place: none copies the topics there are`() throws {
    var harness = try ControllerHarness()
    let topics = (0..<Controller.requestPartitionsMax).map {
      CreateTopicsRequest.Topic.new("topic-\($0)")
    }
    _ = harness.send(.createTopics(.with { $0.topics = topics }), version: 4)
    var other = try Controller(nodeId: 1)
    let records = harness.waiting
    let clock = ContinuousClock()
    let committing = clock.measure { _ = harness.commit() }
    let loading = try clock.measure { for record in records { try other.load(record) } }
    #expect(other.state == harness.controller.state)
    // Measured: five times when in place, a hundred and fifty times when the maps are copied.
    #expect(committing < loading * 50)
  }

  @Test func `too many waiting requests are turned away, to come back`() throws {
    var harness = try ControllerHarness()
    for index in 0..<Controller.waitingMax { _ = harness.send(creation("t\(index)"), version: 7) }
    let effects = harness.send(creation("last"), version: 7)
    guard case .reply(_, .createTopics(let response)) = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(response.topics.map(\.errorCode) == [.requestTimedOut])
    _ = harness.commit()
    #expect(try harness.created("last").errorCode == .none)
  }
}
