import KafkaWire

// Requests of a group's members: what is checked before the group itself is asked.
extension GroupCoordinator {
  mutating func join(_ request: JoinGroupRequest, freshID: String, from source: RequestSource) {
    let id = ExactString(request.groupId)
    let held = HeldRequest(source)
    if id.isEmpty {
      outbox.refuseJoin(held, .invalidGroupId, memberID: request.memberId)
    } else if let error = unavailability(of: id) {
      outbox.refuseJoin(held, error, memberID: request.memberId)
    } else if request.sessionTimeoutMs < options.sessionTimeoutMsMin
      || request.sessionTimeoutMs > options.sessionTimeoutMsMax
    {
      outbox.refuseJoin(held, .invalidSessionTimeout, memberID: request.memberId)
    } else if !request.memberId.isEmpty && groups[id] == nil {
      // Whoever has a member id has it from a group that was there.
      outbox.refuseJoin(held, .unknownMemberId, memberID: request.memberId)
    } else if !ensure(id) {
      outbox.refuseJoin(held, .policyViolation, memberID: request.memberId)
    } else {
      update(id) { group, outbox in
        group.join(request, freshID: freshID, from: source, &outbox)
      }
    }
  }

  mutating func sync(_ request: SyncGroupRequest, from source: RequestSource) {
    let id = ExactString(request.groupId)
    let held = HeldRequest(source)
    if id.isEmpty {
      outbox.refuseSync(held, .invalidGroupId)
    } else if let error = unavailability(of: id) {
      outbox.refuseSync(held, error)
    } else if !update(id, { group, outbox in group.sync(request, from: source, &outbox) }) {
      outbox.refuseSync(held, .unknownMemberId)
    }
  }

  mutating func heartbeat(_ request: HeartbeatRequest) -> ErrorCode {
    let id = ExactString(request.groupId)
    if id.isEmpty { return .invalidGroupId }
    if let error = unavailability(of: id) {
      // The member may well be in the group that is being read: its session begins anew then.
      return error == .coordinatorLoadInProgress ? .none : error
    }
    var outcome = ErrorCode.unknownMemberId
    update(id) { group, outbox in outcome = group.heartbeat(request, &outbox) }
    return outcome
  }

  mutating func leave(_ request: LeaveGroupRequest, from source: RequestSource) {
    let id = ExactString(request.groupId)
    var response = LeaveGroupResponse()
    if id.isEmpty {
      response.errorCode = .invalidGroupId
    } else if let error = unavailability(of: id) {
      response.errorCode = error
    } else {
      let isKnown = update(id) { group, outbox in
        response = group.leave(request, version: source.version, &outbox)
      }
      if !isKnown, source.version < 3 {
        response.errorCode = .unknownMemberId
      } else if !isKnown {
        response.members = request.members.map { member in
          var outcome = LeaveGroupResponse.Member()
          outcome.memberId = member.memberId
          outcome.groupInstanceId = member.groupInstanceId
          outcome.errorCode = .unknownMemberId
          return outcome
        }
      }
    }
    outbox.reply(source.token, .leaveGroup(response))
  }
}
