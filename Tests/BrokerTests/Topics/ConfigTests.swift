import Broker
import KafkaWire
import LogStore
import Records
import Testing

@Suite struct `Settings` {
  @Test func `every default is canonical, and is what resolves where nothing is set`() throws {
    for definition in TopicConfigTable.definitions + BrokerConfigTable.definitions {
      guard let value = definition.defaultValue else { continue }
      #expect(try definition.canonical(value) == value, "\(definition.name)")
      #expect(definition.documentation.hasSuffix("."), "\(definition.name)")
    }
    for definition in TopicConfigTable.definitions {
      let effective = BrokerConfigs().effective(definition, topic: ConfigValues())
      #expect(effective.value == definition.defaultValue, "\(definition.name)")
      #expect(effective.source == .builtIn)
      for broker in definition.brokerNames {
        #expect(BrokerConfigTable.definition(broker.name) != nil, "\(broker.name)")
      }
    }
  }

  @Test func `names are unique, sorted, and found byte by byte`() {
    for definitions in [TopicConfigTable.definitions, BrokerConfigTable.definitions] {
      let names = definitions.map(\.name)
      #expect(names == Set(names).sorted())
    }
    #expect(TopicConfigTable.definitions.count == 34)
    #expect(TopicConfigTable.definition("retention.ms") != nil)
    #expect(TopicConfigTable.definition("retention.m\u{17F}") == nil)
  }

  @Test func `a topic's settings become the log's options and the rules for producing`() throws {
    let defaults = TopicConfig(ConfigValues(), on: BrokerConfigs())
    #expect(defaults.logOptions == .init())
    #expect(defaults.ack == .majorityDisk)
    #expect(defaults.minInsyncReplicas == 1)
    let rules = defaults.produceRules(version: 9)
    #expect(rules.batchBytesMax == 1_048_588)
    #expect(rules.compression == .asProduced)
    #expect(rules.timestampAfterMaxMilliseconds == 3_600_000)

    let config = TopicConfig(
      [
        "cleanup.policy": "compact", "compression.type": "zstd", "compression.zstd.level": "-5",
        "message.timestamp.type": "LogAppendTime", "retention.ms": "5", "retention.bytes": "7",
        "segment.ms": "9", "martlet.ack": "memory", "max.message.bytes": "100",
      ], on: BrokerConfigs())
    #expect(config.ack == .memory)
    #expect(config.logOptions.retentionMilliseconds == nil)
    #expect(config.logOptions.retentionBytes == nil)
    #expect(config.logOptions.segmentMilliseconds == 9)
    let strict = config.produceRules(version: 9)
    #expect(strict.isCompacted)
    #expect(strict.compression == .codec(.zstd, level: -5))
    #expect(strict.timestampType == .logAppendTime)
    #expect(strict.batchBytesMax == 100)
  }

  @Test func `a value that cannot be read counts as none`() {
    let config = TopicConfig(["retention.ms": "soon", "later": "1"], on: BrokerConfigs())
    #expect(config.retentionMilliseconds == 604_800_000)
  }

  @Test func `a topic falls back on the broker's layers, and hours become milliseconds`() throws {
    var harness = try ControllerHarness(file: [("log.retention.hours", "24")])
    _ = try harness.created("t")
    func retention() throws -> DescribeConfigsResponse.Config {
      try #require(try harness.describe(2, "t", keys: ["retention.ms"]).configs.first)
    }
    var config = try retention()
    #expect(config.value == "86400000")
    #expect(config.configSource == 4)
    // Kafka does not tell of a default in another unit.
    #expect(config.synonyms.map(\.name) == ["log.retention.hours"])
    _ = try harness.alter([.of(4, "", [("log.retention.ms", 0, "70")])])
    #expect(try retention().configSource == 3)
    _ = try harness.alter([.of(4, "1", [("log.retention.ms", 0, "60")])])
    #expect(try retention().value == "60")
    _ = try harness.alter([.of(2, "t", [("retention.ms", 0, "50")])])
    config = try retention()
    #expect(config.value == "50")
    #expect(config.synonyms.map(\.source) == [1, 2, 3, 4])
    #expect(config.synonyms.map(\.value) == ["50", "60", "70", "24"])
    #expect(config.configType == 5)
    #expect(config.documentation?.isEmpty == false)
  }

