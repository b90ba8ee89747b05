package import Bytes

/// Something that a client, a node or the one who breaks things did or saw.
///
/// (1) `time` is one clock's for all that take part. An invocation's is taken before anything is
///     sent, an answer's after all of it has arrived: then what the times say to be one after the
///     other was so.
/// (2) An invocation is written down before anything is sent. What has no answer is unknown.
/// (3) Values are unique in a history, whatever the partition; zero is no value (a control record).
///     The judge is fastest if a producer counts its values up by one.
/// (4) Processes, partitions, groups and nodes are numbers; `named` says what they are called.
package struct HistoryEvent: Equatable, Sendable {
  /// In nanoseconds.
  package var time: UInt64
  /// Whose it is: a client, which does one thing after the other per partition. Operations are
  /// numbered by process.
  package var process: Int32
  package var what: What

  package init(time: UInt64, process: Int32, _ what: What) {
    self.time = time
    self.process = process
    self.what = what
  }

  package enum What: Equatable, Sendable {
    // About the history.
    case named(Named, number: Int32, String)
    /// A cluster of so many nodes: more than half of them are a majority.
    case cluster(nodes: Int)
    /// A compacted log has gaps; one that trims loses its beginning by itself. Without this, it is
    /// neither.
    case partition(Int32, isCompacted: Bool, trims: Bool)

    // Producing.
    case produceInvoked(
      operation: UInt64, partition: Int32, producer: HistoryProducer?, records: [HistoryRecord])
    case produceAnswered(operation: UInt64, ProduceOutcome)
    /// `isBump`: asked for by who has the id already.
    case producerIDGiven(ProducerID, ProducerEpoch, isBump: Bool)

    // Reading.
    /// The process reads from there on; -1 is not known.
    case positioned(partition: Int32, Offset)
    /// `highWatermark` is -1 if the client is not told.
    case polled(partition: Int32, records: [SeenRecord], highWatermark: Offset)
    case endInvoked(operation: UInt64, partition: Int32)
    /// Nil: not known.
    case endAnswered(operation: UInt64, Offset?)
    case watermarks(partition: Int32, Watermarks)

    // Leading.
    /// A node has said that it leads, by an answer or in the simulator's view of it.
    case led(partition: Int32, LeaderEpoch, node: Int32)

    // Groups. A generation of -1 is not known.
    case assigned(group: Int32, generation: Int32, partitions: [Int32])
    case commitInvoked(
      operation: UInt64, group: Int32, generation: Int32, partition: Int32, Offset)
    case commitAnswered(operation: UInt64, Outcome)
    case offsetFetchInvoked(operation: UInt64, group: Int32, partition: Int32)
    /// -1: the group has none. Nil: not known.
    case offsetFetchAnswered(operation: UInt64, Offset?)

    // Breaking.
    /// `nodes` are those that it takes away, if any.
    case faultBegan(fault: Int32, kind: String, nodes: [Int32])
    case faultEnded(fault: Int32)
    /// How much of a log each node has on its disk, as of now; `quorum` of them must have it all.
    case durable(partition: Int32, ends: [Offset], quorum: Int)

    // What is there in the end. Reader 0 is a client, others are nodes, by their files.
    case finalRead(
      reader: Int32, partition: Int32, producer: HistoryProducer?, records: [SeenRecord])
    case finalRange(reader: Int32, partition: Int32, start: Offset, end: Offset)
    /// Of the bytes of a range, as they are in files.
    case finalHash(node: Int32, partition: Int32, start: Offset, end: Offset, hash: UInt64)
    /// A table at a position of its source, as the source has it and as the log does.
    case table(String, position: UInt64, isSource: Bool, rows: UInt64, hash: UInt64)

    // Bounds.
    case limits(Resources)
    case resources(node: Int32, Resources)
    /// A Kafka error code that reached a client's program.
    case errorCode(Int32)
  }

  package enum Named: Int, Sendable { case process, partition, group, node }

  package enum Outcome: Int, Sendable { case ok, failed, unknown }

  package enum ProduceOutcome: Equatable, Sendable {
    /// At this offset the first, the others behind it. Epoch and node are -1 if not known.
    case ok(Offset, LeaderEpoch, node: Int32)
    /// For certain: it has had no effect and will have none.
    case failed
    case unknown
  }

  /// Whether something begins with it: of equal times, what begins is first.
  package var isInvocation: Bool {
    switch what {
    case .named, .cluster, .partition, .produceInvoked, .endInvoked, .commitInvoked,
      .offsetFetchInvoked, .faultBegan, .limits:
      true
    default: false
    }
  }
}

/// A record as it is to be written.
package struct HistoryRecord: Equatable, Sendable {
  package var value: UInt64
  /// Of its bytes.
  package var crc: UInt32

  package init(value: UInt64, crc: UInt32) {
    self.value = value
    self.crc = crc
  }
}

/// A record as it was found.
package struct SeenRecord: Equatable, Sendable {
  package var offset: Offset
  package var value: UInt64
  package var crc: UInt32
  /// -1 if not known.
  package var epoch: LeaderEpoch

  package init(_ offset: Offset, value: UInt64, crc: UInt32, epoch: LeaderEpoch = .none) {
    self.offset = offset
    self.value = value
    self.crc = crc
    self.epoch = epoch
  }
}

/// An idempotent producer; that of a client which does not say has neither id nor sequence, and its
/// records are in the order in which they were begun.
package struct HistoryProducer: Hashable, Sendable {
  package var id: ProducerID
  package var epoch: ProducerEpoch
  /// Of the first record.
  package var sequence: Int32

  package init(id: ProducerID, epoch: ProducerEpoch, sequence: Int32) {
    self.id = id
    self.epoch = epoch
    self.sequence = sequence
  }

  package static let unsaid = HistoryProducer(id: .none, epoch: .none, sequence: -1)
}

/// What a client or a node was told of a log; -1 what it was not.
package struct Watermarks: Equatable, Sendable {
  package var epoch: LeaderEpoch
  package var high: Offset
  package var stable: Offset
  package var start: Offset

  package init(epoch: LeaderEpoch, high: Offset, stable: Offset = Offset(-1), start: Offset) {
    self.epoch = epoch
    self.high = high
    self.stable = stable
    self.start = start
  }
}

/// -1 is not known, or has no bound.
package struct Resources: Equatable, Sendable {
  package var memoryBytes: Int64
  package var descriptors: Int64
  package var threads: Int64
  package var diskBytes: Int64

  package init(memoryBytes: Int64, descriptors: Int64, threads: Int64, diskBytes: Int64) {
    self.memoryBytes = memoryBytes
    self.descriptors = descriptors
    self.threads = threads
    self.diskBytes = diskBytes
  }
}
