internal import Broker
internal import Bytes
internal import Checks
internal import LogStore
internal import Replication

/// What is known of a group, by all who were ever seen in it.
struct GroupSeen {
  var leaders: [LeaderEpoch: Int32] = [:]
  var committed = LogPosition(epoch: .none, offset: .zero)
  /// Where epochs begin that are committed.
  var epochs: [EpochHistory.Entry] = []
}

extension SimulatedCluster {
  /// What holds at every moment, of the node that has just done something.
  func checkInvariants(_ member: SimulatedNode, _ node: Node) {
    var moved: [Node.ReplicaGlance] = []
    var leaders: [Node.ReplicaGlance] = []
    node.glance(onlyNew: true) { replica in
      if replica.isLeader, !hasLed(replica, member) { leaders.append(replica) }
      // A damaged replica was put out of its group before it was made anew: nobody counts on what
      // it promised. The metadata's keeps it.
      let log = member.logs.updateValue(replica.log, forKey: replica.group)
      if let log, log != replica.log, replica.group != .metadata {
        member.promises[replica.group] = nil
      }
      keepsPromises(replica, member)
      let before = member.seen[replica.log]
      if replica.end.offset < replica.durable.offset {
        violated(
          "node \(member.id) takes \(text(replica.durable)) of group \(replica.group) for durable,"
            + " and has \(text(replica.end))")
      }
      // What was truncated while it was on its way is not durable.
      if let bounds = try? member.store?.bounds(of: replica.log),
        bounds.durable.offset > bounds.end
      {
        violated(
          "node \(member.id) has \(text(bounds.durable)) of group \(replica.group) on its disk, as"
            + " its store says, and ends at \(bounds.end)")
      }
      member.seen[replica.log] = ReplicaSeen(replica)
      if replica.isLeader, replica.isQuiet { othersHaveAll(replica, member, node) }
      if let before, replica.start < before.start {
        violated(
          "the log of group \(replica.group) on node \(member.id) begins at"
            + " \(replica.start.rawValue), and began at \(before.start.rawValue)")
      }
      if let before {
        guard before.committed != replica.committed else { return }
        if replica.committed < before.committed {
          violated(
            "what is committed falls from \(text(before.committed)) to"
              + " \(text(replica.committed)) in group \(replica.group) of node \(member.id)")
        }
        committedByCounting(replica, since: before, member)
      }
      // It may have been committed by those who were voters before.
      let voters = min(replica.voters, before?.voters ?? 1)
      if replica.isLeader { leaderCommitted(replica, voters, member) }
      if replica.end < replica.committed {
        violated("node \(member.id) has committed more of \(replica.group) than it has")
      }
      moved.append(replica)
    }
    // Replicas are seen in any order.
    leaders.sort { $0.log < $1.log }
    for replica in leaders { led(replica, member) }
    guard !moved.isEmpty else { return }
    moved.sort { $0.log < $1.log }
    for replica in moved {
      let (group, committed) = (replica.group, replica.committed)
      mix(
        UInt64(bitPattern: committed.offset.rawValue) << 20 | UInt64(
          UInt32(bitPattern: committed.epoch.rawValue)) << 4 | UInt64(member.id))
      agree(group, committed, node.epochs(of: replica.log), member)
    }
  }

  func text(_ position: LogPosition) -> String {
    "\(position.epoch.rawValue):\(position.offset.rawValue)"
  }

  private func hasLed(_ replica: Node.ReplicaGlance, _ member: SimulatedNode) -> Bool {
    groupsSeen[replica.group]?.leaders[replica.epoch] == member.id
  }

  private func led(_ replica: Node.ReplicaGlance, _ member: SimulatedNode) {
    let known = groupsSeen[replica.group, default: GroupSeen()].leaders[replica.epoch]
    guard known != member.id else { return }
    if let known {
      violated(
        "nodes \(known) and \(member.id) both lead group \(replica.group) in epoch"
          + " \(replica.epoch.rawValue)")
    }
    groupsSeen[replica.group, default: GroupSeen()].leaders[replica.epoch] = member.id
    mix(UInt64(member.id) << 32 | UInt64(UInt32(bitPattern: replica.epoch.rawValue)))
    say("node \(member.id) leads group \(replica.group) in epoch \(replica.epoch.rawValue)")
  }

  /// A leader counts only what it has written itself (Raft, figure 8).
  private func committedByCounting(
    _ replica: Node.ReplicaGlance, since before: ReplicaSeen, _ member: SimulatedNode
  ) {
    guard replica.isLeader, before.led == replica.epoch, replica.committed.epoch != replica.epoch
    else { return }
    violated(
      "node \(member.id), which leads group \(replica.group) in epoch"
        + " \(replica.epoch.rawValue), has counted \(text(replica.committed)) for committed")
  }

  /// A leader that says nothing more owes nothing to anybody whom it has not lost.
  private func othersHaveAll(
    _ replica: Node.ReplicaGlance, _ member: SimulatedNode, _ node: Node
  ) {
    guard !isForgiving else { return }
    for id in node.members(of: replica.log) where id != member.id && isFound(id, by: member.id) {
      let has = durable(replica.group, self[id])
      guard has.map({ $0 < replica.end }) ?? true else { continue }
      violated(
        "node \(member.id) is quiet in group \(replica.group), and node \(id) has"
          + " \(has.map(text) ?? "nothing"), not \(text(replica.end))\n\(state)")
    }
  }

  /// What is committed here is, as far as it goes, what is committed elsewhere: positions name
  /// prefixes.
  private func agree(
    _ group: GroupID, _ committed: LogPosition, _ entries: [EpochHistory.Entry],
    _ member: SimulatedNode
  ) {
    let own = entries.filter { $0.epoch <= committed.epoch }
    var seen = groupsSeen[group, default: GroupSeen()]
    let (shorter, longer) = seen.committed < committed ? (seen.epochs, own) : (own, seen.epochs)
    // Beginnings may have been removed.
    let first = max(shorter.first?.epoch ?? .none, longer.first?.epoch ?? .none)
    let a = shorter.filter { $0.epoch > first }
    let b = longer.filter { $0.epoch > first }
    if !b.starts(with: a) {
      violated(
        "node \(member.id) has committed \(text(committed)) of group \(group) with epochs"
          + " \(own.map { "\($0.epoch.rawValue) from \($0.start.rawValue)" }), and"
          + " \(text(seen.committed)) was committed with"
          + " \(seen.epochs.map { "\($0.epoch.rawValue) from \($0.start.rawValue)" })")
    }
    let position = seen.committed < committed ? seen.committed : committed
    if let next = longer.first(where: { $0.epoch > position.epoch }), next.start < position.offset {
      violated(
        "\(text(position)) of group \(group) was committed, and node \(member.id) or another has"
          + " epoch \(next.epoch.rawValue) from \(next.start.rawValue)")
    }
    if seen.committed < committed {
      seen.committed = committed
      seen.epochs = own
      groupsSeen[group] = seen
    }
  }
}
