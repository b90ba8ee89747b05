package import KafkaWire

/// Names an answer that is owed; means something only to the owner.
package struct ReplyToken: RawRepresentable, Hashable, Sendable {
  package var rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the controller answers.
package enum ControllerRequest: Equatable, Sendable {
  case metadata(MetadataRequest)
  case describeCluster(DescribeClusterRequest)
  case describeConfigs(DescribeConfigsRequest)
  case createTopics(CreateTopicsRequest)
  case deleteTopics(DeleteTopicsRequest)
  case createPartitions(CreatePartitionsRequest)
  case alterConfigs(AlterConfigsRequest)
  case incrementalAlterConfigs(IncrementalAlterConfigsRequest)
  case initProducerId(InitProducerIdRequest)
  case electLeaders(ElectLeadersRequest)
  case alterPartitionReassignments(AlterPartitionReassignmentsRequest)
  case listPartitionReassignments(ListPartitionReassignmentsRequest)
  case describeQuorum(DescribeQuorumRequest)
  case describeTopicPartitions(DescribeTopicPartitionsRequest)
  /// From inside: the cluster gets this id, unless it has one.
  case identifyCluster(UUID16)
  /// From inside: the topic of that name, one of the cluster's own, is created unless it exists.
  case ensureInternalTopic(String)
}

/// The answer to the request of the same name.
package enum ControllerResponse: Equatable, Sendable {
  case metadata(MetadataResponse)
  case describeCluster(DescribeClusterResponse)
  case describeConfigs(DescribeConfigsResponse)
  case createTopics(CreateTopicsResponse)
  case deleteTopics(DeleteTopicsResponse)
  case createPartitions(CreatePartitionsResponse)
  case alterConfigs(AlterConfigsResponse)
  case incrementalAlterConfigs(IncrementalAlterConfigsResponse)
  case initProducerId(InitProducerIdResponse)
  case electLeaders(ElectLeadersResponse)
  case alterPartitionReassignments(AlterPartitionReassignmentsResponse)
  case listPartitionReassignments(ListPartitionReassignmentsResponse)
  case describeQuorum(DescribeQuorumResponse)
  case describeTopicPartitions(DescribeTopicPartitionsResponse)
  /// To a request from inside.
  case done(ErrorCode)
}

extension ControllerRequest {
  /// The answer that the whole request failed: `code` for each thing it named.
  package func refused(_ code: ErrorCode, _ message: String?) -> ControllerResponse {
    switch self {
    case .metadata(let request):
      return .metadata(.refused(request, code))
    case .describeCluster:
      return .describeCluster(
        .with {
          $0.errorCode = code
          $0.errorMessage = message
        })
    case .describeConfigs(let request):
      return .describeConfigs(
        .with { $0.results = request.resources.map { .refused($0, code, message) } })
    case .createTopics(let request):
      return .createTopics(
        .with { $0.topics = request.topics.map { .refused($0.name, code, message) } })
    case .deleteTopics(let request):
      let named = request.topicNames.map { DeleteTopicsRequest.Topic.named($0) }
      return .deleteTopics(
        .with { $0.responses = (request.topics + named).map { .refused($0, code, message) } })
    case .createPartitions(let request):
      return .createPartitions(
        .with { $0.results = request.topics.map { .outcome($0.name, code, message) } })
    case .alterConfigs(let request):
      return .alterConfigs(
        .with {
          $0.responses = request.resources.map {
            .outcome($0.resourceType, $0.resourceName, code, message)
          }
        })
    case .incrementalAlterConfigs(let request):
      return .incrementalAlterConfigs(
        .with {
          $0.responses = request.resources.map {
            .outcome($0.resourceType, $0.resourceName, code, message)
          }
        })
    case .initProducerId: return .initProducerId(.refused(code))
    case .electLeaders: return .electLeaders(.with { $0.errorCode = code })
    case .alterPartitionReassignments(let request):
      return .alterPartitionReassignments(
        .with {
          $0.allowReplicationFactorChange = request.allowReplicationFactorChange
          $0.errorCode = code
          $0.errorMessage = message
        })
    case .listPartitionReassignments:
      return .listPartitionReassignments(
        .with {
          $0.errorCode = code
          $0.errorMessage = message
        })
    case .describeQuorum:
      return .describeQuorum(
        .with {
          $0.errorCode = code
          $0.errorMessage = message
        })
    case .describeTopicPartitions(let request):
      return .describeTopicPartitions(.refused(request, code))
    case .identifyCluster, .ensureInternalTopic: return .done(code)
    }
  }
}

extension MetadataResponse {
  static func refused(_ request: MetadataRequest, _ code: ErrorCode) -> MetadataResponse {
    var response = MetadataResponse()
    response.errorCode = code
    for topic in request.topics ?? [] {
      var entry = Topic()
      entry.errorCode = code
      // Versions before 12 cannot say that there is no name.
      entry.name = topic.name ?? ""
      entry.topicId = topic.topicId
      response.topics.append(entry)
    }
    return response
  }
}

extension DescribeConfigsResponse.Resource {
  static func refused(
    _ resource: DescribeConfigsRequest.Resource, _ code: ErrorCode, _ message: String?
  ) -> Self {
    var entry = Self()
    entry.resourceType = resource.resourceType
    entry.resourceName = resource.resourceName
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}

extension CreateTopicsResponse.Topic {
  static func refused(_ name: String, _ code: ErrorCode, _ message: String?) -> Self {
    var entry = Self()
    entry.name = name
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}

extension DeleteTopicsRequest.Topic {
  static func named(_ name: String) -> Self {
    var topic = Self()
    topic.name = name
    return topic
  }
}

extension DeleteTopicsResponse.Topic {
  static func refused(
    _ topic: DeleteTopicsRequest.Topic, _ code: ErrorCode, _ message: String?
  ) -> Self {
    var entry = Self()
    entry.name = topic.name
    entry.topicId = topic.topicId
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}

extension CreatePartitionsResponse.Topic {
  static func outcome(_ name: String, _ code: ErrorCode, _ message: String?) -> Self {
    var entry = Self()
    entry.name = name
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}

extension AlterConfigsResponse.Resource {
  static func outcome(
    _ type: Int8, _ name: String, _ code: ErrorCode, _ message: String?
  ) -> Self {
    var entry = Self()
    entry.resourceType = type
    entry.resourceName = name
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}

extension IncrementalAlterConfigsResponse.Resource {
  static func outcome(
    _ type: Int8, _ name: String, _ code: ErrorCode, _ message: String?
  ) -> Self {
    var entry = Self()
    entry.resourceType = type
    entry.resourceName = name
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}

extension InitProducerIdResponse {
  static func refused(_ code: ErrorCode) -> InitProducerIdResponse {
    .with {
      $0.errorCode = code
      $0.producerEpoch = -1
    }
  }
}
