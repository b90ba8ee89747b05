import KafkaWire

extension Group {
  mutating func sync(
    _ request: SyncGroupRequest, from source: RequestSource, _ outbox: inout Outbox
  ) {
    let held = HeldRequest(source)
    let memberID = ExactString(request.memberId)
    if let error = check(request, memberID, outbox.options) {
      outbox.refuseSync(held, error)
      return
    }
    switch state {
    case .empty: outbox.refuseSync(held, .unknownMemberId)
    case .dead: outbox.refuseSync(held, .coordinatorNotAvailable)
    case .preparingRebalance: outbox.refuseSync(held, .rebalanceInProgress)
    case .completingRebalance:
      let earlier = members.update(memberID) { member in
        let earlier = member.heldSync
        member.heldSync = held
        return earlier
      }
      // Asked twice: who still waits for the first answer is told to join again.
      if let earlier = earlier.flatMap({ $0 }) {
        outbox.refuseSync(earlier, .rebalanceInProgress)
      }
      noteSync(of: memberID, &outbox)
      // The first assignments of a generation stand: they may be in the log already.
      if memberID == leader, !isAssigning { assign(request.assignments, &outbox) }
    case .stable:
      noteSync(of: memberID, &outbox)
      outbox.reply(held.token, .syncGroup(assigned(memberID)))
    }
  }

  private func check(
    _ request: SyncGroupRequest, _ memberID: ExactString, _ options: GroupOptions
  ) -> ErrorCode? {
    if state == .dead || state == .empty { return nil }
    if let error = checkMember(memberID, instanceID: request.groupInstanceId) { return error }
    if request.generationId != generation { return .illegalGeneration }
    if let type = request.protocolType,
      ExactString(type) != protocolType.map(ExactString.init)
    {
      return .inconsistentGroupProtocol
    }
    if let name = request.protocolName, ExactString(name) != protocolName {
      return .inconsistentGroupProtocol
    }
    let bytes = request.assignments.reduce(0) { $0 + $1.assignment.count }
    return bytes > options.assignmentsBytesMax ? .messageTooLarge : nil
  }

  private mutating func noteSync(of memberID: ExactString, _ outbox: inout Outbox) {
    members.update(memberID) { $0.mustSync = false }
    if members.mustSyncCount == 0 { outbox.deadlines.cancel(&syncDeadline) }
  }

  /// Writes the generation to the log. Members learn their assignments when it is committed: a
  /// coordinator that takes over must not know less than they do.
  private mutating func assign(
    _ assignments: [SyncGroupRequest.Assignment], _ outbox: inout Outbox
  ) {
    var byMember: [ExactString: ArraySlice<UInt8>] = [:]
    for assignment in assignments {
      let memberID = ExactString(assignment.memberId)
      if members[memberID] != nil { byMember[memberID] = assignment.assignment.detached }
    }
    isAssigning = true
    record(
      assignments: byMember, .assignments(generation: generation, byMember), &outbox)
  }

  /// The assignments of a generation are in the log, or cannot be.
  mutating func finishAssigning(
    generation: Int32, _ assignments: [ExactString: ArraySlice<UInt8>], _ outcome: ErrorCode,
    _ outbox: inout Outbox
  ) {
    // Otherwise a rebalance began in the meantime, and nobody waits for these any more.
    guard state == .completingRebalance, self.generation == generation, isAssigning else { return }
    isAssigning = false
    guard outcome == .none else {
      abandonAssignments(outcome.asAnswer, &outbox)
      rebalance(&outbox)
      return
    }
    enter(.stable, now: outbox.wall)
    for member in members.inOrder {
      members.update(member.id) { $0.assignment = assignments[member.id] ?? [] }
      answerSync(of: member.id, &outbox)
    }
  }

  private mutating func answerSync(of memberID: ExactString, _ outbox: inout Outbox) {
    guard let held = members[memberID]?.heldSync else { return }
    members.update(memberID) { $0.heldSync = nil }
    outbox.reply(held.token, .syncGroup(assigned(memberID)))
    // It may have passed, excused, while the member waited.
    renewSession(of: memberID, &outbox)
  }

  /// No assignments will come for this generation: whoever waits for them is told.
  mutating func abandonAssignments(_ error: ErrorCode, _ outbox: inout Outbox) {
    isAssigning = false
    for member in members.inOrder {
      members.update(member.id) {
        $0.assignment = []
        $0.heldSync = nil
      }
      if let held = member.heldSync {
        outbox.refuseSync(held, error)
        renewSession(of: member.id, &outbox)
      }
    }
  }

  private func assigned(_ memberID: ExactString) -> SyncGroupResponse {
    var response = SyncGroupResponse()
    response.protocolType = protocolType
    response.protocolName = protocolName?.text
    response.assignment = members[memberID]?.assignment ?? []
    return response
  }
}
