/// Every setting a broker shows: the defaults of topics, which may change while it runs, and those
/// that clients and tools read.
///
/// A setting that is not here cannot be set. Kafka keeps any name it does not know, for plug-ins;
/// Martlet has none, and a misspelt name should be heard of.
package enum BrokerConfigTable {
  /// Sorted by name.
  package static let definitions: [ConfigDefinition] =
    (topicDefaults + units + topics + coordinators + node).sorted { $0.name < $1.name }

  /// Nil for a name that no setting has, compared byte by byte.
  package static func definition(_ name: String) -> ConfigDefinition? {
    guard name.isASCII, let index = indices[name] else { return nil }
    return definitions[index]
  }

  private static let indices = Dictionary(
    uniqueKeysWithValues: definitions.enumerated().map { ($1.name, $0) })

  /// One for each topic setting that has a broker's name. Where other units stand behind it, the
  /// default is theirs, so that they are reached.
  private static let topicDefaults: [ConfigDefinition] = TopicConfigTable.definitions.compactMap {
    topic in
    guard let broker = topic.brokerNames.first else { return nil }
    let isFinal = topic.brokerNames.count == 1 && !broker.name.isExactly("log.flush.interval.ms")
    return ConfigDefinition(
      broker.name, topic.type, isFinal ? topic.defaultValue : nil, topic.rule,
      broker: Array(topic.brokerNames.dropFirst()), isDynamic: true, topic.documentation)
  }

  private static let units: [ConfigDefinition] = [
    ConfigDefinition(
      "log.retention.hours", .int, "168",
      "retention.ms in hours, where neither milliseconds nor minutes are given."),
    ConfigDefinition(
      "log.retention.minutes", .int, nil,
      "retention.ms in minutes, where milliseconds are not given."),
    ConfigDefinition(
      "log.roll.hours", .int, "168", .atLeast(1),
      "segment.ms in hours, where milliseconds are not given."),
    ConfigDefinition(
      "log.roll.jitter.hours", .int, "0", .atLeast(0),
      "segment.jitter.ms in hours, where milliseconds are not given."),
  ]

  /// How topics come and go.
  private static let topics: [ConfigDefinition] = [
    ConfigDefinition(
      "auto.create.topics.enable", .boolean, "true",
      "Whether asking for the metadata of a topic that does not exist creates it."),
    ConfigDefinition(
      "default.replication.factor", .int, "3", .odd,
      "Replicas of a topic that is created without saying how many; odd. Where nobody set it, "
        + "fewer if there are fewer brokers."),
    ConfigDefinition(
      "auto.leader.rebalance.enable", .boolean, "true",
      "Whether partitions are led by the first of their replicas again once it has caught up."),
    ConfigDefinition(
      "leader.imbalance.check.interval.seconds", .long, "5", .atLeast(1),
      "How long the first of a partition's replicas must have been caught up before it leads again."
    ),
    ConfigDefinition("delete.topic.enable", .boolean, "true", "Whether topics can be deleted."),
    ConfigDefinition(
      "num.partitions", .int, "1", .atLeast(1),
      "Partitions of a topic that is created without saying how many."),
    ConfigDefinition(
      "log.retention.check.interval.ms", .long, "300000", .atLeast(1),
      "Time between two looks for segments to delete."),
    ConfigDefinition(
      "log.cleaner.enable", .boolean, "true", "Whether compacted topics are compacted."),
    ConfigDefinition(
      "producer.id.expiration.ms", .int, "86400000", .atLeast(1),
      "How long a partition remembers a producer after its last batch."),
  ]

  /// Groups, offsets and transactions.
  private static let coordinators: [ConfigDefinition] = [
    ConfigDefinition(
      "group.initial.rebalance.delay.ms", .int, "3000", .atLeast(0),
      "How long an empty group waits for more members before its first rebalance."),
    ConfigDefinition(
      "group.max.session.timeout.ms", .int, "1800000",
      "The longest session timeout a group member may ask for."),
    ConfigDefinition(
      "group.max.size", .int, "2147483647", .atLeast(1), "The most members a group may have."),
    ConfigDefinition(
      "group.min.session.timeout.ms", .int, "6000",
      "The shortest session timeout a group member may ask for."),
    ConfigDefinition(
      "offset.metadata.max.bytes", .int, "4096",
      "The longest text that may be kept with a committed offset."),
    ConfigDefinition(
      "offsets.retention.check.interval.ms", .long, "600000", .atLeast(1),
      "Time between two looks for expired offsets."),
    ConfigDefinition(
      "offsets.retention.minutes", .int, "10080", .atLeast(1),
      "How long offsets outlive the last member of their group."),
    ConfigDefinition(
      "offsets.topic.num.partitions", .int, "50", .atLeast(1), "Partitions of __consumer_offsets."),
    ConfigDefinition(
      "offsets.topic.replication.factor", .short, "3", .odd,
      "Replicas of __consumer_offsets, fewer where there are fewer brokers."),
    ConfigDefinition(
      "offsets.topic.segment.bytes", .int, "104857600", .atLeast(1_048_576),
      "segment.bytes of __consumer_offsets."),
    ConfigDefinition(
      "transaction.max.timeout.ms", .int, "900000", .atLeast(1),
      "The longest timeout a transaction may ask for."),
    ConfigDefinition(
      "transaction.state.log.min.isr", .int, "2", .atLeast(1),
      "min.insync.replicas of __transaction_state, fewer where there are fewer brokers."),
    ConfigDefinition(
      "transaction.state.log.num.partitions", .int, "50", .atLeast(1),
      "Partitions of __transaction_state."),
    ConfigDefinition(
      "transaction.state.log.replication.factor", .short, "3", .odd,
      "Replicas of __transaction_state, fewer where there are fewer brokers."),
    ConfigDefinition(
      "transaction.state.log.segment.bytes", .int, "104857600", .atLeast(1_048_576),
      "segment.bytes of __transaction_state."),
    ConfigDefinition(
      "transactional.id.expiration.ms", .int, "604800000", .atLeast(1),
      "How long a transactional id is remembered after its last use."),
  ]

  /// What the node is and what it takes.
  private static let node: [ConfigDefinition] = [
    ConfigDefinition(
      "advertised.listeners", .list, nil, "The addresses that clients are told to connect to."),
    ConfigDefinition("broker.id", .int, "-1", "The number of this broker: node.id."),
    ConfigDefinition("broker.rack", .string, nil, "Where this broker stands."),
    ConfigDefinition(
      "connections.max.idle.ms", .long, "600000",
      "A connection that says nothing for this long is closed."),
    ConfigDefinition(
      "fetch.max.bytes", .int, "57671680", .atLeast(1024), "The most bytes one fetch returns."),
    ConfigDefinition(
      "listeners", .list, "PLAINTEXT://:9092", "The addresses this broker listens on."),
    ConfigDefinition("log.dirs", .list, nil, "The directory that holds the data."),
    ConfigDefinition(
      "max.incremental.fetch.session.cache.slots", .int, "1000", .atLeast(0),
      "The most fetch sessions that are kept."),
    ConfigDefinition("node.id", .int, nil, .atLeast(0), "The number of this node."),
    ConfigDefinition(
      "process.roles", .list, "broker,controller",
      "What this node is: every node is both broker and controller."),
    ConfigDefinition(
      "replica.lag.time.max.ms", .long, "30000",
      "A follower that has not caught up for this long is not in sync."),
    ConfigDefinition(
      "request.timeout.ms", .int, "30000", "How long the broker waits for another's answer."),
    ConfigDefinition(
      "socket.request.max.bytes", .int, "104857600", .atLeast(1), "The largest request."),
  ]
}
