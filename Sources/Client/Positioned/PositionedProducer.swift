internal import KafkaWire
internal import Platform
internal import Records

/// A producer that can be resumed without repeating a record: each record carries a position, and
/// what is at or below the last position of its partition is not written again.
///
/// (1) Opening fences: from then on no earlier producer of the same transactional id can append.
///     Only then are the last positions read.
/// (2) Records are given in the order of their positions, which increase strictly within each
///     partition, and the same record goes to the same partition every time: name the partition or
///     give a key. The number of an output's partitions must stay as it is.
/// (3) A failed record ends the producer: what comes after it must not be written without it. Open
///     a new one, which finds out how far this one got.
package final class PositionedProducer: Sendable {
  /// A partition as it was found.
  package struct Output: Sendable, Hashable {
    package var partition: TopicPartition
    /// The first offset that is there, and the one after the last.
    package var start: Int64
    package var end: Int64
    /// Nil where no record has a position.
    package var last: Position?
  }

  /// What is known of the records that may be in a partition: they are at `from` or behind it, and
  /// the last of them has the position `last`.
  package struct Known: Sendable, Hashable {
    package var from: Int64
    package var last: Position

    package init(from: Int64, last: Position) {
      self.from = from
      self.last = last
    }
  }

  private struct Lane {
    /// Everything at or below is in the partition, or on its way.
    var enqueued: Position?
    /// Everything at or below was there when it was opened.
    var found: Position?
  }

  private struct State {
    var topics: [String: [Lane]] = [:]
  }

  private static let openMilliseconds: Int64 = 60_000

  package let producer: Producer
  private let state = Condition(State())

  /// Whose positions these are.
  package let owner: Position.Owner

  private init(_ producer: Producer, _ owner: Position.Owner) {
    self.producer = producer
    self.owner = owner
  }

  /// Opens under the transactional id in `options` and shuts out its predecessors.
  package static func open(
    _ client: Client, _ options: Producer.Options
  ) async throws(ClientError) -> PositionedProducer {
    let owner = try owner(options)
    return PositionedProducer(try await Producer(client, options), owner)
  }

  /// As `open`, for threads that may block.
  package static func openBlocking(
    _ client: Client, _ options: Producer.Options
  ) throws(ClientError) -> PositionedProducer {
    let owner = try owner(options)
    return PositionedProducer(try Producer(blocking: client, options), owner)
  }

  private static func owner(_ options: Producer.Options) throws(ClientError) -> Position.Owner {
    guard let id = options.transactionalID else {
      throw ClientError(.invalidArgument, "a positioned producer needs a transactional id")
    }
    return Position.Owner(id)
  }

  // MARK: Topics

  /// Makes ready to write to topics: those that are not there are made as described, those that
  /// are keep what they have. Returns what is in each partition, in order.
  package func open(_ topics: [NewTopic]) async throws(ClientError) -> [Output] {
    try await asynchronously { open(topics, $0.finish) }
  }

  /// As the other, for threads that may block.
  package func openBlocking(_ topics: [NewTopic]) throws(ClientError) -> [Output] {
    try blocking { open(topics, $0.finish) }
  }

  /// As the other, with a completion.
  package func open(
    _ topics: [NewTopic],
    _ completion: @escaping @Sendable (Result<[Output], ClientError>) -> Void
  ) {
    create(topics) { [self] result in
      switch result {
      case .failure(let error): completion(.failure(error))
      case .success(let partitions): inspect(partitions, [:], completion)
      }
    }
  }

  /// Makes ready to write to topics that others write to as well, without looking at what is there:
  /// to find a last record of one's own may mean to read all of theirs. Whoever may have written
  /// records before, and would repeat them, says where they are (`findBlocking`). Returns the
  /// partitions, in order. For threads that may block.
  package func openSharedBlocking(
    _ topics: [NewTopic]
  ) throws(ClientError) -> [TopicPartition] {
    let partitions = try blocking { (operation: Operation<[TopicPartition]>) in
      create(topics, operation.finish)
    }
    take(partitions.map { Output(partition: $0, start: 0, end: 0, last: nil) })
    return partitions
  }

  /// Looks which of the records that may be in shared partitions are there. For threads that may
  /// block.
  package func findBlocking(_ known: [TopicPartition: Known]) throws(ClientError) {
    _ = try blocking { inspect(known.keys.sorted(), known, $0.finish) }
  }

  private func create(
    _ topics: [NewTopic],
    _ completion: @escaping @Sendable (Result<[TopicPartition], ClientError>) -> Void
  ) {
    let client = producer.client
    let names = topics.map(\.name)
    client.describeTopics(names) { result in
      let missing = topics.filter { topic in
        guard case .failure(let error)? = (try? result.get())?[topic.name] else { return false }
        return error.brokerCode == .unknownTopicOrPartition
      }
      guard case .success(let found) = result, !missing.isEmpty else {
        return completion(result.flatMap { Self.partitions(names, $0) })
      }
      _ = found
      client.createTopics(missing) { created in
        switch created {
        case .failure(let error): return completion(.failure(error))
        case .success(let outcomes):
          for name in outcomes.keys.sorted() {
            // Another one made it meanwhile: as good as ours.
            if case .failure(let error)? = outcomes[name], error.brokerCode != .topicAlreadyExists {
              return completion(.failure(error))
            }
          }
        }
        client.perform { network in
          network.retry(until: network.now + Self.openMilliseconds) { attempt in
            network.fetchMetadata(names) { result in attempt(result.flatMap(Self.complete)) }
          } _: { (result: Result<[TopicPartition], ClientError>) in
            completion(result)
          }
        }
      }
    }
  }

  private static func complete(
    _ response: MetadataResponse
  ) -> Result<[TopicPartition], ClientError> {
    var partitions: [TopicPartition] = []
    for topic in response.topics {
      let name = topic.name ?? ""
      guard topic.errorCode == .none else {
        return .failure(ClientError(topic.errorCode, "looking for topic \(name)"))
      }
      partitions += topic.partitions.map { TopicPartition(name, $0.partitionIndex) }
    }
    return .success(partitions.sorted())
  }

  private static func partitions(
    _ names: [String], _ found: Outcomes<String, TopicDescription>
  ) -> Result<[TopicPartition], ClientError> {
    var partitions: [TopicPartition] = []
    for name in names {
      switch found[name] {
      case .success(let topic)?:
        partitions += topic.partitions.map { TopicPartition(name, $0.number) }
      case .failure(let error)?: return .failure(error)
      case nil: return .failure(ClientError(.corruptData, "the broker left topic \(name) out"))
      }
    }
    return .success(partitions.sorted())
  }

  private func inspect(
    _ partitions: [TopicPartition], _ known: [TopicPartition: Known],
    _ completion: @escaping @Sendable (Result<[Output], ClientError>) -> Void
  ) {
    let operation = Operation<[Output]>()
    operation.onCompletion(completion)
    producer.client.perform(operation) { [self] network in
      let deadline = network.now + Self.openMilliseconds
      Inspection(network, partitions, known, owner, until: deadline) { result in
        if case .success(let outputs) = result { self.take(outputs) }
        operation.complete(result)
      }.run()
    }
  }

  private func take(_ outputs: [Output]) {
    state.withLock { state in
      for output in outputs {
        let topic = output.partition.topic
        var lanes = state.topics[topic] ?? []
        while lanes.count <= Int(output.partition.partition) { lanes.append(Lane()) }
        let index = Int(output.partition.partition)
        // Opened a second time: what is on its way counts as well.
        lanes[index] = Lane(
          enqueued: max(lanes[index].enqueued, output.last), found: output.last)
        state.topics[topic] = lanes
      }
    }
  }

  private func max(_ a: Position?, _ b: Position?) -> Position? {
    guard let a, let b else { return a ?? b }
    return Swift.max(a, b)
  }

  // MARK: Records

  /// Takes all the records or, when the buffer is full, none (false): then `whenRoom` says when to
  /// try again. Records that are there already are left out. The completion runs on the client's
  /// thread when all of them are in the log, those left out included; after a failure it always
  /// fails.
  package func enqueue(
    _ records: [(record: ProducerRecord, position: Position)],
    _ completion: @escaping @Sendable (ClientError?) -> Void
  ) -> Bool {
    var new: [ProducerRecord] = []
    new.reserveCapacity(records.count)
    // One lock for the decision and the enqueueing: what is taken is what was decided.
    let answer = state.withLock { state -> Result<Bool, ClientError> in
      var topics = state.topics
      var mustWait = false
      for (record, position) in records {
        guard let count = topics[record.topic]?.count, count > 0 else {
          return .failure(
            ClientError(.invalidArgument, "topic \(record.topic) was not opened for writing"))
        }
        guard let index = Self.partition(of: record, count: count) else {
          return .failure(
            ClientError(
              .invalidArgument,
              "a record at \(position) has neither a key nor one of \(count) partitions"))
        }
        let lane = topics[record.topic]?[index] ?? Lane()
        if let enqueued = lane.enqueued, position <= enqueued {
          // Not only found there, but sent by us and perhaps not acknowledged yet.
          if lane.found.map({ position > $0 }) ?? true { mustWait = true }
          continue
        }
        topics[record.topic]?[index].enqueued = position
        var copy = record
        copy.partition = Int32(index)
        copy.headers.append(position.header(of: owner))
        new.append(copy)
      }
      guard put(new, mustWait: mustWait, completion) else { return .success(false) }
      state.topics = topics
      return .success(true)
    }
    switch answer {
    case .success(let isTaken): return isTaken
    case .failure(let error):
      if !producer.client.perform({ _ in completion(error) }) { completion(error) }
      return true
    }
  }

  private func put(
    _ records: [ProducerRecord], mustWait: Bool,
    _ completion: @escaping @Sendable (ClientError?) -> Void
  ) -> Bool {
    guard mustWait else { return producer.enqueue(records, acknowledged: completion) }
    return producer.enqueue(records) { [producer] error in
      if let error { return completion(error) }
      producer.flush { result in
        if case .failure(let error) = result { completion(error) } else { completion(nil) }
      }
    }
  }

  private static func partition(of record: ProducerRecord, count: Int) -> Int? {
    if let named = record.partition {
      return named >= 0 && named < count ? Int(named) : nil
    }
    if count == 1 { return 0 }
    return record.key.map { Int(Murmur2.partition(of: $0, count: Int32(count))) }
  }

  /// Runs `call` on the client's thread when what the last `enqueue` refused may fit.
  package func whenRoom(_ call: @escaping @Sendable () -> Void) { producer.whenRoom(call) }

  package func flush() async throws(ClientError) { try await producer.flush() }
  package func flushBlocking() throws(ClientError) { try producer.flushBlocking() }
  package func close() async { await producer.close() }
  package func closeBlocking() { producer.closeBlocking() }
}

