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
  func durable(_ group: GroupID, _ member: SimulatedNode) -> LogPosition? {
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

  var isForgiving: Bool {
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

  /// A node acknowledges a batch: a majority of disks has it.
  func acknowledges(_ partition: Int32, _ batch: Range<Int64>, _ member: SimulatedNode) {
    if options.deleters > 0 { batchStarts[partition, default: []].append(batch.lowerBound) }
    let end = batch.upperBound
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
    if let before = member.promises[replica.group], !member.isRotten {
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

  /// What was durable when the last process ended is there, or the log says that something is not.
  func comesBack(_ store: LogStore, _ member: SimulatedNode) {
    for group in member.durableBefore.keys.sorted() {
      // A log that has nothing need not have been made for good.
      guard let had = member.durableBefore[group], had != .last, had.epoch >= LeaderEpoch(0),
        let log = member.logs[group]
      else { continue }
      let bounds = try? store.bounds(of: log)
      if let bounds, bounds.durable >= had || bounds.isCutShort { continue }
      // Another log has taken the place of one that is damaged, or will.
      if member.isRotten, (try? store.failure(of: log)) != .some(nil) { continue }
      // The end of its journal cannot be read, which the others are to notice.
      if rolledBack?.id == member.id {
        member.isBehind = true
        continue
      }
      violated(
        "node \(member.id) comes back with \(bounds.map { text($0.durable) } ?? "nothing") of group"
          + " \(group), and had \(text(had))\n\(state)")
    }
  }

  /// What a message promises is so: a vote is on the disk of who gives it, and who is to lead has
  /// all that its leader has.
  func leaves(_ frame: NodeFrame, _ member: SimulatedNode) {
    // What promises is not among what carries records.
    guard frame.isUrgent, frame.isReplication else { return }
    guard let messages = try? frame.groupMessages() else {
      return violated("a frame of node \(member.id) cannot be read")
    }
    for (group, message) in messages {
      switch message.body {
      case .voteResponse(let vote) where vote.isGranted && !vote.isPreVote:
        let promise = member.promises[group] ?? Vote()
        let given = Vote(epoch: vote.proposed, candidate: message.to.rawValue)
        guard promise != given, promise.epoch <= given.epoch, has(member, group) else { continue }
        violated(
          "node \(member.id) votes for \(given.candidate) in epoch \(given.epoch.rawValue) of group"
            + " \(group), and has \(promise.candidate) in \(promise.epoch.rawValue) on its disk")
      case .takeOver:
        guard !isForgiving, let log = member.logs[group],
          let bounds = try? member.store?.bounds(of: log)
        else { continue }
        let end = LogPosition(epoch: bounds.epoch, offset: bounds.end)
        let target = self[message.to.rawValue]
        guard durable(group, target).map({ $0 < end }) ?? true else { continue }
        violated(
          "node \(member.id), which has \(text(end)) of group \(group), makes node \(target.id)"
            + " lead it\n\(state)")
      default: continue
      }
    }
  }

  /// It may have been deleted since the message was written.
  private func has(_ member: SimulatedNode, _ group: GroupID) -> Bool {
    var isThere = false
    member.node?.glance { if $0.group == group { isThere = true } }
    return isThere
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
