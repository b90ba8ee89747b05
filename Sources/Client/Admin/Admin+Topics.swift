internal import KafkaWire

/// A topic to be made.
public struct NewTopic: Hashable, Sendable {
  /// The topic's name.
  public var name: String
  /// How many partitions; nil for the broker's default.
  public var partitions: Int32?
  /// How many replicas; nil for the broker's default.
  public var replicationFactor: Int16?
  /// Settings by Kafka's names (`cleanup.policy`, `retention.ms`, ...).
  public var configs: [String: String]

  /// A topic by its name.
  public init(
    _ name: String, partitions: Int32? = nil, replicationFactor: Int16? = nil,
    configs: [String: String] = [:]
  ) {
    self.name = name
    self.partitions = partitions
    self.replicationFactor = replicationFactor
    self.configs = configs
  }
}

/// A topic as the cluster has it.
public struct TopicDescription: Hashable, Sendable {
  /// A partition as the cluster has it.
  public struct Partition: Hashable, Sendable {
    /// The partition's number.
    public var number: Int32
    /// The node that leads it; -1 if none does now.
    public var leader: Int32
    /// The number of the leadership; -1 where the broker does not say.
    public var leaderEpoch: Int32
    /// The nodes that have it.
    public var replicas: [Int32]
    /// Those of them that are up to date.
    public var inSyncReplicas: [Int32]
  }

  /// The topic's name.
  public var name: String
  /// Kafka's text form of its id.
  public var id: String
  /// Whether the broker keeps it for itself.
  public var isInternal: Bool
  /// Its partitions, by number.
  public var partitions: [Partition]
}

/// The outcome of a call about several things: each succeeds or fails alone.
public typealias Outcomes<Key: Hashable & Sendable, Value: Sendable> = [Key: Result<
  Value, ClientError
>]

extension Client {
  private static let changeTimeoutMilliseconds: Int32 = 30_000

  /// Makes topics; each succeeds or fails alone.
  public func createTopics(
    _ topics: [NewTopic], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<String, Void> {
    try await asynchronously { createTopics(topics, validateOnly: validateOnly, $0.finish) }
  }

  /// As the other, with a completion.
  package func createTopics(
    _ topics: [NewTopic], validateOnly: Bool = false,
    _ completion: @escaping @Sendable (Result<Outcomes<String, Void>, ClientError>) -> Void
  ) {
    var request = CreateTopicsRequest()
    request.timeoutMs = Self.changeTimeoutMilliseconds
    request.validateOnly = validateOnly
    request.topics = topics.map { new in
      var topic = CreateTopicsRequest.Topic()
      topic.name = new.name
      topic.numPartitions = new.partitions ?? -1
      topic.replicationFactor = new.replicationFactor ?? -1
      topic.configs = new.configs.keys.sorted().map { name in
        .with {
          $0.name = name
          $0.value = new.configs[name]
        }
      }
      return topic
    }
    ask(.controller, request, completion) { response in
      Dictionary(
        response.topics.map {
          ($0.name, Self.outcome($0.errorCode, "creating topic \($0.name)", $0.errorMessage))
        }, uniquingKeysWith: { first, _ in first })
    }
  }

  /// Removes topics and their records; each succeeds or fails alone.
  public func deleteTopics(
    _ names: [String]
  ) async throws(ClientError) -> Outcomes<String, Void> {
    try await asynchronously { deleteTopics(names, $0.finish) }
  }

  /// As the other, with a completion.
  package func deleteTopics(
    _ names: [String],
    _ completion: @escaping @Sendable (Result<Outcomes<String, Void>, ClientError>) -> Void
  ) {
    ask(.controller, DeleteTopicsRequest.self) { version in
      var request = DeleteTopicsRequest()
      request.timeoutMs = Self.changeTimeoutMilliseconds
      if version >= 6 {
        request.topics = names.map { name in .with { $0.name = name } }
      } else {
        request.topicNames = names
      }
      return request
    } _: { result in
      completion(
        result.map { response in
          Dictionary(
            response.responses.map {
              let name = $0.name ?? ""
              return (name, Self.outcome($0.errorCode, "deleting topic \(name)", $0.errorMessage))
            }, uniquingKeysWith: { first, _ in first })
        })
    }
  }

  /// Raises the number of partitions of topics to `counts`; each succeeds or fails alone.
  public func createPartitions(
    _ counts: [String: Int32], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<String, Void> {
    try await asynchronously { createPartitions(counts, validateOnly: validateOnly, $0.finish) }
  }

  /// As the other, with a completion.
  package func createPartitions(
    _ counts: [String: Int32], validateOnly: Bool = false,
    _ completion: @escaping @Sendable (Result<Outcomes<String, Void>, ClientError>) -> Void
  ) {
    var request = CreatePartitionsRequest()
    request.timeoutMs = Self.changeTimeoutMilliseconds
    request.validateOnly = validateOnly
    request.topics = counts.keys.sorted().map { name in
      .with {
        $0.name = name
        $0.count = counts[name] ?? 0
        $0.assignments = nil
      }
    }
    ask(.controller, request, completion) { response in
      Dictionary(
        response.results.map {
          ($0.name, Self.outcome($0.errorCode, "extending topic \($0.name)", $0.errorMessage))
        }, uniquingKeysWith: { first, _ in first })
    }
  }

  /// The topics of these names, or all; a topic that is not there is an error in its place.
  public func describeTopics(
    _ names: [String]? = nil
  ) async throws(ClientError) -> Outcomes<String, TopicDescription> {
    try await asynchronously { describeTopics(names, $0.finish) }
  }

  /// The names of all topics, sorted.
  public func listTopics(includingInternal: Bool = false) async throws(ClientError) -> [String] {
    let all = try await describeTopics(nil)
    return all.values.compactMap { try? $0.get() }.filter { includingInternal || !$0.isInternal }
      .map(\.name).sorted()
  }

  /// As the other, with a completion.
  package func describeTopics(
    _ names: [String]?,
    _ completion:
      @escaping @Sendable (Result<Outcomes<String, TopicDescription>, ClientError>) -> Void
  ) {
    let operation = Operation<Outcomes<String, TopicDescription>>()
    operation.onCompletion(completion)
    perform(operation) { [options] network in
      network.retry(until: network.now + options.requestTimeoutMilliseconds) { attempt in
        network.fetchMetadata(names, attempt)
      } _: { (result: Result<MetadataResponse, ClientError>) in
        operation.complete(
          result.map { response in
            Dictionary(
              response.topics.map { ($0.name ?? "", Self.description($0)) },
              uniquingKeysWith: { first, _ in first })
          })
      }
    }
  }

  private static func description(
    _ topic: MetadataResponse.Topic
  ) -> Result<TopicDescription, ClientError> {
    let name = topic.name ?? ""
    guard topic.errorCode == .none else {
      return .failure(ClientError(topic.errorCode, "looking for topic \(name)"))
    }
    return .success(
      TopicDescription(
        name: name, id: topic.topicId.base64url, isInternal: topic.isInternal,
        partitions: topic.partitions.sorted { $0.partitionIndex < $1.partitionIndex }.map {
          TopicDescription.Partition(
            number: $0.partitionIndex, leader: $0.leaderId, leaderEpoch: $0.leaderEpoch,
            replicas: $0.replicaNodes, inSyncReplicas: $0.isrNodes)
        }))
  }
}
