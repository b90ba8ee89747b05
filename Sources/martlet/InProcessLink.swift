internal import Broker
internal import Client
internal import Platform

/// A client's connection to a node in this process: joins what neither side knows of the other.
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
