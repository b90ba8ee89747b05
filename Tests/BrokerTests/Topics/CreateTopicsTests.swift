import Broker
import KafkaWire
import Testing

@Suite struct `Creating topics` {
  @Test(arguments: [
    (
      "a b",
      "Topic name is invalid: 'a b' contains one or more characters other than ASCII "
        + "alphanumerics, '.', '_' and '-'"
    ),
    (".", "Topic name is invalid: '.' is not allowed"),
    ("..", "Topic name is invalid: '..' is not allowed"),
    ("", "Topic name is invalid: the empty string is not allowed"),
    (
      "\u{212A}",
      "Topic name is invalid: '\u{212A}' contains one or more characters other than "
        + "ASCII alphanumerics, '.', '_' and '-'"
    ),
    ("ok_name", "Topic 'ok_name' collides with existing topic: ok.name"),
  ])
  func `a bad or colliding name is refused in Kafka's words`(name: String, message: String) throws {
    var harness = try ControllerHarness()
    #expect(try harness.created("ok.name").errorCode == .none)
    #expect(try harness.created("K").errorCode == .none)
    let refused = try harness.created(name)
    #expect(refused.errorCode == .invalidTopicException)
    #expect(refused.errorMessage == message)
    #expect(harness.controller.state.topicsCount == 2)
  }

