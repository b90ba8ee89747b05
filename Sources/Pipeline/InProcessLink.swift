package import Broker
internal import Client
internal import Platform

/// A client's connection to a node in this process: joins what neither side knows of the other.
package final class InProcessLink: BrokerLink {
  private let link: LocalLink
  private let connection = Condition<LocalConnection?>(nil)

  package init(_ link: LocalLink) { self.link = link }

  package func open(
    _ receive: @escaping @Sendable ([UInt8]) -> Void,
    _ closed: @escaping @Sendable (String?) -> Void
  ) {
    let opened = link.connect(receive: receive, closed: closed)
    connection.withLock { $0 = opened }
  }

  package func send(_ frame: [UInt8]) { connection.withLock { $0 }?.send(frame) }

  package func close() { connection.withLock { $0 }?.close() }
}
