import KafkaWire

/// A static member that came back under a new id, while the record that says so is written.
struct StaticReplacement: Sendable {
  let generation: Int32
  let held: HeldRequest
  let newID: ExactString
  /// As it was, to go back to if the record cannot be written.
  let old: GroupMember
  let oldLeader: ExactString?
}

// Static members (KIP-345): a consumer that restarts within its session timeout gets its place and
// its assignment back, and the others do not notice.
extension Group {
  /// The instance joins without a member id: it has restarted, or somebody else claims its name.
  /// The new one wins; the old one is fenced wherever it still asks.
  mutating func replace(
    _ oldID: ExactString, with newID: ExactString, _ request: JoinGroupRequest,
    from source: RequestSource, _ outbox: inout Outbox
  ) {
    guard let old = members[oldID] else { return }
    let oldLeader = leader
    let wasLeader = oldLeader == oldID
    remove(oldID, fencing: oldID, &outbox)
    if wasLeader { leader = newID }

    var member = GroupMember(
      id: newID, instanceID: old.instanceID, clientID: source.clientID,
      clientHost: source.clientHost, serial: old.serial,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.effectiveRebalanceTimeoutMs,
      protocols: request.protocols.map(\.detached))
    member.assignment = old.assignment
    member.heldJoin = HeldRequest(source)
    members.insert(member)
    renewSession(of: newID, &outbox)

    guard state == .stable else {
      // The leader may have been shown the old id already: its assignments would miss the new one.
      if state == .completingRebalance { rebalance(&outbox) } else { completeJoinIfReady(&outbox) }
      return
    }
    // What follows from the metadata must not change behind the leader's back: neither the protocol
    // nor, where they can be read, the topics. (Kafka looks at the protocol only, and leaves topics
    // unread that the member subscribed to when it was restarted.)
    guard members.electedProtocol == protocolName,
      !isConsumerGroup
        || member.subscribedTopics(by: protocolName) == old.subscribedTopics(by: protocolName)
    else {
      rebalance(&outbox)
      return
    }
    var restored = old
    restored.heldJoin = nil
    restored.heldSync = nil
    restored.session = nil
    let replacement = StaticReplacement(
      generation: generation, held: HeldRequest(source), newID: newID, old: restored,
      oldLeader: oldLeader)
    record(assignments: currentAssignments, .staticMember(replacement), &outbox)
  }

  private mutating func remove(
    _ id: ExactString, fencing name: ExactString, _ outbox: inout Outbox
  ) {
    guard var member = members.remove(id) else { return }
    outbox.deadlines.cancel(&member.session)
    if let held = member.heldJoin {
      outbox.refuseJoin(held, .fencedInstanceId, memberID: name.text)
    }
    if let held = member.heldSync { outbox.refuseSync(held, .fencedInstanceId) }
  }

  /// The new id is in the log, or cannot be.
  mutating func finish(
    _ replacement: StaticReplacement, _ outcome: ErrorCode, _ outbox: inout Outbox
  ) {
    // A rebalance that began in the meantime answers the request, and records the new id itself. An
    // even newer incarnation has fenced it already.
    guard state == .stable, generation == replacement.generation,
      members[replacement.newID]?.heldJoin == replacement.held
    else { return }
    let held = replacement.held
    if outcome == .none {
      members.update(replacement.newID) { $0.heldJoin = nil }
      var response = joined(replacement.newID)
      if held.version >= 9 {
        response.skipAssignment = replacement.newID == leader
      } else {
        // A leader that took itself for one would assign anew, with nobody waiting for it
        // (KIP-814).
        response.members = []
        response.leader = replacement.oldLeader?.text ?? ""
      }
      outbox.reply(held.token, .joinGroup(response))
      renewSession(of: replacement.newID, &outbox)
    } else {
      remove(replacement.newID, outcome.asAnswer, &outbox)
      members.insert(replacement.old)
      leader = replacement.oldLeader
      renewSession(of: replacement.old.id, &outbox)
    }
  }
}
