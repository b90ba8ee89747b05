internal import KafkaWire

/// A partition as clients are told of it.
struct PartitionView {
  /// Nil while there is none that is alive.
  let leader: Int32?
  let epoch: Int32
  /// While it is reassigned, those that are wanted and then those that will go.
  let replicas: [Int32]
  let inSync: [Int32]
  /// Those whose node is dead, or has lost the disk with the replica.
  let offline: [Int32]

  init(_ group: GroupKey, _ state: MetadataState, _ cluster: ClusterView) {
    let leadership = cluster.leadership(group.topic, group.partition)
    leader = leadership.leader.flatMap { cluster.isAlive($0) ? $0 : nil }
    epoch = leadership.epoch
    let replicas = state.assignment(of: group)?.all ?? []
    self.replicas = replicas
    let membership = state.membership(of: group)
    offline = replicas.filter { node in
      guard cluster.isAlive(node) else { return true }
      guard let member = membership?.voter(node) ?? membership?.learner(node),
        let registered = state.node(node)
      else { return false }
      return !member.matches(registered.current)
    }
    let lost = offline
    inSync =
      leadership.inSync
      ?? replicas.filter { membership?.voter($0) != nil && !lost.contains($0) }
  }
}

/// Where a partition is and where it is to be.
struct PartitionAssignment: Equatable {
  /// Where it is to be, then where it will not be any more.
  var all: [Int32]
  var adding: [Int32]
  var removing: [Int32]
}

extension MetadataState {
  /// Nil if there is no such partition.
  func assignment(of group: GroupKey) -> PartitionAssignment? {
    guard let topic = topic(group.topic), topic.partitions.contains(group.partition) else {
      return nil
    }
    let current = topic.replicas(ofPartition: group.partition)
    guard let target = reassignments[group] else {
      return PartitionAssignment(all: Array(current), adding: [], removing: [])
    }
    let removing = current.filter { !target.contains($0) }.sorted()
    return PartitionAssignment(
      all: target + removing, adding: target.filter { !current.contains($0) }.sorted(),
      removing: removing)
  }
}
