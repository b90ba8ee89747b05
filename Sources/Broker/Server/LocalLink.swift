internal import KafkaWire
internal import Platform

/// The way to a node from its own process, without a socket: frames of bytes go in, frames of bytes
/// come out, as over a connection. Usable from every thread; what is said here is taken over by
/// the node's loop with its next turn.
///
/// (1) Every connection is told of its end exactly once, also one that the node never saw.
/// (2) After its end a connection receives nothing.
package final class LocalLink: Sendable {
  private struct Inbox {
    var opened: [LocalConnection] = []
    /// Connections that have something to say, each once at most.
    var touched: [ConnectionID] = []
    var nextNumber: UInt64 = 0
    var hasEnded = false
  }

  /// Connections from this process are counted apart from those over sockets.
  private static let firstID: UInt64 = 1 << 63

  private let inbox = Condition(Inbox())
  private let wake: @Sendable () -> Void

  /// `wake` makes the loop take its next turn.
  init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

  /// Opens a connection. `receive` gets each response without its four bytes of size, in the order
  /// of the requests; `closed` gets why the node closed the connection, nil if it was asked to.
  /// Both are called on the node's own thread, which they must not hold up.
  package func connect(
    receive: @escaping @Sendable ([UInt8]) -> Void, closed: @escaping @Sendable (String?) -> Void
  ) -> LocalConnection {
    let (connection, isTaken) = inbox.withLock { inbox in
      let id = ConnectionID(Self.firstID + inbox.nextNumber)
      inbox.nextNumber += 1
      let connection = LocalConnection(id: id, link: self, receive: receive, closed: closed)
      if !inbox.hasEnded { inbox.opened.append(connection) }
      return (connection, !inbox.hasEnded)
    }
    if isTaken { wake() } else { connection.end(Self.stopped) }
    return connection
  }

  static let stopped = "the node has stopped"

  func touch(_ id: ConnectionID) {
    inbox.withLock { $0.touched.append(id) }
    wake()
  }

  // MARK: For the loop

  /// What has happened since the last call.
  func take() -> (opened: [LocalConnection], touched: [ConnectionID]) {
    inbox.withLock { inbox in
      defer {
        inbox.opened = []
        inbox.touched = []
      }
      return (inbox.opened, inbox.touched)
    }
  }

  /// The loop will not come again: whoever connects from now on is told so.
  func end() {
    let opened = inbox.withLock { inbox in
      inbox.hasEnded = true
      defer { inbox.opened = [] }
      return inbox.opened
    }
    for connection in opened { connection.end(Self.stopped) }
  }
}

/// A client's half of a connection inside the process. Usable from every thread.
///
/// The bytes of requests that the node has not taken yet are bounded (`waitingBytesMax`): a client
/// bounds its open requests itself, so more than that is a mistake, and ends the connection.
package final class LocalConnection: Sendable {
  package static let waitingBytesMax = 2 * Frame.sizeMax

  private struct State {
    var frames: [[UInt8]] = []
    /// Of the frames that are handed over already and still in `frames`.
    var taken = 0
    var waitingBytes = 0
    var isTooLong = false
    var isClosing = false
    var hasEnded = false
    /// The link knows that there is something to take.
    var isTouched = false

    mutating func giveUp() {
      frames = []
      taken = 0
      waitingBytes = 0
    }
  }

  let id: ConnectionID
  private let state = Condition(State())
  private let link: LocalLink
  private let receive: @Sendable ([UInt8]) -> Void
  private let closed: @Sendable (String?) -> Void

  init(
    id: ConnectionID, link: LocalLink, receive: @escaping @Sendable ([UInt8]) -> Void,
    closed: @escaping @Sendable (String?) -> Void
  ) {
    self.id = id
    self.link = link
    self.receive = receive
    self.closed = closed
  }

  /// Sends a request: a frame without its four bytes of size. Nothing happens after the end.
  package func send(_ frame: [UInt8]) {
    change { state in
      guard !state.isClosing, !state.isTooLong else { return }
      state.frames.append(frame)
      state.waitingBytes += frame.count
      if state.waitingBytes > Self.waitingBytesMax {
        state.isTooLong = true
        state.giveUp()
      }
    }
  }

  /// Closes the connection: requests that were sent are done, their responses are not received.
  package func close() { change { $0.isClosing = true } }

  private func change(_ body: (inout State) -> Void) {
    let isNew = state.withLock { state in
      guard !state.hasEnded else { return false }
      body(&state)
      defer { state.isTouched = true }
      return !state.isTouched
    }
    if isNew { link.touch(id) }
  }

  // MARK: For the loop

  /// What the client wants, besides what it sent.
  enum Wish { case nothing, close, tooLong }

  /// Makes the link name the connection again, with the next turn.
  func touchAgain() { change { _ in } }

  /// The link has named the connection: what comes from now on makes it do so again.
  func taken() { state.withLock { $0.isTouched = false } }

  var waitingBytes: Int { state.withLock { $0.waitingBytes } }

  var wish: Wish {
    state.withLock { $0.isTooLong ? .tooLong : $0.isClosing ? .close : .nothing }
  }

  func nextFrame() -> [UInt8]? {
    state.withLock { state in
      guard state.taken < state.frames.count else { return nil }
      let frame = state.frames[state.taken]
      state.frames[state.taken] = []
      state.taken += 1
      state.waitingBytes -= frame.count
      if state.taken == state.frames.count {
        state.frames.removeAll(keepingCapacity: true)
        state.taken = 0
      }
      return frame
    }
  }

  func deliver(_ response: [UInt8]) { receive(response) }

  func end(_ why: String?) {
    let isFirst = state.withLock { state in
      defer { state.hasEnded = true }
      state.giveUp()
      return !state.hasEnded
    }
    if isFirst { closed(why) }
  }
}
