import KafkaWire

/// A DeleteGroups request while its tombstones are being written.
struct GroupDeletion: Sendable {
  var response: DeleteGroupsResponse
  /// Groups whose deletion is not decided yet.
  var waitingCount: Int
}

// What administrators ask for.
extension GroupCoordinator {
  mutating func describe(_ request: DescribeGroupsRequest, from source: RequestSource) {
    var response = DescribeGroupsResponse()
    response.groups = request.groups.map { name in
      var group = described(name, version: source.version)
      if request.includeAuthorizedOperations, group.errorCode == .none {
        group.authorizedOperations = Self.allOperations
      }
      return group
    }
    outbox.reply(source.token, .describeGroups(response))
  }

  /// Without authorization everybody may do everything that there is to do with a group: read,
  /// delete, describe, describe and alter its configuration, by the bits of KIP-430.
  private static let allOperations: Int32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11

  private func described(_ groupID: String, version: Int16) -> DescribeGroupsResponse.Group {
    let id = ExactString(groupID)
    var entry = DescribeGroupsResponse.Group()
    entry.groupId = groupID
    if let error = unavailability(of: id) {
      entry.errorCode = error
      return entry
    }
    guard let group = groups[id], group.state != .dead else {
      entry.groupState = Group.State.dead.rawValue
      // Before version 6 a group that is not there is one without members.
      if version >= 6 {
        entry.errorCode = .groupIdNotFound
        entry.errorMessage = "Group \(groupID) not found."
      }
      return entry
    }
    let isStable = group.state == .stable
    entry.groupState = group.state.rawValue
    entry.protocolType = group.protocolType ?? ""
    entry.protocolData = isStable ? group.protocolName?.text ?? "" : ""
    entry.members = group.members.inOrder.map { member in
      var described = DescribeGroupsResponse.Member()
      described.memberId = member.id.text
      described.groupInstanceId = member.instanceID?.text
      described.clientId = member.clientID
      described.clientHost = member.clientHost
      described.memberMetadata = isStable ? member.metadata(of: group.protocolName) : []
      described.memberAssignment = member.assignment
      return described
    }
    return entry
  }

  /// All or nothing: a list without the groups of a partition that is still being read would look
  /// complete.
  mutating func list(_ request: ListGroupsRequest, from source: RequestSource) {
    var response = ListGroupsResponse()
    let isLoading = partitions.contains { if case .loading = $0 { true } else { false } }
    if isLoading {
      response.errorCode = .coordinatorLoadInProgress
    } else {
      let states = request.statesFilter.map { $0.lowercased() }
      let types = request.typesFilter.map { $0.lowercased() }
      let listed = groups.values.filter { group in
        (states.isEmpty || states.contains(group.state.rawValue.lowercased()))
          && (types.isEmpty || types.contains("classic"))
      }
      response.groups = listed.sorted { $0.id < $1.id }.map { group in
        var entry = ListGroupsResponse.Group()
        entry.groupId = group.id.text
        entry.protocolType = group.protocolType ?? ""
        entry.groupState = group.state.rawValue
        entry.groupType = "classic"
        return entry
      }
    }
    outbox.reply(source.token, .listGroups(response))
  }

  /// Answered when the last of the tombstones is committed.
  mutating func delete(_ request: DeleteGroupsRequest, from source: RequestSource) {
    var deletion = GroupDeletion(response: DeleteGroupsResponse(), waitingCount: 0)
    var seen: Set<ExactString> = []
    for groupID in request.groupsNames {
      let id = ExactString(groupID)
      guard seen.insert(id).inserted else { continue }
      var entry = DeleteGroupsResponse.Group()
      entry.groupId = groupID
      if let error = obstacle(toDeleting: id) {
        entry.errorCode = error
      } else {
        deletion.waitingCount += 1
        update(id) { group, outbox in group.delete(source.token, &outbox) }
      }
      deletion.response.results.append(entry)
    }
    if deletion.waitingCount == 0 {
      outbox.reply(source.token, .deleteGroups(deletion.response))
    } else {
      deletions[source.token] = deletion
    }
  }

  private func obstacle(toDeleting id: ExactString) -> ErrorCode? {
    if let error = unavailability(of: id) { return error }
    guard let group = groups[id], group.state != .dead else { return .groupIdNotFound }
    if group.state != .empty { return .nonEmptyGroup }
    return outbox.isOverloaded ? .coordinatorLoadInProgress : nil
  }

  /// The tombstones are in the log, or cannot be; then the group is as empty as it was.
  mutating func finishDeletion(
    of id: ExactString, _ outcome: ErrorCode, _ token: ReplyToken?
  ) {
    if outcome == .none {
      drop(id)
    } else {
      update(id) { group, outbox in
        let since = group.stateSince
        group.enter(.empty, now: since)
      }
    }
    guard let token, var deletion = deletions[token] else { return }
    for index in deletion.response.results.indices
    where ExactString(deletion.response.results[index].groupId) == id {
      deletion.response.results[index].errorCode = outcome.asAnswer
    }
    deletion.waitingCount -= 1
    if deletion.waitingCount == 0 {
      deletions[token] = nil
      outbox.reply(token, .deleteGroups(deletion.response))
    } else {
      deletions[token] = deletion
    }
  }
}
