import KafkaWire

// Staying in the group and leaving it.
extension Group {
  mutating func heartbeat(_ request: HeartbeatRequest, _ outbox: inout Outbox) -> ErrorCode {
    if state == .dead { return .coordinatorNotAvailable }
    let memberID = ExactString(request.memberId)
    if let error = checkMember(memberID, instanceID: request.groupInstanceId) { return error }
    if request.generationId != generation { return .illegalGeneration }
    renewSession(of: memberID, &outbox)
    return state == .preparingRebalance ? .rebalanceInProgress : .none
  }

  /// A batch of members; before version 3 a single one, whose outcome is the response's.
  mutating func leave(
    _ request: LeaveGroupRequest, version: Int16, _ outbox: inout Outbox
  ) -> LeaveGroupResponse {
    var response = LeaveGroupResponse()
    if state == .dead {
      response.errorCode = .coordinatorNotAvailable
      return response
    }
    var leaving = request.members
    if version < 3 {
      leaving = [LeaveGroupRequest.Member.with { $0.memberId = request.memberId }]
    }
    let countBefore = members.count
    for member in leaving {
      var outcome = LeaveGroupResponse.Member()
      outcome.memberId = member.memberId
      outcome.groupInstanceId = member.groupInstanceId
      outcome.errorCode = leave(member, &outbox)
      response.members.append(outcome)
    }
    // Who only had an id is missed by those that wait for everybody to join, and by no others.
    if members.count < countBefore { rebalance(&outbox) } else { completeJoinIfReady(&outbox) }
    if version < 3 {
      response.errorCode = response.members.first?.errorCode ?? .none
      response.members = []
    }
    return response
  }

  private mutating func leave(
    _ member: LeaveGroupRequest.Member, _ outbox: inout Outbox
  ) -> ErrorCode {
    var memberID = ExactString(member.memberId)
    if memberID.isEmpty {
      // An administrator knows the instance, not its current member id.
      guard let instanceID = member.groupInstanceId,
        let current = members.id(ofInstance: ExactString(instanceID))
      else { return .unknownMemberId }
      memberID = current
    } else if pendingMembers[memberID] == nil,
      let error = checkMember(memberID, instanceID: member.groupInstanceId)
    {
      return error
    }
    remove(memberID, .unknownMemberId, &outbox)
    return .none
  }

  mutating func sessionDeadlinePassed(_ memberID: ExactString, _ outbox: inout Outbox) {
    let isExcused = members.update(memberID) { member in
      member.session = nil
      return member.isExcused
    }
    // An excused member's session begins anew when its request is answered.
    guard isExcused == false else { return }
    remove(memberID, .unknownMemberId, &outbox)
    rebalance(&outbox)
  }

  mutating func pendingDeadlinePassed(_ memberID: ExactString, _ outbox: inout Outbox) {
    guard pendingMembers.removeValue(forKey: memberID) != nil else { return }
    // The others may have waited for nobody else.
    completeJoinIfReady(&outbox)
  }
}
