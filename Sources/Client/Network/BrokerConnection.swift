internal import KafkaWire
internal import Platform

/// One lane to one broker: requests leave in order, answers come in the same order.
///
///     idle ──request──▶ connecting ──▶ negotiating ──▶ ready
///      ▲                     │               │            │
///      └──────── waiting ◀───┴── failed ─────┴────────────┘
///
/// (1) At most `inFlightMax` requests wait for answers, and at most `unsentBytesMax` bytes wait to
///     be sent, beyond one frame; the rest waits here, in order.
/// (2) When a connection ends, everything in flight fails at once as disconnected; whoever asked
///     decides what may be sent again. What was not sent yet fails too: its broker may be gone.
/// (3) An answer that is late ends the connection: those behind it would be late as well.
final class BrokerConnection: TransportOwner {
  private static let inFlightMax = 64
  private static let unsentBytesMax = 8 << 20

  private enum State {
    case idle
    case connecting(since: Int64)
    case negotiating(since: Int64)
    case ready
    /// After a failure, until the next attempt.
    case waiting(until: Int64)
    case closed
  }

  let address: SocketAddress?
  private unowned let network: Network
  private var state = State.idle
  private var transport: (any Transport)?
  private var versions = SpokenVersions()
  private var waiting: [Exchange] = []
  private var inFlight: [Exchange] = []
  private var nextCorrelation: Int32 = 1
  private var failures = 0
  /// The version of the negotiation under way; brokers older than it answer in version 0.
  private var negotiationVersion: Int16 = 3
  private var lastError = ClientError(.disconnected, "the broker was not reached")

  init(_ network: Network, _ address: SocketAddress?) {
    self.network = network
    self.address = address
  }

  var isReady: Bool { if case .ready = state { true } else { false } }
  var isWaiting: Bool { if case .waiting = state { true } else { false } }
  /// Whether it is about to come about, or to be tried again.
  var isTrying: Bool {
    switch state {
    case .connecting, .negotiating, .waiting: true
    case .idle, .ready, .closed: false
    }
  }
  /// Why it does not stand.
  var trouble: ClientError { lastError }
  var isBusy: Bool { !waiting.isEmpty || !inFlight.isEmpty }

  /// Hands a request over; it leaves at the end of the loop's turn.
  func send(_ exchange: Exchange) {
    if case .closed = state { return exchange.finish(.failure(lastError)) }
    waiting.append(exchange)
    network.hasWork(self)
  }

  /// Sends what can be sent.
  func work(_ now: Int64) {
    switch state {
    case .idle: if !waiting.isEmpty { connect(now) }
    case .waiting(let until) where now >= until: if !waiting.isEmpty { connect(now) }
    case .ready: sendWaiting()
    default: break
    }
  }

  /// Gives up what has waited too long. Returns when to look again.
  func check(_ now: Int64) {
    switch state {
    case .connecting(let since), .negotiating(let since):
      if now - since >= network.options.connectTimeoutMilliseconds {
        let name = address.map { "\($0)" } ?? "the broker in this process"
        fail(ClientError(.disconnected, "\(name) did not answer in time"), now)
      }
    case .ready:
      if let first = inFlight.first, first.deadline <= now {
        let error = ClientError(
          .timedOut, "\(first.api) was not answered in time; the connection was given up")
        fail(error, now)
      }
    default: break
    }
    let late = waiting.filter { $0.deadline <= now }
    guard !late.isEmpty else { return }
    waiting.removeAll { $0.deadline <= now }
    let error = ClientError(.timedOut, "no connection in time: \(lastError)")
    for exchange in late { exchange.finish(.failure(error)) }
  }

  func close(_ error: ClientError) {
    if case .closed = state { return }
    lastError = error
    state = .closed
    end(error)
  }

  // MARK: Connecting

  private func connect(_ now: Int64) {
    state = .connecting(since: now)
    transport = network.makeTransport(address, self)
  }

  func transportOpened() {
    guard case .connecting = state else { return }
    state = .negotiating(since: network.now)
    negotiationVersion = 3
    negotiate()
  }

