internal import Platform

/// Reads records: from partitions that it was assigned by hand, or as a member of a group.
///
///     let consumer = try Consumer(client, options)
///     try await consumer.subscribe(["orders"])
///     while true {
///       for record in try await consumer.poll(timeoutMilliseconds: 1000) { … }
///     }
///
/// Records are fetched ahead. One poll at a time; everything else may be called at any time.
public final class Consumer: Sendable {
  /// Is told what a rebalance does. The group waits until it returns.
  public typealias RebalanceListener = @Sendable (RebalanceEvent) async -> Void
  /// As `RebalanceListener`, on the client's thread; `done` may be called later, from anywhere.
  package typealias RebalanceHandler =
    @Sendable (RebalanceEvent, _ done: @escaping @Sendable () -> Void) -> Void

  /// The client that it reads through.
  public let client: Client
  /// What it was made with.
  public let options: Options
  private let driver: LoopOwned<ConsumerDriver>

  /// A consumer without partitions.
  public init(_ client: Client, _ options: Options = Options()) throws(ClientError) {
    try options.check()
    self.client = client
    self.options = options
    driver = LoopOwned(ConsumerDriver(options))
    client.perform { [driver] network in driver.value.start(network) }
  }

  deinit { client.perform { [driver] network in driver.value.leave(network) } }

  /// Runs `body` with the driver, on the client's thread.
  private func on<Value>(
    _ operation: Operation<Value>, _ body: @escaping @Sendable (ConsumerDriver) -> Void
  ) {
    client.perform(operation) { [driver] _ in body(driver.value) }
  }

  private func now<Value: Sendable>(
    _ body: @escaping @Sendable (ConsumerDriver) -> Result<Value, ClientError>
  ) async throws(ClientError) -> Value {
    try await asynchronously { operation in on(operation) { operation.complete(body($0)) } }
  }

  // MARK: Which partitions

  /// Becomes a member of the group that reads these topics together, with the next poll. Replaces
  /// an earlier subscription.
  public func subscribe(
    _ topics: [String], onRebalance: RebalanceListener? = nil
  ) async throws(ClientError) {
    let handler = onRebalance.map { listener -> RebalanceHandler in
      { event, done in
        Task {
          await listener(event)
          done()
        }
      }
    }
    try await asynchronously { subscribe(topics, handler: handler, $0.finish) }
  }

  /// As the other, with a completion.
  package func subscribe(
    _ topics: [String], handler: RebalanceHandler?,
    _ completion: @escaping @Sendable (Result<Void, ClientError>) -> Void
  ) {
    let operation = Operation<Void>()
    operation.onCompletion(completion)
    on(operation) { operation.complete($0.subscribe(topics, handler)) }
  }

  /// Reads these partitions and no others, outside of a group's rebalances. With a group id the
  /// committed offsets are where it begins.
  public func assign(_ partitions: [TopicPartition]) {
    client.perform { [driver] _ in driver.value.assign(partitions) }
  }

  /// As `assign`, beginning at those places: in one step, so that no partition is without a place
  /// in between, which a reset policy of none would report.
  package func assign(_ places: [TopicPartition: Target]) {
    client.perform { [driver] _ in
      driver.value.assign(places.keys.sorted())
      for (partition, target) in places { driver.value.seek(partition, target) }
    }
  }

  /// The partitions that it has now.
  public func assignment() async throws(ClientError) -> [TopicPartition] {
    try await now { .success($0.positions.order.sorted()) }
  }

  // MARK: Where in them

  /// Goes on elsewhere; what was read ahead is dropped. Nothing happens with a partition that it
  /// does not have.
  public func seek(_ partition: TopicPartition, to target: Target) {
    client.perform { [driver] _ in driver.value.seek(partition, target) }
  }

  /// Returns nothing more of these partitions, and keeps what was read ahead.
  public func pause(_ partitions: [TopicPartition]) {
    client.perform { [driver] _ in driver.value.pause(partitions, true) }
  }

  /// Undoes `pause`.
  public func resume(_ partitions: [TopicPartition]) {
    client.perform { [driver] _ in driver.value.pause(partitions, false) }
  }

  /// The offset of the next record that a poll returns; nil while it is not known.
  public func position(_ partition: TopicPartition) async throws(ClientError) -> Int64? {
    try await now { .success($0.positions[partition]?.position) }
  }

