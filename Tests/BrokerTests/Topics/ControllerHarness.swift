import Broker
import Bytes
import KafkaWire

/// A controller whose metadata log is a list: what is appended is committed when the test says so.
struct ControllerHarness {
  var controller: Controller
  var brokers = 1
  var dead: Set<Int32> = []
  var racks: [Int32: String] = [:]
  /// Of every partition.
  var leadership = ClusterView.Leadership(leader: 1, epoch: 7, inSync: [1])
  /// What was appended and not committed yet.
  var waiting: [MetadataRecord] = []
  /// What is committed.
  var log: [MetadataRecord] = []
  var token: UInt64 = 0
  var nextId: UInt64 = 1

  init(
    brokers: Int = 1, file: [(String, String)] = []
  ) throws {
    controller = try Controller(nodeId: 1, file: file)
    self.brokers = brokers
  }

  var cluster: ClusterView {
    let leadership = leadership
    return ClusterView(
      brokers: (1...Int32(brokers)).map {
        ClusterView.Broker(
          id: $0, host: "host\($0)", port: 9000 + $0, rack: racks[$0], isAlive: !dead.contains($0))
      },
      controllerId: 1, leadership: { _, _ in leadership })
  }

  /// A node says what disk it has.
  mutating func register(_ node: Int32, _ incarnation: UInt64) {
    _ = step(
      .committed([
        .nodeRegistered(
          RegisteredNode(id: node, incarnation: incarnation, host: "h", port: 9000 + node))
      ]))
  }

  mutating func step(_ input: Controller.Input) -> [Controller.Effect] {
    var effects: [Controller.Effect] = []
    controller.step(input, into: &effects)
    for case .append(let records, _) in effects { waiting += records }
    return effects
  }

  /// Sends a request and leaves what it appends waiting.
  mutating func send(_ request: ControllerRequest, version: Int16) -> [Controller.Effect] {
    token += 1
    let count = controller.freshIdsCount(request, version: version)
    let ids = (0..<count).map { UUID16(high: 0xabc, low: nextId + UInt64($0)) }
    nextId += UInt64(count)
    return step(
      .request(
        Controller.Submission(
          request, version: version, token: ReplyToken(token), freshIds: ids, cluster: cluster)))
  }

  mutating func commit() -> [Controller.Effect] {
    let records = waiting
    waiting = []
    log += records
    return step(.committed(records))
  }

  /// Sends, commits, asks again where that is wanted: all that happens.
  mutating func run(_ request: ControllerRequest, version: Int16) -> [Controller.Effect] {
    var effects = send(request, version: version)
    if !waiting.isEmpty { effects += commit() }
    if case .askAgain(_, let again, let version) = effects.last {
      effects += send(again, version: version)
    }
    return effects
  }

  /// The answer to a request that gets one.
  mutating func answer(
    _ request: ControllerRequest, version: Int16
  ) throws -> ControllerResponse {
    for case .reply(_, let response) in run(request, version: version).reversed() {
      return response
    }
    throw HarnessError.noAnswer
  }

  enum HarnessError: Error {
    case noAnswer
  }
}

extension ControllerHarness {
  mutating func create(
    _ topics: [CreateTopicsRequest.Topic], validateOnly: Bool = false, version: Int16 = 7
  ) throws -> [CreateTopicsResponse.Topic] {
    let request = CreateTopicsRequest.with {
      $0.topics = topics
      $0.validateOnly = validateOnly
    }
    guard case .createTopics(let response) = try answer(.createTopics(request), version: version)
    else { throw HarnessError.noAnswer }
    // Every answer can be written.
    _ = try Frame.response(response, version: version, correlationId: 1)
    return response.topics
  }

  mutating func created(
    _ name: String, partitions: Int32 = 1, factor: Int16 = 1,
    _ configs: KeyValuePairs<String, String?> = [:]
  ) throws -> CreateTopicsResponse.Topic {
    let responses = try create([.new(name, partitions, factor, configs)])
    guard let first = responses.first else { throw HarnessError.noAnswer }
    return first
  }

  mutating func metadata(
    _ names: [String]?, version: Int16 = 12, creating: Bool = false
  ) throws -> MetadataResponse {
    let request = MetadataRequest.with {
      $0.topics = names.map { names in names.map { name in .with { $0.name = name } } }
      $0.allowAutoTopicCreation = creating
    }
    guard case .metadata(let response) = try answer(.metadata(request), version: version) else {
      throw HarnessError.noAnswer
    }
    _ = try Frame.response(response, version: version, correlationId: 1)
    return response
  }

  mutating func alter(
    _ resources: [IncrementalAlterConfigsRequest.Resource], validateOnly: Bool = false
  ) throws -> [IncrementalAlterConfigsResponse.Resource] {
    let request = IncrementalAlterConfigsRequest.with {
      $0.resources = resources
      $0.validateOnly = validateOnly
    }
    guard
      case .incrementalAlterConfigs(let response) = try answer(
        .incrementalAlterConfigs(request), version: 1)
    else { throw HarnessError.noAnswer }
    return response.responses
  }

  mutating func describe(
    _ type: Int8, _ name: String, keys: [String]? = nil
  ) throws -> DescribeConfigsResponse.Resource {
    let request = DescribeConfigsRequest.with {
      $0.resources = [
        .with {
          $0.resourceType = type
          $0.resourceName = name
          $0.configurationKeys = keys
        }
      ]
      $0.includeSynonyms = true
      $0.includeDocumentation = true
    }
    guard case .describeConfigs(let response) = try answer(.describeConfigs(request), version: 4),
      let first = response.results.first
    else { throw HarnessError.noAnswer }
    _ = try Frame.response(response, version: 1, correlationId: 1)
    return first
  }

  mutating func identify(
    _ id: String?, timeout: Int32 = 1000, producer: Int64 = -1, epoch: Int16 = -1,
    version: Int16 = 4
  ) throws -> InitProducerIdResponse {
    let request = InitProducerIdRequest.with {
      $0.transactionalId = id
      $0.transactionTimeoutMs = timeout
      $0.producerId = producer
      $0.producerEpoch = epoch
    }
    guard
      case .initProducerId(let response) = try answer(.initProducerId(request), version: version)
    else { throw HarnessError.noAnswer }
    return response
  }
}

extension CreateTopicsRequest.Topic {
  static func new(
    _ name: String, _ partitions: Int32 = 1, _ factor: Int16 = 1,
    _ configs: KeyValuePairs<String, String?> = [:], assigned: [(Int32, [Int32])] = []
  ) -> Self {
    var topic = Self()
    topic.name = name
    topic.numPartitions = partitions
    topic.replicationFactor = factor
    topic.configs = configs.map { name, value in
      var config = CreateTopicsRequest.Config()
      config.name = name
      config.value = value
      return config
    }
    topic.assignments = assigned.map { index, brokers in
      var assignment = CreateTopicsRequest.Assignment()
      assignment.partitionIndex = index
      assignment.brokerIds = brokers
      return assignment
    }
    return topic
  }
}

extension IncrementalAlterConfigsRequest.Resource {
  /// 0 set, 1 delete, 2 append, 3 subtract.
  static func of(_ type: Int8, _ name: String, _ changes: [(String, Int8, String?)]) -> Self {
    var resource = Self()
    resource.resourceType = type
    resource.resourceName = name
    resource.configs = changes.map { name, operation, value in
      var config = IncrementalAlterConfigsRequest.Config()
      config.name = name
      config.configOperation = operation
      config.value = value
      return config
    }
    return resource
  }
}
