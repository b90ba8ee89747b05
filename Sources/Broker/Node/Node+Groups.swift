internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// The requests of consumer groups: handed to the coordinator, whose effects are carried out here.
extension Node {
  static let offsetsTopic = "__consumer_offsets"

  func joinGroup(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(JoinGroupRequest.self)
    step(.joinGroup(body, freshID: freshUUIDText()), request)
  }

  func syncGroup(_ request: Request) throws(WireError) {
    step(.syncGroup(try request.frame.decode(SyncGroupRequest.self)), request)
  }

  func heartbeat(_ request: Request) throws(WireError) {
    step(.heartbeat(try request.frame.decode(HeartbeatRequest.self)), request)
  }

  func leaveGroup(_ request: Request) throws(WireError) {
    step(.leaveGroup(try request.frame.decode(LeaveGroupRequest.self)), request)
  }

  func describeGroups(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(DescribeGroupsRequest.self)
    whenConfirmed(logs(ofGroups: body.groups)) { [unowned self] in
      step(.describeGroups(body), request)
    }
  }

  func listGroups(_ request: Request) throws(WireError) {
    step(.listGroups(try request.frame.decode(ListGroupsRequest.self)), request)
  }

  func deleteGroups(_ request: Request) throws(WireError) {
    step(.deleteGroups(try request.frame.decode(DeleteGroupsRequest.self)), request)
  }

  func offsetFetch(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(OffsetFetchRequest.self)
    let ids = request.version < 8 ? [body.groupId] : body.groups.map(\.groupId)
    whenConfirmed(logs(ofGroups: ids)) { [unowned self] in step(.offsetFetch(body), request) }
  }

  /// As with commits, partitions that are not there are answered here.
  func offsetDelete(_ request: Request) throws(WireError) {
    var body = try request.frame.decode(OffsetDeleteRequest.self)
    let asked = body.topics
    for index in body.topics.indices {
      let topic = topics[body.topics[index].name]
      body.topics[index].partitions.removeAll { topic?.has($0.partitionIndex) != true }
    }
    body.topics.removeAll { $0.partitions.isEmpty }
    let count = asked.reduce(0) { $0 + $1.partitions.count }
    guard body.topics.reduce(0, { $0 + $1.partitions.count }) < count else {
      step(.offsetDelete(body), request)
      return
    }
    // Reserved first: the coordinator may answer at once.
    let token = token(for: request)
    partialDeletions[token] = asked
    step(.offsetDelete(body), request, token)
  }

  private static func addUnknown(
    _ asked: [OffsetDeleteRequest.Topic], to response: inout OffsetDeleteResponse
  ) {
    guard response.errorCode == .none else { return }
    let answered = response.topics
    response.topics = asked.map { topic in
      let known = answered.filter { $0.name == topic.name }.flatMap(\.partitions)
      var whole = OffsetDeleteResponse.Topic()
      whole.name = topic.name
      whole.partitions = topic.partitions.map { partition in
        if let found = known.first(where: { $0.partitionIndex == partition.partitionIndex }) {
          return found
        }
        var unknown = OffsetDeleteResponse.Partition()
        unknown.partitionIndex = partition.partitionIndex
        unknown.errorCode = .unknownTopicOrPartition
        return unknown
      }
      return whole
    }
  }

  /// Offsets of topics that are not there are refused here: the coordinator does not know topics.
  func offsetCommit(_ request: Request) throws(WireError) {
    var body = try request.frame.decode(OffsetCommitRequest.self)
    let asked = body.topics
    for index in body.topics.indices {
      let topic = topics[body.topics[index].name]
      body.topics[index].partitions.removeAll { topic?.has($0.partitionIndex) != true }
    }
    body.topics.removeAll { $0.partitions.isEmpty }
    let isWhole = zip(asked, body.topics).allSatisfy { $0.partitions.count == $1.partitions.count }
    if isWhole, asked.count == body.topics.count {
      step(.offsetCommit(body), request)
    } else if body.topics.isEmpty, !asked.isEmpty {
      var none = OffsetCommitResponse()
      Self.addUnknown(asked, to: &none)
      reply(request, none)
    } else {
      // Reserved first: the coordinator may answer at once.
      let token = token(for: request)
      partialCommits[token] = asked
      step(.offsetCommit(body), request, token)
    }
  }

