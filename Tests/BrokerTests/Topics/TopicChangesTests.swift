import Broker
import KafkaWire
import Testing

@Suite struct `Deleting and enlarging topics` {
  private func delete(
    _ harness: inout ControllerHarness, _ topics: [(String?, UUID16)]
  ) throws -> [DeleteTopicsResponse.Topic] {
    let request = DeleteTopicsRequest.with {
      $0.topics = topics.map { name, id in
        .with {
          $0.name = name
          $0.topicId = id
        }
      }
    }
    guard case .deleteTopics(let response) = try harness.answer(.deleteTopics(request), version: 6)
    else { return [] }
    return response.responses
  }

  @Test func `topics are deleted by name and by id`() throws {
    var harness = try ControllerHarness()
    let a = try harness.created("a", partitions: 2).topicId
    _ = try harness.created("b")
    let c = try harness.created("c").topicId
    let unknown = UUID16(high: 1, low: 1)
    let responses = try delete(
      &harness,
      [
        (nil, a), ("b", .zero), ("nope", .zero), (nil, unknown), ("x", unknown), (nil, .zero),
        ("c", .zero), (nil, c), ("d", .zero), ("d", .zero),
      ])
    #expect(
      responses.map(\.errorCode) == [
        .none, .none, .unknownTopicOrPartition, .unknownTopicId, .invalidRequest, .invalidRequest,
        .none, .invalidRequest, .invalidRequest,
      ])
    #expect(responses[0].name == "a")
    #expect(responses[1].topicId != .zero)
    #expect(harness.controller.state.topicsCount == 0)
    #expect(harness.controller.state.partitionsCount == 0)
  }

  @Test func `partitions go before the answer`() throws {
    var harness = try ControllerHarness()
    let id = try harness.created("t", partitions: 2).topicId
    let effects = harness.run(.deleteTopics(.with { $0.topicNames = ["t"] }), version: 1)
    #expect(
      effects.dropFirst().dropLast() == [
        .deletePartition(topic: "t", id: id, index: 0),
        .deletePartition(topic: "t", id: id, index: 1),
      ])
  }

  @Test(arguments: [(Int16(2), ErrorCode.invalidRequest), (3, .topicDeletionDisabled)])
  func `deletion can be disabled`(version: Int16, code: ErrorCode) throws {
    var harness = try ControllerHarness(file: [("delete.topic.enable", "false")])
    _ = try harness.created("t")
    let request = ControllerRequest.deleteTopics(.with { $0.topicNames = ["t"] })
    guard case .deleteTopics(let response) = try harness.answer(request, version: version) else {
      return
    }
    #expect(response.responses.map(\.errorCode) == [code])
  }

  @Test func `the cluster's own topics are neither deleted nor enlarged`() throws {
    var harness = try ControllerHarness()
    _ = try harness.answer(.ensureInternalTopic(TopicName.consumerOffsets), version: 0)
    let responses = try delete(&harness, [(TopicName.consumerOffsets, .zero)])
    #expect(responses.map(\.errorCode) == [.invalidTopicException])
    #expect(
      try enlarge(&harness, TopicName.consumerOffsets, 51).errorCode == .invalidTopicException)
  }

  private func enlarge(
    _ harness: inout ControllerHarness, _ name: String, _ count: Int32, _ assigned: [[Int32]]? = nil
  ) throws -> CreatePartitionsResponse.Topic {
    let request = CreatePartitionsRequest.with {
      $0.topics = [
        .with {
          $0.name = name
          $0.count = count
          $0.assignments = assigned?.map { brokers in .with { $0.brokerIds = brokers } }
        }
      ]
    }
    let response = try harness.answer(.createPartitions(request), version: 3)
    guard case .createPartitions(let response) = response, let first = response.results.first
    else { throw ControllerHarness.HarnessError.noAnswer }
    return first
  }

  @Test func `partitions only become more`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t", partitions: 2)
    #expect(
      try enlarge(&harness, "t", 2).errorMessage == "Topic already has 2 partition(s).")
    #expect(
      try enlarge(&harness, "t", 1).errorMessage
        == "The topic t currently has 2 partition(s); 1 would not be an increase.")
    #expect(try enlarge(&harness, "t", -1).errorCode == .invalidPartitions)
    #expect(try enlarge(&harness, "nope", 3).errorCode == .unknownTopicOrPartition)
    #expect(try enlarge(&harness, "t", .max).errorCode == .policyViolation)
    #expect(try enlarge(&harness, "t", 4, [[1], [9]]).errorCode == .invalidReplicaAssignment)
    #expect(
      try enlarge(&harness, "t", 4, [[1]]).errorMessage
        == "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.")
    #expect(try enlarge(&harness, "t", 4).errorCode == .none)
    #expect(try enlarge(&harness, "t", 5, [[1]]).errorCode == .none)
    #expect(harness.controller.state.topic(named: "t")?.partitionsCount == 5)
  }
}

@Suite struct `Topics that come by themselves` {
  @Test func `asking for a topic creates it, and the question is put again`() throws {
    var harness = try ControllerHarness(file: [("num.partitions", "3")])
    let request = ControllerRequest.metadata(
      .with { $0.topics = [.with { $0.name = "t" }, .with { $0.name = "bad name" }] })
    let effects = harness.run(request, version: 4)
    guard case .append(let records, _) = effects.first, records.count == 1,
      case .askAgain(let token, _, 4) = effects.dropFirst(4).first,
      case .reply(_, .metadata(let response)) = effects.last
    else {
      Issue.record("\(effects)")
      return
    }
    #expect(token == ReplyToken(1))
    #expect(response.topics.map(\.errorCode) == [.none, .invalidTopicException])
    #expect(response.topics[0].partitions.count == 3)
  }

  @Test func `nothing is created where client or broker do not allow it, or the name is taken`()
    throws
  {
    var harness = try ControllerHarness()
    _ = try harness.created("a.b")
    #expect(try harness.metadata(["t"]).topics[0].errorCode == .unknownTopicOrPartition)
    #expect(
      try harness.metadata(["a_b"], creating: true).topics[0].errorCode == .unknownTopicOrPartition)
    var closed = try ControllerHarness(file: [("auto.create.topics.enable", "false")])
    #expect(
      try closed.metadata(["t"], creating: true).topics[0].errorCode == .unknownTopicOrPartition)
    var lonely = try ControllerHarness(file: [("default.replication.factor", "3")])
    #expect(
      try lonely.metadata(["t"], creating: true).topics[0].errorCode == .invalidReplicationFactor)
    #expect(harness.controller.state.topicsCount == 1)
  }

  @Test(arguments: [(1, 1), (2, 1), (3, 3), (4, 3), (5, 3)])
  func `internal topics are compacted and have as many replicas as can be`(
    brokers: Int, factor: Int
  ) throws {
    var harness = try ControllerHarness(brokers: brokers)
    for name in [TopicName.consumerOffsets, TopicName.transactionState] {
      let first = try harness.answer(.ensureInternalTopic(name), version: 0)
      #expect(first == .done(.none))
      #expect(harness.send(.ensureInternalTopic(name), version: 0).count == 1)
      let topic = try #require(harness.controller.state.topic(named: name))
      #expect(topic.partitionsCount == 50)
      #expect(topic.replicationFactor == factor)
      let config = harness.controller.config(of: topic)
      #expect(config.isCompacted)
      #expect(!config.isDeleted)
      #expect(config.segmentBytes == 104_857_600)
    }
    let metadata = try harness.metadata(nil)
    #expect(metadata.topics.map(\.isInternal) == [true, true])
  }
}
