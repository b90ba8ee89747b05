import KafkaWire

extension Group {
  mutating func join(
    _ request: JoinGroupRequest, freshID: String, from source: RequestSource,
    _ outbox: inout Outbox
  ) {
    let held = HeldRequest(source)
    let memberID = ExactString(request.memberId)
    if state == .dead {
      outbox.refuseJoin(held, .coordinatorNotAvailable, memberID: request.memberId)
    } else if !hasRoom(for: memberID, outbox.options) {
      // A member of a group that is too large is let go when it is the last to rejoin.
      remove(memberID, .groupMaxSizeReached, &outbox)
      outbox.refuseJoin(held, .groupMaxSizeReached, memberID: "")
      completeJoinIfReady(&outbox)
    } else if let error = check(request, outbox.options) {
      outbox.refuseJoin(held, error, memberID: request.memberId)
    } else if memberID.isEmpty {
      joinAnew(request, freshID: freshID, from: source, &outbox)
    } else if pendingMembers[memberID] != nil {
      guard request.groupInstanceId == nil else {
        // Only dynamic members are sent back for an id.
        outbox.refuseJoin(held, .invalidRequest, memberID: request.memberId)
        return
      }
      add(memberID, request, from: source, &outbox)
    } else if let error = checkMember(memberID, instanceID: request.groupInstanceId) {
      outbox.refuseJoin(held, error, memberID: request.memberId)
    } else {
      rejoin(memberID, request, held, &outbox)
    }
  }

  /// In a rebalance those that rejoined are counted, not those that may: a group above the limit,
  /// which may have been lowered, shrinks to it.
  private func hasRoom(for id: ExactString, _ options: GroupOptions) -> Bool {
    switch state {
    case .empty, .dead: true
    case .preparingRebalance:
      members[id]?.heldJoin != nil || members.heldJoinCount < options.membersMax
    case .completingRebalance, .stable:
      members[id] != nil || members.count < options.membersMax
    }
  }

  private func check(_ request: JoinGroupRequest, _ options: GroupOptions) -> ErrorCode? {
    guard request.protocols.count <= options.protocolsMax else {
      return .inconsistentGroupProtocol
    }
    guard request.protocols.reduce(0, { $0 + $1.metadata.count }) <= options.memberMetadataBytesMax
    else { return .messageTooLarge }
    let isSupported =
      if state == .empty {
        !request.protocolType.isEmpty && !request.protocols.isEmpty
      } else {
        protocolType.map(ExactString.init) == ExactString(request.protocolType)
          && request.protocols.contains { members.isOfferedByAll(ExactString($0.name)) }
      }
    return isSupported ? nil : .inconsistentGroupProtocol
  }

  private mutating func joinAnew(
    _ request: JoinGroupRequest, freshID: String, from source: RequestSource,
    _ outbox: inout Outbox
  ) {
    let prefixMax = outbox.options.memberIDPrefixBytesMax
    let prefix = (request.groupInstanceId ?? source.clientID).cut(toBytes: prefixMax)
    let memberID = ExactString(prefix + "-" + freshID)
    precondition(
      members[memberID] == nil && pendingMembers[memberID] == nil, "\(memberID) is not fresh")

    if let instanceID = request.groupInstanceId {
      if let old = members.id(ofInstance: ExactString(instanceID)) {
        replace(old, with: memberID, request, from: source, &outbox)
      } else {
        add(memberID, request, from: source, &outbox)
      }
    } else if source.version >= 4 {
      // The member learns its id before it counts (KIP-394): a client that times out and retries
      // would otherwise leave a dead member behind each time.
      guard pendingMembers.count < outbox.options.pendingMembersMax else {
        outbox.refuseJoin(HeldRequest(source), .groupMaxSizeReached, memberID: "")
        return
      }
      var ticket: Ticket?
      outbox.deadlines.schedule(
        &ticket, at: outbox.time(after: request.sessionTimeoutMs),
        for: .pendingMember(id, member: memberID))
      pendingMembers.updateValue(ticket, forKey: memberID)
      outbox.refuseJoin(HeldRequest(source), .memberIdRequired, memberID: memberID.text)
    } else {
      add(memberID, request, from: source, &outbox)
    }
  }

