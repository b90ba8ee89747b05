import KafkaWire

extension Group {
  /// Commits what the request says, or answers why not.
  mutating func commit(
    _ request: OffsetCommitRequest, from source: RequestSource, _ outbox: inout Outbox
  ) {
    if let error = check(request, outbox) {
      outbox.reply(source.token, .offsetCommit(request.refused(error)))
      return
    }
    if state == .stable || state == .preparingRebalance {
      renewSession(of: ExactString(request.memberId), &outbox)
    }
    let retention = request.retentionTimeMs
    let expiresAt = retention == -1 ? nil : outbox.wallTime(after: retention)
    var response = OffsetCommitResponse()
    var changes: [(key: OffsetKey, value: CommittedOffset?)] = []
    for topic in request.topics {
      let name = ExactString(topic.name)
      var topicResponse = OffsetCommitResponse.Topic()
      topicResponse.name = topic.name
      topicResponse.topicId = topic.topicId
      for partition in topic.partitions {
        let key = OffsetKey(topic: name, partition: partition.partitionIndex)
        var outcome = OffsetCommitResponse.Partition()
        outcome.partitionIndex = partition.partitionIndex
        outcome.errorCode = check(partition, key, outbox.options) ?? .none
        topicResponse.partitions.append(outcome)
        guard outcome.errorCode == .none else { continue }
        offsets.beginChange(key)
        let value = CommittedOffset(
          offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch,
          metadata: partition.committedMetadata ?? "", committedAt: outbox.wall,
          expiresAt: expiresAt)
        changes.append((key, value))
      }
      response.topics.append(topicResponse)
    }
    change(changes, .commit(source.token, response), &outbox)
  }

  private func check(_ request: OffsetCommitRequest, _ outbox: Outbox) -> ErrorCode? {
    let generation = request.generationIdOrMemberEpoch
    if state == .dead { return .coordinatorNotAvailable }
    if outbox.isOverloaded { return .coordinatorLoadInProgress }
    // A consumer that assigns its partitions itself, or an administrator.
    if generation < 0 && state == .empty { return nil }
    if generation >= 0 || !request.memberId.isEmpty || request.groupInstanceId != nil {
      let memberID = ExactString(request.memberId)
      if let error = checkMember(memberID, instanceID: request.groupInstanceId) { return error }
      if generation != self.generation { return .illegalGeneration }
    } else if state != .empty {
      return .unknownMemberId
    }
    // The generation has begun without this commit: its partitions may have a new owner, who has
    // read the offset. Before that, in PreparingRebalance, the commit is welcome.
    return state == .completingRebalance ? .rebalanceInProgress : nil
  }

  private func check(
    _ partition: OffsetCommitRequest.Partition, _ key: OffsetKey, _ options: GroupOptions
  ) -> ErrorCode? {
    if let metadata = partition.committedMetadata,
      metadata.utf8.count > options.offsetMetadataLengthMax,
      metadata.utf16.count > options.offsetMetadataLengthMax
    {
      return .offsetMetadataTooLarge
    }
    if offsets[key] == nil, offsets.count >= options.offsetsMax {
      return .invalidCommitOffsetSize
    }
    return nil
  }

  /// Writes changes that `offsets` was told of. Where there are none, the answer goes out at once.
  private mutating func change(
    _ changes: [(key: OffsetKey, value: CommittedOffset?)], _ answer: OffsetAnswer?,
    _ outbox: inout Outbox
  ) {
    if changes.isEmpty {
      if let answer { outbox.answer(answer, .none) }
    } else {
      outbox.append(
        changes.map { .offset(id, $0.key, $0.value) }, of: id, partition: partition,
        change: .offsets(changes, answer))
    }
  }

  /// Changes of offsets are in the log, or cannot be.
  mutating func finishChange(
    _ changes: [(key: OffsetKey, value: CommittedOffset?)], _ answer: OffsetAnswer?,
    _ outcome: ErrorCode, _ outbox: inout Outbox
  ) {
    for change in changes {
      if outcome == .none {
        offsets.commitChange(change.key, change.value)
      } else {
        offsets.abandonChange(change.key)
      }
    }
    if let answer { outbox.answer(answer, outcome) }
  }

