internal import KafkaWire

// Topics that come into being by themselves: those that somebody asks for by name, where the broker
// allows it, and the cluster's own.

extension Controller {
  /// Whether a Metadata request names a topic that would be created for it.
  func wantsCreation(_ request: MetadataRequest, _ version: Int16) -> Bool {
    guard let topics = request.topics, request.allowAutoTopicCreation,
      brokerConfigs.value("auto.create.topics.enable") == "true"
    else { return false }
    return topics.contains { topic in
      guard topic.topicId == .zero, let name = topic.name else { return false }
      return state.topic(named: name) == nil && TopicName.isValid(name)
    }
  }

  /// Creates what the request names and can be created, then has it asked again, without creation.
  /// Where nothing could be, the client hears why.
  func decideCreation(_ request: MetadataRequest, _ submission: Submission) -> Decision {
    var progress = CreationProgress(decided)
    var again = request
    again.allowAutoTopicCreation = false
    var refusals: [String: ErrorCode] = [:]
    for (index, topic) in (request.topics ?? []).enumerated() {
      guard topic.topicId == .zero, let name = topic.name,
        progress.names[TopicName.collisionKey(name)] == nil
      else { continue }
      // It exists by now, or never can.
      guard decided.topic(named: name) == nil, TopicName.isValid(name),
        decided.nameColliding(with: name) == nil
      else { continue }
      do throws(Refusal) {
        try checkNew(name)
        _ = try create(
          wish(named: name, on: submission.cluster), id: submission.freshIds[index],
          on: submission.cluster, &progress)
      } catch {
        refusals[name] = error.code
      }
    }
    guard progress.records.isEmpty, !refusals.isEmpty else {
      return Decision(records: progress.records, outcome: .askAgain(.metadata(again)))
    }
    var response = metadata(again, version: submission.version, on: submission.cluster)
    for index in response.topics.indices where response.topics[index].errorCode != .none {
      guard let code = refusals[response.topics[index].name ?? ""] else { continue }
      response.topics[index].errorCode = code
    }
    return Decision(outcome: .reply(.metadata(response)))
  }

  func decideInternalTopic(_ name: String, _ submission: Submission) -> Decision {
    precondition(TopicName.isInternal(name), "'\(name)' is not one of the cluster's own topics")
    guard decided.topic(named: name) == nil else {
      return Decision(outcome: .reply(.done(.none)))
    }
    var progress = CreationProgress(decided)
    do throws(Refusal) {
      try checkNew(name)
      _ = try create(
        wish(named: name, on: submission.cluster), id: submission.freshIds[0],
        on: submission.cluster, &progress)
    } catch {
      return Decision(outcome: .reply(.done(error.code)))
    }
    return Decision(records: progress.records, outcome: .reply(.done(.none)))
  }

  /// What a topic is like that nobody described.
  func wish(named name: String, on cluster: ClusterView) -> TopicWish {
    let broker = brokerConfigs(in: decided)
    if name.isExactly(TopicName.consumerOffsets) {
      return internalWish(
        name, partitions: broker.number("offsets.topic.num.partitions"),
        replicationFactor: broker.number("offsets.topic.replication.factor"), on: cluster,
        [
          "cleanup.policy": "compact", "compression.type": "producer",
          "segment.bytes": String(broker.number("offsets.topic.segment.bytes")),
        ])
    }
    if name.isExactly(TopicName.transactionState) {
      let wish = internalWish(
        name, partitions: broker.number("transaction.state.log.num.partitions"),
        replicationFactor: broker.number("transaction.state.log.replication.factor"),
        on: cluster,
        [
          "cleanup.policy": "compact", "compression.type": "uncompressed",
          "segment.bytes": String(broker.number("transaction.state.log.segment.bytes")),
        ])
      var withMinimum = wish
      let least = min(
        broker.number("transaction.state.log.min.isr"), Int64(wish.replicationFactor))
      withMinimum.configs["min.insync.replicas"] = String(least)
      return withMinimum
    }
    return TopicWish(name: name)
  }

  /// A machine's state is in the last record of each key: nothing may be deleted for its age.
  func checkInternal(_ name: String, _ configs: ConfigValues) throws(Refusal) {
    guard TopicName.isInternal(name), TopicConfig(configs, on: brokerConfigs(in: decided)).isDeleted
    else { return }
    throw Refusal(
      .policyViolation,
      "Topic '\(name)' is internal and its cleanup.policy must be 'compact': groups and "
        + "transactions are kept in it.")
  }

  /// As many replicas as are wanted, or the most that the brokers allow: a single node has groups
  /// too.
  private func internalWish(
    _ name: String, partitions: Int64, replicationFactor: Int64, on cluster: ClusterView,
    _ configs: KeyValuePairs<String, String>
  ) -> TopicWish {
    TopicWish(
      name: name, partitionsCount: Int32(clamping: partitions),
      replicationFactor: Int16(clamping: cluster.replicationFactor(atMost: replicationFactor)),
      configs: ConfigValues(configs))
  }
}
