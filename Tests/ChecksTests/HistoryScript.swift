import Bytes
import Checks

/// Writes a history down in the order of time, a microsecond an event.
struct HistoryScript {
  private(set) var events: [HistoryEvent] = []
  private var operations: UInt64 = 0
  private var time: UInt64 = 0

  mutating func wait(_ nanoseconds: UInt64) { time += nanoseconds }

  mutating func by(_ process: Int32, _ what: HistoryEvent.What) {
    time += 1000
    events.append(HistoryEvent(time: time, process: process, what))
  }

  static func crc(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value &* 2_654_435_761) }

  /// Begins to write; returns the operation.
  mutating func begin(
    _ process: Int32, _ values: UInt64..., in partition: Int32 = 0,
    as producer: HistoryProducer? = nil
  ) -> UInt64 {
    operations += 1
    by(
      process,
      .produceInvoked(
        operation: operations, partition: partition, producer: producer,
        records: values.map { HistoryRecord(value: $0, crc: Self.crc($0)) }))
    return operations
  }

  mutating func acknowledge(
    _ process: Int32, _ operation: UInt64, at offset: Int64, epoch: Int32 = 0, node: Int32 = 1
  ) {
    by(
      process,
      .produceAnswered(operation: operation, .ok(Offset(offset), LeaderEpoch(epoch), node: node)))
  }

  mutating func write(
    _ process: Int32, _ value: UInt64, at offset: Int64, in partition: Int32 = 0,
    as producer: HistoryProducer? = nil, epoch: Int32 = 0
  ) {
    let operation = begin(process, value, in: partition, as: producer)
    acknowledge(process, operation, at: offset, epoch: epoch)
  }

  static func seen(_ offset: Int64, _ value: UInt64, epoch: Int32 = 0) -> SeenRecord {
    SeenRecord(Offset(offset), value: value, crc: crc(value), epoch: LeaderEpoch(epoch))
  }

  mutating func poll(
    _ process: Int32, _ records: SeenRecord..., partition: Int32 = 0, highWatermark: Int64 = -1
  ) {
    by(
      process,
      .polled(partition: partition, records: records, highWatermark: Offset(highWatermark)))
  }

  /// What a client and these nodes find in the end, from offset zero.
  mutating func end(
    _ values: [UInt64], in partition: Int32 = 0, nodes: [Int32] = [], epoch: Int32 = 0
  ) {
    for reader in [0] + nodes {
      let records = values.enumerated().map {
        Self.seen(Int64($0.offset), $0.element, epoch: epoch)
      }
      finally(reader, records, partition)
    }
  }

  mutating func finally(_ reader: Int32, _ records: [SeenRecord], _ partition: Int32 = 0) {
    by(
      99,
      .finalRead(reader: reader, partition: partition, producer: nil, records: records))
    let last = records.last?.offset ?? Offset(-1)
    by(
      99,
      .finalRange(
        reader: reader, partition: partition, start: records.first?.offset ?? .zero, end: last + 1))
  }

  func judged(longestGapMax: UInt64? = nil) -> HistoryReport {
    Self.judge(events, longestGapMax: longestGapMax)
  }

  static func judge(_ events: [HistoryEvent], longestGapMax: UInt64? = nil) -> HistoryReport {
    var options = Judge.Options()
    options.longestGapMax = longestGapMax
    let judge = Judge(options: options)
    for event in events { judge.observe(event) }
    return judge.finish()
  }
}

extension HistoryReport {
  /// The checks that are violated, by their numbers.
  var violated: [Int] { counts.keys.map(\.rawValue).sorted() }
}

extension HistoryProducer {
  static func raw(_ id: Int64, epoch: Int16 = 0, _ sequence: Int32) -> HistoryProducer {
    HistoryProducer(id: ProducerID(id), epoch: ProducerEpoch(epoch), sequence: sequence)
  }
}