/// Looks at partitions, one search after another has begun, all at once.
private final class Inspection {
  private let network: Network
  private let partitions: [TopicPartition]
  private let known: [TopicPartition: PositionedProducer.Known]
  private let owner: Position.Owner
  private let deadline: Int64
  private let completion: (Result<[PositionedProducer.Output], ClientError>) -> Void
  private var outputs: [TopicPartition: PositionedProducer.Output] = [:]
  private var open = 0
  private var failure: ClientError?

  init(
    _ network: Network, _ partitions: [TopicPartition],
    _ known: [TopicPartition: PositionedProducer.Known], _ owner: Position.Owner,
    until deadline: Int64,
    _ completion: @escaping (Result<[PositionedProducer.Output], ClientError>) -> Void
  ) {
    self.network = network
    self.partitions = partitions
    self.known = known
    self.owner = owner
    self.deadline = deadline
    self.completion = completion
  }

  func run() {
    guard !partitions.isEmpty else { return completion(.success([])) }
    list(-2) { starts in
      self.list(-1) { ends in self.search(starts, ends) }
    }
  }

  private func list(
    _ timestamp: Int64, _ next: @escaping ([TopicPartition: Network.FoundOffset]) -> Void
  ) {
    let wanted = Dictionary(uniqueKeysWithValues: partitions.map { ($0, timestamp) })
    network.listOffsets(wanted, until: deadline) { result in
      switch result {
      case .failure(let error): self.completion(.failure(error))
      case .success(let found): next(found)
      }
    }
  }

  private func search(
    _ starts: [TopicPartition: Network.FoundOffset], _ ends: [TopicPartition: Network.FoundOffset]
  ) {
    open = partitions.count
    for partition in partitions {
      let start = starts[partition]?.offset ?? 0
      let end = ends[partition]?.offset ?? 0
      LastPositionSearch(
        network, partition, owner, start: start, end: end, known: known[partition],
        until: deadline
      ) { result in
        switch result {
        case .failure(let error): self.failure = self.failure ?? error
        case .success(let last):
          self.outputs[partition] = PositionedProducer.Output(
            partition: partition, start: start, end: end, last: last)
        }
        self.open -= 1
        guard self.open == 0 else { return }
        if let failure = self.failure { return self.completion(.failure(failure)) }
        self.completion(.success(self.partitions.compactMap { self.outputs[$0] }))
      }.run()
    }
  }
}
