/// What the coordinator of classic groups is configured with, and how much it takes on.
///
/// Defaults are Kafka's where Kafka has such a setting; its name stands beside it.
package struct GroupOptions: Sendable {
  /// Partitions of `__consumer_offsets`. Fixed for the life of the data: the partition of a group
  /// is computed from it. offsets.topic.num.partitions
  package var partitionCount: Int32 = 50

  /// group.min.session.timeout.ms
  package var sessionTimeoutMsMin: Int32 = 6_000
  /// group.max.session.timeout.ms
  package var sessionTimeoutMsMax: Int32 = 1_800_000
  /// How long the first members of an empty group wait for others, so that a fleet that starts
  /// together is rebalanced once. group.initial.rebalance.delay.ms
  package var initialRebalanceDelayMs: Int32 = 3_000
  /// A new member cannot send heartbeats before its JoinGroup is answered; it is given up after
  /// this time, or clients that reconnect and retry would fill the group with members nobody stands
  /// for.
  package var newMemberJoinTimeoutMs: Int32 = 300_000

  /// offsets.retention.minutes
  package var offsetsRetentionMs: Int64 = 10_080 * 60_000
  /// Time between two looks at a group for offsets that have expired.
  /// offsets.retention.check.interval.ms
  package var expiryCheckIntervalMs: Int64 = 600_000

  /// In UTF-16 units, as Java counts. offset.metadata.max.bytes
  package var offsetMetadataLengthMax = 4_096

  /// Groups of this coordinator, over all partitions. One more: POLICY_VIOLATION.
  package var groupsMax = 100_000
  /// Members of one group: the metadata of all of them goes to the leader in one response. One
  /// more: GROUP_MAX_SIZE_REACHED. Bounds the requests that wait, too: a member has at most one
  /// held. group.max.size
  package var membersMax = 5_000
  /// Member ids of one group that were handed out and have not come back. One more:
  /// GROUP_MAX_SIZE_REACHED.
  package var pendingMembersMax = 5_000
  /// Committed offsets of one group. One more: INVALID_COMMIT_OFFSET_SIZE for the partition.
  package var offsetsMax = 100_000
  /// Protocols that one member offers; clients offer two or three. One more:
  /// INCONSISTENT_GROUP_PROTOCOL.
  package var protocolsMax = 64
  /// Of one member's metadata, over all its protocols. Above: MESSAGE_TOO_LARGE.
  package var memberMetadataBytesMax = 1 << 20
  /// Of the assignments a leader hands in. Above: MESSAGE_TOO_LARGE.
  package var assignmentsBytesMax = 8 << 20
  /// Appends to `__consumer_offsets` that are not committed yet. Above, a request that would add
  /// one is answered with COORDINATOR_LOAD_IN_PROGRESS: the client waits a moment and asks again.
  package var appendsInFlightMax = 100_000
  /// Of the client's or the instance's id in front of the UUID in a member id that is made here: a
  /// longer one is cut, as the whole must fit in a string of Kafka's.
  package var memberIDPrefixBytesMax = 255

  package init() {}
}