  /// Puts back the partitions that were not the coordinator's to answer.
  private static func addUnknown(
    _ asked: [OffsetCommitRequest.Topic], to response: inout OffsetCommitResponse
  ) {
    let answers = response.topics
    response.topics = asked.map { topic in
      // A topic may be there twice.
      let answered = answers.filter { $0.name == topic.name }.flatMap(\.partitions)
      var whole = OffsetCommitResponse.Topic()
      whole.name = topic.name
      whole.topicId = topic.topicId
      whole.partitions = topic.partitions.map { partition in
        if let found = answered.first(where: { $0.partitionIndex == partition.partitionIndex }) {
          return found
        }
        var unknown = OffsetCommitResponse.Partition()
        unknown.partitionIndex = partition.partitionIndex
        unknown.errorCode = .unknownTopicOrPartition
        return unknown
      }
      return whole
    }
  }

  private func step(_ body: GroupCoordinator.Request, _ request: Request) {
    step(body, request, token(for: request))
  }

  private func step(
    _ body: GroupCoordinator.Request, _ request: Request, _ token: ReplyToken
  ) {
    let source = RequestSource(
      token: token, version: request.version, clientID: request.clientId,
      clientHost: "/" + request.origin.clientHost)
    step(.request(body, from: source))
  }

  func step(_ input: GroupCoordinator.Input) {
    var effects: [GroupCoordinator.Effect] = []
    groups.step(input, now: time, into: &effects)
    for effect in effects {
      switch effect {
      case .reply(let token, let body): reply(token, body)
      case .append(let token, let records):
        guard let partition = topics[Self.offsetsTopic]?.partition(token.partition) else {
          fatalError("the coordinator is active for a partition that is not there")
        }
        append(
          records.map { LogRecord(key: $0.key, value: $0.value) }, to: partition.log, .group(token))
      }
    }
  }

  private func reply(_ token: ReplyToken, _ body: GroupCoordinator.Reply) {
    guard let request = replies.removeValue(forKey: token) else { return }
    switch body {
    case .joinGroup(let body): reply(request, body)
    case .syncGroup(let body): reply(request, body)
    case .heartbeat(let body): reply(request, body)
    case .leaveGroup(let body): reply(request, body)
    case .offsetCommit(var body):
      if let asked = partialCommits.removeValue(forKey: token) {
        Self.addUnknown(asked, to: &body)
      }
      reply(request, body)
    case .offsetFetch(let body): reply(request, body)
    case .offsetDelete(var body):
      if let asked = partialDeletions.removeValue(forKey: token) {
        Self.addUnknown(asked, to: &body)
      }
      reply(request, body)
    case .describeGroups(let body): reply(request, body)
    case .listGroups(let body): reply(request, body)
    case .deleteGroups(let body): reply(request, body)
    }
  }

  /// This node leads the partition: until its groups are loaded, they are told to wait.
  func loadGroups(_ index: Int32) {
    guard let partition = topics[Self.offsetsTopic]?.partition(index),
      let replica = replicas[partition.log]
    else { return }
    loadingGroups[partition.log] = LoadingGroups(
      partition: index, end: replica.raft.committed.offset)
    step(GroupCoordinator.Input.elected(partition: index))
    loadGroups(of: partition.log)
  }

  /// Reads a partition of the coordinator, once all that was committed before is on this node's
  /// disk. One that cannot be read stays loading: its groups are told to try again
  /// (COORDINATOR_LOAD_IN_PROGRESS), because an answer without its offsets would make consumers
  /// begin elsewhere.
  func loadGroups(of log: LogID) {
    guard let loading = loadingGroups[log], let bounds = try? store.bounds(of: log),
      bounds.readable >= loading.end || plants(.offsetsBeforeLoaded)
    else { return }
    loadingGroups[log] = nil
    if plants(.offsetsBeforeLoaded) { return step(.loaded(partition: loading.partition)) }
    let unreadableBefore = groups.unreadableRecordCount
    defer {
      let count = groups.unreadableRecordCount - unreadableBefore
      if count > 0 {
        tell("passed over \(count) records of \(Self.offsetsTopic) that cannot be read")
      }
    }
    let partition = loading.partition
    machineLogs[log] = MachineLog(kind: .offsets(partition: partition))
    do throws(LogError) {
      try readAll(log) { record throws(LogError) in
        step(.load(partition: partition, key: record.key ?? [], value: record.value))
      }
      step(.loaded(partition: partition))
    } catch {
      // Nothing of what was read may be taken for all there is.
      step(.elected(partition: partition))
      tell(
        "\(Self.offsetsTopic) partition \(partition) cannot be read (\(error)); its groups have no "
          + "coordinator until the node is started with the partition restored")
    }
  }
}

/// A partition of the offsets that is led here and not read yet.
struct LoadingGroups {
  let partition: Int32
  /// What was committed when this node came to lead it.
  let end: Offset
}
