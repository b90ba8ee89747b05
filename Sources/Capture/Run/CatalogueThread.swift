internal import Platform

/// The thread of a stream's connection to the catalogue: one question after another, which may wait
/// for locks and brokers while the stream itself goes on.
///
/// Bound: an announcement, for which the stream is held, and a look at the publication.
final class CatalogueThread: Sendable {
  private struct State {
    var jobs: [@Sendable () -> Void] = []
    var isEnding = false
  }

  private let state = Condition(State())

  init() {
    Thread.start("martlet-catalog") { [state] in
      while let job = Self.next(state) { job() }
    }
  }

  deinit { end() }

  private static func next(_ state: Condition<State>) -> (@Sendable () -> Void)? {
    state.wait(until: { !$0.jobs.isEmpty || $0.isEnding }) { state in
      state.isEnding ? nil : state.jobs.removeFirst()
    }
  }

  func run(_ job: @escaping @Sendable () -> Void) {
    state.withLock { $0.jobs.append(job) }
    state.signal()
  }

  /// Does not wait for what is being asked.
  func end() {
    state.withLock { $0.isEnding = true }
    state.signal()
  }
}