  @Test func `a name has at most 249 bytes`() throws {
    var harness = try ControllerHarness()
    #expect(try harness.created(String(repeating: "x", count: 249)).errorCode == .none)
    #expect(
      try harness.created(String(repeating: "y", count: 250)).errorCode == .invalidTopicException)
  }

  @Test func `an existing topic is refused before anything else is looked at`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    let again = try harness.created("t", partitions: 0, ["nope": "1"])
    #expect(again.errorCode == .topicAlreadyExists)
    #expect(again.errorMessage == "Topic 't' already exists.")
    #expect(try harness.created("__cluster_metadata").errorCode == .invalidRequest)
  }

  @Test(arguments: [
    (Int32(0), Int16(1), ErrorCode.invalidPartitions), (-2, 1, .invalidPartitions),
    (1, 0, .invalidReplicationFactor), (1, -2, .invalidReplicationFactor),
    (1, 2, .invalidReplicationFactor), (1, 5, .invalidReplicationFactor),
    (10_001, 1, .policyViolation), (.max, 1, .policyViolation), (-1, -1, .none), (3, 3, .none),
  ])
  func `counts out of range are refused`(
    partitions: Int32, factor: Int16, code: ErrorCode
  ) throws {
    var harness = try ControllerHarness(brokers: 4)
    #expect(
      try harness.created("t", partitions: partitions, factor: factor).errorCode == code)
  }

  @Test func `an even replication factor is refused with the reason`() throws {
    var harness = try ControllerHarness(brokers: 3)
    let refused = try harness.created("t", factor: 2)
    #expect(
      refused.errorMessage
        == "Replication factor 2 is even: records are kept by a majority, and a majority of 2 "
        + "survives no more failures than one of 1. Use an odd number.")
    let tooMany = try harness.created("t", factor: 5)
    #expect(
      tooMany.errorMessage
        == "Unable to replicate the partition 5 time(s): The target replication factor of 5 cannot "
        + "be reached because only 3 broker(s) are registered.")
  }

  @Test(arguments: [
    ("nope", "1", "Unknown topic config name: nope"),
    (
      "retention.ms", "abc",
      "Invalid value abc for configuration retention.ms: Not a number of type LONG"
    ),
    (
      "retention.ms", "-2",
      "Invalid value -2 for configuration retention.ms: Value must be at least -1"
    ),
    (
      "retention.ms", "",
      "Invalid value  for configuration retention.ms: Not a number of type LONG"
    ),
    (
      "cleanup.policy", "foo",
      "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"
    ),
    (
      "compression.type", "zip",
      "Invalid value zip for configuration compression.type: String must be one of: uncompressed, "
        + "zstd, lz4, snappy, gzip, producer"
    ),
    (
      "compression.gzip.level", "11",
      "Invalid value 11 for configuration compression.gzip.level: Value must be between 1 and 9 or "
        + "equal to -1"
    ),
    (
      "compression.zstd.level", "23",
      "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22"
    ),
    (
      "compression.lz4.level", "0",
      "Invalid value 0 for configuration compression.lz4.level: Value must be at least 1"
    ),
    (
      "segment.bytes", "100",
      "Invalid value 100 for configuration segment.bytes: Value must be at least 1048576"
    ),
    (
      "min.cleanable.dirty.ratio", "2",
      "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"
    ),
    (
      "min.cleanable.dirty.ratio", "nan",
      "Invalid value nan for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"
    ),
    (
      "preallocate", "yes",
      "Invalid value yes for configuration preallocate: Expected value to be either true or false"
    ),
    (
      "max.message.bytes", "99999999999",
      "Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT"
    ),
    (
      "message.timestamp.type", "createtime",
      "Invalid value createtime for configuration message.timestamp.type: String must be one of: "
        + "CreateTime, LogAppendTime"
    ),
    (
      "leader.replication.throttled.replicas", "abc",
      "Invalid value [abc] for configuration leader.replication.throttled.replicas: "
        + "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in "
        + "the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    ),
    (
      "remote.storage.enable", "true",
      "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with "
        + "remote log storage."
    ),
    (
      "max.compaction.lag.ms", "50",
      "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)"
    ),
    (
      "martlet.ack", "paper",
      "Invalid value paper for configuration martlet.ack: String must be one of: majority-disk, "
        + "leader-disk, memory"
    ),
  ])
  func `a bad setting is refused in Kafka's words`(
    name: String, value: String, message: String
  ) throws {
    var harness = try ControllerHarness()
    let refused = try harness.created("t", ["min.compaction.lag.ms": "100", name: value])
    #expect(refused.errorCode == .invalidConfig)
    #expect(refused.errorMessage == message)
  }

  @Test func `a setting is kept in one form, however it was written`() throws {
    var harness = try ControllerHarness()
    let topic = try harness.created(
      "t",
      [
        "retention.ms": " 5 ", "segment.bytes": "+2000000", "preallocate": "TRUE",
        "cleanup.policy": " compact , delete,compact", "min.cleanable.dirty.ratio": "5e-1",
      ])
    let values = topic.configs?.filter { $0.configSource == 1 }.map { [$0.name, $0.value ?? ""] }
    #expect(
      values == [
        ["cleanup.policy", "compact,delete"], ["min.cleanable.dirty.ratio", "0.5"],
        ["preallocate", "true"], ["retention.ms", "5"], ["segment.bytes", "2000000"],
      ])
    let names = topic.configs?.map(\.name) ?? []
    #expect(names == names.sorted())
    #expect(names.count == TopicConfigTable.definitions.count)
    #expect(try harness.created("u", ["retention.ms": nil]).errorCode == .invalidConfig)
  }

  @Test func `a manual assignment is checked`() throws {
    var harness = try ControllerHarness(brokers: 3)
    func code(
      _ assigned: [(Int32, [Int32])], partitions: Int32 = -1, factor: Int16 = -1
    ) throws -> ErrorCode? {
      try harness.create(
        [.new("t", partitions, factor, assigned: assigned)], validateOnly: true
      ).first?.errorCode
    }
    #expect(try code([(0, [1])], partitions: 1) == .invalidRequest)
    #expect(try code([(0, [1])], factor: 1) == .invalidRequest)
    #expect(try code([(1, [1])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [1]), (2, [1])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [1]), (0, [1])]) == .invalidReplicaAssignment)
    #expect(try code([(-1, [1])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [7])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [1, 2, 1])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [1, 2, 3]), (1, [1])]) == .invalidReplicaAssignment)
    #expect(try code([(0, [1, 2])]) == .invalidReplicationFactor)
    #expect(try code([(1, [2]), (0, [3])]) == ErrorCode.none)
    _ = try harness.create([.new("t", -1, -1, assigned: [(1, [2]), (0, [3])])])
    #expect(harness.controller.state.topic(named: "t")?.replicas == [3, 2])
  }

  @Test func `a topic named twice in a request is refused once, the others are made`() throws {
    var harness = try ControllerHarness()
    let responses = try harness.create([.new("a"), .new("b"), .new("a"), .new("x.y"), .new("x_y")])
    #expect(responses.map(\.name) == ["a", "b", "x.y", "x_y"])
    #expect(
      responses.map(\.errorCode) == [.invalidRequest, .none, .none, .invalidTopicException])
    #expect(responses[0].errorMessage == "Duplicate topic name.")
  }

  @Test func `only validating makes nothing and says everything`() throws {
    var harness = try ControllerHarness()
    let response = try harness.create([.new("t", 3), .new("bad name")], validateOnly: true)
    #expect(response.map(\.errorCode) == [.none, .invalidTopicException])
    #expect(response[0].numPartitions == 3)
    #expect(response[0].topicId == .zero)
    #expect(harness.log.isEmpty)
  }

  @Test(arguments: [2, 3, 4, 5, 6, 7] as [Int16])
  func `every version is answered`(version: Int16) throws {
    var harness = try ControllerHarness()
    let responses = try harness.create([.new("t", -1, -1), .new("")], version: version)
    #expect(responses.map(\.errorCode) == [.none, .invalidTopicException])
  }

  @Test func `partitions are made before the answer, and nothing before the commit`() throws {
    var harness = try ControllerHarness(brokers: 3)
    let request = CreateTopicsRequest.with { $0.topics = [.new("t", 2, 3)] }
    let before = harness.send(.createTopics(request), version: 7)
    #expect(before.count == 1)
    #expect(harness.controller.state.topicsCount == 0)
    let after = harness.commit()
    guard case .createPartition("t", let id, 0, [1, 2, 3], _, _) = after.first,
      case .createPartition("t", id, 1, [2, 3, 1], _, _) = after.dropFirst().first,
      case .reply(ReplyToken(1), .createTopics(let response)) = after.last
    else {
      Issue.record("\(after)")
      return
    }
    #expect(after.count == 3)
    #expect(response.topics.first?.topicId == id)
  }

  @Test func `a topic that is made again has another id`() throws {
    var harness = try ControllerHarness()
    let first = try harness.created("t").topicId
    _ = try harness.answer(.deleteTopics(.with { $0.topicNames = ["t"] }), version: 3)
    let second = try harness.created("t").topicId
    #expect(first != second)
    #expect(first != .zero)
    #expect(second != .zero)
  }
}