  @Test func `describing lists every setting of a topic and of a broker`() throws {
    var harness = try ControllerHarness(file: [("node.id", "1")])
    _ = try harness.created("t")
    let topic = try harness.describe(2, "t")
    #expect(topic.configs.map(\.name) == TopicConfigTable.definitions.map(\.name))
    #expect(topic.configs.allSatisfy { !$0.readOnly && $0.configSource == 5 })
    let broker = try harness.describe(4, "1")
    #expect(broker.configs.map(\.name) == BrokerConfigTable.definitions.map(\.name))
    let byName = Dictionary(uniqueKeysWithValues: broker.configs.map { ($0.name, $0) })
    #expect(byName["node.id"]?.configSource == 4)
    #expect(byName["num.partitions"]?.readOnly == true)
    #expect(byName["log.retention.ms"]?.readOnly == false)
    #expect(byName["log.retention.ms"]?.value == nil)
    #expect(byName["auto.create.topics.enable"]?.value == "true")
    #expect(try harness.describe(4, "").configs.isEmpty)
  }

  @Test(arguments: [
    (Int8(2), "nope", ErrorCode.unknownTopicOrPartition), (2, "b d", .invalidTopicException),
    (2, "", .invalidTopicException), (4, "2", .invalidRequest), (4, "x", .invalidRequest),
    (3, "q", .invalidRequest), (0, "", .invalidRequest),
  ])
  func `what cannot be described is an error of its own`(
    type: Int8, name: String, code: ErrorCode
  ) throws {
    var harness = try ControllerHarness()
    #expect(try harness.describe(type, name).errorCode == code)
  }

  @Test func `a file with a setting that there is not is refused`() {
    #expect(throws: ConfigFault.self) { try Controller(nodeId: 1, file: [("nope", "1")]) }
    #expect(throws: ConfigFault.self) {
      try Controller(nodeId: 1, file: [("default.replication.factor", "2")])
    }
  }
}