  private mutating func add(
    _ memberID: ExactString, _ request: JoinGroupRequest, from source: RequestSource,
    _ outbox: inout Outbox
  ) {
    if var ticket = pendingMembers.removeValue(forKey: memberID) {
      outbox.deadlines.cancel(&ticket)
    }
    if isInitialRebalance { hasNewMember = true }
    if members.isEmpty { protocolType = request.protocolType }
    if leader == nil { leader = memberID }

    var member = GroupMember(
      id: memberID, instanceID: request.groupInstanceId.map(ExactString.init),
      clientID: source.clientID, clientHost: source.clientHost, serial: nextSerial,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.effectiveRebalanceTimeoutMs,
      protocols: request.protocols.map(\.detached))
    member.heldJoin = HeldRequest(source)
    member.isNew = true
    nextSerial += 1
    members.insert(member)
    schedule(session: memberID, after: outbox.options.newMemberJoinTimeoutMs, &outbox)
    rebalance(&outbox)
  }

  private mutating func rejoin(
    _ memberID: ExactString, _ request: JoinGroupRequest, _ held: HeldRequest,
    _ outbox: inout Outbox
  ) {
    let isUnchanged = members[memberID]?.offersTheSame(request.protocols) == true
    let isSettled =
      switch state {
      // The response to its first JoinGroup may have been lost.
      case .completingRebalance: isUnchanged
      // The leader rejoins when something changed that no metadata shows, such as a topic's
      // partitions.
      case .stable: isUnchanged && memberID != leader
      case .preparingRebalance, .empty, .dead: false
      }
    if isSettled {
      outbox.reply(held.token, .joinGroup(joined(memberID)))
    } else {
      update(memberID, request, held, &outbox)
      rebalance(&outbox)
    }
  }

  /// Takes over what a member says of itself, and holds its request.
  mutating func update(
    _ memberID: ExactString, _ request: JoinGroupRequest, _ held: HeldRequest,
    _ outbox: inout Outbox
  ) {
    members.setProtocols(request.protocols.map(\.detached), of: memberID)
    let earlier = members.update(memberID) { member in
      member.sessionTimeoutMs = request.sessionTimeoutMs
      member.rebalanceTimeoutMs = request.effectiveRebalanceTimeoutMs
      let earlier = member.heldJoin
      member.heldJoin = held
      return earlier
    }
    // The client gave that one up and asks again. Should it wait for it after all, it learns that
    // the rebalance still goes on and joins once more.
    if let earlier = earlier.flatMap({ $0 }) {
      outbox.refuseJoin(earlier, .rebalanceInProgress, memberID: memberID.text)
    }
  }

  /// The current generation, as a member sees it. The leader sees all members.
  func joined(_ memberID: ExactString) -> JoinGroupResponse {
    var response = JoinGroupResponse()
    response.generationId = generation
    response.protocolType = protocolType
    response.protocolName = protocolName?.text ?? ""
    response.leader = leader?.text ?? ""
    response.memberId = memberID.text
    if memberID == leader {
      response.members = members.inOrder.map { member in
        var entry = JoinGroupResponse.Member()
        entry.memberId = member.id.text
        entry.groupInstanceId = member.instanceID?.text
        entry.metadata = member.metadata(of: protocolName)
        return entry
      }
    }
    return response
  }
}

extension JoinGroupRequest {
  /// Version 0 has no rebalance timeout of its own.
  var effectiveRebalanceTimeoutMs: Int32 {
    rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs
  }
}

extension JoinGroupRequest.GroupProtocol {
  /// A copy that does not keep the request's whole frame in memory.
  var detached: JoinGroupRequest.GroupProtocol {
    var copy = self
    copy.metadata = metadata.detached
    return copy
  }
}

extension ArraySlice<UInt8> {
  var detached: ArraySlice<UInt8> { ArraySlice(Array(self)) }
}

extension String {
  /// The longest prefix of whole scalars in so many bytes.
  func cut(toBytes count: Int) -> String {
    guard utf8.count > count else { return self }
    var end = utf8.index(startIndex, offsetBy: count)
    while end.samePosition(in: unicodeScalars) == nil { utf8.formIndex(before: &end) }
    return String(self[..<end])
  }
}
