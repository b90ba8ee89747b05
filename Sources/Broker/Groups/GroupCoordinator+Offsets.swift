import KafkaWire

extension GroupCoordinator {
  /// An empty group id is good enough for offsets, as it was before groups had members.
  mutating func commit(_ request: OffsetCommitRequest, from source: RequestSource) {
    let id = ExactString(request.groupId)
    var refusal = unavailability(of: id)
    if refusal == nil, groups[id] == nil {
      if request.generationIdOrMemberEpoch >= 0 {
        refusal = source.version >= 9 ? .groupIdNotFound : .illegalGeneration
      } else if !ensure(id) {
        refusal = .policyViolation
      }
    }
    if let refusal {
      outbox.reply(source.token, .offsetCommit(request.refused(refusal)))
    } else {
      update(id) { group, outbox in group.commit(request, from: source, &outbox) }
    }
  }

  mutating func deleteOffsets(_ request: OffsetDeleteRequest, from source: RequestSource) {
    let id = ExactString(request.groupId)
    let refusal =
      id.isEmpty
      ? .invalidGroupId
      : unavailability(of: id) ?? (groups[id] == nil ? .groupIdNotFound : nil)
    if let refusal {
      var response = OffsetDeleteResponse()
      response.errorCode = refusal
      outbox.reply(source.token, .offsetDelete(response))
    } else {
      update(id) { group, outbox in group.deleteOffsets(request, from: source, &outbox) }
    }
  }

  mutating func fetchOffsets(_ request: OffsetFetchRequest, from source: RequestSource) {
    let isStable = request.requireStable
    var response = OffsetFetchResponse()
    if source.version >= 8 {
      response.groups = request.groups.map { fetch($0, requireStable: isStable) }
    } else {
      var group = OffsetFetchRequest.Group()
      group.groupId = request.groupId
      group.topics = request.topics?.map { topic in
        var copy = OffsetFetchRequest.GroupTopic()
        copy.name = topic.name
        copy.partitionIndexes = topic.partitionIndexes
        return copy
      }
      let fetched = fetch(group, requireStable: isStable)
      response.errorCode = fetched.errorCode
      response.topics = fetched.topics.map(\.asTopic)
      // Version 1 has errors in partitions only.
      if source.version < 2, fetched.errorCode != .none {
        response.topics = (request.topics ?? []).map { $0.refused(fetched.errorCode) }
      }
    }
    outbox.reply(source.token, .offsetFetch(response))
  }

  private func fetch(
    _ request: OffsetFetchRequest.Group, requireStable: Bool
  ) -> OffsetFetchResponse.Group {
    let id = ExactString(request.groupId)
    var response = OffsetFetchResponse.Group()
    response.groupId = request.groupId
    if let error = unavailability(of: id) {
      response.errorCode = error
      return response
    }
    let offsets = groups[id]?.offsets
    guard let topics = request.topics else {
      response.topics = offsets?.all(requireStable: requireStable) ?? []
      return response
    }
    response.topics = topics.map { topic in
      let name = ExactString(topic.name)
      var topicResponse = OffsetFetchResponse.GroupTopic()
      topicResponse.name = topic.name
      topicResponse.topicId = topic.topicId
      topicResponse.partitions = topic.partitionIndexes.map { index in
        let entry = offsets?[OffsetKey(topic: name, partition: index)]
        return OffsetFetchResponse.GroupPartition(
          index, entry ?? OffsetTable.Entry(), requireStable: requireStable)
      }
      return topicResponse
    }
    return response
  }

  /// Groups are looked at one by one, in order: a topic is not deleted often.
  mutating func topicDeleted(_ topic: ExactString) {
    for index in partitions.indices {
      if case .loading(let deleted) = partitions[index] {
        partitions[index] = .loading(deletedTopics: deleted + [topic])
      }
    }
    forget(topic, in: groups.values.filter { isActive($0.partition) }.map(\.id).sorted())
  }

  mutating func forget(_ topic: ExactString, in ids: [ExactString]) {
    for id in ids {
      update(id) { group, outbox in
        // The tombstones of a dead group are written already.
        guard group.state != .dead else { return }
        group.forget(group.offsets.keys(of: topic), nil, &outbox)
      }
    }
  }

  func isActive(_ partition: Int32) -> Bool {
    if case .active = partitions[Int(partition)] { true } else { false }
  }
}

extension OffsetTable {
  /// What there is, in order.
  fileprivate func all(requireStable: Bool) -> [OffsetFetchResponse.GroupTopic] {
    var topics: [OffsetFetchResponse.GroupTopic] = []
    var last: ExactString?
    for key in keys {
      guard let entry = self[key], entry.value != nil || requireStable else { continue }
      if last != key.topic {
        last = key.topic
        var topic = OffsetFetchResponse.GroupTopic()
        topic.name = key.topic.text
        topics.append(topic)
      }
      topics[topics.count - 1].partitions.append(
        OffsetFetchResponse.GroupPartition(key.partition, entry, requireStable: requireStable))
    }
    return topics
  }
}

extension OffsetFetchResponse.GroupPartition {
  /// Who asks for stable offsets takes over a partition: a commit of its last owner that is under
  /// way is worth waiting for.
  fileprivate init(_ index: Int32, _ entry: OffsetTable.Entry, requireStable: Bool) {
    self.init()
    partitionIndex = index
    committedOffset = -1
    if requireStable, entry.pendingCount > 0 {
      errorCode = .unstableOffsetCommit
    } else if let value = entry.value {
      committedOffset = value.offset
      committedLeaderEpoch = value.leaderEpoch
      metadata = value.metadata
    }
  }
}

extension OffsetFetchResponse.GroupTopic {
  fileprivate var asTopic: OffsetFetchResponse.Topic {
    var topic = OffsetFetchResponse.Topic()
    topic.name = name
    topic.partitions = partitions.map { partition in
      var copy = OffsetFetchResponse.Partition()
      copy.partitionIndex = partition.partitionIndex
      copy.committedOffset = partition.committedOffset
      copy.committedLeaderEpoch = partition.committedLeaderEpoch
      copy.metadata = partition.metadata
      copy.errorCode = partition.errorCode
      return copy
    }
    return topic
  }
}

extension OffsetFetchRequest.Topic {
  fileprivate func refused(_ error: ErrorCode) -> OffsetFetchResponse.Topic {
    var topic = OffsetFetchResponse.Topic()
    topic.name = name
    topic.partitions = partitionIndexes.map { index in
      var partition = OffsetFetchResponse.Partition()
      partition.partitionIndex = index
      partition.committedOffset = -1
      partition.errorCode = error
      return partition
    }
    return topic
  }
}
