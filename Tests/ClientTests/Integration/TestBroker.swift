import Broker
import Client
import Foundation
import Platform

/// A node on a directory of its own, served from a thread of this process until it is stopped.
final class TestBroker: Sendable {
  let directory: URL
  private let host: NodeHost

  var port: UInt16 { host.port ?? 0 }
  var address: String { "127.0.0.1:\(port)" }

  /// Starts a node; in the directory of an earlier one it goes on with what that left.
  init(_ directory: URL? = nil, port: UInt16 = 0, settings: [(String, String)] = []) throws {
    if let directory {
      self.directory = directory
    } else {
      self.directory = FileManager.default.temporaryDirectory.appending(
        path: "martlet-client-\(UUID().uuidString)")
      try FileManager.default.createDirectory(
        at: self.directory, withIntermediateDirectories: true)
    }
    var options = NodeHostOptions(directory: self.directory.path)
    options.listen = SocketAddress(host: "127.0.0.1", port: port)
    options.http = SocketAddress(host: "127.0.0.1", port: 0)
    options.settings =
      [("group.initial.rebalance.delay.ms", "50"), ("num.partitions", "3")] + settings
    host = try NodeHost(options)
  }

  /// What the node says of itself.
  func metrics() throws -> [Substring] {
    let address = SocketAddress(host: "127.0.0.1", port: host.httpPort ?? 0)
    let page = HTTPGet.page("/metrics", at: address, milliseconds: 10_000)
    struct NoPage: Error {}
    guard let page else { throw NoPage() }
    return page.split(separator: "\n")
  }

  /// Ends the node; returns when its files are closed.
  func stop() { host.stop() }

  /// Ends the node and removes its files.
  func remove() {
    stop()
    try? FileManager.default.removeItem(at: directory)
  }

  enum Way: CaseIterable { case tcp, inProcess }

  func client(_ way: Way = .tcp) throws -> Client {
    switch way {
    case .tcp: try Client(bootstrap: [address])
    case .inProcess: try Client(connect: { [host] in InProcessLink(host.localLink) })
    }
  }
}

/// A client's link to a node in this process.
final class InProcessLink: BrokerLink {
  private let link: LocalLink
  private let connection = Condition<LocalConnection?>(nil)

  init(_ link: LocalLink) { self.link = link }

  func open(
    _ receive: @escaping @Sendable ([UInt8]) -> Void,
    _ closed: @escaping @Sendable (String?) -> Void
  ) {
    let opened = link.connect(receive: receive, closed: closed)
    connection.withLock { $0 = opened }
  }

  func send(_ frame: [UInt8]) { connection.withLock { $0 }?.send(frame) }
  func close() { connection.withLock { $0 }?.close() }
}
