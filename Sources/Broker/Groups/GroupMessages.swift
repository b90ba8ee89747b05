package import KafkaWire

// What goes into the group coordinator and what comes out of it.

/// Names one append to a partition of `__consumer_offsets`. Numbers of a partition count up in the
/// order in which its records must be written.
package struct AppendToken: Hashable, Sendable {
  package let partition: Int32
  package let number: UInt64
}

/// A record of `__consumer_offsets`, in Kafka's format. A nil value is a tombstone.
package struct GroupRecord: Equatable, Sendable {
  package let key: [UInt8]
  package let value: [UInt8]?

  package init(key: [UInt8], value: [UInt8]?) {
    self.key = key
    self.value = value
  }
}

/// Who asks, and in which version the answer is due.
package struct RequestSource: Equatable, Sendable {
  package var token: ReplyToken
  package var version: Int16
  package var clientID: String
  /// As Kafka shows it: a slash, then the address.
  package var clientHost: String

  package init(token: ReplyToken, version: Int16, clientID: String, clientHost: String) {
    self.token = token
    self.version = version
    self.clientID = clientID
    self.clientHost = clientHost
  }
}

extension GroupCoordinator {
  package enum Input: Equatable, Sendable {
    case request(Request, from: RequestSource)
    /// Time has passed. Deadlines are met here and nowhere else.
    case tick
    /// An append is decided. An error means that its records are not in the log and never will be:
    /// where that is in doubt, the partition must be resigned and loaded again.
    case appended(AppendToken, ErrorCode)

    /// This broker is now the coordinator of the groups in a partition. It must read the partition
    /// before it can answer for them.
    case elected(partition: Int32)
    /// A record of that partition, in the order of the log.
    case load(partition: Int32, key: ArraySlice<UInt8>, value: ArraySlice<UInt8>?)
    /// The partition was read to its end.
    case loaded(partition: Int32)
    /// Another broker is the coordinator. What was under way is answered NOT_COORDINATOR.
    case resigned(partition: Int32)

    /// What groups committed for the topic is forgotten.
    case topicDeleted(String)
  }

  /// Topics must exist: the caller answers UNKNOWN_TOPIC_OR_PARTITION by itself, and turns the
  /// topic ids of the newest versions into names. An id that comes with a name is given back with
  /// it.
  package enum Request: Equatable, Sendable {
    /// `freshID` is a UUID made by the caller, never used before.
    case joinGroup(JoinGroupRequest, freshID: String)
    case syncGroup(SyncGroupRequest)
    case heartbeat(HeartbeatRequest)
    case leaveGroup(LeaveGroupRequest)
    case offsetCommit(OffsetCommitRequest)
    case offsetFetch(OffsetFetchRequest)
    case offsetDelete(OffsetDeleteRequest)
    case describeGroups(DescribeGroupsRequest)
    case listGroups(ListGroupsRequest)
    case deleteGroups(DeleteGroupsRequest)
  }

  package enum Reply: Equatable, Sendable {
    case joinGroup(JoinGroupResponse)
    case syncGroup(SyncGroupResponse)
    case heartbeat(HeartbeatResponse)
    case leaveGroup(LeaveGroupResponse)
    case offsetCommit(OffsetCommitResponse)
    case offsetFetch(OffsetFetchResponse)
    case offsetDelete(OffsetDeleteResponse)
    case describeGroups(DescribeGroupsResponse)
    case listGroups(ListGroupsResponse)
    case deleteGroups(DeleteGroupsResponse)
  }

  package enum Effect: Equatable, Sendable {
    /// The answer to a request; each gets exactly one.
    case reply(ReplyToken, Reply)
    /// Records to be written to a partition of `__consumer_offsets`, all or none, in the order of
    /// the effects. `appended` tells when they are committed.
    case append(AppendToken, [GroupRecord])
  }
}
