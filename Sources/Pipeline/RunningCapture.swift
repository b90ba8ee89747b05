package import Capture
package import Client
internal import Platform

/// A capture on a thread of its own.
package final class RunningCapture: Sendable {
  package let name: String
  private let stopping = CaptureStop()
  private let end = Condition<Result<Void, CaptureError>?>(nil)

  /// Starts it; or, if it `forgets`, forgets how far it was. `ended` is called when it has ended,
  /// with how, on its thread.
  package init(
    _ config: CaptureConfig, _ client: Client, forgets: Bool = false,
    log: @escaping @Sendable (String) -> Void,
    ended: @escaping @Sendable (Result<Void, CaptureError>) -> Void
  ) {
    name = config.name
    Thread.start("mt-capture") { [stopping, end] in
      let result = Result { () throws(CaptureError) in
        if forgets {
          try CaptureRunner.forget(config, client, log: log)
        } else {
          try CaptureRunner.run(config, client, log: log, stop: stopping)
        }
      }
      end.withLock { $0 = result }
      end.broadcast()
      ended(result)
    }
  }

  package var hasEnded: Bool { end.withLock { $0 != nil } }

  /// Why it ended by itself, if it did.
  package var failure: CaptureError? {
    if case .failure(let error)? = end.withLock({ $0 }) { error } else { nil }
  }

  package func requestStop() { stopping.request() }

  /// Ends it and waits until it has told Postgres how far it came. Blocks.
  package func stop() {
    requestStop()
    end.wait(until: { $0 != nil }) { _ in }
  }
}
