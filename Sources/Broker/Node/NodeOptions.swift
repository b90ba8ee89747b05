/// What a node is, besides its data.
package struct NodeOptions: Sendable {
  package var id: Int32 = 1
  /// Where clients reach it.
  package var host = "127.0.0.1"
  package var port: UInt16 = 9092
  package var groups = GroupOptions()
  package var cluster = ClusterOptions()
  /// Idle producers are forgotten after this (producer.id.expiration.ms).
  package var producerExpirationMilliseconds: Int64 = 86_400_000
  /// Between two looks at what may be deleted (log.retention.check.interval.ms).
  package var retentionCheckMilliseconds: Int64 = 300_000

  /// What one fetch is answered with at most (fetch.max.bytes).
  package var fetchBytesMax = 57_671_680
  /// Fetch sessions kept at most (max.incremental.fetch.session.cache.slots).
  package var fetchSessionsMax = 1000

  /// A machine's log that has not grown over this is not shortened.
  package var snapshotBytesMin = MachineLog.snapshotBytesMin

  package init() {}

  /// Takes over the settings of groups, which the coordinator has as options. Values that are no
  /// numbers are refused where all settings are checked: by the controller.
  package mutating func apply(_ settings: [(String, String)]) {
    for (name, text) in settings {
      guard let value = Int32(text) else { continue }
      switch name {
      case "group.initial.rebalance.delay.ms": groups.initialRebalanceDelayMs = value
      case "group.min.session.timeout.ms": groups.sessionTimeoutMsMin = value
      case "group.max.session.timeout.ms": groups.sessionTimeoutMsMax = value
      case "offsets.topic.num.partitions": groups.partitionCount = max(1, value)
      case "group.max.size": groups.membersMax = Int(value)
      case "offsets.retention.minutes": groups.offsetsRetentionMs = Int64(value) * 60_000
      case "offset.metadata.max.bytes": groups.offsetMetadataLengthMax = Int(value)
      case "log.retention.check.interval.ms": retentionCheckMilliseconds = Int64(value)
      case "producer.id.expiration.ms": producerExpirationMilliseconds = Int64(value)
      case "fetch.max.bytes": fetchBytesMax = Int(max(1024, value))
      case "max.incremental.fetch.session.cache.slots": fetchSessionsMax = Int(max(0, value))
      default: break
      }
    }
  }
}