  mutating func deleteOffsets(
    _ request: OffsetDeleteRequest, from source: RequestSource, _ outbox: inout Outbox
  ) {
    var response = OffsetDeleteResponse()
    if state == .dead {
      response.errorCode = .groupIdNotFound
    } else if state != .empty && !isConsumerGroup {
      // Nobody but its members knows what such a group reads.
      response.errorCode = .nonEmptyGroup
    } else if outbox.isOverloaded {
      response.errorCode = .coordinatorLoadInProgress
    }
    guard response.errorCode == .none else {
      outbox.reply(source.token, .offsetDelete(response))
      return
    }
    var forgotten: [OffsetKey] = []
    for topic in request.topics {
      let name = ExactString(topic.name)
      let error: ErrorCode = isSubscribed(to: name) ? .groupSubscribedToTopic : .none
      var topicResponse = OffsetDeleteResponse.Topic()
      topicResponse.name = topic.name
      for partition in topic.partitions {
        var outcome = OffsetDeleteResponse.Partition()
        outcome.partitionIndex = partition.partitionIndex
        outcome.errorCode = error
        topicResponse.partitions.append(outcome)
        let key = OffsetKey(topic: name, partition: partition.partitionIndex)
        if error == .none, offsets[key] != nil { forgotten.append(key) }
      }
      response.topics.append(topicResponse)
    }
    forget(forgotten, .delete(source.token, response), &outbox)
  }

  /// Writes tombstones.
  mutating func forget(
    _ keys: [OffsetKey], _ answer: OffsetAnswer?, _ outbox: inout Outbox
  ) {
    for key in keys { offsets.beginChange(key) }
    change(keys.map { (key: $0, value: nil) }, answer, &outbox)
  }

  /// Writes tombstones for the offsets and the group, which is dead from now on.
  mutating func delete(_ token: ReplyToken?, _ outbox: inout Outbox) {
    enter(.dead, now: outbox.wall)
    let records = offsets.keys.map { GroupRecord.offset(id, $0, nil) } + [.metadata(id, nil)]
    outbox.append(records, of: id, partition: partition, change: .deletion(token))
  }

  /// Forgets offsets that have expired, and the group with the last of them.
  mutating func expiryDeadlinePassed(_ outbox: inout Outbox) {
    expiryDeadline = nil
    guard state != .dead else { return }
    scheduleExpiry(isFirst: false, &outbox)
    guard !outbox.isOverloaded else { return }

    let retention = outbox.options.offsetsRetentionMs
    let now = outbox.wall
    let expired: [OffsetKey]
    if let isRetainedSince = retentionStart {
      expired = offsets.keys { key, entry in
        guard let value = entry.value, entry.pendingCount == 0, !isSubscribed(to: key.topic)
        else { return false }
        if let expiresAt = value.expiresAt { return now >= expiresAt }
        return now.subtractingReportingOverflow(isRetainedSince(value)).partialValue >= retention
      }
    } else {
      expired = []
    }
    if expired.count == offsets.count, state == .empty, pendingMembers.isEmpty {
      delete(nil, &outbox)
    } else {
      forget(expired, nil, &outbox)
    }
  }

  /// From when on an offset's retention counts; nil while offsets do not expire.
  private var retentionStart: ((CommittedOffset) -> Int64)? {
    if protocolType == nil { return { $0.committedAt } }
    let since = stateSince
    switch state {
    case .empty: return { since == -1 ? $0.committedAt : since }
    // Of topics that nobody in the group reads any more.
    case .stable: return isConsumerGroup && subscribedTopics != nil ? { $0.committedAt } : nil
    case .preparingRebalance, .completingRebalance, .dead: return nil
    }
  }
}

extension Outbox {
  var isOverloaded: Bool { appends.count >= options.appendsInFlightMax }
}

extension OffsetCommitRequest {
  /// The same error for each partition: there is no other place for it.
  func refused(_ error: ErrorCode) -> OffsetCommitResponse {
    var response = OffsetCommitResponse()
    response.topics = topics.map { topic in
      var topicResponse = OffsetCommitResponse.Topic()
      topicResponse.name = topic.name
      topicResponse.topicId = topic.topicId
      topicResponse.partitions = topic.partitions.map { partition in
        var outcome = OffsetCommitResponse.Partition()
        outcome.partitionIndex = partition.partitionIndex
        outcome.errorCode = error
        return outcome
      }
      return topicResponse
    }
    return response
  }
}
