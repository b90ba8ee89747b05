package import Platform

/// How a capture does, for metrics. Its threads set it; any may read it.
package final class CaptureStatus: Sendable {
  package struct Values: Sendable {
    /// Times it began; each after the first because a connection was lost.
    package var attempts: UInt64 = 0
    package var isStreaming = false
    package var lastError: String?
    /// Records of the stream, made and durable.
    package var recordsMade: UInt64 = 0
    package var recordsDurable: UInt64 = 0
    /// As of the server's last message.
    package var serverEnd = LSN(0)
    /// In the position topic.
    package var recorded = LSN(0)
    /// What Postgres was told it need not keep.
    package var confirmed = LSN(0)
    /// From the commit of a change to its being durable in the log.
    package var lag = LatencyHistogram()
    package var lastLagMicroseconds: Int64 = 0
    package var snapshot: Snapshot?

    /// WAL that the slot holds back, in bytes.
    package var slotLagBytes: UInt64 {
      serverEnd > confirmed ? serverEnd.rawValue - confirmed.rawValue : 0
    }
  }

  package struct Snapshot: Sendable {
    package var tables = 0
    package var tablesComplete = 0
    package var rows = 0
  }

  private let state = Condition(Values())

  package init() {}

  package var values: Values { state.withLock { $0 } }

  func update(_ body: (inout Values) -> Void) { state.withLock(body) }
}