  /// How many records are behind the position, as of the last fetch; nil while it is not known.
  public func lag(_ partition: TopicPartition) async throws(ClientError) -> Int64? {
    try await now { driver in
      guard let state = driver.positions[partition], let position = state.position,
        state.highWatermark >= 0
      else { return .success(nil) }
      return .success(max(0, state.highWatermark - position))
    }
  }

  // MARK: Records

  /// The next records, as soon as there are any; none when the time is over. Cancelling loses none.
  public func poll(
    timeoutMilliseconds: Int64
  ) async throws(ClientError) -> [ConsumerRecord] {
    try await asynchronously { poll(timeoutMilliseconds, $0) }
  }

  /// As `poll`, for threads that may block.
  package func pollBlocking(timeoutMilliseconds: Int64) throws(ClientError) -> [ConsumerRecord] {
    try blocking { poll(timeoutMilliseconds, $0) }
  }

  /// As `poll`, with a completion.
  package func poll(
    timeoutMilliseconds: Int64,
    _ completion: @escaping @Sendable (Result<[ConsumerRecord], ClientError>) -> Void
  ) {
    let operation = Operation<[ConsumerRecord]>()
    operation.onCompletion(completion)
    poll(timeoutMilliseconds, operation)
  }

  private func poll(_ timeout: Int64, _ operation: Operation<[ConsumerRecord]>) {
    on(operation) { $0.poll(timeout, operation) }
  }

  // MARK: Offsets

  /// Commits offsets, nil for everything that polls have returned. The offset to commit is that of
  /// the next record to read.
  public func commit(_ offsets: [TopicPartition: Int64]? = nil) async throws(ClientError) {
    try await asynchronously { commit(offsets, $0.finish) }
  }

  /// As `commit`, for threads that may block.
  package func commitBlocking(_ offsets: [TopicPartition: Int64]? = nil) throws(ClientError) {
    try blocking { commit(offsets, $0.finish) }
  }

  /// As `commit`, with a completion.
  package func commit(
    _ offsets: [TopicPartition: Int64]?,
    _ completion: @escaping @Sendable (Result<Void, ClientError>) -> Void
  ) {
    let operation = Operation<Void>()
    operation.onCompletion(completion)
    on(operation) { driver in
      driver.commit(offsets) { operation.complete($0) }
    }
  }

  /// The group's committed offsets; a partition without one is left out.
  public func committed(
    _ partitions: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    guard let group = options.groupID else {
      throw ClientError(.invalidArgument, "a consumer without a group has no committed offsets")
    }
    let offsets = try await client.groupOffsets(group, partitions)
    return offsets
  }

  /// The first offsets there are.
  public func beginningOffsets(
    _ partitions: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await client.offsets(partitions, at: .beginning)
  }

  /// The offsets behind the last records.
  public func endOffsets(
    _ partitions: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await client.offsets(partitions, at: .end, isolation: options.isolation)
  }

  /// The first offsets with those timestamps or later ones (milliseconds since 1970); partitions
  /// that have none are left out.
  public func offsetsForTimes(
    _ times: [TopicPartition: Int64]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await client.offsets(forTimes: times)
  }

  // MARK: The end

  /// Commits what was polled, if it does so by itself, leaves the group, and ends.
  public func close() async { _ = try? await asynchronously { close($0) } }

  /// As `close`, for threads that may block.
  package func closeBlocking() { _ = try? blocking { close($0) } }

  private func close(_ operation: Operation<Void>) {
    on(operation) { driver in driver.close { operation.complete(.success(())) } }
  }
}

extension Consumer.Options {
  func check() throws(ClientError) {
    guard groupInstanceID == nil || groupID != nil else {
      throw ClientError(.invalidArgument, "a group instance id needs a group id")
    }
    guard groupID != "" else {
      throw ClientError(.invalidArgument, "a group id is not empty; leave it out or give one")
    }
    guard !assignors.isEmpty, pollRecordsMax > 0, prefetchBytesMax > 0, partitionFetchBytesMax > 0,
      fetchBytesMax > 0, fetchWaitMilliseconds >= 0, heartbeatMilliseconds > 0,
      sessionTimeoutMilliseconds > heartbeatMilliseconds
    else {
      throw ClientError(
        .invalidArgument,
        "a consumer has an assignor, positive sizes, and heartbeats more often than its session")
    }
  }
}
