internal import Platform

/// A processor on a thread of its own.
package final class ProcessorRunner: Sendable {
  package let name: String
  private let shared = Condition(ProcessorLoop.Shared())
  private let make: @Sendable (Condition<ProcessorLoop.Shared>) -> ProcessorLoop
  private let interrupt: @Sendable () -> Void
  private let hasStarted = Condition(false)

  /// Sink and transport are made on the processor's thread, which alone uses them. `interrupt`
  /// makes whatever waits in the transport fail, then and from then on; it is called on any thread.
  /// `notice` takes lines for people, on the processor's thread.
  package init(
    name: String, task: ProcessorTask, sink: @escaping @Sendable () -> any Sink,
    transport: @escaping @Sendable () -> any RecordTransport,
    interrupt: @escaping @Sendable () -> Void = {},
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.name = name
    self.interrupt = interrupt
    make = { shared in
      ProcessorLoop(
        name: name, task: task, sink: sink(), transport: transport(), shared: shared,
        notice: notice)
    }
  }

  /// Starts it; once.
  package func start() {
    let isFirst = hasStarted.withLock { hasStarted in
      defer { hasStarted = true }
      return !hasStarted
    }
    precondition(isFirst, "a processor is started once")
    Thread.start("mt-\(name)") { [make, shared] in make(shared).run() }
  }

  /// Ends it after the batch at hand, and returns when its connections are closed. Blocks.
  package func stop() {
    requestStop()
    guard hasStarted.withLock({ $0 }) else { return }
    shared.wait(until: { $0.hasEnded }) { _ in }
  }

  /// Has it end after the batch at hand.
  package func requestStop() {
    shared.withLock { $0.isStopping = true }
    shared.broadcast()
  }

  /// Blocks until it has ended or the time is over; whether it has ended.
  package func waitForEnd(milliseconds: Int64) -> Bool {
    guard hasStarted.withLock({ $0 }) else { return true }
    return shared.wait(until: { $0.hasEnded }, milliseconds: milliseconds) { $0.hasEnded }
  }

  /// Ends them all in bounded time: what waits for the log after a second is interrupted, and what
  /// waits for a database after half a second more is left behind. Nothing is lost by either: the
  /// next start goes on after the last batch that was committed. Returns whether all have ended.
  package static func stop(_ runners: [ProcessorRunner]) -> Bool {
    for runner in runners { runner.requestStop() }
    let start = MonotonicClock.milliseconds()
    func haveEnded(by milliseconds: Int64) -> Bool {
      runners.allSatisfy { runner in
        let left = start + milliseconds - MonotonicClock.milliseconds()
        return runner.waitForEnd(milliseconds: max(0, left))
      }
    }
    if haveEnded(by: 1000) { return true }
    for runner in runners { runner.interrupt() }
    return haveEnded(by: 1500)
  }

  package var status: ProcessorStatus { shared.withLock { $0.status } }

  /// Blocks until a batch was committed after which this holds, or the processor ended, or the
  /// time is over; whether it holds.
  package func wait(
    milliseconds: Int64, until isReached: (ProcessorStatus) -> Bool
  ) -> Bool {
    shared.wait(until: { isReached($0.status) || $0.hasEnded }, milliseconds: milliseconds) {
      isReached($0.status)
    }
  }
}
