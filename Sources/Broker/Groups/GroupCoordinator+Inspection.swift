// What tests and traces see of the machine.
extension GroupCoordinator {
  package struct GroupSummary: Equatable, Sendable {
    package var id: String
    package var state: String
    package var generation: Int32
    package var leader: String?
    package var memberIDs: [String]
    package var offsetCount: Int
  }

  /// All groups, in order.
  package var summaries: [GroupSummary] {
    groups.values.sorted { $0.id < $1.id }.map { group in
      GroupSummary(
        id: group.id.text, state: group.state.rawValue, generation: group.generation,
        leader: group.leader?.text, memberIDs: group.members.inOrder.map(\.id.text),
        offsetCount: group.offsets.count)
    }
  }

  /// Requests that are not answered yet, of members.
  package var heldTokens: Set<ReplyToken> {
    var tokens = Set(deletions.keys)
    for group in groups.values {
      for member in group.members.inOrder {
        if let held = member.heldJoin { tokens.insert(held.token) }
        if let held = member.heldSync { tokens.insert(held.token) }
      }
    }
    return tokens
  }

  /// What all groups have committed, by group, topic and partition.
  package var committedOffsets: [(group: String, topic: String, partition: Int32, offset: Int64)] {
    groups.values.sorted { $0.id < $1.id }.flatMap { group in
      group.offsets.keys.compactMap { key in
        group.offsets[key]?.value.map {
          (group.id.text, key.topic.text, key.partition, $0.offset)
        }
      }
    }
  }

  package var appendsInFlightCount: Int { outbox.appends.count }

  /// What is wrong with the machine; nothing ever should be.
  package var brokenInvariants: [String] {
    var broken: [String] = []
    func require(_ holds: Bool, _ claim: String, _ group: Group) {
      if !holds { broken.append("\(group.id) in \(group.state.rawValue): \(claim)") }
    }
    var deadlineCount = 0
    // A group that is still being read has no deadlines, and may be of no use yet.
    let known = groups.values.filter { isActive($0.partition) }
    for group in known.sorted(by: { $0.id < $1.id }) {
      let members = group.members.inOrder
      let isJoining = group.state == .preparingRebalance
      let isSyncing = group.state == .completingRebalance
      require(group.leader.map { group.members[$0] != nil } ?? true, "a leader not in it", group)
      require(members.isEmpty || group.leader != nil, "no leader", group)
      require(
        members.isEmpty == (group.state == .empty || group.state == .dead)
          || (members.isEmpty && group.isInitialRebalance)
          || (members.isEmpty && isJoining && !group.pendingMembers.isEmpty),
        "\(members.count) members", group)
      require(
        members.allSatisfy { $0.heldSync == nil } || isSyncing, "a SyncGroup held", group)
      require(
        members.allSatisfy { $0.heldJoin == nil || $0.instanceID != nil }
          || isJoining, "a JoinGroup held", group)
      require(
        members.allSatisfy { $0.session != nil || $0.isExcused }, "an immortal member", group)
      require(
        members.allSatisfy { group.pendingMembers[$0.id] == nil }, "pending and joined", group)
      require(
        group.members.heldJoinCount == members.count { $0.heldJoin != nil }
          && group.members.mustSyncCount == members.count { $0.mustSync },
        "counts differ", group)
      require(isJoining == (group.joinDeadline != nil), "join deadline", group)
      require(
        group.syncDeadline == nil || isSyncing || group.state == .stable, "sync deadline", group)
      require(
        group.protocolName != nil || (group.state != .stable && !isSyncing), "no protocol", group)
      require(!group.isForgettable, "nothing keeps it", group)
      deadlineCount += members.count { $0.session != nil } + group.pendingMembers.count
      deadlineCount += group.joinDeadline == nil ? 0 : 1
      deadlineCount += group.syncDeadline == nil ? 0 : 1
      deadlineCount += group.expiryDeadline == nil ? 0 : 1
    }
    if deadlineCount != outbox.deadlines.count {
      broken.append("\(outbox.deadlines.count) deadlines where there should be \(deadlineCount)")
    }
    return broken
  }
}
