package import Capture
package import Client
internal import Platform

/// A capture on a thread of its own.
package final class RunningCapture: Sendable {
  package let name: String
  private let stopping = CaptureStop()
  private let end = Condition<Result<Void, CaptureError>?>(nil)

  private let client: Client
  private let published = CaptureStatus()

  /// Starts it; or, if it `forgets`, forgets how far it was. `ended` is called when it has ended,
  /// with how, on its thread.
  package init(
    _ config: CaptureConfig, _ client: Client, forgets: Bool = false,
    log: @escaping @Sendable (String) -> Void,
    ended: @escaping @Sendable (Result<Void, CaptureError>) -> Void
  ) {
    name = config.name
    self.client = client
    Thread.start("mt-capture") { [stopping, end, published] in
      let result = Result { () throws(CaptureError) in
        if forgets {
          try CaptureRunner.forget(config, client, log: log)
        } else {
          try CaptureRunner.run(
            config, client, log: log, stop: stopping, status: published)
        }
      }
      end.withLock { $0 = result }
      end.broadcast()
      ended(result)
    }
  }

  package var status: CaptureStatus.Values { published.values }

  package var hasEnded: Bool { end.withLock { $0 != nil } }

  /// Why it ended by itself, if it did.
  package var failure: CaptureError? {
    if case .failure(let error)? = end.withLock({ $0 }) { error } else { nil }
  }

  /// Has it end once it has told Postgres how far it came.
  package func requestStop() { stopping.request() }

  /// Ends them all in bounded time: after a second the client is closed, so that what waits for the
  /// log fails, and what waits for Postgres after half a second more is left behind. Nothing is
  /// lost by either: the next start reads in the topics how far this one came. Returns whether all
  /// have ended.
  package static func stop(_ captures: [RunningCapture]) -> Bool {
    for capture in captures { capture.requestStop() }
    let start = MonotonicClock.milliseconds()
    func haveEnded(by milliseconds: Int64) -> Bool {
      captures.allSatisfy { capture in
        let left = start + milliseconds - MonotonicClock.milliseconds()
        return capture.end.wait(until: { $0 != nil }, milliseconds: max(0, left)) { $0 != nil }
      }
    }
    if haveEnded(by: 1000) { return true }
    for capture in captures { capture.client.close() }
    return haveEnded(by: 1500)
  }
}
