/// What a processor needs of the log: its source, and topics to write to. `ClientTransport` is a
/// broker behind a client.
///
/// Used by one thread, which it may block for a bounded time.
package protocol RecordTransport: AnyObject {
  /// Takes the place of any other instance of the processor: from now on nobody else writes to its
  /// result topics. Makes topics that are missing. Answers the largest number of a batch of which
  /// there is a record in a result topic, 0 if there is none.
  func open(
    processor: String, sourceTopic: String, resultTopics: [String], deadLetterTopic: String
  ) throws(TransportError) -> Int64

  /// How many partitions the source has; nil if there is no such topic.
  func sourcePartitions() throws(TransportError) -> Int32?
  /// The offset after the last record of each of so many partitions.
  func sourceEnds(partitions: Int32) throws(TransportError) -> [Int32: Int64]
  /// Reads a partition from an offset on; from the beginning if there is none.
  func read(partition: Int32, from offset: Int64?) throws(TransportError)
  /// Records in the order of their partitions' offsets; none if none came in time.
  func poll(milliseconds: Int64) throws(TransportError) -> [InputRecord]

  /// Chooses the partitions of a batch's records, before it is committed, and the floor of those
  /// whose topic others write to as well.
  func place(_ records: inout [OutboxRecord]) throws(TransportError)
  /// As `produce`, for the last batch before this one opened: looks for those of its records that
  /// are in topics of others first.
  func resume(_ records: [OutboxRecord], sequence: Int64) throws(TransportError)
  /// Begins to write a batch's records. The position of the one at `index` is (sequence, index);
  /// what is there already is left out.
  func produce(_ records: [OutboxRecord], sequence: Int64) throws(TransportError)
  /// Waits until all that was begun is acknowledged.
  func finishProducing() throws(TransportError)

  /// Tells how far the source is processed, for whoever looks at lags; nothing depends on it.
  func report(_ progress: [SourceProgress])
  func close()
}

package enum TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Not now: open the transport again later.
  case unavailable(String)
  case fenced(String)
  case failed(String)

  package var description: String {
    switch self {
    case .unavailable(let text), .fenced(let text), .failed(let text): text
    }
  }
}
