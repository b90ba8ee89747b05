internal import KafkaWire
internal import Records

extension Network {
  /// What a broker says of a place in a partition.
  struct FoundOffset {
    /// -1 where there is none.
    var offset: Int64
    var timestamp: Int64
    var leaderEpoch: Int32
  }

  /// Asks leaders for offsets: of the first record at or after a time, or of a place: -1 end, -2
  /// start, -3 the largest timestamp. Answers for every partition or fails.
  func listOffsets(
    _ wanted: [TopicPartition: Int64], isolationLevel: Int8 = 0, until deadline: Int64,
    _ completion: @escaping (Result<[TopicPartition: FoundOffset], ClientError>) -> Void
  ) {
    var found: [TopicPartition: FoundOffset] = [:]
    retry(until: deadline) { [weak self] (attempt: @escaping (Result<Void, ClientError>) -> Void) in
      guard let self else { return attempt(.failure(.closed)) }
      let left = wanted.filter { found[$0.key] == nil }
      byLeader(left.keys.sorted()) { [weak self] result in
        guard let self else { return attempt(.failure(.closed)) }
        switch result {
        case .failure(let error): attempt(.failure(error))
        case .success(let leaders):
          var open = leaders.count
          var failure: ClientError?
          guard open > 0 else { return attempt(.success(())) }
          for (node, partitions) in leaders {
            let request = Self.listOffsets(partitions, wanted, isolationLevel)
            self.send(request, to: .node(node)) { result in
              let error = Self.take(result, into: &found)
              failure = failure ?? error
              open -= 1
              if open == 0 { attempt(failure.map { .failure($0) } ?? .success(())) }
            }
          }
        }
      }
    } _: { result in
      completion(result.map { found })
    }
  }

  private static func listOffsets(
    _ partitions: [TopicPartition], _ wanted: [TopicPartition: Int64], _ isolationLevel: Int8
  ) -> ListOffsetsRequest {
    var request = ListOffsetsRequest()
    request.replicaId = -1
    request.isolationLevel = isolationLevel
    request.topics = partitions.byTopic { name, numbers in
      var topic = ListOffsetsRequest.Topic()
      topic.name = name
      topic.partitions = numbers.map { number in
        var partition = ListOffsetsRequest.Partition()
        partition.partitionIndex = number
        partition.timestamp = wanted[TopicPartition(name, number)] ?? -1
        return partition
      }
      return topic
    }
    return request
  }

  private static func take(
    _ result: Result<ListOffsetsResponse, ClientError>,
    into found: inout [TopicPartition: FoundOffset]
  ) -> ClientError? {
    switch result {
    case .failure(let error): return error
    case .success(let response):
      var failure: ClientError?
      for topic in response.topics {
        for partition in topic.partitions {
          let id = TopicPartition(topic.name, partition.partitionIndex)
          guard partition.errorCode == .none else {
            failure = ClientError(partition.errorCode, "asking for an offset of \(id)")
            continue
          }
          found[id] = FoundOffset(
            offset: partition.offset, timestamp: partition.timestamp,
            leaderEpoch: partition.leaderEpoch)
        }
      }
      return failure
    }
  }

  /// Partitions by the broker that leads them; asks for metadata of their topics.
  func byLeader(
    _ partitions: [TopicPartition],
    _ completion: @escaping (Result<[(Int32, [TopicPartition])], ClientError>) -> Void
  ) {
    let topics = Array(Set(partitions.map(\.topic))).sorted()
    fetchMetadata(topics) { result in
      switch result {
      case .failure(let error): completion(.failure(error))
      case .success(let response):
        var leaders: [Int32: [TopicPartition]] = [:]
        let cluster = ClusterMetadata(response)
        for partition in partitions {
          if let code = cluster.errors[partition.topic] {
            return completion(.failure(ClientError(code, "looking for topic \(partition.topic)")))
          }
          guard let leader = cluster.leader(of: partition) else {
            let isThere = cluster.partition(partition) != nil
            let code: ErrorCode = isThere ? .leaderNotAvailable : .unknownTopicOrPartition
            return completion(.failure(ClientError(code, "looking for partition \(partition)")))
          }
          leaders[leader, default: []].append(partition)
        }
        completion(.success(leaders.keys.sorted().map { ($0, leaders[$0] ?? []) }))
      }
    }
  }

  /// Asks for the metadata of topics, nil for all of them, without creating any.
  func fetchMetadata(
    _ topics: [String]?, _ completion: @escaping (Result<MetadataResponse, ClientError>) -> Void
  ) {
    send(MetadataRequest.self, to: .any) { version in
      var request = MetadataRequest()
      request.topics = topics?.map { name in .with { $0.name = name } }
      // Before version 4 a broker that creates topics does so for whoever asks.
      request.allowAutoTopicCreation = version < 4
      if version == 0, topics == nil { request.topics = [] }
      return request
    } _: { [weak self] result in
      if case .success(let response) = result { self?.metadata.learn(response) }
      completion(result)
    }
  }

  /// One fetch of one partition, sent to its leader as metadata has it.
  func fetch(
    _ partition: TopicPartition, from offset: Int64, bytesMax: Int32, lane: Lane,
    _ completion: @escaping (Result<FetchResponse.Partition, ClientError>) -> Void
  ) {
    byLeader([partition]) { [weak self] result in
      guard let self else { return completion(.failure(.closed)) }
      guard case .success(let leaders) = result, let (node, _) = leaders.first else {
        if case .failure(let error) = result { completion(.failure(error)) }
        return
      }
      var request = FetchRequest()
      request.maxBytes = bytesMax
      var wanted = FetchRequest.Partition()
      wanted.partition = partition.partition
      wanted.fetchOffset = offset
      wanted.partitionMaxBytes = bytesMax
      request.topics = [
        .with {
          $0.topic = partition.topic
          $0.partitions = [wanted]
        }
      ]
      send(request, to: .node(node), lane: lane) { result in
        completion(
          result.flatMap { response in
            guard response.errorCode == .none else {
              return .failure(ClientError(response.errorCode, "reading \(partition)"))
            }
            let answer = response.responses.first { $0.topic == partition.topic }?.partitions
              .first { $0.partitionIndex == partition.partition }
            guard let answer else {
              return .failure(ClientError(.corruptData, "the broker left \(partition) out"))
            }
            guard answer.errorCode == .none else {
              return .failure(ClientError(answer.errorCode, "reading \(partition)"))
            }
            return .success(answer)
          })
      }
    }
  }
}

extension [TopicPartition] {
  /// One element for each topic, with the numbers of its partitions. Sorted by topic.
  package func byTopic<Topic>(_ make: (String, [Int32]) -> Topic) -> [Topic] {
    var numbers: [String: [Int32]] = [:]
    for partition in self { numbers[partition.topic, default: []].append(partition.partition) }
    return numbers.keys.sorted().map { make($0, (numbers[$0] ?? []).sorted()) }
  }
}
