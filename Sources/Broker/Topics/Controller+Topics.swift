internal import KafkaWire

// DeleteTopics and CreatePartitions.

extension Controller {
  func decide(_ request: DeleteTopicsRequest, version: Int16) -> Decision {
    let named = request.topicNames.map { DeleteTopicsRequest.Topic.named($0) }
    let topics = version >= 6 ? request.topics : named
    var counts: [[UInt8]: Int] = [:]
    for topic in topics { counts[deletionKey(topic), default: 0] += 1 }
    var response = DeleteTopicsResponse()
    var records: [MetadataRecord] = []
    var deleted: Set<UUID16> = []
    for topic in topics {
      guard let count = counts.removeValue(forKey: deletionKey(topic)) else { continue }
      do throws(Refusal) {
        if count > 1 {
          throw Refusal(
            .invalidRequest, topic.name == nil ? "Duplicate topic id." : "Duplicate topic name.")
        }
        let found = try deletable(topic, version: version)
        guard deleted.insert(found.id).inserted else {
          throw Refusal(
            .invalidRequest,
            "The provided topic name maps to an ID that was already supplied.")
        }
        records.append(.topicDeleted(found.id))
        var entry = DeleteTopicsResponse.Topic()
        entry.name = found.name
        entry.topicId = found.id
        response.responses.append(entry)
      } catch {
        response.responses.append(.refused(topic, error.code, error.message))
      }
    }
    return Decision(records: records, outcome: .reply(.deleteTopics(response)))
  }

  /// Equal for entries that are the same.
  private func deletionKey(_ topic: DeleteTopicsRequest.Topic) -> [UInt8] {
    Array("\(topic.topicId)/\(topic.name ?? "")".utf8)
  }

  private func deletable(
    _ topic: DeleteTopicsRequest.Topic, version: Int16
  ) throws(Refusal) -> TopicState {
    guard brokerConfigs(in: decided).value("delete.topic.enable") == "true" else {
      throw Refusal(
        version >= 3 ? .topicDeletionDisabled : .invalidRequest, "Topic deletion is disabled.")
    }
    let found: TopicState?
    let code: ErrorCode
    switch (topic.name, topic.topicId == .zero) {
    case (_?, false):
      throw Refusal(.invalidRequest, "You may not specify both topic name and topic id.")
    case (nil, true):
      throw Refusal(.invalidRequest, "Neither topic name nor id were specified.")
    case (let name?, true):
      found = decided.topic(named: name)
      code = .unknownTopicOrPartition
    case (nil, false):
      found = decided.topic(topic.topicId)
      code = .unknownTopicId
    }
    guard let found else {
      throw Refusal(
        code,
        code == .unknownTopicId
          ? "This server does not host this topic ID."
          : "This server does not host this topic-partition.")
    }
    try checkNotInternal(found, "deleted: groups and transactions are kept in it")
    return found
  }

  /// Kafka allows this, and what was kept in the topic is gone or can no longer be found.
  private func checkNotInternal(_ topic: TopicState, _ what: String) throws(Refusal) {
    guard !TopicName.isInternal(topic.name) else {
      throw Refusal(
        .invalidTopicException, "Topic '\(topic.name)' is internal and cannot be \(what).")
    }
  }

  func decide(_ request: CreatePartitionsRequest, on cluster: ClusterView) -> Decision {
    var counts: [[UInt8]: Int] = [:]
    for topic in request.topics { counts[Array(topic.name.utf8), default: 0] += 1 }
    var response = CreatePartitionsResponse()
    var progress = CreationProgress(decided)
    for topic in request.topics {
      guard let count = counts.removeValue(forKey: Array(topic.name.utf8)) else { continue }
      do throws(Refusal) {
        if count > 1 { throw Refusal(.invalidRequest, "Duplicate topic name.") }
        try enlarge(topic, on: cluster, &progress)
        response.results.append(.outcome(topic.name, .none, nil))
      } catch {
        response.results.append(.outcome(topic.name, error.code, error.message))
      }
    }
    return Decision(
      records: request.validateOnly ? [] : progress.records,
      outcome: .reply(.createPartitions(response)))
  }

  private func enlarge(
    _ request: CreatePartitionsRequest.Topic, on cluster: ClusterView,
    _ progress: inout CreationProgress
  ) throws(Refusal) {
    guard let topic = decided.topic(named: request.name) else {
      throw Refusal(
        .unknownTopicOrPartition, "This server does not host this topic-partition.")
    }
    let first = topic.partitionsCount
    guard request.count != first else {
      throw Refusal(.invalidPartitions, "Topic already has \(first) partition(s).")
    }
    guard request.count > first else {
      throw Refusal(
        .invalidPartitions,
        "The topic \(topic.name) currently has \(first) partition(s); \(request.count) would not "
          + "be an increase.")
    }
    try checkNotInternal(topic, "enlarged: what is kept in it is found by its partition")
    let added = request.count - first
    try checkBounds(Int(added), topics: 0, progress)
    let replicas = try replicas(
      of: topic, added: added, request.assignments, on: cluster, &progress)
    progress.partitionsCount += Int(added)
    progress.records.append(
      .partitionsAdded(topic: topic.id, first: first, replicas: replicas))
  }

  private func replicas(
    of topic: TopicState, added: Int32, _ assignments: [CreatePartitionsRequest.Assignment]?,
    on cluster: ClusterView, _ progress: inout CreationProgress
  ) throws(Refusal) -> [Int32] {
    guard let assignments else {
      try checkReach(topic.replicationFactor, on: cluster)
      return progress.placement.place(
        count: added, replicationFactor: topic.replicationFactor, on: cluster.brokers)
    }
    guard assignments.count == Int(added) else {
      throw Refusal(
        .invalidReplicaAssignment,
        "Attempted to add \(added) additional partition(s), but only \(assignments.count) "
          + "assignment(s) were specified.")
    }
    var replicas: [Int32] = []
    for assignment in assignments {
      try checkAssignment(assignment.brokerIds, factor: topic.replicationFactor, on: cluster)
      replicas += assignment.brokerIds
    }
    for assignment in assignments { progress.placement.add(assignment.brokerIds[...]) }
    return replicas
  }
}
