internal import KafkaWire

// CreateTopics. Checks come in Kafka's order, so that a request with several faults hears of the
// same one: duplicates, the name, whether it exists, settings, then partitions and replicas.

/// Why one of the things a request names is refused.
struct Refusal: Error, Equatable {
  var code: ErrorCode
  var message: String?

  init(_ code: ErrorCode, _ message: String? = nil) {
    self.code = code
    self.message = message
  }
}

/// What a request has decided so far: the rest of it is decided against that too.
struct CreationProgress {
  var records: [MetadataRecord] = []
  var partitionsCount = 0
  /// The names taken by this request, under `TopicName.collisionKey`.
  var names: [String: String] = [:]
  /// How the partitions are spread with those of this request.
  var placement: Placement

  init(_ state: MetadataState) { placement = state.placement }
}

/// A topic somebody wants.
struct TopicWish {
  var name: String
  /// -1: the default.
  var partitionsCount: Int32 = -1
  /// -1: the default.
  var replicationFactor: Int16 = -1
  var assignments: [CreateTopicsRequest.Assignment] = []
  var configs = ConfigValues()
}

extension Controller {
  func decide(_ request: CreateTopicsRequest, _ submission: Submission) -> Decision {
    var counts: [[UInt8]: Int] = [:]
    for topic in request.topics { counts[Array(topic.name.utf8), default: 0] += 1 }
    var response = CreateTopicsResponse()
    var progress = CreationProgress(decided)
    for (index, topic) in request.topics.enumerated() {
      let key = Array(topic.name.utf8)
      // Answered once, where it stands first.
      guard let count = counts.removeValue(forKey: key) else { continue }
      do throws(Refusal) {
        guard count == 1 else { throw Refusal(.invalidRequest, "Duplicate topic name.") }
        let wish = try wish(topic, on: submission.cluster)
        let created = try create(
          wish, id: submission.freshIds[index], on: submission.cluster, &progress)
        response.topics.append(describe(created, isThere: !request.validateOnly))
      } catch {
        response.topics.append(.refused(topic.name, error.code, error.message))
      }
    }
    return Decision(
      records: request.validateOnly ? [] : progress.records,
      outcome: .reply(.createTopics(response)))
  }

  private func wish(
    _ topic: CreateTopicsRequest.Topic, on cluster: ClusterView
  ) throws(Refusal) -> TopicWish {
    try checkNew(topic.name)
    // One of the cluster's own is made as the broker would make it, but for what the request says.
    var wish = wish(named: topic.name, on: cluster)
    wish.assignments = topic.assignments
    if topic.numPartitions != -1 || !topic.assignments.isEmpty {
      wish.partitionsCount = topic.numPartitions
    }
    if topic.replicationFactor != -1 || !topic.assignments.isEmpty {
      wish.replicationFactor = topic.replicationFactor
    }
    for config in topic.configs {
      guard let value = config.value else {
        throw Refusal(
          .invalidConfig, "Null value not supported for topic configs: \(config.name)")
      }
      do throws(ConfigFault) {
        wish.configs[config.name] = try topicDefinition(config.name).canonical(value)
      } catch {
        throw Refusal(.invalidConfig, error.message)
      }
    }
    try checkInternal(topic.name, wish.configs)
    return wish
  }

  /// Whether a topic may be created under that name.
  func checkNew(_ name: String) throws(Refusal) {
    if let fault = TopicName.fault(name) { throw Refusal(.invalidTopicException, fault) }
    guard !name.isExactly(TopicName.clusterMetadata) else {
      throw Refusal(.invalidRequest, "Creation of internal topic \(name) is prohibited.")
    }
    guard decided.topic(named: name) == nil else {
      throw Refusal(.topicAlreadyExists, "Topic '\(name)' already exists.")
    }
    if let other = decided.nameColliding(with: name) {
      throw Refusal(
        .invalidTopicException, "Topic '\(name)' collides with existing topic: \(other)")
    }
  }

  /// Decides a topic whose name and settings are good by themselves.
  func create(
    _ wish: TopicWish, id: UUID16, on cluster: ClusterView, _ progress: inout CreationProgress
  ) throws(Refusal) -> TopicState {
    precondition(decided.topic(id) == nil, "the id of a new topic was never used")
    let key = TopicName.collisionKey(wish.name)
    if let other = progress.names[key] {
      throw Refusal(
        .invalidTopicException, "Topic '\(wish.name)' collides with existing topic: \(other)")
    }
    try check(wish.configs)
    let topic = try place(wish, id: id, on: cluster, progress)
    try checkBounds(Int(topic.partitionsCount), topics: 1, progress)
    progress.names[key] = wish.name
    progress.partitionsCount += Int(topic.partitionsCount)
    progress.placement.add(topic)
    progress.records.append(.topicCreated(topic))
    return topic
  }

  func checkBounds(
    _ partitions: Int, topics: Int, _ progress: CreationProgress
  ) throws(Refusal) {
    let new = progress.partitionsCount + partitions
    guard new <= Self.requestPartitionsMax else {
      throw Refusal(
        .policyViolation, "Excessively large number of partitions per request.")
    }
    guard decided.topicsCount + progress.names.count + topics <= Self.topicsMax else {
      throw Refusal(.policyViolation, "The cluster has room for \(Self.topicsMax) topics.")
    }
    guard decided.partitionsCount + new <= Self.partitionsMax else {
      throw Refusal(
        .policyViolation, "The cluster has room for \(Self.partitionsMax) partitions.")
    }
  }

