internal import Broker
internal import Bytes
internal import LogStore
internal import Replication

extension LogPosition {
  fileprivate static let last = LogPosition(epoch: LeaderEpoch(.max), offset: Offset(.max))
}

/// What disks have, as the stores on them say, and what a crash may not take from a node.
extension SimulatedCluster {
  /// For so long after a disk has lost something, what it had may count for others that were told
  /// of it before.
  private static var forgiveness: Int64 { 5 * second }

  /// How much of a group's log is on a node's disk; of one that is down, was when it ended.
  private func durable(_ group: GroupID, _ member: SimulatedNode) -> LogPosition? {
    guard let store = member.store, let log = member.logs[group] else {
      return member.durableBefore[group]
    }
    // With its topic it is deleted, and whoever does not know yet may count on what it had.
    guard let bounds = try? store.bounds(of: log) else { return .last }
    return bounds.durable
  }

  /// The process ends, and its disk has this.
  func rememberDisk(of member: SimulatedNode) {
    for group in member.logs.keys.sorted() {
      member.durableBefore[group] = durable(group, member)
    }
  }

  private var isForgiving: Bool {
    diskFaultTime.map { now < $0 + Self.forgiveness } ?? false
  }

  /// A leader says that so much is committed: a majority of disks has it.
  func leaderCommitted(_ replica: Node.ReplicaGlance, _ voters: Int, _ member: SimulatedNode) {
    guard !isForgiving else { return }
    let count = nodes.count {
      durable(replica.group, $0).map { $0 >= replica.committed } ?? false
    }
    guard count <= voters / 2 else { return }
    violated(
      "node \(member.id) has committed \(text(replica.committed)) of group \(replica.group), which"
        + " \(count) disks have, of \(voters) voters\n\(state)")
  }

  /// A node acknowledges what is below an offset: a majority of disks has it.
  func acknowledges(_ partition: Int32, below end: Int64, _ member: SimulatedNode) {
    guard !isForgiving, let log = member.node?.log(of: Self.topic, partition),
      let group = member.logs.first(where: { $0.value == log })?.key
    else { return }
    let count = nodes.count { durable(group, $0).map { $0.offset.rawValue >= end } ?? false }
    guard count <= options.replicas / 2 else { return }
    violated(
      "node \(member.id) acknowledges what is below \(end) of partition \(partition), which"
        + " \(count) disks have\n\(state)")
  }

  /// A node's epoch and vote are at least what they were when it could not forget them.
  func keepsPromises(_ replica: Node.ReplicaGlance, _ member: SimulatedNode) {
    // What is damaged is made anew, once the others do not count on this node's votes.
    guard !member.isRotten else { return }
    if let before = member.promises[replica.group] {
      if replica.epoch < before.epoch {
        violated(
          "node \(member.id) is in epoch \(replica.epoch.rawValue) of group \(replica.group), and"
            + " was in \(before.epoch.rawValue)\n\(state)")
      }
      let vote = replica.durableVote
      if vote.epoch == before.epoch, before.candidate >= 0, vote.candidate != before.candidate {
        violated(
          "node \(member.id) votes for \(vote.candidate) in epoch \(vote.epoch.rawValue) of group"
            + " \(replica.group), and voted for \(before.candidate)\n\(state)")
      }
      if vote.epoch < before.epoch, !replica.isEpochDurable { return }
    }
    let vote = replica.durableVote
    member.promises[replica.group] =
      replica.isEpochDurable && replica.epoch > vote.epoch
      ? Vote(epoch: replica.epoch, candidate: -1) : vote
  }

  /// All that is committed would be there without this node's disk: each other that is to have it
  /// has it on its own.
  func canLose(_ lost: SimulatedNode) -> Bool {
    var holders: [GroupID: Int] = [:]
    var members: [GroupID: Int] = [:]
    var isSafe = true
    for member in nodes {
      guard let node = member.node, node.failure == nil, node.hasStarted,
        member.disk.faults.failsSyncs == nil
      else { return false }
      node.glance { replica in
        holders[replica.group, default: 0] += 1
        members[replica.group] = max(members[replica.group] ?? 0, replica.members)
        if replica.isFenced || !replica.isVoter { isSafe = false }
        guard member.id != lost.id, let seen = groupsSeen[replica.group] else { return }
        if durable(replica.group, member).map({ $0 < seen.committed }) ?? true { isSafe = false }
      }
    }
    return isSafe && members.allSatisfy { holders[$0.key] == $0.value }
  }
}
