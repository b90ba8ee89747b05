import KafkaWire

// The two phases of a rebalance: all members join, then all get the leader's assignments.
extension Group {
  /// A new rebalance where the state allows one; or else one more step of the one under way.
  mutating func rebalance(_ outbox: inout Outbox) {
    switch state {
    case .empty, .stable, .completingRebalance: prepareRebalance(&outbox)
    case .preparingRebalance: completeJoinIfReady(&outbox)
    case .dead: break
    }
  }

  private mutating func prepareRebalance(_ outbox: inout Outbox) {
    if state == .completingRebalance { abandonAssignments(.rebalanceInProgress, &outbox) }
    stopWaitingForSync(&outbox)
    enter(.preparingRebalance, now: outbox.wall)
    if isInitialRebalance {
      hasNewMember = false
      initialDelayMs = outbox.options.initialRebalanceDelayMs
      initialRemainingMs = max(members.rebalanceTimeoutMsMax - initialDelayMs, 0)
      if initialDelayMs <= 0 {
        completeJoin(&outbox)
      } else {
        scheduleJoin(after: initialDelayMs, &outbox)
      }
    } else if allHaveJoined || members.isEmpty {
      // With the last member gone the group is empty at once. Whoever has only an id is no member
      // to wait for.
      completeJoin(&outbox)
    } else {
      scheduleJoin(after: members.rebalanceTimeoutMsMax, &outbox)
    }
  }

  private mutating func scheduleJoin(after ms: Int32, _ outbox: inout Outbox) {
    outbox.deadlines.schedule(&joinDeadline, at: outbox.time(after: ms), for: .join(id))
  }

  /// Ends the join phase when everybody is there. An initial rebalance waits out its delay: the
  /// members that it is for are not known yet.
  mutating func completeJoinIfReady(_ outbox: inout Outbox) {
    guard state == .preparingRebalance, !isInitialRebalance, allHaveJoined else { return }
    completeJoin(&outbox)
  }

  /// The time to join is over, or in an initial rebalance a part of it is.
  mutating func joinDeadlinePassed(_ outbox: inout Outbox) {
    joinDeadline = nil
    guard state == .preparingRebalance else { return }
    guard isInitialRebalance, hasNewMember, initialRemainingMs > 0 else {
      completeJoin(&outbox)
      return
    }
    hasNewMember = false
    let delay = min(outbox.options.initialRebalanceDelayMs, initialRemainingMs)
    initialRemainingMs = max(initialRemainingMs - initialDelayMs, 0)
    initialDelayMs = delay
    scheduleJoin(after: delay, &outbox)
  }

  private mutating func completeJoin(_ outbox: inout Outbox) {
    outbox.deadlines.cancel(&joinDeadline)
    // Static members keep their place until their sessions end.
    for member in members.inOrder where member.heldJoin == nil && member.instanceID == nil {
      remove(member.id, .unknownMemberId, &outbox)
    }
    if members.isEmpty {
      beginGeneration(now: outbox.wall)
      record(assignments: [:], .none, &outbox)
      return
    }
    if leader.flatMap({ members[$0] })?.heldJoin == nil {
      guard let joined = members.inOrder.first(where: { $0.heldJoin != nil }) else {
        // Nobody came back. The sessions of the static members end one by one; until then the
        // generation has nobody to lead it.
        scheduleJoin(after: max(1, members.rebalanceTimeoutMsMax), &outbox)
        return
      }
      leader = joined.id
    }
    beginGeneration(now: outbox.wall)
    for member in members.inOrder {
      if let held = member.heldJoin { outbox.reply(held.token, .joinGroup(joined(member.id))) }
      members.update(member.id) {
        $0.heldJoin = nil
        $0.isNew = false
        $0.mustSync = true
      }
      renewSession(of: member.id, &outbox)
    }
    outbox.deadlines.schedule(
      &syncDeadline, at: outbox.time(after: members.rebalanceTimeoutMsMax), for: .sync(id))
  }

  private mutating func beginGeneration(now: Int64) {
    generation = generation == .max ? 1 : generation + 1
    isAssigning = false
    protocolName = members.isEmpty ? nil : members.electedProtocol
    // Each member was let in because it shares a protocol with all others.
    precondition(members.isEmpty || protocolName != nil, "group \(id) has no common protocol")
    leader = members.isEmpty ? nil : leader
    updateSubscribedTopics()
    enter(members.isEmpty ? .empty : .completingRebalance, now: now)
  }

  /// Members that never asked for their assignment would own partitions and read none.
  mutating func syncDeadlinePassed(_ outbox: inout Outbox) {
    syncDeadline = nil
    guard state == .completingRebalance || state == .stable, members.mustSyncCount > 0 else {
      return
    }
    for member in members.inOrder where member.mustSync {
      remove(member.id, .unknownMemberId, &outbox)
    }
    prepareRebalance(&outbox)
  }

  mutating func stopWaitingForSync(_ outbox: inout Outbox) {
    outbox.deadlines.cancel(&syncDeadline)
    guard members.mustSyncCount > 0 else { return }
    for member in members.inOrder where member.mustSync {
      members.update(member.id) { $0.mustSync = false }
    }
  }

  /// The topics that members of a consumer group name in their metadata. Version 0 is a prefix of
  /// all later ones.
  mutating func updateSubscribedTopics() {
    subscribedTopics = nil
    guard isConsumerGroup else { return }
    var topics: Set<ExactString> = []
    for member in members.inOrder {
      guard let subscribed = member.subscribedTopics(by: protocolName) else { return }
      topics.formUnion(subscribed)
    }
    subscribedTopics = topics
  }

  /// A topic counts as read while it is not known what the members of a consumer group read.
  func isSubscribed(to topic: ExactString) -> Bool {
    subscribedTopics?.contains(topic) ?? isConsumerGroup
  }
}

extension GroupMember {
  /// Nil where the metadata is no subscription of a consumer.
  func subscribedTopics(by name: ExactString?) -> Set<ExactString>? {
    do throws(WireError) {
      let subscription = try ConsumerProtocolSubscription.decode(embedded: metadata(of: name))
      return Set(subscription.topics.map(ExactString.init))
    } catch { return nil }
  }
}
