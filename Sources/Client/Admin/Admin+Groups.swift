internal import KafkaWire

/// A group in a list.
public struct GroupListing: Hashable, Sendable {
  /// The group's id.
  public var id: String
  /// "consumer" for consumers, "connect" for workers of Kafka Connect, empty for bare offsets.
  public var protocolType: String
  /// Empty, PreparingRebalance, CompletingRebalance, Stable or Dead; empty where the broker does
  /// not say.
  public var state: String
}

/// A group with its members.
public struct GroupDescription: Hashable, Sendable {
  /// One member.
  public struct Member: Hashable, Sendable {
    /// The member's id.
    public var id: String
    /// Of a static member.
    public var instanceID: String?
    /// What the client calls itself.
    public var clientID: String
    /// Where it is.
    public var host: String
    /// What it was assigned, as far as it can be read.
    public var assignment: [TopicPartition]
  }

  /// The group's id.
  public var id: String
  /// Empty, PreparingRebalance, CompletingRebalance, Stable or Dead.
  public var state: String
  /// "consumer" for consumers.
  public var protocolType: String
  /// The assignor that was chosen.
  public var assignor: String
  /// The members, by id.
  public var members: [Member]
}

extension Client {
  /// The groups that any broker coordinates, by id.
  public func listGroups() async throws(ClientError) -> [GroupListing] {
    let cluster = try await describeCluster()
    var groups: [GroupListing] = []
    for node in cluster.nodes {
      groups += try await asynchronously { (operation: Operation<[GroupListing]>) in
        ask(.node(node.id), ListGroupsRequest(), operation.finish) { response in
          response.groups.map {
            GroupListing(id: $0.groupId, protocolType: $0.protocolType, state: $0.groupState)
          }
        }
      }
    }
    return groups.sorted { $0.id < $1.id }
  }

  /// A group and its members. A group that does not exist is Dead.
  public func describeGroup(_ id: String) async throws(ClientError) -> GroupDescription {
    let response = try await asynchronously { (operation: Operation<DescribeGroupsResponse>) in
      askCoordinator(
        of: id, DescribeGroupsRequest.self, { _ in .with { $0.groups = [id] } },
        check: { $0.groups.first?.errorCode ?? .none }, operation.finish)
    }
    guard let group = response.groups.first else {
      throw ClientError(.corruptData, "the broker left group \(id) out")
    }
    guard group.errorCode == .none || group.errorCode == .groupIdNotFound else {
      throw ClientError(group.errorCode, "describing group \(id)", group.errorMessage)
    }
    return GroupDescription(
      id: id, state: group.groupState.isEmpty ? "Dead" : group.groupState,
      protocolType: group.protocolType, assignor: group.protocolData,
      members: group.members.sorted { $0.memberId < $1.memberId }.map { member in
        let assignment = try? ConsumerProtocolAssignment.decode(embedded: member.memberAssignment)
        let topics = assignment?.assignedPartitions ?? []
        return GroupDescription.Member(
          id: member.memberId, instanceID: member.groupInstanceId, clientID: member.clientId,
          host: member.clientHost,
          assignment: topics.flatMap { topic in
            topic.partitions.map { TopicPartition(topic.topic, $0) }
          }.sorted())
      })
  }

  /// Forgets a group and its offsets; it must have no members.
  public func deleteGroup(_ id: String) async throws(ClientError) {
    let response = try await asynchronously { (operation: Operation<DeleteGroupsResponse>) in
      askCoordinator(
        of: id, DeleteGroupsRequest.self, { _ in .with { $0.groupsNames = [id] } },
        check: { $0.results.first?.errorCode ?? .none }, operation.finish)
    }
    let code = response.results.first?.errorCode ?? .none
    guard code == .none else { throw ClientError(code, "deleting group \(id)") }
  }

  /// A group's committed offsets: of these partitions, or of all that have one.
  public func groupOffsets(
    _ id: String, _ partitions: [TopicPartition]? = nil
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    let response = try await asynchronously { (operation: Operation<OffsetFetchResponse>) in
      askCoordinator(
        of: id, OffsetFetchRequest.self, { .committed(of: id, partitions, version: $0) },
        // Of a partition too: a commit that is under way is waited for.
        check: { $0.firstError }, operation.finish)
    }
    return try response.offsets(of: id).get()
  }

  /// Sets a group's offsets; it must have no members.
  public func setGroupOffsets(
    _ id: String, _ offsets: [TopicPartition: Int64]
  ) async throws(ClientError) {
    let request = OffsetCommitRequest.commit(
      group: id, generation: -1, memberID: "", instanceID: nil, offsets)
    let response = try await asynchronously { (operation: Operation<OffsetCommitResponse>) in
      askCoordinator(
        of: id, OffsetCommitRequest.self, { _ in request },
        check: { $0.topics.first?.partitions.first?.errorCode ?? .none }, operation.finish)
    }
    for topic in response.topics {
      for partition in topic.partitions where partition.errorCode != .none {
        let name = TopicPartition(topic.name, partition.partitionIndex)
        throw ClientError(partition.errorCode, "setting the offset of group \(id) in \(name)")
      }
    }
  }

  /// Forgets a group's offsets of partitions that none of its members subscribes to.
  public func deleteGroupOffsets(
    _ id: String, _ partitions: [TopicPartition]
  ) async throws(ClientError) -> Outcomes<TopicPartition, Void> {
    let response = try await asynchronously { (operation: Operation<OffsetDeleteResponse>) in
      askCoordinator(
        of: id, OffsetDeleteRequest.self,
        { _ in
          .with { request in
            request.groupId = id
            request.topics = partitions.byTopic { name, numbers in
              .with { topic in
                topic.name = name
                topic.partitions = numbers.map { number in .with { $0.partitionIndex = number } }
              }
            }
          }
        }, check: { $0.errorCode }, operation.finish)
    }
    guard response.errorCode == .none else {
      throw ClientError(response.errorCode, "deleting offsets of group \(id)")
    }
    var outcomes: Outcomes<TopicPartition, Void> = [:]
    for topic in response.topics {
      for answer in topic.partitions {
        let partition = TopicPartition(topic.name, answer.partitionIndex)
        outcomes[partition] = Self.outcome(
          answer.errorCode, "deleting the offset of group \(id) in \(partition)", nil)
      }
    }
    return outcomes
  }
}
