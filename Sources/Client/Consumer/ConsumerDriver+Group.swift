internal import KafkaWire
internal import Platform

extension ConsumerDriver {
  private static let leaveMilliseconds: Int64 = 3000

  /// Does what the group's core wants done.
  func act() {
    while let effects = group?.takeEffects(), !effects.isEmpty {
      for effect in effects { act(effect) }
    }
  }

  private func act(_ effect: GroupMember.Effect) {
    guard let network else { return }
    switch effect {
    case .findCoordinator:
      coordinator = nil
      withCoordinator(network) { [weak self] result in
        self?.tell { $0.coordinatorFound(result.map { _ in () }, now: $1) }
      }
    case .join(let request):
      ask(request, network, waitMilliseconds: options.maxPollIntervalMilliseconds) {
        group, now, it in
        group.joined(it, now: now)
      }
    case .sync(let request):
      ask(request, network, waitMilliseconds: options.maxPollIntervalMilliseconds) {
        group, now, it in
        group.synced(it, now: now)
      }
    case .heartbeat(let request):
      ask(request, network, waitMilliseconds: 0) { group, now, it in
        group.heartbeatAnswered(it.map(\.errorCode), now: now)
      }
    case .leave(let request): leave(request, network) {}
    case .count(let topics): count(topics, network)
    case .revoke(let partitions, let isLost): revoke(partitions, isLost: isLost)
    case .assigned(_, let added): assigned(added)
    case .failed(let error): fail(error)
    }
  }

  /// Gives the core an answer, and does what follows.
  private func tell(_ body: (inout GroupMember, Int64) -> Void) {
    guard let network, var member = group else { return }
    body(&member, network.now)
    group = member
    act()
    network.turnAgain()
  }

  private func ask<R: WireRequest>(
    _ request: R, _ network: Network, waitMilliseconds: Int64,
    _ answered: @escaping (inout GroupMember, Int64, Result<R.Response, ClientError>) -> Void
  ) {
    guard let coordinator else {
      let error = ClientError(.disconnected, "the coordinator is not known")
      // Not from within the core's own effects.
      network.after(0) { [weak self] in self?.tell { answered(&$0, $1, .failure(error)) } }
      return
    }
    network.send(
      R.self, to: .node(coordinator), lane: groupLane, waitMilliseconds: waitMilliseconds,
      { version in R.carried(request, by: version) },
      { [weak self] result in self?.tell { answered(&$0, $1, result) } })
  }

  private func count(_ topics: [String], _ network: Network) {
    network.retry(until: network.now + network.options.requestTimeoutMilliseconds) { attempt in
      network.fetchMetadata(topics, attempt)
    } _: { [weak self] (result: Result<MetadataResponse, ClientError>) in
      let counts = result.map { response in
        Dictionary(
          response.topics.filter { $0.errorCode == .none }.map {
            ($0.name ?? "", Int32($0.partitions.count))
          }, uniquingKeysWith: { first, _ in first })
      }
      self?.tell { $0.counted(counts, now: $1) }
    }
  }

  // MARK: Partitions that come and go

  private func revoke(_ partitions: [TopicPartition], isLost: Bool) {
    let finish = { [weak self] in
      guard let self else { return }
      positions.remove(partitions)
      tell { $0.revoked(partitions, now: $1) }
    }
    let announce = { [weak self] in
      guard let self, let handler else { return finish() }
      let poster = network?.loop.poster
      let owned = LoopOwned(finish)
      handler(isLost ? .lost(partitions) : .revoked(partitions)) {
        poster?.post { owned.value() }
      }
    }
    guard !isLost, options.commitsAutomatically, group?.isMember ?? false else {
      return announce()
    }
    commitProcessed { _ in announce() }
  }

  private func assigned(_ added: [TopicPartition]) {
    positions.add(added, .committed)
    guard let handler else { return }
    handler(.assigned(added)) {}
  }

  // MARK: Leaving

  func leaveGroup(_ network: Network, _ completion: @escaping () -> Void) {
    guard group != nil else { return completion() }
    group?.leave()
    let effects = group?.takeEffects() ?? []
    for case .leave(let request) in effects {
      return leave(request, network, completion)
    }
    completion()
  }

  private func leave(
    _ request: LeaveGroupRequest, _ network: Network, _ completion: @escaping () -> Void
  ) {
    guard let coordinator else { return completion() }
    var isDone = false
    let finish = {
      guard !isDone else { return }
      isDone = true
      completion()
    }
    // Whoever leaves does not wait for a coordinator that does not answer. A connection of its own:
    // on the other a join may be waiting.
    network.after(Self.leaveMilliseconds, finish)
    network.send(
      LeaveGroupRequest.self, to: .node(coordinator),
      { LeaveGroupRequest.carried(request, by: $0) }, { _ in finish() })
  }
}

extension WireRequest {
  /// The request as a version can say it.
  fileprivate static func carried(_ request: Self, by version: Int16) -> Self {
    guard var leave = request as? LeaveGroupRequest, version < 3 else { return request }
    leave.memberId = leave.members.first?.memberId ?? ""
    leave.members = []
    return leave as? Self ?? request
  }
}
