internal import Platform

/// A processor on a thread of its own.
package final class ProcessorRunner: Sendable {
  package let name: String
  private let shared = Condition(ProcessorLoop.Shared())
  private let make: @Sendable (Condition<ProcessorLoop.Shared>) -> ProcessorLoop
  private let hasStarted = Condition(false)

  /// Sink and transport are made on the processor's thread, which alone uses them.
  package init(
    name: String, task: ProcessorTask, sink: @escaping @Sendable () -> any Sink,
    transport: @escaping @Sendable () -> any RecordTransport
  ) {
    self.name = name
    make = { shared in
      ProcessorLoop(
        name: name, task: task, sink: sink(), transport: transport(), shared: shared)
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
    guard hasStarted.withLock({ $0 }) else { return }
    shared.withLock { $0.isStopping = true }
    shared.broadcast()
    shared.wait(until: { $0.hasEnded }) { _ in }
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
