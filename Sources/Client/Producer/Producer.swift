internal import KafkaWire
internal import Platform
internal import Records

/// Writes records: accumulates them into batches, sends those in order, and tries again what
/// failed, without reordering and, unless told otherwise, without repeating.
///
///     let producer = try await Producer(client)
///     let metadata = try await producer.send(ProducerRecord(topic: "orders", value: bytes))
///     await producer.close()
public final class Producer: Sendable {
  /// The client that it sends through.
  public let client: Client
  /// What it was made with.
  public let options: Options
  private let inbox: ProducerInbox
  private let driver: LoopOwned<ProducerDriver>

  /// A producer that is ready to send: with idempotence it has its id, and with a transactional id
  /// all earlier producers of that name are shut out.
  public convenience init(
    _ client: Client, _ options: Options = Options()
  ) async throws(ClientError) {
    try self.init(prepared: client, options)
    try await asynchronously { open($0) }
  }

  /// As the other, for threads that may block.
  package convenience init(
    blocking client: Client, _ options: Options = Options()
  ) throws(ClientError) {
    try self.init(prepared: client, options)
    try blocking { open($0) }
  }

  init(prepared client: Client, _ options: Options) throws(ClientError) {
    try options.check()
    self.client = client
    self.options = options
    inbox = ProducerInbox(bytesMax: options.bufferBytesMax)
    driver = LoopOwned(ProducerDriver(options, inbox, seed: .random(in: 0 ... .max)))
  }

  deinit {
    client.perform { [driver] network in
      driver.value.stop(ClientError(.closed, "the producer was let go"))
      driver.value.leave(network)
    }
  }

  func open(_ operation: Operation<Void>) {
    client.perform(operation) { [driver] network in
      driver.value.start(network) { operation.complete($0) }
    }
  }

  // MARK: Sending

  /// Writes a record; returns when it is acknowledged. Cancelling stops the waiting only: the
  /// record is written all the same.
  public func send(_ record: ProducerRecord) async throws(ClientError) -> RecordMetadata {
    while true {
      let operation = Operation<[RecordMetadata]>()
      if enqueue([record], { operation.complete($0) }) {
        let metadata = try await asynchronously { (outer: Operation<[RecordMetadata]>) in
          operation.onCompletion { outer.complete($0) }
        }
        return metadata[0]
      }
      try await asynchronously { (room: Operation<Void>) in
        whenRoom { room.complete(.success(())) }
      }
    }
  }

  /// Takes all the records or, when the buffer is full, none (false): then `whenRoom` says when to
  /// try again. A call larger than the whole buffer is taken when the buffer is empty.
  ///
  /// The completion runs on the client's thread, with the metadata in the order of the records or
  /// the first failure; some of the records may have been written then.
  package func enqueue(
    _ records: [ProducerRecord],
    _ completion: @escaping @Sendable (Result<[RecordMetadata], ClientError>) -> Void
  ) -> Bool {
    enqueue(records, Delivery(count: records.count, wantsMetadata: true, completion))
  }

  /// As `enqueue`, for callers who need not know where the records went.
  package func enqueue(
    _ records: [ProducerRecord], acknowledged: @escaping @Sendable (ClientError?) -> Void
  ) -> Bool {
    enqueue(
      records,
      Delivery(count: records.count, wantsMetadata: false) { result in
        if case .failure(let error) = result { acknowledged(error) } else { acknowledged(nil) }
      })
  }

  private func enqueue(_ records: [ProducerRecord], _ delivery: sending Delivery) -> Bool {
    guard !records.isEmpty else {
      let delivery = LoopOwned(delivery)
      if !client.perform({ _ in delivery.value.complete() }) { delivery.value.complete() }
      return true
    }
    let size = records.reduce(0) { $0 + $1.bufferedSize }
    let owned = LoopOwned(delivery)
    switch inbox.put(records, owned, size: size) {
    case .full: return false
    case .taken: return true
    case .takenFirst:
      // A closed client has told the inbox so, or will: nothing is left behind.
      client.perform { [driver] network in driver.value.inboxFilled(network) }
      return true
    case .closed(let error):
      _ = owned.value.fail(records.count, error)
      if !client.perform({ _ in owned.value.complete() }) { owned.value.complete() }
      return true
    }
  }

  /// Runs `call` on the client's thread when what the last `enqueue` refused may fit, or the
  /// producer has ended.
  package func whenRoom(_ call: @escaping @Sendable () -> Void) {
    if inbox.whenRoom(call) {
      if !client.perform({ [driver] network in driver.value.roomWanted(network) }) { call() }
    }
  }

