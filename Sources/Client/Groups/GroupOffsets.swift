internal import KafkaWire

extension OffsetFetchRequest {
  /// Asks for a group's offsets, of all partitions that have one where `partitions` is nil.
  static func committed(
    of group: String, _ partitions: [TopicPartition]?, version: Int16
  ) -> OffsetFetchRequest {
    var request = OffsetFetchRequest()
    if version >= 8 {
      var asked = Group()
      asked.groupId = group
      asked.topics = partitions?.byTopic { name, numbers in
        .with {
          $0.name = name
          $0.partitionIndexes = numbers
        }
      }
      request.groups = [asked]
    } else {
      request.groupId = group
      request.topics = partitions?.byTopic { name, numbers in
        .with {
          $0.name = name
          $0.partitionIndexes = numbers
        }
      }
    }
    // Offsets of a transaction that is not decided yet are no offsets to begin with.
    request.requireStable = version >= 7
    return request
  }
}

extension OffsetFetchResponse {
  var groupError: ErrorCode { groups.first?.errorCode ?? errorCode }

  /// Of the group, or else of one of its partitions.
  var firstError: ErrorCode {
    guard groupError == .none else { return groupError }
    let inGroup = groups.lazy.flatMap(\.topics).flatMap(\.partitions).map(\.errorCode)
    let alone = topics.lazy.flatMap(\.partitions).map(\.errorCode)
    return inGroup.first { $0 != .none } ?? alone.first { $0 != .none } ?? .none
  }

  /// The offsets that there are.
  func offsets(of group: String) -> Result<[TopicPartition: Int64], ClientError> {
    let doing = "asking for the offsets of group \(group)"
    guard groupError == .none else { return .failure(ClientError(groupError, doing)) }
    var found: [TopicPartition: Int64] = [:]
    let inGroup = groups.flatMap { group in
      group.topics.flatMap { topic in
        topic.partitions.map { (topic.name, $0.partitionIndex, $0.committedOffset, $0.errorCode) }
      }
    }
    let alone = topics.flatMap { topic in
      topic.partitions.map { (topic.name, $0.partitionIndex, $0.committedOffset, $0.errorCode) }
    }
    for (name, number, offset, code) in inGroup + alone {
      guard code == .none else { return .failure(ClientError(code, doing)) }
      if offset >= 0 { found[TopicPartition(name, number)] = offset }
    }
    return .success(found)
  }
}

extension OffsetCommitRequest {
  static func commit(
    group: String, generation: Int32, memberID: String, instanceID: String?,
    _ offsets: [TopicPartition: Int64]
  ) -> OffsetCommitRequest {
    var request = OffsetCommitRequest()
    request.groupId = group
    request.generationIdOrMemberEpoch = generation
    request.memberId = memberID
    request.groupInstanceId = instanceID
    request.topics = offsets.keys.sorted().byTopic { name, numbers in
      var topic = Topic()
      topic.name = name
      topic.partitions = numbers.map { number in
        var partition = Partition()
        partition.partitionIndex = number
        partition.committedOffset = offsets[TopicPartition(name, number)] ?? 0
        return partition
      }
      return topic
    }
    return request
  }
}
