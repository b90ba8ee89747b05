import Broker
import Client
import Foundation
import LogStore
import Platform

/// A node on a directory of its own, served from a thread of this process until it is stopped.
final class TestBroker: Sendable {
  private struct State {
    var port: UInt16 = 0
    var failure: String?
    var hasEnded = false
    var stop: (@Sendable () -> Void)?
  }

  let directory: URL
  private let state = Condition(State())

  var port: UInt16 { state.withLock { $0.port } }
  var address: String { "127.0.0.1:\(port)" }

  /// Starts a node; in a directory of an earlier one it goes on with what that left.
  init(_ directory: URL? = nil, port: UInt16 = 0, settings: [(String, String)] = []) throws {
    if let directory {
      self.directory = directory
    } else {
      self.directory = FileManager.default.temporaryDirectory.appending(
        path: "martlet-client-\(UUID().uuidString)")
      try FileManager.default.createDirectory(
        at: self.directory, withIntermediateDirectories: true)
    }
    let all = [("group.initial.rebalance.delay.ms", "50"), ("num.partitions", "3")] + settings
    let path = self.directory.path
    Thread.start("test-broker") { [state] in
      do {
        try Self.run(path, port, all, state)
      } catch {
        state.withLock { $0.failure = "\(error)" }
      }
      state.withLock { $0.hasEnded = true }
      state.broadcast()
    }
    let failure = state.wait(until: { $0.port != 0 || $0.hasEnded }) { $0.failure }
    if let failure { throw ClientError(.invalidArgument, failure) }
  }

  private static func run(
    _ path: String, _ port: UInt16, _ settings: [(String, String)], _ state: Condition<State>
  ) throws {
    let loop = try EventLoop()
    let disk = try FileDisk(directory: path) { [poster = loop.poster] in poster.wake() }
    let store = try LogStore.open(
      disk, newID: UInt64.random(in: 1 ... .max), now: WallClock.milliseconds())
    var options = NodeOptions()
    options.id = 1
    options.apply(settings)
    let node = try Node(
      store: store, options: options, file: settings, random: SystemRandomNumberGenerator(),
      now: WallClock.milliseconds())
    let server = Server(node: node, disk: disk, loop: loop, log: { _ in })
    let taken = try server.listen(SocketAddress(host: "127.0.0.1", port: port))
    node.advertise(host: "127.0.0.1", port: taken)
    nonisolated(unsafe) let owned = server
    state.withLock { state in
      state.port = taken
      state.stop = { [poster = loop.poster] in poster.post { owned.stop() } }
    }
    state.broadcast()
    loop.run()
  }

  /// Ends the node; returns when its files are closed.
  func stop() {
    state.withLock { $0.stop }?()
    state.wait(until: { $0.hasEnded }) { _ in }
  }

  /// Ends the node and removes its files.
  func remove() {
    stop()
    try? FileManager.default.removeItem(at: directory)
  }

  func client(_ adjust: (inout ClientOptions) -> Void = { _ in }) throws -> Client {
    var options = ClientOptions()
    adjust(&options)
    return try Client(bootstrap: [address], options: options)
  }
}