  /// Bytes of records that are enqueued and not done.
  package var bufferedBytes: Int { inbox.bufferedBytes }

  /// Sends everything enqueued so far without waiting for full batches; returns when all of it is
  /// done, well or not.
  public func flush() async throws(ClientError) { try await asynchronously { flush($0) } }

  /// As `flush`, for threads that may block.
  package func flushBlocking() throws(ClientError) { try blocking { flush($0) } }

  /// As `flush`, with a completion.
  package func flush(
    _ completion: @escaping @Sendable (Result<Void, ClientError>) -> Void
  ) {
    let operation = Operation<Void>()
    operation.onCompletion(completion)
    flush(operation)
  }

  private func flush(_ operation: Operation<Void>) {
    client.perform(operation) { [driver] network in
      driver.value.flush(network) { operation.complete($0) }
    }
  }

  /// Sends what is enqueued, and ends. Records enqueued afterwards fail.
  public func close() async { _ = try? await asynchronously { close($0) } }

  /// As `close`, for threads that may block.
  package func closeBlocking() { _ = try? blocking { close($0) } }

  private func close(_ operation: Operation<Void>) {
    client.perform(operation) { [driver] network in
      driver.value.flush(network) { _ in
        driver.value.stop(ClientError(.closed, "the producer was closed"))
        driver.value.leave(network)
        operation.complete(.success(()))
      }
    }
  }
}

extension Producer.Options {
  func check() throws(ClientError) {
    if isIdempotent, acknowledgement != .all {
      throw ClientError(
        .invalidArgument, "an idempotent producer needs acknowledgement by all; set one of the two")
    }
    if transactionalID != nil, !isIdempotent {
      throw ClientError(.invalidArgument, "a transactional id needs an idempotent producer")
    }
    if let level = compressionLevel, !(compression.codec.levels?.contains(level) ?? true) {
      throw ClientError(.invalidArgument, "\(compression) has no level \(level)")
    }
    guard batchBytesMax >= 256, batchBytesMax <= 1 << 30, bufferBytesMax > 0, requestBytesMax > 0,
      lingerMilliseconds >= 0, deliveryTimeoutMilliseconds > 0
    else {
      throw ClientError(
        .invalidArgument, "a producer's sizes and times are positive, a batch 256 bytes to 1 GiB")
    }
  }
}

/// Where other threads leave records for the client's thread.
final class ProducerInbox: Sendable {
  struct Item: Sendable {
    var records: [ProducerRecord]
    var delivery: LoopOwned<Delivery>
  }

  enum Answer {
    case taken
    /// Nothing was there before: the client's thread is to be told.
    case takenFirst
    case full
    case closed(ClientError)
  }

  private struct State {
    var items: [Item] = []
    /// Of everything that was taken and is not done.
    var bytes = 0
    /// The size of what was refused last.
    var wanted = 0
    var waiters: [@Sendable () -> Void] = []
    var error: ClientError?
  }

  private let bytesMax: Int
  private let state = Condition(State())

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  var bufferedBytes: Int { state.withLock { $0.bytes } }
  var hasWaiters: Bool { state.withLock { !$0.waiters.isEmpty } }

  func put(_ records: [ProducerRecord], _ delivery: LoopOwned<Delivery>, size: Int) -> Answer {
    state.withLock { state in
      if let error = state.error { return .closed(error) }
      guard state.bytes + size <= bytesMax || state.bytes == 0 else {
        state.wanted = size
        return .full
      }
      state.bytes += size
      state.items.append(Item(records: records, delivery: delivery))
      return state.items.count == 1 ? .takenFirst : .taken
    }
  }

  func take() -> [Item] {
    state.withLock { state in
      defer { state.items = [] }
      return state.items
    }
  }

  /// True if the client's thread is to be told.
  func whenRoom(_ call: @escaping @Sendable () -> Void) -> Bool {
    state.withLock { state in
      state.waiters.append(call)
      return state.waiters.count == 1 || state.bytes == 0 || state.error != nil
    }
  }

  /// Gives bytes back; returns who is to be told that there is room.
  func free(_ bytes: Int) -> [@Sendable () -> Void] {
    state.withLock { state in
      state.bytes -= bytes
      let hasRoom = state.bytes + state.wanted <= bytesMax || state.bytes == 0
      guard hasRoom || state.error != nil else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
  }

  /// Takes nothing more.
  func close(_ error: ClientError) {
    state.withLock { if $0.error == nil { $0.error = error } }
  }
}
