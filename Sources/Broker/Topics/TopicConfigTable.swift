/// Every setting a topic has: Kafka 4.3's, with its defaults and bounds, and Martlet's own.
package enum TopicConfigTable {
  private static let hour: Int64 = 3_600_000

  private static let replicasForm =
    "Pairs partition:broker, or * for all. Accepted; Martlet does not throttle replication."

  /// Sorted by name.
  package static let definitions: [ConfigDefinition] = (logs + compaction + replication + unused)
    .sorted { $0.name < $1.name }

  /// Nil for a name that no setting has, compared byte by byte.
  package static func definition(_ name: String) -> ConfigDefinition? {
    guard name.isASCII, let index = indices[name] else { return nil }
    return definitions[index]
  }

  private static let indices = Dictionary(
    uniqueKeysWithValues: definitions.enumerated().map { ($1.name, $0) })

  /// What is stored, in which form, and for how long.
  private static let logs: [ConfigDefinition] = [
    ConfigDefinition(
      "cleanup.policy", .list, "delete", .oneOf(["compact", "delete"]),
      broker: [BrokerConfigName("log.cleanup.policy")],
      "What happens to old records: delete drops them by age and size, compact keeps the latest of "
        + "each key; both may be given, and an empty list keeps everything."),
    ConfigDefinition(
      "compression.type", .string, "producer",
      .oneOf(["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
      broker: [BrokerConfigName("compression.type")],
      "The codec record batches are stored in; producer keeps what the producer chose."),
    ConfigDefinition(
      "compression.gzip.level", .int, "-1", .betweenOr(1...9, -1),
      broker: [BrokerConfigName("compression.gzip.level")],
      "The level used where compression.type is gzip; -1 is the codec's default."),
    ConfigDefinition(
      "compression.lz4.level", .int, "9", .between(1...17),
      broker: [BrokerConfigName("compression.lz4.level")],
      "The level used where compression.type is lz4."),
    ConfigDefinition(
      "compression.zstd.level", .int, "3", .between(-131_072...22),
      broker: [BrokerConfigName("compression.zstd.level")],
      "The level used where compression.type is zstd."),
    ConfigDefinition(
      "index.interval.bytes", .int, "4096", .atLeast(0),
      broker: [BrokerConfigName("log.index.interval.bytes")],
      "Bytes of records between two entries of a segment's indices."),
    ConfigDefinition(
      "max.message.bytes", .int, "1048588", .atLeast(0),
      broker: [BrokerConfigName("message.max.bytes")],
      "The largest record batch that is taken, as it is stored. Over 8 MiB, up to 32 MiB, the "
        + "broker must be started with it: the journal's memory grows with it (five such batches), "
        + "and over 16 MiB that of the newest records (four)."),
    ConfigDefinition(
      "message.timestamp.after.max.ms", .long, "3600000", .atLeast(0),
      broker: [BrokerConfigName("log.message.timestamp.after.max.ms")],
      "How far a record's timestamp may lie ahead of the broker's clock."),
    ConfigDefinition(
      "message.timestamp.before.max.ms", .long, "9223372036854775807", .atLeast(0),
      broker: [BrokerConfigName("log.message.timestamp.before.max.ms")],
      "How far a record's timestamp may lie behind the broker's clock."),
    ConfigDefinition(
      "message.timestamp.type", .string, "CreateTime", .oneOf(["CreateTime", "LogAppendTime"]),
      broker: [BrokerConfigName("log.message.timestamp.type")],
      "Whether a record's timestamp is the producer's or the time of the append."),
    ConfigDefinition(
      "retention.bytes", .long, "-1", broker: [BrokerConfigName("log.retention.bytes")],
      "A partition's oldest segments are deleted while it is larger than this; -1 sets no bound."),
    ConfigDefinition(
      "retention.ms", .long, "604800000", .atLeast(-1),
      broker: [
        BrokerConfigName("log.retention.ms"),
        BrokerConfigName("log.retention.minutes", times: 60_000),
        BrokerConfigName("log.retention.hours", times: hour),
      ],
      "Records older than this are deleted; -1 keeps them for ever."),
    ConfigDefinition(
      "segment.bytes", .int, "1073741824", .atLeast(1_048_576),
      broker: [BrokerConfigName("log.segment.bytes")],
      "A segment is closed before it grows over this; retention and compaction take whole segments."
    ),
    ConfigDefinition(
      "segment.ms", .long, "604800000", .atLeast(1),
      broker: [BrokerConfigName("log.roll.ms"), BrokerConfigName("log.roll.hours", times: hour)],
      "A segment is closed at the latest this long after its first record."),
  ]

  private static let compaction: [ConfigDefinition] = [
    ConfigDefinition(
      "delete.retention.ms", .long, "86400000", .atLeast(0),
      broker: [BrokerConfigName("log.cleaner.delete.retention.ms")],
      "How long a compacted topic keeps the record that says a key was deleted."),
    ConfigDefinition(
      "max.compaction.lag.ms", .long, "9223372036854775807", .atLeast(1),
      broker: [BrokerConfigName("log.cleaner.max.compaction.lag.ms")],
      "The longest time a record stays out of compaction."),
    ConfigDefinition(
      "min.cleanable.dirty.ratio", .double, "0.5", .fraction(0...1),
      broker: [BrokerConfigName("log.cleaner.min.cleanable.ratio")],
      "The share of a log that must be uncompacted before it is compacted again."),
    ConfigDefinition(
      "min.compaction.lag.ms", .long, "0", .atLeast(0),
      broker: [BrokerConfigName("log.cleaner.min.compaction.lag.ms")],
      "The shortest time a record stays out of compaction."),
  ]

  private static let replication: [ConfigDefinition] = [
    ConfigDefinition(
      "martlet.ack", .string, "majority-disk", .oneOf(["majority-disk", "leader-disk", "memory"]),
      broker: [BrokerConfigName("martlet.ack")],
      "Where a record must be before its producer is told so: on the disks of a majority, on the "
        + "leader's disk, or only in the leader's memory."),
    ConfigDefinition(
      "min.insync.replicas", .int, "1", .atLeast(1),
      broker: [BrokerConfigName("min.insync.replicas")],
      "With acks=all, how many replicas must have a record before it is acknowledged."),
    ConfigDefinition(
      "unclean.leader.election.enable", .boolean, "false",
      broker: [BrokerConfigName("unclean.leader.election.enable")],
      "Accepted; Martlet never elects a leader that lacks committed records."),
  ]

  /// Taken because clients and tools set them; nothing in Martlet acts on them.
  private static let unused: [ConfigDefinition] = [
    ConfigDefinition(
      "file.delete.delay.ms", .long, "60000", .atLeast(0),
      broker: [BrokerConfigName("log.segment.delete.delay.ms")],
      "Accepted; files are deleted as soon as nobody reads them."),
    ConfigDefinition(
      "flush.messages", .long, "9223372036854775807", .atLeast(1),
      broker: [BrokerConfigName("log.flush.interval.messages")],
      "Accepted and changes nothing: martlet.ack says what is on disk before an acknowledgement."),
    ConfigDefinition(
      "flush.ms", .long, "9223372036854775807", .atLeast(0),
      broker: [BrokerConfigName("log.flush.interval.ms")],
      "Accepted and changes nothing: martlet.ack says what is on disk before an acknowledgement."),
    ConfigDefinition(
      "follower.replication.throttled.replicas", .list, "", .throttledReplicas, replicasForm),
    ConfigDefinition(
      "leader.replication.throttled.replicas", .list, "", .throttledReplicas, replicasForm),
    ConfigDefinition(
      "local.retention.bytes", .long, "-2", .atLeast(-2),
      broker: [BrokerConfigName("log.local.retention.bytes")],
      "Accepted; there is no tiered storage, all of a log is local."),
    ConfigDefinition(
      "local.retention.ms", .long, "-2", .atLeast(-2),
      broker: [BrokerConfigName("log.local.retention.ms")],
      "Accepted; there is no tiered storage, all of a log is local."),
    ConfigDefinition(
      "preallocate", .boolean, "false", broker: [BrokerConfigName("log.preallocate")],
      "Accepted; segments are not preallocated, the journal always is."),
    ConfigDefinition(
      "remote.log.copy.disable", .boolean, "false", "Accepted; there is no tiered storage."),
    ConfigDefinition(
      "remote.log.delete.on.disable", .boolean, "false", "Accepted; there is no tiered storage."),
    ConfigDefinition(
      "remote.storage.enable", .boolean, "false",
      "There is no tiered storage: true is refused."),
    ConfigDefinition(
      "segment.index.bytes", .int, "10485760", .atLeast(4),
      broker: [BrokerConfigName("log.index.size.max.bytes")],
      "Accepted; an index is as large as its segment needs."),
    ConfigDefinition(
      "segment.jitter.ms", .long, "0", .atLeast(0),
      broker: [
        BrokerConfigName("log.roll.jitter.ms"),
        BrokerConfigName("log.roll.jitter.hours", times: hour),
      ],
      "Accepted; closing a segment costs no flush that would have to be spread."),
  ]
}
