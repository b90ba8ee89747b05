internal import KafkaWire

// AlterPartitionReassignments and ListPartitionReassignments: what is asked for, and what of it is
// under way. How it comes about is for `Reassignment`.

extension Controller {
  func decide(
    _ request: AlterPartitionReassignmentsRequest, on cluster: ClusterView
  ) -> Decision {
    var response = AlterPartitionReassignmentsResponse()
    response.allowReplicationFactorChange = request.allowReplicationFactorChange
    response.errorMessage = nil
    let count = request.topics.reduce(0) { $0 + $1.partitions.count }
    guard count <= Self.requestPartitionsMax else {
      response.errorCode = .policyViolation
      response.errorMessage = "Excessively large number of partitions per request."
      return Decision(outcome: .reply(.alterPartitionReassignments(response)))
    }
    var records: [MetadataRecord] = []
    for topic in request.topics {
      var entry = AlterPartitionReassignmentsResponse.Topic()
      entry.name = topic.name
      for partition in topic.partitions {
        do throws(Refusal) {
          let record = try reassign(
            topic.name, partition, mayResize: request.allowReplicationFactorChange, on: cluster)
          if let record { records.append(record) }
          entry.partitions.append(.outcome(partition.partitionIndex, .none, nil))
        } catch {
          entry.partitions.append(.outcome(partition.partitionIndex, error.code, error.message))
        }
      }
      response.responses.append(entry)
    }
    return Decision(records: records, outcome: .reply(.alterPartitionReassignments(response)))
  }

  /// Nil where nothing is to be done.
  private func reassign(
    _ name: String, _ wanted: AlterPartitionReassignmentsRequest.Partition, mayResize: Bool,
    on cluster: ClusterView
  ) throws(Refusal) -> MetadataRecord? {
    guard let topic = decided.topic(named: name) else {
      throw Refusal(.unknownTopicOrPartition, "Unable to find a topic named \(name).")
    }
    let index = wanted.partitionIndex
    guard topic.partitions.contains(index) else {
      throw Refusal(.unknownTopicOrPartition, "Unable to find partition \(name):\(index).")
    }
    let group = GroupKey(topic: topic.id, partition: index)
    let isUnderWay = decided.reassignments[group] != nil
    guard let target = wanted.replicas else {
      guard isUnderWay else {
        throw Refusal(.noReassignmentInProgress, "No partition reassignment is in progress.")
      }
      return .reassigned(group, target: nil)
    }
    try checkAssignment(target, factor: target.count, on: cluster)
    let current = topic.replicas(ofPartition: index)
    guard mayResize || target.count == current.count else {
      throw Refusal(
        .invalidReplicationFactor,
        "The replication factor is changed from \(current.count) to \(target.count)")
    }
    try checkFactor(target.count)
    // Back to what it was: what is under way is given up.
    guard Array(current) != target else {
      return isUnderWay ? .reassigned(group, target: nil) : nil
    }
    return .reassigned(group, target: target)
  }

  func listReassignments(
    _ request: ListPartitionReassignmentsRequest
  ) -> ListPartitionReassignmentsResponse {
    var response = ListPartitionReassignmentsResponse()
    response.errorMessage = nil
    if let topics = request.topics {
      for wanted in topics {
        guard let topic = state.topic(named: wanted.name) else { continue }
        list(topic, wanted.partitionIndexes.filter { topic.partitions.contains($0) }, in: &response)
      }
    } else {
      var indexes: [UUID16: [Int32]] = [:]
      for group in state.reassignments.keys.sorted() {
        indexes[group.topic, default: []].append(group.partition)
      }
      for name in state.names {
        guard let topic = state.topic(named: name) else { continue }
        list(topic, indexes[topic.id] ?? [], in: &response)
      }
    }
    return response
  }

  private func list(
    _ topic: TopicState, _ indexes: [Int32], in response: inout ListPartitionReassignmentsResponse
  ) {
    var entry = ListPartitionReassignmentsResponse.Topic()
    entry.name = topic.name
    for index in indexes {
      let group = GroupKey(topic: topic.id, partition: index)
      guard state.reassignments[group] != nil, let assignment = state.assignment(of: group) else {
        continue
      }
      var partition = ListPartitionReassignmentsResponse.Partition()
      partition.partitionIndex = index
      partition.replicas = assignment.all
      partition.addingReplicas = assignment.adding
      partition.removingReplicas = assignment.removing
      entry.partitions.append(partition)
    }
    if !entry.partitions.isEmpty { response.topics.append(entry) }
  }
}

extension AlterPartitionReassignmentsResponse.Partition {
  static func outcome(_ index: Int32, _ code: ErrorCode, _ message: String?) -> Self {
    var entry = Self()
    entry.partitionIndex = index
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}
