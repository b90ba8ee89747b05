internal import KafkaWire

// Metadata, DescribeCluster and DescribeConfigs: what is in force, told.

extension Controller {
  func metadata(
    _ request: MetadataRequest, version: Int16, on cluster: ClusterView
  ) -> MetadataResponse {
    var response = MetadataResponse()
    response.brokers = cluster.brokers.filter(\.isListed).map { broker in
      var entry = MetadataResponse.Broker()
      entry.nodeId = broker.id
      entry.host = broker.host
      entry.port = broker.port
      entry.rack = broker.rack
      return entry
    }
    response.clusterId = state.clusterId?.base64url
    response.controllerId = cluster.controllerId
    if (8...10).contains(version), request.includeClusterAuthorizedOperations {
      response.clusterAuthorizedOperations = AuthorizedOperations.cluster
    }
    let operations =
      version >= 8 && request.includeTopicAuthorizedOperations
      ? AuthorizedOperations.topic : AuthorizedOperations.notAsked
    var topics = entries(request, version: version, on: cluster)
    for index in topics.indices { topics[index].topicAuthorizedOperations = operations }
    response.topics = topics
    return response
  }

  private func entries(
    _ request: MetadataRequest, version: Int16, on cluster: ClusterView
  ) -> [MetadataResponse.Topic] {
    guard let wanted = request.topics, version > 0 || !wanted.isEmpty else {
      return state.names.compactMap { state.topic(named: $0) }.map { entry($0, on: cluster) }
    }
    // Named twice is answered once: a small request must not make a large answer.
    var seen: Set<[UInt8]> = []
    var entries: [MetadataResponse.Topic] = []
    for topic in wanted {
      let key = Array("\(topic.topicId)/\(topic.name ?? "")".utf8)
      guard seen.insert(key).inserted else { continue }
      entries.append(entry(topic, version: version, on: cluster))
    }
    return entries
  }

  private func entry(
    _ wanted: MetadataRequest.Topic, version: Int16, on cluster: ClusterView
  ) -> MetadataResponse.Topic {
    var missing = MetadataResponse.Topic()
    missing.name = wanted.name
    if version < 12, wanted.name == nil || wanted.topicId != .zero {
      missing.name = wanted.name ?? ""
      missing.topicId = wanted.topicId
      missing.errorCode = .invalidRequest
      return missing
    }
    if wanted.topicId != .zero {
      if let topic = state.topic(wanted.topicId) { return entry(topic, on: cluster) }
      missing.name = nil
      missing.topicId = wanted.topicId
      missing.errorCode = .unknownTopicId
      return missing
    }
    let name = wanted.name ?? ""
    if let topic = state.topic(named: name) { return entry(topic, on: cluster) }
    let isValid = TopicName.isValid(name)
    missing.errorCode = isValid ? .unknownTopicOrPartition : .invalidTopicException
    missing.isInternal = TopicName.isInternal(name)
    return missing
  }

  private func entry(_ topic: TopicState, on cluster: ClusterView) -> MetadataResponse.Topic {
    var entry = MetadataResponse.Topic()
    entry.name = topic.name
    entry.topicId = topic.id
    entry.isInternal = TopicName.isInternal(topic.name)
    entry.partitions.reserveCapacity(Int(topic.partitionsCount))
    for index in 0..<topic.partitionsCount {
      let seen = PartitionView(GroupKey(topic: topic.id, partition: index), state, cluster)
      var partition = MetadataResponse.Partition()
      partition.errorCode = seen.leader == nil ? .leaderNotAvailable : .none
      partition.partitionIndex = index
      partition.leaderId = seen.leader ?? -1
      partition.leaderEpoch = seen.epoch
      partition.replicaNodes = seen.replicas
      partition.isrNodes = seen.inSync
      partition.offlineReplicas = seen.offline
      entry.partitions.append(partition)
    }
    return entry
  }

