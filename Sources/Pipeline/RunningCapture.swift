package import Capture
package import Client
internal import Platform

/// A capture on a thread of its own.
package final class RunningCapture: Sendable {
  package let name: String
  private let stopping = CaptureStop()
  private let end = Condition<Result<Void, CaptureError>?>(nil)

  /// Starts it. `ended` is called when it has ended, on its thread.
  package init(
    _ config: CaptureConfig, _ client: Client, log: @escaping @Sendable (String) -> Void,
    ended: @escaping @Sendable () -> Void
  ) {
    name = config.name
    Thread.start("mt-capture") { [stopping, end] in
      let result = Result { () throws(CaptureError) in
        try CaptureRunner.run(config, client, log: log, stop: stopping)
      }
      if case .failure(let error) = result { log("capture '\(config.name)' has ended: \(error)") }
      end.withLock { $0 = result }
      end.broadcast()
      ended()
    }
  }

  package var hasEnded: Bool { end.withLock { $0 != nil } }

  /// Why it ended by itself, if it did.
  package var failure: CaptureError? {
    if case .failure(let error)? = end.withLock({ $0 }) { error } else { nil }
  }

  /// Ends it and waits until it has told Postgres how far it came. Blocks.
  package func stop() {
    stopping.request()
    end.wait(until: { $0 != nil }) { _ in }
  }
}
