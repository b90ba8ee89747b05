internal import KafkaWire
internal import Platform

/// What is known of a cluster: where its brokers are, and who leads which partition.
struct ClusterMetadata {
  struct Partition: Equatable {
    /// -1 where there is none now.
    var leader: Int32
    /// -1 where the broker does not say.
    var leaderEpoch: Int32
  }

  struct Topic: Equatable {
    var id: UUID16
    /// By number. A partition that the broker left out has no leader.
    var partitions: [Partition]
  }

  private(set) var brokers: [Int32: SocketAddress] = [:]
  private(set) var controller: Int32 = -1
  private(set) var clusterID: String?
  private(set) var topics: [String: Topic] = [:]
  /// What the broker last said of topics that it does not have, or not now.
  private(set) var errors: [String: ErrorCode] = [:]

  init() {}

  init(_ response: MetadataResponse) { take(response) }

  mutating func take(_ response: MetadataResponse) {
    if !response.brokers.isEmpty {
      brokers = [:]
      for broker in response.brokers {
        guard let port = UInt16(exactly: broker.port) else { continue }
        brokers[broker.nodeId] = SocketAddress(host: broker.host, port: port)
      }
    }
    controller = response.controllerId
    clusterID = response.clusterId ?? clusterID
    for topic in response.topics {
      guard let name = topic.name else { continue }
      guard topic.errorCode == .none else {
        errors[name] = topic.errorCode
        // A leader that is missing for a moment does not make the topic unknown.
        if topic.errorCode != .leaderNotAvailable { topics[name] = nil }
        continue
      }
      errors[name] = nil
      topics[name] = Self.topic(topic, before: topics[name])
    }
  }

  private static func topic(_ answer: MetadataResponse.Topic, before: Topic?) -> Topic {
    var count = 0
    for partition in answer.partitions {
      // A number from the wire reserves no more memory than there are partitions.
      guard partition.partitionIndex >= 0, partition.partitionIndex < answer.partitions.count
      else { continue }
      count = max(count, Int(partition.partitionIndex) + 1)
    }
    var partitions = [Partition](
      repeating: Partition(leader: -1, leaderEpoch: -1), count: count)
    for partition in answer.partitions {
      guard partitions.indices.contains(Int(partition.partitionIndex)) else { continue }
      partitions[Int(partition.partitionIndex)] = Partition(
        leader: partition.leaderId, leaderEpoch: partition.leaderEpoch)
    }
    // Brokers learn of elections at different times: an older epoch is older news.
    if let before, before.id == answer.topicId {
      for index in partitions.indices where index < before.partitions.count {
        if partitions[index].leaderEpoch < before.partitions[index].leaderEpoch {
          partitions[index] = before.partitions[index]
        }
      }
    }
    return Topic(id: answer.topicId, partitions: partitions)
  }

  func partition(_ partition: TopicPartition) -> Partition? {
    guard let topic = topics[partition.topic],
      topic.partitions.indices.contains(Int(partition.partition))
    else { return nil }
    return topic.partitions[Int(partition.partition)]
  }

  /// The leader of a partition, if it has one now.
  func leader(of partition: TopicPartition) -> Int32? {
    guard let known = self.partition(partition), known.leader >= 0 else { return nil }
    return known.leader
  }

  mutating func learn(_ node: Int32, _ address: SocketAddress) { brokers[node] = address }

  mutating func forget(_ topic: String) {
    topics[topic] = nil
    errors[topic] = nil
  }
}