@Suite struct `Changing settings` {
  @Test(arguments: [
    (
      Int8(2), "t", "retention.ms", Int8(0), "x" as String?, ErrorCode.invalidConfig,
      "Invalid value x for configuration retention.ms: Not a number of type LONG"
    ),
    (
      2, "t", "retention.ms", 0, nil, .invalidRequest, "Null value not supported for : retention.ms"
    ),
    (
      2, "t", "retention.ms", 2, "5", .invalidConfig,
      "Can't APPEND to key retention.ms because its type is not LIST."
    ),
    (
      2, "t", "retention.ms", 3, "5", .invalidConfig,
      "Can't SUBTRACT to key retention.ms because its type is not LIST."
    ),
    (2, "t", "retention.ms", 9, "5", .invalidRequest, "Unknown config operation 9"),
    (2, "t", "zz", 0, "1", .invalidConfig, "Unknown topic config name: zz"),
    (
      2, "nope", "retention.ms", 0, "5", .unknownTopicOrPartition,
      "The topic 'nope' does not exist."
    ),
    (2, "", "retention.ms", 0, "5", .invalidRequest, "Default topic resources are not allowed."),
    (
      4, "2", "log.retention.ms", 0, "5", .invalidRequest,
      "Unexpected broker id, expected 1, but received 2"
    ),
    (
      4, "abc", "log.retention.ms", 0, "5", .invalidRequest,
      "Node id must be an integer, but it is: abc"
    ),
    (3, "abc", "log.retention.ms", 0, "5", .invalidRequest, "Unknown resource type 3"),
    (
      4, "1", "num.partitions", 0, "5", .invalidRequest,
      "Cannot update these configs dynamically: [num.partitions]"
    ),
    (
      4, "", "min.insync.replicas", 0, "0", .invalidRequest,
      "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"
    ),
  ])
  func `a change that cannot be made is refused in Kafka's words`(
    type: Int8, name: String, config: String, operation: Int8, value: String?, code: ErrorCode,
    message: String
  ) throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    let committed = harness.log.count
    let response = try harness.alter([.of(type, name, [(config, operation, value)])])
    #expect(response.map(\.errorCode) == [code])
    #expect(response.map(\.errorMessage) == [message])
    #expect(harness.log.count == committed)
  }

  @Test func `lists are appended to and subtracted from`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    func policy() -> String? {
      harness.controller.state.topic(named: "t")?.configs["cleanup.policy"]
    }
    _ = try harness.alter([.of(2, "t", [("cleanup.policy", 2, "compact")])])
    #expect(policy() == "delete,compact")
    _ = try harness.alter([.of(2, "t", [("cleanup.policy", 3, "delete")])])
    #expect(policy() == "compact")
    _ = try harness.alter([.of(2, "t", [("cleanup.policy", 3, "compact")])])
    #expect(policy() == "")
    _ = try harness.alter([.of(2, "t", [("cleanup.policy", 1, nil), ("gone", 1, nil)])])
    #expect(policy() == nil)
  }

  @Test func `a resource changes as a whole, and each by itself`() throws {
    var harness = try ControllerHarness()
    for name in ["a", "b", "c"] { _ = try harness.created(name) }
    let response = try harness.alter([
      .of(2, "a", [("retention.ms", 0, "1"), ("zz", 0, "1")]),
      .of(2, "b", [("retention.ms", 0, "1")]),
      .of(2, "c", [("retention.ms", 0, "1")]), .of(2, "c", []),
    ])
    #expect(
      response.map(\.errorCode) == [.invalidConfig, .none, .invalidRequest, .invalidRequest])
    #expect(response.last?.errorMessage == "Each resource must appear at most once.")
    #expect(harness.controller.state.topic(named: "a")?.configs.isEmpty == true)
    #expect(harness.controller.state.topic(named: "b")?.configs["retention.ms"] == "1")
    let doubled = try harness.alter([
      .of(2, "a", [("retention.ms", 0, "1"), ("retention.ms", 0, "2")])
    ])
    #expect(doubled.first?.errorMessage == "Error due to duplicate config keys")
  }

  @Test func `only validating changes nothing`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    let change = IncrementalAlterConfigsRequest.Resource.of(2, "t", [("retention.ms", 0, "1")])
    #expect(try harness.alter([change], validateOnly: true).first?.errorCode == ErrorCode.none)
    #expect(harness.controller.state.topic(named: "t")?.configs.isEmpty == true)
  }

  @Test func `AlterConfigs replaces all settings`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t", ["retention.ms": "1", "segment.ms": "2"])
    let request = AlterConfigsRequest.with {
      $0.resources = [
        .with {
          $0.resourceType = 2
          $0.resourceName = "t"
          $0.configs = [
            .with {
              $0.name = "retention.ms"
              $0.value = "9"
            }
          ]
        }
      ]
    }
    let effects = harness.run(.alterConfigs(request), version: 2)
    #expect(effects.contains { if case .configChanged("t", _) = $0 { true } else { false } })
    #expect(harness.controller.state.topic(named: "t")?.configs == ["retention.ms": "9"])
  }

  @Test func `a change that changes nothing is not logged`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t", ["retention.ms": "1"])
    let committed = harness.log.count
    _ = try harness.alter([.of(2, "t", [("retention.ms", 0, " 1 ")])])
    #expect(harness.log.count == committed)
  }

  @Test func `a broker's change is told to that broker`() throws {
    var harness = try ControllerHarness(brokers: 2)
    func isTold(_ name: String) -> Bool {
      let change = IncrementalAlterConfigsRequest.Resource.of(
        4, name, [("log.retention.ms", 0, "5")])
      return harness.run(
        .incrementalAlterConfigs(.with { $0.resources = [change] }), version: 1
      ).contains(.brokerConfigChanged)
    }
    #expect(isTold("1"))
    #expect(!isTold("2"))
    #expect(isTold(""))
  }
}

extension ConfigValues: ExpressibleByDictionaryLiteral {
  /// The settings of the literal.
  public init(dictionaryLiteral elements: (String, String)...) {
    self.init()
    for (name, value) in elements { self[name] = value }
  }
}
