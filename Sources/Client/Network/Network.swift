internal import Bytes
internal import KafkaWire
internal import Platform

/// A connection of its own to each broker, for what would hold others up.
struct Lane: Hashable {
  fileprivate let rawValue: Int

  /// Short requests of everybody.
  static let general = Lane(rawValue: 0)
}

/// What works on the client's thread for a producer or a consumer.
protocol LoopDriver: AnyObject {
  /// Does what is due; answers when there will be more, in milliseconds of the monotonic clock.
  func turn(_ now: Int64) -> Int64
  /// The client ends: whoever waits is told.
  func stop(_ error: ClientError)
}

/// The connections of a client and the thread they live on. Everything here is called on that
/// thread.
final class Network {
  enum Reach {
    case tcp([SocketAddress])
    case local(@Sendable () -> any BrokerLink)
  }

  /// Who is to answer.
  enum Destination: Hashable {
    case node(Int32)
    /// Any broker will do.
    case any
    /// The broker that changes topics and settings.
    case controller
  }

  private struct Key: Hashable {
    var address: SocketAddress?
    var lane: Lane
  }

  private static let checkMilliseconds: Int64 = 100
  private static let idleMilliseconds: Int64 = 1000
  /// Memory of large responses that is kept to be used again.
  private static let pooledBytesMax = 32 << 20

  let loop: EventLoop
  let options: ClientOptions
  private let arrays = ArrayPool(bytesMax: Network.pooledBytesMax)
  private let reach: Reach
  private var connections: [Key: BrokerConnection] = [:]
  private var withWork: [BrokerConnection] = []
  private var drivers: [ObjectIdentifier: any LoopDriver] = [:]
  /// In the order of registration, so that turns are the same from run to run.
  private var driverOrder: [ObjectIdentifier] = []
  private var timers = Timers()
  private var nextLane = 1
  private var nextBootstrap = 0
  private var nextCheck: Int64 = 0
  private var isStopped = false
  private var reachability = Reachability()
  private var refusals = Refusals()
  private(set) var now: Int64
  private(set) lazy var metadata = MetadataCache(self)

  init(_ loop: EventLoop, _ reach: Reach, _ options: ClientOptions) {
    self.loop = loop
    self.reach = reach
    self.options = options
    now = MonotonicClock.milliseconds()
    loop.turn = { [unowned self] in turn() }
  }

  func run() { loop.run() }

