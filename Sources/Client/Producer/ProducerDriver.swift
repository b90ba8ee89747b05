internal import Bytes
internal import KafkaWire
internal import Platform

/// Does what a `ProducerCore` decides: moves records from the inbox to the core, requests from the
/// core to the brokers, outcomes back. Lives on the client's thread.
final class ProducerDriver: LoopDriver {
  /// How long the first producer id may take.
  private static let startMilliseconds: Int64 = 60_000
  private static let transactionTimeoutMilliseconds: Int32 = 60_000
  private static let produceTimeoutMilliseconds: Int32 = 30_000
  private static let expiryMilliseconds: Int64 = 100

  private let options: Producer.Options
  private let inbox: ProducerInbox
  private let core: ProducerCore
  private weak var network: Network?
  private var lane = Lane.general
  private var trackedTopics: [String] = []
  private var isGettingIdentity = false
  private var nextExpiry: Int64 = 0
  private var isStopped = false

  /// Calls that were taken between two flushes, and who waits for them; the oldest first.
  private struct Epoch {
    var number: Int
    var left = 0
    var waiters: [(Result<Void, ClientError>) -> Void] = []
  }
  private var epochs = [Epoch(number: 0)]

  init(_ options: Producer.Options, _ inbox: ProducerInbox, seed: UInt64) {
    self.options = options
    self.inbox = inbox
    core = ProducerCore(ProducerCore.Settings(options: options), seed: seed)
  }

  // MARK: Starting and ending

  func start(_ network: Network, _ completion: @escaping (Result<Void, ClientError>) -> Void) {
    self.network = network
    lane = network.makeLane()
    network.add(self)
    network.metadata.observe(self) { [weak self] in self?.metadataChanged() }
    guard options.isIdempotent else { return completion(.success(())) }
    // A turn before the answer is not to ask as well: of a transactional id the second would fence
    // the first, and at another broker it may be done before.
    isGettingIdentity = true
    getIdentity(network, until: network.now + Self.startMilliseconds) { [weak self] result in
      guard let self else { return completion(.failure(.closed)) }
      isGettingIdentity = false
      switch result {
      case .success(let identity):
        core.setIdentity(identity)
        completion(.success(()))
      case .failure(let error):
        stop(error)
        leave(network)
        completion(.failure(error))
      }
    }
  }

  /// Fails everything that is not done.
  func stop(_ error: ClientError) {
    guard !isStopped else { return }
    isStopped = true
    inbox.close(error)
    takeInbox()
    core.stop(error)
    settle()
    let waiting = epochs.flatMap { $0.waiters }
    epochs = [Epoch(number: 0)]
    for waiter in waiting { waiter(.failure(error)) }
  }

  func leave(_ network: Network) {
    guard self.network != nil else { return }
    self.network = nil
    network.remove(self)
    network.metadata.unobserve(self)
    for topic in trackedTopics { network.metadata.untrack(topic) }
    trackedTopics = []
    network.closeLane(lane, ClientError(.closed, "the producer was closed"))
  }

  // MARK: Turns

  /// Records came, and the next turn takes them.
  func inboxFilled(_ network: Network) {}

  func roomWanted(_ network: Network) { settle() }

  func flush(_ network: Network, _ completion: @escaping (Result<Void, ClientError>) -> Void) {
    guard !isStopped else { return completion(.success(())) }
    takeInbox()
    let last = epochs.count - 1
    epochs[last].waiters.append(completion)
    epochs.append(Epoch(number: epochs[last].number + 1))
    finishEpochs()
  }

  func turn(_ now: Int64) -> Int64 {
    guard !isStopped, let network else { return .max }
    takeInbox()
    if now >= nextExpiry {
      nextExpiry = now + Self.expiryMilliseconds
      core.expire(now)
    }
    core.isFlushing = epochs.count > 1 || inbox.hasWaiters
    for topic in core.takeNewTopics() {
      trackedTopics.append(topic)
      network.metadata.track(topic, creates: options.createsTopics)
      know(topic, network)
    }
    let metadata = network.metadata
    while let request = core.takeRequest(now, leader: { metadata.cluster.leader(of: $0) }) {
      send(request.batches, to: request.node, network)
    }
    if core.takeNeedsMetadata() { metadata.refresh() }
    if core.needsIdentity { renewIdentity(network) }
    settle()
    if let error = core.fatalError { stop(error) }
    return core.isIdle ? .max : min(core.nextDue(now), max(now + 1, nextExpiry))
  }

  private func takeInbox() {
    let items = inbox.take()
    guard !items.isEmpty else { return }
    let wallClock = WallClock.milliseconds()
    let now = network?.now ?? 0
    let epoch = epochs.count - 1
    for item in items {
      let delivery = item.delivery.value
      delivery.flushEpoch = epochs[epoch].number
      epochs[epoch].left += 1
      core.add(item.records, delivery, now: now, wallClock: wallClock)
    }
  }

  /// Tells whoever waited for what is done.
  private func settle() {
    let finished = core.takeFinished()
    let freed = core.takeFreedBytes()
    if !finished.isEmpty || freed > 0 || inbox.hasWaiters {
      for call in inbox.free(freed) { call() }
    }
    for delivery in finished {
      if let first = epochs.first {
        let index = delivery.flushEpoch - first.number
        if epochs.indices.contains(index) { epochs[index].left -= 1 }
      }
      delivery.complete()
    }
    finishEpochs()
  }

  private func finishEpochs() {
    while epochs.count > 1, let first = epochs.first, first.left == 0 {
      epochs.removeFirst()
      for waiter in first.waiters { waiter(.success(())) }
    }
  }

