internal import KafkaWire
internal import Platform

/// Does what a consumer's cores decide (`ConsumerPositions`, `GroupMember`): fetches, asks for
/// offsets, speaks to the coordinator, serves polls. Lives on the client's thread.
final class ConsumerDriver: LoopDriver {
  let options: Consumer.Options
  var positions: ConsumerPositions
  var group: GroupMember?
  weak var network: Network?
  /// Fetches wait at the broker, and joins: both have connections of their own, and so have fetches
  /// that do not.
  var fetchLane = Lane.general
  var promptLane = Lane.general
  var groupLane = Lane.general
  var coordinator: Int32?
  var handler: Consumer.RebalanceHandler?
  var isOffsetFetchOpen = false
  var isCommitOpen = false
  /// The first is under way. Bounded by who calls, and one automatic one.
  var commitsWaiting: [(OffsetCommitRequest, (Result<Void, ClientError>) -> Void)] = []
  var nextAutoCommit: Int64 = 0
  /// Nodes that have a fetch to answer.
  var fetching: Set<Int32> = []
  var fetchingPromptly: Set<Int32> = []
  private var trackedTopics: Set<String> = []
  var poller: (operation: Operation<[ConsumerRecord]>, deadline: Int64)?
  /// What the next poll fails with.
  private var errors: [ClientError] = []
  private(set) var isClosed = false

  init(_ options: Consumer.Options) {
    self.options = options
    positions = ConsumerPositions(options)
  }

  func start(_ network: Network) {
    self.network = network
    fetchLane = network.makeLane()
    promptLane = network.makeLane()
    groupLane = network.makeLane()
    nextAutoCommit = network.now + options.autoCommitMilliseconds
    network.add(self)
    network.metadata.observe(self) { [weak self] in self?.metadataChanged() }
  }

  func stop(_ error: ClientError) {
    isClosed = true
    poller?.operation.complete(.failure(error))
    poller = nil
  }

  /// Ends without a word to the group.
  func leave(_ network: Network) {
    guard self.network != nil else { return }
    let error = ClientError(.closed, "the consumer was closed")
    stop(error)
    self.network = nil
    network.remove(self)
    network.metadata.unobserve(self)
    for topic in trackedTopics.sorted() { network.metadata.untrack(topic) }
    trackedTopics = []
    network.closeLane(fetchLane, error)
    network.closeLane(promptLane, error)
    network.closeLane(groupLane, error)
  }

  func close(_ completion: @escaping () -> Void) {
    guard let network, !isClosed else { return completion() }
    poller?.operation.complete(.failure(ClientError(.closed, "the consumer was closed")))
    poller = nil
    positions.processed()
    let end = { [weak self] in
      guard let self else { return completion() }
      leaveGroup(network) { [weak self] in
        self?.leave(network)
        completion()
      }
    }
    isClosed = true
    guard options.commitsAutomatically, group?.isMember ?? (options.groupID != nil) else {
      return end()
    }
    commitProcessed { _ in end() }
  }

  // MARK: Which partitions

  func subscribe(
    _ topics: [String], _ handler: Consumer.RebalanceHandler?
  ) -> Result<Void, ClientError> {
    guard let groupID = options.groupID else {
      return .failure(
        ClientError(.invalidArgument, "subscribing needs a group id; set one, or assign by hand"))
    }
    guard let network, !isClosed else { return .failure(.closed) }
    self.handler = handler
    if group == nil {
      positions.removeAll()
      var settings = GroupMember.Settings()
      settings.groupID = groupID
      settings.instanceID = options.groupInstanceID
      settings.sessionTimeoutMilliseconds = options.sessionTimeoutMilliseconds
      settings.heartbeatMilliseconds = options.heartbeatMilliseconds
      settings.maxPollMilliseconds = options.maxPollIntervalMilliseconds
      settings.assignors = options.assignors
      group = GroupMember(settings)
    }
    track(topics)
    group?.subscribe(topics, now: network.now)
    return .success(())
  }

  func assign(_ partitions: [TopicPartition]) {
    guard !isClosed else { return }
    group = nil
    let kept = Set(partitions)
    positions.remove(positions.order.filter { !kept.contains($0) })
    positions.add(partitions, options.groupID == nil ? .policy : .committed)
    track(partitions.map(\.topic))
  }

  private func track(_ topics: [String]) {
    guard let network else { return }
    let wanted = Set(topics)
    for topic in wanted.subtracting(trackedTopics).sorted() { network.metadata.track(topic) }
    for topic in trackedTopics.subtracting(wanted).sorted() { network.metadata.untrack(topic) }
    trackedTopics = wanted
  }

  private func metadataChanged() {
    guard let network, let group, group.isLeader, group.state == .member else { return }
    var counts: [String: Int32] = [:]
    for topic in group.topics {
      guard let known = network.metadata.cluster.topics[topic] else { continue }
      counts[topic] = Int32(known.partitions.count)
    }
    self.group?.counted(.success(counts), now: network.now)
  }

  func seek(_ partition: TopicPartition, _ target: Consumer.Target) {
    positions.seek(partition, target)
  }

  func pause(_ partitions: [TopicPartition], _ isPaused: Bool) {
    for partition in partitions { positions.update(partition) { $0.isPaused = isPaused } }
  }

  // MARK: Polls

  func poll(_ timeout: Int64, _ operation: Operation<[ConsumerRecord]>) {
    guard let network, !isClosed else {
      operation.complete(.failure(ClientError(.closed, "the consumer was closed")))
      return
    }
    if let poller, !poller.operation.isDone {
      operation.complete(
        .failure(ClientError(.invalidArgument, "a poll is under way; wait for it to return")))
      return
    }
    positions.processed()
    poller = (operation, network.now + max(0, timeout))
    group?.pollBegan(now: network.now)
    act()
    servePoll(network.now)
  }

  func fail(_ error: ClientError) { errors.append(error) }

  /// Answers the poll that waits, if there is anything to answer with.
  private func servePoll(_ now: Int64) {
    guard let poller else { return }
    if poller.operation.isDone { return endPoll(now) }
    if let error = errors.first {
      errors.removeFirst()
      poller.operation.complete(.failure(error))
      return endPoll(now)
    }
    if positions.hasRecords, !isRevoking {
      do throws(ClientError) {
        let records = try positions.take(options.pollRecordsMax)
        if !records.isEmpty {
          if !poller.operation.complete(.success(records)) { positions.giveBack(records) }
          return endPoll(now)
        }
      } catch {
        poller.operation.complete(.failure(error))
        return endPoll(now)
      }
    }
    if now >= poller.deadline {
      poller.operation.complete(.success([]))
      endPoll(now)
    }
  }

  /// What is being given up is not returned any more.
  private var isRevoking: Bool {
    if case .revoking? = group?.state { true } else { false }
  }

  private func endPoll(_ now: Int64) {
    poller = nil
    group?.pollEnded(now: now)
  }

  // MARK: Turns

  func turn(_ now: Int64) -> Int64 {
    guard let network, !isClosed else { return .max }
    group?.tick(now)
    act()
    findOffsets(network)
    fetch(network, now)
    if options.commitsAutomatically, now >= nextAutoCommit { autoCommit(now) }
    servePoll(now)
    var due = poller?.deadline ?? .max
    if let group { due = min(due, group.nextDue(now)) }
    for partition in positions.order {
      if let retryAt = positions[partition]?.retryAt, retryAt > now { due = min(due, retryAt) }
    }
    if options.commitsAutomatically, options.groupID != nil { due = min(due, nextAutoCommit) }
    return due
  }
}
