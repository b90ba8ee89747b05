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
  /// The record that its topic does not take.
  package var oversized: Oversized?

  package struct Oversized: Equatable, Sendable {
    package var topic: String
    package var key: [UInt8]?
    /// In bytes, as it would be stored.
    package var size: Int

    package init(topic: String, key: [UInt8]?, size: Int) {
      self.topic = topic
      self.key = key
      self.size = size
    }

    /// `tables`: those whose rows go to the topic.
    package func sentence(_ tables: [String], why: String) -> String {
      let table = tables.isEmpty ? "a table" : tables.joined(separator: " or ")
      // Enough to find the row; a key may be long, too.
      let key = key.map { "the key \(String(decoding: $0.prefix(200), as: UTF8.self))" }
      return "A row of \(table) with \(key ?? "no key") makes a record of \(size) bytes, which the "
        + "topic '\(topic)' does not take. \(why) Raise max.message.bytes of the topic (over 8 "
        + "MiB, start Martlet with message.max.bytes, too) and start capture again: it goes on "
        + "with this row; nothing is lost."
    }
  }

  package init(
    _ description: String, isFenced: Bool = false, isRetriable: Bool = true,
    oversized: Oversized? = nil
  ) {
    self.description = description
    self.isFenced = isFenced
    self.isRetriable = isRetriable
    self.oversized = oversized
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
  /// Makes a topic for records that have no position, if it is not there. Blocks.
  func prepare(_ topic: String) throws(LogWriteError)
  /// Writes a record that has no position, if there is room for it.
  func append(_ event: EncodedEvent, to topic: String)
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