  private func negotiate() {
    var request = ApiVersionsRequest()
    request.clientSoftwareName = "martlet"
    request.clientSoftwareVersion = "0.1"
    let version = negotiationVersion
    let exchange = Exchange(
      .apiVersions, deadline: .max, hasResponse: true,
      encode: { [clientID = network.options.clientID] (version, id) throws(WireError) in
        try Frame.request(request, version: version, correlationId: id, clientId: clientID).bytes
      },
      completion: { [weak self] result in self?.negotiated(result) })
    transmit(exchange, version: version)
  }

  private func negotiated(_ result: Result<Exchange.Reply, ClientError>) {
    guard case .success(let reply) = result, case .negotiating = state else { return }
    do throws(WireError) {
      // Both layouts begin with the error; a broker that does not speak the version answers in v0.
      let isRefused = reply.body.prefix(2).elementsEqual([0, 35])
      let version = isRefused ? 0 : reply.version
      let response = try ApiVersionsResponse.decode(reply.body, version: version)
      if isRefused, negotiationVersion > 0 {
        negotiationVersion = 0
        return negotiate()
      }
      guard response.errorCode == .none else {
        return fail(ClientError(response.errorCode, "ApiVersions"), network.now)
      }
      versions = SpokenVersions(response)
      state = .ready
      failures = 0
      sendWaiting()
    } catch {
      fail(
        ClientError(.corruptData, "the answer to ApiVersions is malformed: \(error)"), network.now)
    }
  }

  // MARK: Requests and answers

  private func sendWaiting() {
    var sent = 0
    while sent < waiting.count, inFlight.count < Self.inFlightMax, let transport,
      transport.unsentSize < Self.unsentBytesMax
    {
      let exchange = waiting[sent]
      sent += 1
      guard let version = versions.version(of: exchange.api) else {
        let error = ClientError(
          .unsupportedVersion,
          "the broker speaks no version of \(exchange.api) that this client speaks")
        exchange.finish(.failure(error))
        continue
      }
      transmit(exchange, version: version)
      guard case .ready = state else {
        // What was in `waiting` has failed with the connection.
        return
      }
    }
    waiting.removeFirst(min(sent, waiting.count))
  }

  private func transmit(_ exchange: Exchange, version: Int16) {
    exchange.version = version
    exchange.correlation = nextCorrelation
    nextCorrelation = nextCorrelation == .max ? 1 : nextCorrelation + 1
    do throws(WireError) {
      let frame = try exchange.encode(version, exchange.correlation)
      if exchange.hasResponse { inFlight.append(exchange) }
      transport?.send(frame)
      if !exchange.hasResponse { exchange.finish(.success(([], version))) }
    } catch {
      exchange.finish(
        .failure(ClientError(.invalidArgument, "\(exchange.api) cannot be sent: \(error)")))
    }
  }

  func transportReceived(_ frame: ArraySlice<UInt8>) {
    guard let exchange = inFlight.first else {
      return fail(ClientError(.corruptData, "the broker answered what nobody asked"), network.now)
    }
    do throws(WireError) {
      let response = try ResponseFrame(frame, api: exchange.api, version: exchange.version)
      guard response.correlationId == exchange.correlation else {
        let numbers = "\(response.correlationId) instead of \(exchange.correlation)"
        return fail(
          ClientError(.corruptData, "the broker answered request \(numbers)"), network.now)
      }
      inFlight.removeFirst()
      exchange.finish(.success((response.body, exchange.version)))
      if !waiting.isEmpty { network.hasWork(self) }
    } catch {
      fail(ClientError(.corruptData, "a response's header is malformed: \(error)"), network.now)
    }
  }

  func transportSent() { if !waiting.isEmpty { network.hasWork(self) } }

  func transportClosed(_ error: ClientError) { fail(error, network.now) }

  private func fail(_ error: ClientError, _ now: Int64) {
    if case .closed = state { return }
    lastError = error
    let options = network.options
    let backoff = min(
      options.reconnectBackoffMaxMilliseconds,
      options.reconnectBackoffMilliseconds << Int64(min(failures, 16)))
    // A connection that stood is made again at once, if somebody asks for it.
    state = isReady ? .idle : .waiting(until: now + backoff)
    failures += 1
    end(error)
  }

  private func end(_ error: ClientError) {
    transport?.close()
    transport = nil
    let ended = inFlight + waiting
    inFlight = []
    waiting = []
    for exchange in ended { exchange.finish(.failure(error)) }
  }
}