  /// The topic with its replicas on brokers.
  private func place(
    _ wish: TopicWish, id: UUID16, on cluster: ClusterView, _ progress: CreationProgress
  ) throws(Refusal) -> TopicState {
    guard wish.assignments.isEmpty else { return try placeByHand(wish, id: id, on: cluster) }
    var count = wish.partitionsCount
    guard count == -1 || count > 0 else {
      throw Refusal(
        .invalidPartitions, "Number of partitions was set to an invalid non-positive value.")
    }
    if count == -1 { count = Int32(clamping: brokerConfigs(in: decided).number("num.partitions")) }
    var factor = Int(wish.replicationFactor)
    guard factor == -1 || factor > 0 else {
      throw Refusal(
        .invalidReplicationFactor,
        "Replication factor must be larger than 0, or -1 to use the default value.")
    }
    if factor == -1 { factor = defaultReplicationFactor(on: cluster) }
    try checkFactor(factor)
    try checkReach(factor, on: cluster)
    guard Int(count) <= Self.requestPartitionsMax else {
      throw Refusal(.policyViolation, "Excessively large number of partitions per request.")
    }
    // A trial: what is refused after all is not to count.
    var placement = progress.placement
    let replicas = placement.place(
      count: count, replicationFactor: factor, on: cluster.brokers)
    return TopicState(
      id: id, name: wish.name, replicationFactor: factor, replicas: replicas,
      configs: wish.configs)
  }

  /// What somebody set is meant, and refused where it cannot be had; nobody set is what can.
  private func defaultReplicationFactor(on cluster: ClusterView) -> Int {
    let name = "default.replication.factor"
    let broker = brokerConfigs(in: decided)
    let factor = broker.number(name)
    return broker.isSet(name) ? Int(clamping: factor) : cluster.replicationFactor(atMost: factor)
  }

  func checkReach(_ factor: Int, on cluster: ClusterView) throws(Refusal) {
    guard factor <= cluster.brokers.count else {
      throw Refusal(
        .invalidReplicationFactor,
        "Unable to replicate the partition \(factor) time(s): The target replication factor of "
          + "\(factor) cannot be reached because only \(cluster.brokers.count) broker(s) are "
          + "registered.")
    }
  }

  func checkFactor(_ factor: Int) throws(Refusal) {
    guard factor.isMultiple(of: 2) else { return }
    throw Refusal(
      .invalidReplicationFactor,
      "Replication factor \(factor) is even: records are kept by a majority, and a majority of "
        + "\(factor) survives no more failures than one of \(factor - 1). Use an odd number.")
  }

  private func placeByHand(
    _ wish: TopicWish, id: UUID16, on cluster: ClusterView
  ) throws(Refusal) -> TopicState {
    guard wish.replicationFactor == -1 else {
      throw Refusal(
        .invalidRequest,
        "A manual partition assignment was specified, but replication factor was not set to -1.")
    }
    guard wish.partitionsCount == -1 else {
      throw Refusal(
        .invalidRequest,
        "A manual partition assignment was specified, but numPartitions was not set to -1.")
    }
    var brokers: [Int32: [Int32]] = [:]
    for assignment in wish.assignments {
      let replaced = brokers.updateValue(assignment.brokerIds, forKey: assignment.partitionIndex)
      guard replaced == nil else {
        throw Refusal(
          .invalidReplicaAssignment,
          "Found multiple manual partition assignments for partition "
            + "\(assignment.partitionIndex)")
      }
    }
    let factor = wish.assignments[0].brokerIds.count
    var replicas: [Int32] = []
    for index in 0..<Int32(clamping: wish.assignments.count) {
      guard let assigned = brokers[index] else {
        throw Refusal(
          .invalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
      }
      try checkAssignment(assigned, factor: factor, on: cluster)
      replicas += assigned
    }
    try checkFactor(factor)
    return TopicState(
      id: id, name: wish.name, replicationFactor: factor, replicas: replicas,
      configs: wish.configs)
  }

  /// One partition's brokers, as a client wants them.
  func checkAssignment(
    _ brokers: [Int32], factor: Int, on cluster: ClusterView
  ) throws(Refusal) {
    guard !brokers.isEmpty else {
      throw Refusal(
        .invalidReplicaAssignment,
        "The manual partition assignment includes an empty replica list.")
    }
    let sorted = brokers.sorted()
    for (broker, next) in zip(sorted, sorted.dropFirst()) where broker == next {
      throw Refusal(
        .invalidReplicaAssignment,
        "The manual partition assignment includes the broker \(broker) more than once.")
    }
    for broker in brokers where !cluster.hasBroker(broker) {
      throw Refusal(
        .invalidReplicaAssignment,
        "The manual partition assignment includes broker \(broker), but no such broker is "
          + "registered.")
    }
    guard brokers.count == factor else {
      throw Refusal(
        .invalidReplicaAssignment,
        "The manual partition assignment includes a partition with \(brokers.count) replica(s), "
          + "but this is not consistent with previous partitions, which have \(factor) "
          + "replica(s).")
    }
  }

  /// `isThere`: the topic exists now, so it has an id.
  private func describe(_ topic: TopicState, isThere: Bool) -> CreateTopicsResponse.Topic {
    var entry = CreateTopicsResponse.Topic()
    entry.name = topic.name
    entry.errorMessage = nil
    if isThere { entry.topicId = topic.id }
    entry.numPartitions = topic.partitionsCount
    entry.replicationFactor = Int16(topic.replicationFactor)
    let broker = brokerConfigs(in: decided)
    entry.configs = TopicConfigTable.definitions.map { definition in
      let effective = broker.effective(definition, topic: topic.configs)
      var config = CreateTopicsResponse.Config()
      config.name = definition.name
      config.value = effective.value
      config.configSource = effective.source.rawValue
      return config
    }
    return entry
  }
}
