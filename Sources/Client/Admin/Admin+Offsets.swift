internal import KafkaWire

extension Client {
  /// The offsets of a place in partitions: the beginning, the end, or a time. Partitions that have
  /// nothing at or after the time are left out.
  public func offsets(
    _ partitions: [TopicPartition], at target: Consumer.Target,
    isolation: Consumer.Isolation = .readUncommitted
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await asynchronously { offsets(partitions, at: target, isolation: isolation, $0.finish) }
  }

  /// As the other, with a completion.
  package func offsets(
    _ partitions: [TopicPartition], at target: Consumer.Target,
    isolation: Consumer.Isolation = .readUncommitted,
    _ completion: @escaping @Sendable (Result<[TopicPartition: Int64], ClientError>) -> Void
  ) {
    let wanted = Dictionary(
      partitions.map { ($0, target.timestamp) }, uniquingKeysWith: { first, _ in first })
    list(wanted, isolation, completion)
  }

  /// The first offsets with those timestamps or later ones (milliseconds since 1970); partitions
  /// that have none are left out.
  public func offsets(
    forTimes times: [TopicPartition: Int64]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await asynchronously { list(times, .readUncommitted, $0.finish) }
  }

  private func list(
    _ wanted: [TopicPartition: Int64], _ isolation: Consumer.Isolation,
    _ completion: @escaping @Sendable (Result<[TopicPartition: Int64], ClientError>) -> Void
  ) {
    let operation = Operation<[TopicPartition: Int64]>()
    operation.onCompletion(completion)
    perform(operation) { [options] network in
      network.listOffsets(
        wanted, isolationLevel: isolation.rawValue,
        until: network.now + options.requestTimeoutMilliseconds
      ) { result in
        operation.complete(
          result.map { found in found.mapValues(\.offset).filter { $0.value >= 0 } })
      }
    }
  }

  /// Removes the records before the given offsets (-1: all there are). Returns the first offsets
  /// that are left.
  public func deleteRecords(
    before offsets: [TopicPartition: Int64]
  ) async throws(ClientError) -> Outcomes<TopicPartition, Int64> {
    try await asynchronously { deleteRecords(before: offsets, $0.finish) }
  }

  /// As the other, with a completion.
  package func deleteRecords(
    before offsets: [TopicPartition: Int64],
    _ completion: @escaping @Sendable (Result<Outcomes<TopicPartition, Int64>, ClientError>) -> Void
  ) {
    let operation = Operation<Outcomes<TopicPartition, Int64>>()
    operation.onCompletion(completion)
    perform(operation) { network in
      network.byLeader(offsets.keys.sorted()) { result in
        guard case .success(let leaders) = result else {
          operation.complete(result.map { _ in [:] })
          return
        }
        var outcomes: Outcomes<TopicPartition, Int64> = [:]
        var open = leaders.count
        if open == 0 { operation.complete(.success([:])) }
        for (node, partitions) in leaders {
          network.send(Self.deleteRecords(partitions, offsets), to: .node(node)) { result in
            outcomes.merge(Self.deleted(partitions, result)) { _, new in new }
            open -= 1
            if open == 0 { operation.complete(.success(outcomes)) }
          }
        }
      }
    }
  }

  private static func deleteRecords(
    _ partitions: [TopicPartition], _ offsets: [TopicPartition: Int64]
  ) -> DeleteRecordsRequest {
    var request = DeleteRecordsRequest()
    request.timeoutMs = 30_000
    request.topics = partitions.byTopic { name, numbers in
      var topic = DeleteRecordsRequest.Topic()
      topic.name = name
      topic.partitions = numbers.map { number in
        var partition = DeleteRecordsRequest.Partition()
        partition.partitionIndex = number
        partition.offset = offsets[TopicPartition(name, number)] ?? -1
        return partition
      }
      return topic
    }
    return request
  }

  private static func deleted(
    _ partitions: [TopicPartition], _ result: Result<DeleteRecordsResponse, ClientError>
  ) -> Outcomes<TopicPartition, Int64> {
    switch result {
    case .failure(let error):
      return Dictionary(uniqueKeysWithValues: partitions.map { ($0, .failure(error)) })
    case .success(let response):
      var outcomes: Outcomes<TopicPartition, Int64> = [:]
      for topic in response.topics {
        for answer in topic.partitions {
          let partition = TopicPartition(topic.name, answer.partitionIndex)
          outcomes[partition] =
            answer.errorCode == .none
            ? .success(answer.lowWatermark)
            : .failure(ClientError(answer.errorCode, "deleting records of \(partition)"))
        }
      }
      return outcomes
    }
  }
}
