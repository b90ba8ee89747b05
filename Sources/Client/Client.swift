internal import KafkaWire
internal import Platform

// A record's headers are part of what this module gives; who imports it need import nothing more.
@_exported public import struct Records.RecordHeader

// Client: producer, consumer and admin, for Swift programs.
//
//     Client      connections, metadata, one thread that does all of it
//     Producer    accumulates, numbers, sends and retries batches
//     PositionedProducer  a producer that can be resumed without repeating a record
//     Consumer    fetches, keeps positions, is a member of a group
//     Admin       topics, settings, groups (extensions of Client)
//
// What decides is a core without clock, socket or thread: `ProducerCore`, `GroupMember`,
// `ConsumerPositions`, the assignors. What does is a driver on the client's thread.
//
// (1) Everything of a client happens on its one thread. Other threads leave messages there.
// (2) A connection answers in order, so whatever may wait long (fetches, joins, batches) has a
//     connection of its own, a lane.
// (3) Every call comes in three forms over one core: with a completion, which runs on the client's
//     thread; asynchronous, which can be cancelled; blocking, for threads that may block.

/// How to reach a broker in the same process: the frames of a connection without a socket.
///
/// Each link is one connection. Frames are without the four bytes of their size.
package protocol BrokerLink: Sendable {
  /// Called once. `receive` takes response frames in order, from any one thread; `closed` says why
  /// it ended, nil if there is no more to say.
  func open(
    _ receive: @escaping @Sendable ([UInt8]) -> Void,
    _ closed: @escaping @Sendable (String?) -> Void
  )
  func send(_ frame: [UInt8])
  func close()
}

/// A connection to a cluster: shared by any number of producers, consumers and admin calls.
public final class Client: Sendable {
  private let mailbox: Mailbox
  private let isClosed = Condition(false)
  private let network: LoopOwned<Network>
  /// What the client was made with.
  public let options: ClientOptions

  /// A client that finds its cluster at any of the addresses ("host:port"). Connects when there is
  /// something to do.
  public convenience init(
    bootstrap: [String], options: ClientOptions = ClientOptions()
  ) throws(ClientError) {
    var addresses: [SocketAddress] = []
    for text in bootstrap.flatMap({ $0.split(separator: ",").map(String.init) }) {
      guard let address = SocketAddress(text) else {
        throw ClientError(.invalidArgument, "'\(text)' is no broker's address; give HOST:PORT")
      }
      addresses.append(address)
    }
    guard !addresses.isEmpty else {
      throw ClientError(.invalidArgument, "no broker is named; give HOST:PORT")
    }
    try self.init(.tcp(addresses), options)
  }

  /// A client of a broker in the same process; `connect` makes one link for each connection.
  package convenience init(
    connect: @escaping @Sendable () -> any BrokerLink, options: ClientOptions = ClientOptions()
  ) throws(ClientError) {
    try self.init(.local(connect), options)
  }

  private init(_ reach: Network.Reach, _ options: ClientOptions) throws(ClientError) {
    let loop: EventLoop
    do throws(DiskError) {
      loop = try EventLoop()
    } catch {
      throw ClientError(.invalidArgument, "the client cannot start: \(error)")
    }
    self.options = options
    mailbox = loop.poster
    network = LoopOwned(Network(loop, reach, options))
    Thread.start("martlet-client") { [network] in network.value.run() }
  }

  deinit { close() }

  /// Ends all connections; whatever still waits fails as closed. Producers are flushed by their own
  /// `close`, not by this.
  public func close() {
    isClosed.withLock { isClosed in
      guard !isClosed else { return }
      isClosed = true
      mailbox.post { [network] in network.value.stop() }
    }
  }

  /// Runs `body` on the client's thread; false if the client is closed.
  @discardableResult
  func perform(_ body: @escaping @Sendable (Network) -> Void) -> Bool {
    // Under the lock, so that nothing is left behind the message that ends the loop.
    isClosed.withLock { isClosed in
      guard !isClosed else { return false }
      mailbox.post { [network] in body(network.value) }
      return true
    }
  }

  /// As `perform`, for an operation, which fails if the client is closed.
  func perform<Value>(
    _ operation: Operation<Value>, _ body: @escaping @Sendable (Network) -> Void
  ) {
    if !perform(body) { operation.complete(.failure(.closed)) }
  }

  /// Blocks until a call with a completion is done. For threads that may block: neither Swift's
  /// cooperative pool nor the client's own thread.
  package func wait<T: Sendable>(
    _ start: (@escaping @Sendable (Result<T, ClientError>) -> Void) -> Void
  ) throws(ClientError) -> T {
    try blocking { operation in start { operation.complete($0) } }
  }
}
