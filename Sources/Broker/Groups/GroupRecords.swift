import KafkaWire

// Records of `__consumer_offsets`, as Kafka writes them: its tools read the topic, and so can a
// Kafka that takes over the data.
extension GroupRecord {
  private static let metadataVersion: Int16 = 3
  /// Every Kafka since 2.1 reads it. Newer ones write version 4 to add the topic's id, which names
  /// of deleted topics do not need here: their offsets are forgotten with them.
  private static let offsetVersion: Int16 = 3
  /// The only one with a time of expiry.
  private static let expiringOffsetVersion: Int16 = 1

  static func metadata(_ group: ExactString, _ value: GroupMetadataValue?) -> GroupRecord {
    var key = GroupMetadataKey()
    key.group = group.text
    return encoded { () throws(WireError) in
      GroupRecord(
        key: try GroupRecordKey.groupMetadata(key).encoded() ?? [],
        value: try value?.value(version: metadataVersion))
    }
  }

  /// The record that was written before, with its value as it was.
  static func metadata(_ group: ExactString, encoded value: [UInt8]) -> GroupRecord {
    GroupRecord(key: metadata(group, nil).key, value: value)
  }

  static func offset(_ group: ExactString, _ key: OffsetKey, _ value: CommittedOffset?)
    -> GroupRecord
  {
    var recordKey = OffsetCommitKey()
    recordKey.group = group.text
    recordKey.topic = key.topic.text
    recordKey.partition = key.partition
    let recordValue = value.map { value in
      var recordValue = OffsetCommitValue()
      recordValue.offset = value.offset
      recordValue.leaderEpoch = value.leaderEpoch
      recordValue.metadata = value.metadata
      recordValue.commitTimestamp = value.committedAt
      recordValue.expireTimestamp = value.expiresAt ?? -1
      return recordValue
    }
    let version = value?.expiresAt == nil ? offsetVersion : expiringOffsetVersion
    return encoded { () throws(WireError) in
      GroupRecord(
        key: try GroupRecordKey.offsetCommit(recordKey).encoded() ?? [],
        value: try recordValue?.value(version: version))
    }
  }

  /// Every string came over the wire or is shorter than what may: they all fit.
  private static func encoded(_ make: () throws(WireError) -> GroupRecord) -> GroupRecord {
    do throws(WireError) {
      return try make()
    } catch {
      preconditionFailure("a group's record cannot be encoded: \(error)")
    }
  }
}

extension CommittedOffset {
  init(_ value: OffsetCommitValue) {
    offset = value.offset
    leaderEpoch = value.leaderEpoch
    metadata = value.metadata
    committedAt = value.commitTimestamp
    expiresAt = value.expireTimestamp == -1 ? nil : value.expireTimestamp
  }
}

extension Group {
  var currentAssignments: [ExactString: ArraySlice<UInt8>] {
    var assignments: [ExactString: ArraySlice<UInt8>] = [:]
    for member in members.inOrder { assignments[member.id] = member.assignment }
    return assignments
  }

  /// Writes the group as it is, with these assignments.
  mutating func record(
    assignments: [ExactString: ArraySlice<UInt8>], _ change: GroupChange, _ outbox: inout Outbox
  ) {
    var value = GroupMetadataValue()
    value.protocolType = protocolType ?? ""
    value.generation = generation
    value.protocolName = protocolName?.text
    value.leader = leader?.text
    value.currentStateTimestamp = stateSince
    value.members = members.inOrder.map { member in
      var entry = GroupMetadataValue.Member()
      entry.memberId = member.id.text
      entry.groupInstanceId = member.instanceID?.text
      entry.clientId = member.clientID
      entry.clientHost = member.clientHost
      entry.rebalanceTimeout = member.rebalanceTimeoutMs
      entry.sessionTimeout = member.sessionTimeoutMs
      entry.subscription = member.metadata(of: protocolName)
      entry.assignment = assignments[member.id] ?? []
      return entry
    }
    isRecorded = true
    recordsUnderWay += 1
    let record = GroupRecord.metadata(id, value)
    outbox.append(
      [record], of: id, partition: partition, change: change, metadata: record.value)
  }

  /// The group as the log has it. Nil where the record cannot be true.
  init?(
    id: ExactString, partition: Int32, loaded value: GroupMetadataValue, now: Int64
  ) {
    self.init(id: id, partition: partition, now: now)
    stateSince = value.currentStateTimestamp
    generation = value.generation
    protocolType = value.protocolType.isEmpty ? nil : value.protocolType
    protocolName = value.protocolName.map(ExactString.init)
    isRecorded = true
    for entry in value.members {
      let memberID = ExactString(entry.memberId)
      guard let protocolName, members[memberID] == nil else { return nil }
      var offered = JoinGroupRequest.GroupProtocol()
      offered.name = protocolName.text
      offered.metadata = entry.subscription.detached
      var member = GroupMember(
        id: memberID, instanceID: entry.groupInstanceId.map(ExactString.init),
        clientID: entry.clientId, clientHost: entry.clientHost, serial: nextSerial,
        sessionTimeoutMs: entry.sessionTimeout,
        rebalanceTimeoutMs: entry.rebalanceTimeout < 0
          ? entry.sessionTimeout : entry.rebalanceTimeout,
        protocols: [offered])
      member.assignment = entry.assignment.detached
      nextSerial += 1
      members.insert(member)
    }
    let recordedLeader = value.leader.map(ExactString.init)
    leader = recordedLeader.flatMap { members[$0]?.id } ?? members.inOrder.first?.id
    if !members.isEmpty { restore(.stable) }
    updateSubscribedTopics()
  }
}
