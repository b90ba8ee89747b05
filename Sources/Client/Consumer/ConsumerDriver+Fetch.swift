internal import KafkaWire
internal import Platform

extension ConsumerDriver {
  private static let retryMilliseconds: Int64 = 50

  /// Sends a fetch to every node that has none and leads partitions that may be fetched.
  ///
  /// A fetch that finds nothing waits at the broker, and a connection answers in order. Partitions
  /// that come to be fetched meanwhile and have more, because what was read ahead of them is used
  /// up or because of a seek, go over a connection of their own, without waiting there.
  func fetch(_ network: Network, _ now: Int64) {
    var byNode: [Int32: [TopicPartition]] = [:]
    var promptly: [Int32: [TopicPartition]] = [:]
    for partition in positions.fetchable(now) {
      guard let leader = network.metadata.cluster.leader(of: partition) else {
        network.metadata.refresh()
        positions.update(partition) { $0.retryAt = now + Self.retryMilliseconds }
        continue
      }
      if !fetching.contains(leader) {
        byNode[leader, default: []].append(partition)
      } else if !fetchingPromptly.contains(leader), positions[partition]?.isAtEnd == false {
        promptly[leader, default: []].append(partition)
      }
    }
    for node in byNode.keys.sorted() { fetch(byNode[node] ?? [], from: node, waits: true, network) }
    for node in promptly.keys.sorted() {
      fetch(promptly[node] ?? [], from: node, waits: false, network)
    }
  }

  private func fetch(
    _ partitions: [TopicPartition], from node: Int32, waits: Bool, _ network: Network
  ) {
    let cluster = network.metadata.cluster
    var turns: [TopicPartition: Int] = [:]
    var request = FetchRequest()
    request.maxWaitMs = waits ? options.fetchWaitMilliseconds : 0
    request.minBytes = waits ? options.fetchBytesMin : 0
    request.maxBytes = options.fetchBytesMax
    request.isolationLevel = options.isolation.rawValue
    for partition in partitions {
      guard let state = positions[partition] else { continue }
      turns[partition] = state.turn
      positions.update(partition) { $0.isFetching = true }
      var wanted = FetchRequest.Partition()
      wanted.partition = partition.partition
      wanted.fetchOffset = state.fetchOffset
      wanted.currentLeaderEpoch = cluster.partition(partition)?.leaderEpoch ?? -1
      wanted.lastFetchedEpoch = state.lastEpoch
      wanted.partitionMaxBytes = options.partitionFetchBytesMax
      // In the order of the polls, which may name a topic twice: that is allowed here.
      if let last = request.topics.indices.last, request.topics[last].topic == partition.topic {
        request.topics[last].partitions.append(wanted)
        continue
      }
      var topic = FetchRequest.Topic()
      topic.topic = partition.topic
      topic.partitions = [wanted]
      request.topics.append(topic)
    }
    if waits { fetching.insert(node) } else { fetchingPromptly.insert(node) }
    network.send(
      FetchRequest.self, to: .node(node), lane: waits ? fetchLane : promptLane,
      waitMilliseconds: Int64(request.maxWaitMs),
      { version in
        var request = request
        // Before version 12 nobody compares epochs of what was fetched.
        if version < 12 {
          for topic in request.topics.indices {
            for partition in request.topics[topic].partitions.indices {
              request.topics[topic].partitions[partition].lastFetchedEpoch = -1
            }
          }
        }
        return request
      },
      { [weak self] result in
        guard let self else { return }
        if waits { fetching.remove(node) } else { fetchingPromptly.remove(node) }
        fetched(turns, result, waited: waits)
      })
  }

  private func fetched(
    _ turns: [TopicPartition: Int], _ result: Result<FetchResponse, ClientError>, waited: Bool
  ) {
    guard let network else { return }
    for (partition, turn) in turns {
      positions.update(partition) { if $0.turn == turn { $0.isFetching = false } }
    }
    var answered = Set<TopicPartition>()
    switch result {
    case .failure(let error) where error.code == .unsupportedVersion: fail(error)
    case .failure: network.metadata.refresh()
    case .success(let response):
      for topic in response.responses {
        for answer in topic.partitions {
          let partition = TopicPartition(topic.topic, answer.partitionIndex)
          guard let turn = turns[partition], positions[partition]?.turn == turn else { continue }
          answered.insert(partition)
          take(answer, partition, turn, network)
          // A broker that has more and gives nothing is not asked again and again.
          if !waited, (answer.records?.count ?? 0) == 0 { rest(partition, turn, network) }
        }
      }
    }
    for partition in turns.keys where !answered.contains(partition) {
      positions.update(partition) {
        if $0.turn == turns[partition] { $0.retryAt = network.now + Self.retryMilliseconds }
      }
    }
  }

  private func rest(_ partition: TopicPartition, _ turn: Int, _ network: Network) {
    positions.update(partition) {
      guard $0.turn == turn, $0.retryAt <= network.now else { return }
      $0.retryAt = network.now + Self.retryMilliseconds
    }
  }

  private func take(
    _ answer: FetchResponse.Partition, _ partition: TopicPartition, _ turn: Int, _ network: Network
  ) {
    switch answer.errorCode {
    case .none:
      network.served(partition)
      if answer.divergingEpoch.endOffset >= 0 {
        return diverged(partition, answer.divergingEpoch.endOffset)
      }
      do throws(ClientError) {
        try positions.fetched(partition, turn: turn, answer)
      } catch {
        positions.update(partition) { $0.retryAt = network.now + 10 * Self.retryMilliseconds }
        fail(error)
      }
    case .offsetOutOfRange:
      // What was fetched before is returned first; the position then is where nothing is.
      if positions[partition]?.position == positions[partition]?.fetchOffset {
        positions.update(partition) {
          $0.position = nil
          $0.pending = .policy
        }
      } else {
        positions.update(partition) { $0.retryAt = network.now + Self.retryMilliseconds }
      }
    default:
      positions.update(partition) { $0.retryAt = network.now + Self.retryMilliseconds }
      if answer.errorCode.isRetriable || answer.errorCode == .unknownTopicOrPartition {
        network.metadata.refresh()
        network.refused(partition, answer.errorCode, "Reading")
      } else {
        fail(ClientError(answer.errorCode, "reading \(partition)"))
      }
    }
  }

  /// The log was cut behind this consumer's back: what it read from there on is no more (KIP-320).
  private func diverged(_ partition: TopicPartition, _ end: Int64) {
    guard options.autoOffsetReset != .none else {
      let why = "\(partition) was truncated to \(end) after it was read further; seek to go on"
      positions.update(partition) {
        $0.pending = nil
        $0.position = nil
      }
      return fail(ClientError(.noOffset, why))
    }
    positions.place(partition, at: end)
  }
}