  func describeCluster(
    _ request: DescribeClusterRequest, on cluster: ClusterView
  ) -> DescribeClusterResponse {
    var response = DescribeClusterResponse()
    guard request.endpointType == 1 else {
      response.endpointType = request.endpointType
      let isController = request.endpointType == 2
      response.errorCode = isController ? .mismatchedEndpointType : .unsupportedEndpointType
      response.errorMessage =
        isController
        ? "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type "
          + "CONTROLLER"
        : "Unsupported endpoint type \(request.endpointType)"
      return response
    }
    response.clusterId = state.clusterId?.base64url ?? ""
    response.controllerId = cluster.controllerId
    let told = cluster.brokers.filter { $0.isAlive || request.includeFencedBrokers }
    response.brokers = told.map { broker in
      var entry = DescribeClusterResponse.Broker()
      entry.brokerId = broker.id
      entry.host = broker.host
      entry.port = broker.port
      entry.rack = broker.rack
      entry.isFenced = !broker.isAlive
      return entry
    }
    if request.includeClusterAuthorizedOperations {
      response.clusterAuthorizedOperations = AuthorizedOperations.cluster
    }
    return response
  }

  func describeConfigs(_ request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    var response = DescribeConfigsResponse()
    var seen: Set<[UInt8]> = []
    for resource in request.resources {
      let key = [UInt8(bitPattern: resource.resourceType)] + resource.resourceName.utf8
      guard seen.insert(key).inserted else { continue }
      do throws(Refusal) {
        var entry = DescribeConfigsResponse.Resource.refused(resource, .none, nil)
        entry.configs = try configs(of: resource, request)
        response.results.append(entry)
      } catch {
        response.results.append(.refused(resource, error.code, error.message))
      }
    }
    return response
  }

  private func configs(
    of resource: DescribeConfigsRequest.Resource, _ request: DescribeConfigsRequest
  ) throws(Refusal) -> [DescribeConfigsResponse.Config] {
    let broker = brokerConfigs
    let name = resource.resourceName
    switch resource.resourceType {
    case ConfigResourceType.topic:
      if let fault = TopicName.fault(name) { throw Refusal(.invalidTopicException, fault) }
      guard let topic = state.topic(named: name) else {
        throw Refusal(
          .unknownTopicOrPartition, "This server does not host this topic-partition.")
      }
      return TopicConfigTable.definitions.filter { isWanted($0, resource) }.map {
        describe($0, broker.effective($0, topic: topic.configs), isReadOnly: false, request)
      }
    case ConfigResourceType.broker where name.isEmpty:
      // The cluster's own layer: only what was set in it.
      let layer = BrokerConfigs(cluster: state.clusterConfigs)
      return BrokerConfigTable.definitions.filter {
        state.clusterConfigs[$0.name] != nil && isWanted($0, resource)
      }.map { describe($0, layer.effective($0), isReadOnly: !$0.isDynamic, request) }
    case ConfigResourceType.broker:
      guard let id = Int32(name) else {
        throw Refusal(.invalidRequest, "Broker id must be an integer, but it is: \(name)")
      }
      guard id == nodeId else {
        throw Refusal(
          .invalidRequest,
          "Unexpected broker id, expected \(nodeId) or empty string, but received \(id)")
      }
      return BrokerConfigTable.definitions.filter { isWanted($0, resource) }.map {
        describe($0, broker.effective($0), isReadOnly: !$0.isDynamic, request)
      }
    default:
      throw Refusal(.invalidRequest, "Unsupported resource type: \(resource.resourceType)")
    }
  }

  /// No keys, or an empty list of them, ask for all.
  private func isWanted(
    _ definition: ConfigDefinition, _ resource: DescribeConfigsRequest.Resource
  ) -> Bool {
    guard let keys = resource.configurationKeys, !keys.isEmpty else { return true }
    return keys.contains { $0.isExactly(definition.name) }
  }

  private func describe(
    _ definition: ConfigDefinition, _ effective: EffectiveConfig, isReadOnly: Bool,
    _ request: DescribeConfigsRequest
  ) -> DescribeConfigsResponse.Config {
    let isSensitive = definition.type == .password
    var config = DescribeConfigsResponse.Config()
    config.name = definition.name
    config.value = isSensitive ? nil : effective.value
    config.readOnly = isReadOnly
    config.configSource = effective.source.rawValue
    config.isSensitive = isSensitive
    config.configType = definition.type.rawValue
    config.documentation = request.includeDocumentation ? definition.documentation : nil
    if request.includeSynonyms {
      config.synonyms = effective.synonyms.map { synonym in
        var entry = DescribeConfigsResponse.Synonym()
        entry.name = synonym.name
        entry.value = isSensitive ? nil : synonym.value
        entry.source = synonym.source.rawValue
        return entry
      }
    }
    return config
  }
}
