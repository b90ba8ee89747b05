import Broker
import Bytes
import KafkaWire
import Platform

/// A directory of its own, gone at the end.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    path = "/tmp/martlet-test-\(UInt64.random(in: 0 ... .max))"
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    guard let disk = try? FileDisk(directory: path, poolThreads: 1) else { return }
    remove(".", disk)
    _ = try? disk.perform(.removeDirectory(path))
  }

  private static func remove(_ path: String, _ disk: FileDisk) {
    for name in (try? disk.names(in: path)) ?? [] {
      let inner = "\(path)/\(name)"
      guard (try? disk.perform(.delete(inner))) == nil else { continue }
      remove(inner, disk)
      _ = try? disk.perform(.removeDirectory(inner))
    }
  }
}

/// A client over a local connection: one request after another, or several at once.
final class LocalClient: Sendable {
  enum Failure: Error, Equatable { case closed(String?) }

  private struct State {
    var received: [[UInt8]] = []
    /// Who waits for responses, in the order of the requests.
    var waiting: [CheckedContinuation<[UInt8], any Error>] = []
    var end: String??
    var endings = 0
    var whoWaitsForTheEnd: [CheckedContinuation<String?, Never>] = []
    var correlation: Int32 = 0
  }

  private let state = Condition(State())
  private let connection = Condition<LocalConnection?>(nil)

  init(_ link: LocalLink) {
    let state = state
    let connection = link.connect(
      receive: { frame in
        let waiter = state.withLock { state -> CheckedContinuation<[UInt8], any Error>? in
          guard !state.waiting.isEmpty else {
            state.received.append(frame)
            return nil
          }
          return state.waiting.removeFirst()
        }
        waiter?.resume(returning: frame)
      },
      closed: { why in
        let (waiting, ends) = state.withLock { state in
          state.end = .some(why)
          state.endings += 1
          defer {
            state.waiting = []
            state.whoWaitsForTheEnd = []
          }
          return (state.waiting, state.whoWaitsForTheEnd)
        }
        for waiter in waiting { waiter.resume(throwing: Failure.closed(why)) }
        for waiter in ends { waiter.resume(returning: why) }
      })
    self.connection.withLock { $0 = connection }
  }

  /// How often the client was told of the connection's end.
  var endings: Int { state.withLock { $0.endings } }

  func close() { connection.withLock { $0 }?.close() }

  /// Sends a request without waiting for its response.
  func send<R: WireRequest>(_ request: R, version: Int16) throws -> Int32 {
    let correlation = state.withLock { state in
      state.correlation += 1
      return state.correlation
    }
    let frame = try Frame.request(
      request, version: version, correlationId: correlation, clientId: "test")
    connection.withLock { $0 }?.send(Array(frame.bytes.dropFirst(4)))
    return correlation
  }

  func send(raw frame: [UInt8]) { connection.withLock { $0 }?.send(frame) }

  /// The next response, in order.
  func receive() async throws -> [UInt8] {
    try await withCheckedThrowingContinuation { waiter in
      let (frame, end) = state.withLock { state -> ([UInt8]?, String??) in
        if !state.received.isEmpty { return (state.received.removeFirst(), nil) }
        if let end = state.end { return (nil, end) }
        state.waiting.append(waiter)
        return (nil, nil)
      }
      if let frame { waiter.resume(returning: frame) }
      if let end { waiter.resume(throwing: Failure.closed(end)) }
    }
  }

  /// Why the connection ended, once it has.
  func end() async -> String? {
    await withCheckedContinuation { waiter in
      let end = state.withLock { state -> String?? in
        if state.end == nil { state.whoWaitsForTheEnd.append(waiter) }
        return state.end
      }
      if let end { waiter.resume(returning: end) }
    }
  }

  /// Sends a request and receives the next response, which must be its own.
  func call<R: WireRequest>(_ request: R, version: Int16) async throws -> R.Response {
    let correlation = try send(request, version: version)
    return try decode(
      try await receive(), R.self, version: version, correlation: correlation)
  }

  func decode<R: WireRequest>(
    _ frame: [UInt8], _ type: R.Type, version: Int16, correlation: Int32
  ) throws -> R.Response {
    let response = try ResponseFrame(frame[...], api: R.api, version: version)
    guard response.correlationId == correlation else { throw Failure.closed("out of order") }
    return try R.Response.decode(response.body, version: version)
  }
}
