internal import KafkaWire

/// Group 0 as its leader knows it, for those who ask for the quorum.
package struct QuorumStatus: Equatable, Sendable {
  package struct Replica: Equatable, Sendable {
    package var member: NodeIncarnation
    package var logEnd: Int64
    /// Milliseconds since 1970; -1 if that is not known.
    package var lastFetch: Int64
    package var lastCaughtUp: Int64

    package init(
      _ member: NodeIncarnation, logEnd: Int64, lastFetch: Int64 = -1, lastCaughtUp: Int64 = -1
    ) {
      self.member = member
      self.logEnd = logEnd
      self.lastFetch = lastFetch
      self.lastCaughtUp = lastCaughtUp
    }
  }

  package var leader: Int32
  package var epoch: Int32
  package var highWatermark: Int64
  package var voters: [Replica]
  package var learners: [Replica]

  package init(
    leader: Int32, epoch: Int32, highWatermark: Int64, voters: [Replica], learners: [Replica] = []
  ) {
    self.leader = leader
    self.epoch = epoch
    self.highWatermark = highWatermark
    self.voters = voters
    self.learners = learners
  }
}

// DescribeQuorum and DescribeTopicPartitions.

extension Controller {
  /// Of more partitions than this a page is not made.
  static let pagePartitionsMax: Int32 = 2000

  /// The metadata log goes by the name that it has in Kafka.
  func describeQuorum(
    _ request: DescribeQuorumRequest, _ submission: Submission
  ) -> DescribeQuorumResponse {
    guard request.topics.count == 1, request.topics[0].partitions.count == 1,
      request.topics[0].topicName.isExactly(TopicName.clusterMetadata),
      request.topics[0].partitions[0].partitionIndex == 0
    else { return .refused(request, .unknownTopicOrPartition) }
    guard let quorum = submission.quorum else { return .refused(request, .notLeaderOrFollower) }
    var partition = DescribeQuorumResponse.Partition()
    partition.errorMessage = nil
    partition.leaderId = quorum.leader
    partition.leaderEpoch = quorum.epoch
    partition.highWatermark = quorum.highWatermark
    partition.currentVoters = quorum.voters.map { state(of: $0, submission.version) }
    partition.observers = quorum.learners.map { state(of: $0, submission.version) }
    var topic = DescribeQuorumResponse.Topic()
    topic.topicName = TopicName.clusterMetadata
    topic.partitions = [partition]
    var response = DescribeQuorumResponse()
    response.errorMessage = nil
    response.topics = [topic]
    if submission.version >= 2 {
      response.nodes = submission.cluster.brokers.map { broker in
        var listener = DescribeQuorumResponse.Listener()
        listener.name = "PLAINTEXT"
        listener.host = broker.host
        listener.port = UInt16(clamping: broker.port)
        var node = DescribeQuorumResponse.Node()
        node.nodeId = broker.id
        node.listeners = [listener]
        return node
      }
    }
    return response
  }

  private func state(
    of replica: QuorumStatus.Replica, _ version: Int16
  ) -> DescribeQuorumResponse.ReplicaState {
    var entry = DescribeQuorumResponse.ReplicaState()
    entry.replicaId = replica.member.node
    if version >= 2 {
      entry.replicaDirectoryId = UUID16(high: replica.member.incarnation, low: 0)
    }
    entry.logEndOffset = replica.logEnd
    entry.lastFetchTimestamp = replica.lastFetch
    entry.lastCaughtUpTimestamp = replica.lastCaughtUp
    return entry
  }

  func describeTopicPartitions(
    _ request: DescribeTopicPartitionsRequest, on cluster: ClusterView
  ) -> DescribeTopicPartitionsResponse {
    let cursor = request.cursor
    let isAll = request.topics.isEmpty
    // Names are compared byte by byte: those of topics are ASCII.
    var names = isAll ? state.names : request.topics.map(\.name)
    if let cursor {
      guard cursor.partitionIndex >= 0,
        isAll || names.contains(where: { $0.isExactly(cursor.topicName) })
      else { return .refused(request, .invalidRequest) }
      names.removeAll { $0.utf8.lexicographicallyPrecedes(cursor.topicName.utf8) }
    }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }

    var response = DescribeTopicPartitionsResponse()
    var room = max(1, min(request.responsePartitionLimit, Self.pagePartitionsMax))
    var last: String?
    for name in names {
      if let last, last.isExactly(name) { continue }
      last = name
      guard room > 0 else {
        response.nextCursor = .at(name, 0)
        break
      }
      guard let topic = state.topic(named: name) else {
        response.topics.append(missing(name))
        continue
      }
      let isFirst = cursor?.topicName.isExactly(name) ?? false
      let first = min(isFirst ? cursor?.partitionIndex ?? 0 : 0, topic.partitionsCount)
      let end = min(topic.partitionsCount, first + room)
      response.topics.append(describe(topic, first..<end, on: cluster))
      room -= end - first
      if end < topic.partitionsCount {
        response.nextCursor = .at(name, end)
        break
      }
    }
    return response
  }

  private func missing(_ name: String) -> DescribeTopicPartitionsResponse.Topic {
    var entry = DescribeTopicPartitionsResponse.Topic()
    entry.errorCode = TopicName.isValid(name) ? .unknownTopicOrPartition : .invalidTopicException
    entry.name = name
    entry.isInternal = TopicName.isInternal(name)
    entry.topicAuthorizedOperations = AuthorizedOperations.topic
    return entry
  }

  private func describe(
    _ topic: TopicState, _ partitions: Range<Int32>, on cluster: ClusterView
  ) -> DescribeTopicPartitionsResponse.Topic {
    var entry = DescribeTopicPartitionsResponse.Topic()
    entry.name = topic.name
    entry.topicId = topic.id
    entry.isInternal = TopicName.isInternal(topic.name)
    entry.topicAuthorizedOperations = AuthorizedOperations.topic
    entry.partitions = partitions.map { index in
      let seen = PartitionView(GroupKey(topic: topic.id, partition: index), state, cluster)
      var partition = DescribeTopicPartitionsResponse.Partition()
      partition.errorCode = seen.leader == nil ? .leaderNotAvailable : .none
      partition.partitionIndex = index
      partition.leaderId = seen.leader ?? -1
      partition.leaderEpoch = seen.epoch
      partition.replicaNodes = seen.replicas
      partition.isrNodes = seen.inSync
      partition.eligibleLeaderReplicas = []
      partition.lastKnownElr = []
      partition.offlineReplicas = seen.offline
      return partition
    }
    return entry
  }
}

extension PartitionCursor {
  fileprivate static func at(_ name: String, _ index: Int32) -> PartitionCursor {
    .with {
      $0.topicName = name
      $0.partitionIndex = index
    }
  }
}

extension DescribeQuorumResponse {
  static func refused(_ request: DescribeQuorumRequest, _ code: ErrorCode) -> Self {
    .with {
      $0.errorMessage = nil
      $0.topics = request.topics.map { asked in
        var topic = Topic()
        topic.topicName = asked.topicName
        topic.partitions = asked.partitions.map { asked in
          var partition = Partition()
          partition.partitionIndex = asked.partitionIndex
          partition.errorCode = code
          partition.errorMessage = nil
          return partition
        }
        return topic
      }
    }
  }
}

extension DescribeTopicPartitionsResponse {
  static func refused(_ request: DescribeTopicPartitionsRequest, _ code: ErrorCode) -> Self {
    .with {
      $0.topics = request.topics.map { asked in
        var topic = Topic()
        topic.errorCode = code
        topic.name = asked.name
        return topic
      }
    }
  }
}
