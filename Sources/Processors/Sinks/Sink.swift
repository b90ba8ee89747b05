/// A database that takes a processor's results, with everything that must survive with them.
///
/// One transaction per batch holds the tables' rows, the state, the consumed offsets with their
/// stream times, the batch's number, and the bytes of the records that are still to be produced.
///
/// (1) `commit` is all or nothing. Thrown `unavailable` it may have happened or not: called again
///     with the same batch, it finds out from the stored number and does it at most once.
/// (2) `open` makes this instance the writer: any other's next `commit` throws `fenced`, and so
///     does ours once another has opened.
/// (3) A commit that returned survives a crash of the database.
///
/// Used by one thread, which it may block.
package protocol Sink: AnyObject {
  /// Creates what is missing, becomes the writer, and reads what is stored.
  func open(
    processor: String, sourceTopic: String, tables: [TableDescription]
  ) throws(SinkError) -> StoredProgress

  /// The state under these keys, in their order.
  func load(_ keys: [String]) throws(SinkError) -> [String?]
  /// What is stored under the keys of rows (`RowState.prefix`) behind a key, so many at most, in
  /// the database's own order of keys.
  func rows(after key: String, limit: Int) throws(SinkError) -> [StoredState]
  func commit(_ batch: SinkBatch) throws(SinkError)
  func close()
}

package struct StoredProgress: Hashable, Sendable {
  /// Number of the last committed batch; 0 before the first.
  package var sequence: Int64 = 0
  package var source: [SourceProgress] = []
  /// The last batch's records, of which any number may be missing in the topics.
  package var outbox: [OutboxRecord] = []

  package init() {}

  /// Throws if result tables had to be made although batches were committed: they would come back
  /// with only what changes from now on.
  func check(madeTables names: [String], _ processor: String) throws(SinkError) {
    guard sequence > 0, let name = names.first else { return }
    throw .failed(
      "The table \(name) of '\(processor)' is gone, though its state is there; put it back, or "
        + "remove the processor's rows in martlet_progress, martlet_offsets and martlet_state to "
        + "begin anew.")
  }
}

package struct SinkBatch: Sendable {
  package var previousSequence: Int64
  package var sequence: Int64
  package var effects: Effects

  package init(previousSequence: Int64, sequence: Int64, effects: Effects) {
    precondition(sequence > previousSequence, "batches are numbered upwards")
    self.previousSequence = previousSequence
    self.sequence = sequence
    self.effects = effects
  }
}

/// Why a database did not do it.
package enum SinkError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Not now: try again later.
  case unavailable(String)
  /// Another instance of this processor has taken over.
  case fenced(String)
  /// Not ever, before a person does something.
  case failed(String)

  package var description: String {
    switch self {
    case .unavailable(let text), .fenced(let text), .failed(let text): text
    }
  }

  static func fenced(processor: String) -> SinkError {
    .fenced(
      "Another instance of the processor '\(processor)' has taken over its results; stop one of "
        + "them, or give this one another name and other tables.")
  }
}

extension SourceProgress {
  /// From what a database has.
  init?(partition: Int64, nextOffset: Int64, streamTime: Int64?) {
    guard let partition = Int32(exactly: partition) else { return nil }
    self.init(
      partition: partition, nextOffset: nextOffset,
      streamTime: streamTime.flatMap(EventTime.init(microseconds:)))
  }
}
