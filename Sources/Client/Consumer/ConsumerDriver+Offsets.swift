internal import KafkaWire
internal import Platform

extension ConsumerDriver {
  private static let retryMilliseconds: Int64 = 100
  private static let offsetMilliseconds: Int64 = 30_000

  // MARK: Where to begin

  /// Asks for the offsets of partitions that have none yet.
  func findOffsets(_ network: Network) {
    var committed: [TopicPartition] = []
    var times: [TopicPartition: Int64] = [:]
    for partition in positions.order {
      guard let state = positions[partition], let pending = state.pending, !state.isAsking,
        state.retryAt <= network.now
      else { continue }
      switch pending {
      case .committed: committed.append(partition)
      case .target(let target): times[partition] = target.timestamp
      case .policy:
        switch options.autoOffsetReset {
        case .earliest: times[partition] = -2
        case .latest: times[partition] = -1
        case .none:
          // Whoever has not polled yet may still seek. Said once; a seek mends it.
          guard poller != nil else { continue }
          positions.update(partition) { $0.isAsking = true }
          fail(
            ClientError(
              .noOffset, "\(partition) has no offset to begin with; seek, or set a reset policy"))
        }
      }
    }
    if !committed.isEmpty, !isOffsetFetchOpen { findCommitted(committed, network) }
    if !times.isEmpty { findPlaces(times, network) }
  }

  private func findPlaces(_ times: [TopicPartition: Int64], _ network: Network) {
    var turns: [TopicPartition: Int] = [:]
    for partition in times.keys {
      turns[partition] = positions[partition]?.turn
      positions.update(partition) { $0.isAsking = true }
    }
    network.listOffsets(
      times, isolationLevel: options.isolation.rawValue,
      until: network.now + Self.offsetMilliseconds
    ) { [weak self] result in
      guard let self, let network = self.network else { return }
      if case .failure(let error) = result, !error.isRetriable { fail(error) }
      let found = try? result.get()
      for partition in times.keys.sorted() {
        guard let state = positions[partition], state.turn == turns[partition], state.isAsking
        else { continue }
        if let place = found?[partition], place.offset >= 0 {
          positions.place(partition, at: place.offset)
          continue
        }
        positions.update(partition) {
          $0.isAsking = false
          $0.retryAt = network.now + Self.retryMilliseconds
          // A time after the last record: the end.
          if found != nil, times[partition] ?? -1 >= 0 { $0.pending = .target(.end) }
        }
      }
    }
  }

  private func findCommitted(_ partitions: [TopicPartition], _ network: Network) {
    isOffsetFetchOpen = true
    var turns: [TopicPartition: Int] = [:]
    for partition in partitions { turns[partition] = positions[partition]?.turn }
    let name = options.groupID ?? ""
    withCoordinator(network) { [weak self] found in
      guard let self else { return }
      guard case .success(let node) = found else {
        return tookCommitted(turns, found.flatMap { _ in .failure(.closed) })
      }
      network.send(
        OffsetFetchRequest.self, to: .node(node),
        { .committed(of: name, partitions, version: $0) },
        { [weak self] result in
          self?.tookCommitted(turns, result.flatMap { $0.offsets(of: name) })
        })
    }
  }

  private func tookCommitted(
    _ turns: [TopicPartition: Int], _ result: Result<[TopicPartition: Int64], ClientError>
  ) {
    isOffsetFetchOpen = false
    guard let network else { return }
    switch result {
    case .success(let offsets):
      for (partition, turn) in turns {
        guard let state = positions[partition], state.turn == turn, state.pending == .committed
        else { continue }
        if let offset = offsets[partition] {
          positions.place(partition, at: offset)
        } else {
          positions.update(partition) { $0.pending = .policy }
        }
      }
    case .failure(let error):
      if error.isRetriable { forgetCoordinator(error) } else { fail(error) }
      for partition in turns.keys {
        positions.update(partition) { $0.retryAt = network.now + Self.retryMilliseconds }
      }
    }
    network.turnAgain()
  }

  // MARK: The coordinator

  func withCoordinator(
    _ network: Network, _ completion: @escaping (Result<Int32, ClientError>) -> Void
  ) {
    if let coordinator { return completion(.success(coordinator)) }
    network.findCoordinator(of: options.groupID ?? "", type: .group) { [weak self] result in
      if case .success(let node) = result { self?.coordinator = node }
      completion(result)
    }
  }

