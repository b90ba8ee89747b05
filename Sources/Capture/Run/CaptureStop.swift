internal import Platform

/// Tells a capture from another thread that it should end.
package final class CaptureStop: Sendable {
  private struct State {
    var isRequested = false
    var listeners: [@Sendable () -> Void] = []
  }

  private let state = Condition(State())

  package init() {}

  package var isRequested: Bool { state.withLock { $0.isRequested } }

  package func request() {
    let listeners = state.withLock { state in
      state.isRequested = true
      defer { state.listeners = [] }
      return state.listeners
    }
    state.broadcast()
    for listener in listeners { listener() }
  }

  /// Calls when it is requested, at once if it is already; on the thread that requests.
  func onRequest(_ call: @escaping @Sendable () -> Void) {
    let isRequested = state.withLock { state in
      if !state.isRequested { state.listeners.append(call) }
      return state.isRequested
    }
    if isRequested { call() }
  }

  /// Forgets who wanted to be called.
  func removeListeners() { state.withLock { $0.listeners = [] } }

  /// Blocks for that long, or until it is requested; answers whether it is.
  func wait(milliseconds: Int64) -> Bool {
    state.wait(until: { $0.isRequested }, milliseconds: milliseconds) { $0.isRequested }
  }
}