  /// Fails everything that waits and ends the thread.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    for id in driverOrder { drivers[id]?.stop(.closed) }
    metadata.stop(.closed)
    for connection in connections.values { connection.close(.closed) }
    connections = [:]
    // What was to be tried again sees that there is nobody to ask, and tells whoever waits.
    for action in timers.takeAll() { action() }
    loop.turn = { 0 }
    loop.stop()
  }

  // MARK: Turns

  private func turn() -> Int64 {
    now = MonotonicClock.milliseconds()
    while let action = timers.takeDue(now) { action() }
    var next = now + Self.idleMilliseconds
    for id in driverOrder {
      if let driver = drivers[id] { next = min(next, driver.turn(now)) }
    }
    let ready = withWork
    withWork = []
    for connection in ready { connection.work(now) }
    if now >= nextCheck {
      nextCheck = now + Self.checkMilliseconds
      metadata.checkAge()
      for connection in connections.values {
        connection.check(now)
        connection.work(now)
      }
      notice()
    }
    // What failed just now may have given the drivers something to do.
    guard withWork.isEmpty else { return 0 }
    if connections.values.contains(where: { $0.isBusy }) { next = min(next, nextCheck) }
    if let due = timers.nextDue { next = min(next, due) }
    return max(0, next - now)
  }

  private func notice() {
    guard let notice = options.notice else { return }
    let trying = connections.values.filter(\.isTrying)
    let text = reachability.look(
      isReached: connections.values.contains { $0.isReady }, isTrying: !trying.isEmpty,
      trying.map { "\($0.trouble)" }.min() ?? "", now: now)
    if let text { notice(text) }
    for line in refusals.due(now: now) { notice(line) }
  }

  /// A broker refuses something that is tried again until it does not.
  func refused(_ partition: TopicPartition, _ code: ErrorCode, _ doing: String) {
    guard options.notice != nil else { return }
    refusals.note(
      partition,
      "\(doing) \(partition) is refused with \(code) and tried again; the broker's log says why.",
      now: now)
  }

  func served(_ partition: TopicPartition) { refusals.clear(partition) }

  /// Makes another turn follow this one at once.
  func turnAgain() { loop.poster.wake() }

  func hasWork(_ connection: BrokerConnection) {
    if !withWork.contains(where: { $0 === connection }) { withWork.append(connection) }
  }

  func add(_ driver: any LoopDriver) {
    let id = ObjectIdentifier(driver)
    if isStopped { return driver.stop(.closed) }
    guard drivers.updateValue(driver, forKey: id) == nil else { return }
    driverOrder.append(id)
  }

  func remove(_ driver: any LoopDriver) {
    let id = ObjectIdentifier(driver)
    drivers[id] = nil
    driverOrder.removeAll { $0 == id }
  }

  @discardableResult
  func after(_ milliseconds: Int64, _ action: @escaping () -> Void) -> Timers.ID {
    timers.add(due: now + milliseconds, action)
  }

  func cancel(_ timer: Timers.ID) { timers.cancel(timer) }

  // MARK: Connections

  func makeLane() -> Lane {
    defer { nextLane += 1 }
    return Lane(rawValue: nextLane)
  }

  /// Ends a lane's connections; what waits on them fails.
  func closeLane(_ lane: Lane, _ error: ClientError) {
    for (key, connection) in connections where key.lane == lane {
      connections[key] = nil
      connection.close(error)
    }
  }

  func makeTransport(_ address: SocketAddress?, _ owner: any TransportOwner) -> any Transport {
    switch reach {
    case .local(let connect): LinkTransport(connect(), loop, owner)
    case .tcp(let bootstrap):
      TCPTransport(address ?? bootstrap[0], loop, arrays, owner)
    }
  }

  private func connection(_ address: SocketAddress?, _ lane: Lane) -> BrokerConnection {
    let key = Key(address: address, lane: lane)
    if let connection = connections[key] { return connection }
    let connection = BrokerConnection(self, address)
    connections[key] = connection
    return connection
  }

  /// Nil for a node that metadata does not know.
  private func connection(to destination: Destination, _ lane: Lane) -> BrokerConnection? {
    // A broker in the same process is all brokers there are.
    guard case .tcp(let bootstrap) = reach else { return connection(nil, lane) }
    let brokers = metadata.cluster.brokers
    switch destination {
    case .node(let id):
      guard let address = brokers[id] else { return nil }
      return connection(address, lane)
    case .controller:
      guard let address = brokers[metadata.cluster.controller] else { fallthrough }
      return connection(address, lane)
    case .any:
      let known = brokers.keys.sorted().compactMap { brokers[$0] }
      let candidates = known + bootstrap.filter { !known.contains($0) }
      let open = candidates.first { connections[Key(address: $0, lane: lane)]?.isReady ?? false }
      if let open { return connection(open, lane) }
      // Not one that has just failed, if there is another.
      nextBootstrap += 1
      let rotated = candidates.indices.map { candidates[($0 + nextBootstrap) % candidates.count] }
      let fresh = rotated.first {
        !(connections[Key(address: $0, lane: lane)]?.isWaiting ?? false)
      }
      return connection(fresh ?? rotated[0], lane)
    }
  }

  // MARK: Requests

  /// Sends a request whose fields may depend on the version that the broker speaks.
  ///
  /// - Parameter waitMilliseconds: what the broker itself may take, by the request.
  func send<R: WireRequest>(
    _ type: R.Type, to destination: Destination, lane: Lane = .general,
    waitMilliseconds: Int64 = 0, hasResponse: Bool = true,
    _ request: @escaping (Int16) -> R,
    _ completion: @escaping (Result<R.Response, ClientError>) -> Void
  ) {
    guard !isStopped else { return completion(.failure(.closed)) }
    guard let connection = connection(to: destination, lane) else {
      return completion(.failure(ClientError(.disconnected, "the broker's address is not known")))
    }
    let clientID = options.clientID
    let exchange = Exchange(
      R.api, deadline: now + options.requestTimeoutMilliseconds + waitMilliseconds,
      hasResponse: hasResponse,
      encode: { (version, id) throws(WireError) in
        try Frame.request(
          request(version), version: version, correlationId: id, clientId: clientID
        ).bytes
      },
      completion: { result in
        guard hasResponse else { return completion(result.map { _ in R.Response() }) }
        completion(Self.decode(R.Response.self, result))
      })
    connection.send(exchange)
  }

  func send<R: WireRequest>(
    _ request: R, to destination: Destination, lane: Lane = .general,
    waitMilliseconds: Int64 = 0,
    _ completion: @escaping (Result<R.Response, ClientError>) -> Void
  ) {
    send(
      R.self, to: destination, lane: lane, waitMilliseconds: waitMilliseconds, { _ in request },
      completion)
  }

  private static func decode<Body: WireResponse>(
    _ type: Body.Type, _ result: Result<Exchange.Reply, ClientError>
  ) -> Result<Body, ClientError> {
    switch result {
    case .failure(let error): return .failure(error)
    case .success(let reply):
      do throws(WireError) {
        return .success(try Body.decode(reply.body, version: reply.version))
      } catch {
        return .failure(
          ClientError(.corruptData, "the answer to \(Body.api) is malformed: \(error)"))
      }
    }
  }

  /// Tries until something succeeds, fails for good, or the time is over; with a growing pause
  /// between attempts.
  func retry<Value>(
    until deadline: Int64, attempt: Int = 0,
    _ body: @escaping (@escaping (Result<Value, ClientError>) -> Void) -> Void,
    _ completion: @escaping (Result<Value, ClientError>) -> Void
  ) {
    body { [weak self] result in
      guard let self, case .failure(let error) = result, error.isRetriable, !isStopped else {
        return completion(result)
      }
      let pause = options.retryBackoffMilliseconds << Int64(min(attempt, 6))
      guard now + pause < deadline else { return completion(result) }
      after(pause) { [weak self] in
        guard let self, !isStopped else { return completion(.failure(.closed)) }
        retry(until: deadline, attempt: attempt + 1, body, completion)
      }
    }
  }
}