  // MARK: Metadata

  private func metadataChanged() {
    guard let network else { return }
    for topic in trackedTopics { know(topic, network) }
  }

  private func know(_ topic: String, _ network: Network) {
    let cluster = network.metadata.cluster
    if let known = cluster.topics[topic] {
      let available = known.partitions.indices.filter { known.partitions[$0].leader >= 0 }
      core.know(
        topic, partitionCount: known.partitions.count, available: available.map { Int32($0) },
        now: network.now)
    } else if let code = cluster.errors[topic], !code.isRetriable {
      core.refuse(topic, ClientError(code, "writing to topic \(topic)"))
    }
  }

  // MARK: Identity

  private func renewIdentity(_ network: Network) {
    guard !isGettingIdentity else { return }
    isGettingIdentity = true
    getIdentity(network, until: network.now + Self.startMilliseconds) { [weak self] result in
      guard let self else { return }
      isGettingIdentity = false
      switch result {
      case .success(let identity): core.setIdentity(identity)
      case .failure(let error): core.stop(error)
      }
    }
  }

  private func getIdentity(
    _ network: Network, until deadline: Int64,
    _ completion: @escaping (Result<ProducerIdentity, ClientError>) -> Void
  ) {
    let name = options.transactionalID
    network.retry(until: deadline) { attempt in
      guard let name else { return Self.initProducer(network, nil, .any, attempt) }
      network.findCoordinator(of: name, type: .transaction) { result in
        switch result {
        case .success(let node): Self.initProducer(network, name, .node(node), attempt)
        // A broker without transactions has no coordinator for them and fences all the same; where
        // the coordinator is only not there yet, this is refused, and tried again.
        case .failure(let error) where error.brokerCode == .coordinatorNotAvailable:
          Self.initProducer(network, name, .any, attempt)
        case .failure(let error): attempt(.failure(error))
        }
      }
    } _: {
      completion($0)
    }
  }

  private static func initProducer(
    _ network: Network, _ name: String?, _ destination: Network.Destination,
    _ completion: @escaping (Result<ProducerIdentity, ClientError>) -> Void
  ) {
    var request = InitProducerIdRequest()
    request.transactionalId = name
    request.transactionTimeoutMs = transactionTimeoutMilliseconds
    network.send(request, to: destination) { result in
      switch result {
      case .failure(let error): completion(.failure(error))
      case .success(let response):
        guard response.errorCode == .none else {
          return completion(.failure(ClientError(response.errorCode, "asking for a producer id")))
        }
        completion(
          .success(
            ProducerIdentity(
              id: ProducerID(response.producerId), epoch: ProducerEpoch(response.producerEpoch))))
      }
    }
  }

  // MARK: Requests

  private func send(_ batches: [ProducerBatch], to node: Int32, _ network: Network) {
    let sent = batches.map { (batch: $0, sending: $0.sendings) }
    let request = request(batches)
    network.send(
      ProduceRequest.self, to: .node(node), lane: lane,
      waitMilliseconds: Int64(Self.produceTimeoutMilliseconds),
      hasResponse: options.acknowledgement != .none, { _ in request }
    ) { [weak self] result in
      self?.answered(sent, result)
    }
  }

  private func request(_ batches: [ProducerBatch]) -> ProduceRequest {
    var request = ProduceRequest()
    request.acks = options.acknowledgement.rawValue
    request.timeoutMs = Self.produceTimeoutMilliseconds
    // By topic: each is named once.
    for batch in batches.sorted(by: { $0.partition < $1.partition }) {
      var partition = ProduceRequest.Partition()
      partition.index = batch.partition.partition
      partition.records = batch.bytes[...]
      if let last = request.topicData.indices.last,
        request.topicData[last].name == batch.partition.topic
      {
        request.topicData[last].partitionData.append(partition)
        continue
      }
      var topic = ProduceRequest.Topic()
      topic.name = batch.partition.topic
      topic.partitionData = [partition]
      request.topicData.append(topic)
    }
    return request
  }

  private func answered(
    _ sent: [(batch: ProducerBatch, sending: Int)], _ result: Result<ProduceResponse, ClientError>
  ) {
    guard let network else { return }
    let now = network.now
    var answers: [TopicPartition: ProduceResponse.Partition] = [:]
    var failure = ClientError(.corruptData, "the broker did not answer for every partition")
    switch result {
    case .failure(let error): failure = error
    case .success(let response):
      for topic in response.responses {
        for partition in topic.partitionResponses {
          answers[TopicPartition(topic.name, partition.index)] = partition
        }
      }
    }
    let isUnanswered = options.acknowledgement == .none
    for (batch, sending) in sent {
      let outcome: ProducerCore.Outcome
      if case .success = result, isUnanswered {
        outcome = .appended(baseOffset: -1, logAppendTime: -1)
      } else if let answer = answers[batch.partition] {
        if answer.errorCode == .none {
          network.served(batch.partition)
        } else if answer.errorCode.isRetriable {
          network.refused(batch.partition, answer.errorCode, "Writing to")
        }
        outcome =
          answer.errorCode == .none
          ? .appended(baseOffset: answer.baseOffset, logAppendTime: answer.logAppendTimeMs)
          : .refused(
            answer.errorCode, logStartOffset: answer.logStartOffset, message: answer.errorMessage)
      } else {
        outcome = .unknown(failure)
      }
      core.answered(batch, sending: sending, outcome, now: now)
    }
  }
}
