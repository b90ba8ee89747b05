internal import Platform

/// Asks a node for its page `/metrics` again and again, on a thread of its own: one that does not
/// answer holds up nobody.
final class NodePoll: Sendable {
  private struct State {
    /// Nil while its process is not there.
    var address: SocketAddress?
    var isHurried = false
    var isStopped = false
  }

  /// The page costs the node a millisecond or so.
  private static let pauseMilliseconds: Int64 = 250
  /// While a failover is to be timed.
  private static let hurriedMilliseconds: Int64 = 5
  private static let answerMilliseconds: Int64 = 1000

  private let state = Condition(State())

  /// `answered` is called on the poll's thread, with nil for no answer.
  init(_ answered: @escaping @Sendable (NodeGlance?) -> Void) {
    Thread.start("martlet-poll") { [state] in
      while let address = Self.next(state) {
        guard let address = address.value else { continue }
        let page = HTTPGet.page("/metrics", at: address, milliseconds: Self.answerMilliseconds)
        answered(page.flatMap { NodeGlance(metrics: $0) })
      }
    }
  }

  private struct Turn {
    let value: SocketAddress?
  }

  /// Waits for the next turn; nil when it is over.
  private static func next(_ state: Condition<State>) -> Turn? {
    let isHurried = state.withLock { $0.isHurried }
    return state.wait(
      until: { $0.isStopped || $0.isHurried && !isHurried },
      milliseconds: isHurried ? hurriedMilliseconds : pauseMilliseconds
    ) { $0.isStopped ? nil : Turn(value: $0.address) }
  }

  func look(at address: SocketAddress?) { state.withLock { $0.address = address } }

  func hurry(_ isHurried: Bool) {
    state.withLock { $0.isHurried = isHurried }
    state.broadcast()
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    state.broadcast()
  }
}