  func forgetCoordinator(_ error: ClientError) {
    if error.brokerCode != .coordinatorLoadInProgress { coordinator = nil }
  }

  // MARK: Commits

  func commit(
    _ offsets: [TopicPartition: Int64]?,
    _ completion: @escaping (Result<Void, ClientError>) -> Void
  ) {
    guard let network else { return completion(.failure(.closed)) }
    guard let name = options.groupID else {
      return completion(
        .failure(ClientError(.invalidArgument, "committing needs a group id; set one")))
    }
    var wanted = offsets ?? [:]
    if offsets == nil {
      // Who says so has processed it: an automatic commit is not to go back behind it.
      positions.processed()
      for partition in positions.order {
        if let position = positions[partition]?.position { wanted[partition] = position }
      }
    }
    guard !wanted.isEmpty else { return completion(.success(())) }
    if let group, !group.isMember {
      let why = "group \(name) has gone on without this consumer; poll to join again"
      return completion(.failure(ClientError(.rebalanced, why)))
    }
    let request = OffsetCommitRequest.commit(
      group: name, generation: group?.generation ?? -1, memberID: group?.memberID ?? "",
      instanceID: group == nil ? nil : options.groupInstanceID, wanted)
    commitsWaiting.append((request, completion))
    if commitsWaiting.count == 1 { sendCommit(network) }
  }

  /// Commits leave one after another: one that is tried again would overwrite those behind it.
  private func sendCommit(_ network: Network) {
    guard let (request, completion) = commitsWaiting.first else { return }
    network.retry(until: network.now + Self.offsetMilliseconds) { [weak self] attempt in
      guard let self else { return attempt(.failure(.closed)) }
      withCoordinator(network) { [weak self] found in
        guard let self, case .success(let node) = found else {
          return attempt(found.flatMap { _ in .failure(.closed) })
        }
        network.send(request, to: .node(node)) { [weak self] result in
          guard let self else { return attempt(.failure(.closed)) }
          attempt(committed(result))
        }
      }
    } _: { [weak self] (result: Result<Void, ClientError>) in
      completion(result)
      self?.commitsWaiting.removeFirst()
      self?.sendCommit(network)
    }
  }

  private func committed(
    _ result: Result<OffsetCommitResponse, ClientError>
  ) -> Result<Void, ClientError> {
    switch result {
    case .failure(let error):
      forgetCoordinator(error)
      return .failure(error)
    case .success(let response):
      let codes = response.topics.flatMap { $0.partitions.map(\.errorCode) }
      guard let code = codes.first(where: { $0 != .none }) else { return .success(()) }
      switch code {
      case .illegalGeneration, .unknownMemberId, .rebalanceInProgress:
        group?.commitRefused(code, now: network?.now ?? 0)
        let why = "the commit came too late: the group is in its next generation (\(code))"
        // Retrying would not help: it is a new generation that must be joined first.
        return .failure(ClientError(.broker(code.rawValue), why))
      default:
        let error = ClientError(code, "committing offsets of \(options.groupID ?? "")")
        if error.isRetriable { forgetCoordinator(error) }
        return .failure(error)
      }
    }
  }

  /// Commits what has been processed.
  func commitProcessed(_ completion: @escaping (Result<Void, ClientError>) -> Void) {
    var offsets: [TopicPartition: Int64] = [:]
    for partition in positions.order {
      guard let state = positions[partition], state.pending == nil else { continue }
      if let processed = state.processed { offsets[partition] = processed }
    }
    commit(offsets, completion)
  }

  func autoCommit(_ now: Int64) {
    nextAutoCommit = now + options.autoCommitMilliseconds
    guard options.groupID != nil, !isCommitOpen, group?.isMember ?? true else { return }
    isCommitOpen = true
    // What fails is committed with the next, or was rebalanced away.
    commitProcessed { [weak self] _ in self?.isCommitOpen = false }
  }
}

extension Consumer.Target {
  /// As ListOffsets has it.
  var timestamp: Int64 {
    switch self {
    case .offset: -1
    case .beginning: -2
    case .end: -1
    case .time(let milliseconds): max(0, milliseconds)
    }
  }
}
