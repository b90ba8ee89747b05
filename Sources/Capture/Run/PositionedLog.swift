/// A record of capture on its way to a topic.
package struct PositionedRecord: Sendable {
  package var topic: String
  package var event: EncodedEvent
  package var position: CapturePosition

  package init(topic: String, event: EncodedEvent, position: CapturePosition) {
    self.topic = topic
    self.event = event
    self.position = position
  }
}

/// Why records cannot be written.
package struct LogWriteError: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String
  /// Another capture of the same name has begun: this one must not go on.
  package var isFenced: Bool
  package var isRetriable: Bool

  package init(_ description: String, isFenced: Bool = false, isRetriable: Bool = true) {
    self.description = description
    self.isFenced = isFenced
    self.isRetriable = isRetriable
  }
}

/// Where capture writes: topics in which each partition knows its last position, and skips what it
/// has. Completions run on any thread.
package protocol PositionedLog: AnyObject, Sendable {
  /// Must come before a topic's first record, and `divide` behind it. Blocks. Nil for a topic that
  /// was open already.
  func open(_ topic: String) throws(LogWriteError) -> FoundTopic?
  /// Says by how many a topic's keys are divided.
  func divide(_ topic: String, by counts: PartitionCounts)
  /// Takes all of the records or, when its buffer is full, none. `done` says that all of them are
  /// durable, or were already there.
  func enqueue(
    _ records: [PositionedRecord], _ done: @escaping @Sendable (LogWriteError?) -> Void
  ) -> Bool
  /// Calls once when what was refused may fit.
  func whenRoom(_ call: @escaping @Sendable () -> Void)
  /// Writes the connector's position; `done` when it is durable.
  func write(_ record: PositionRecord, _ done: @escaping @Sendable (LogWriteError?) -> Void)
}

/// A value that belongs to one thread and is passed through others in messages to that thread.
///
/// Unchecked: only the owner looks into it; whoever else holds one passes it on.
struct Owned<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
