import Bytes
import Checks

/// A history that a correct cluster of three could have produced, by a seed: producers of three
/// kinds with requests that are lost, repeated and answered late, readers, groups that rebalance,
/// leaders that change, and what is there in the end.
struct RandomHistory {
  struct Stored {
    var value: UInt64
    var epoch: Int32
    var producer: HistoryProducer
  }

  final class Request {
    let process: Int32
    let operation: UInt64
    let partition: Int32
    let producer: HistoryProducer?
    let values: [UInt64]
    var offset: Int64?
    var epoch: Int32 = 0
    var node: Int32 = 1
    var isDropped = false

    init(
      _ process: Int32, _ operation: UInt64, _ partition: Int32, _ producer: HistoryProducer?,
      _ values: [UInt64]
    ) {
      self.process = process
      self.operation = operation
      self.partition = partition
      self.producer = producer
      self.values = values
    }
  }

  struct Producer {
    enum Kind { case raw, unsaid, plain }
    var process: Int32
    var kind: Kind
    var id: Int64
    var epoch: Int16 = 0
    var sequences: [Int32: Int32] = [:]
    var requests: [Request] = []
    var nextValue: UInt64
    /// In batches, when it does not say them itself.
    var sent: [Int32: Int32] = [:]
  }

  struct Commit {
    var process: Int32
    var operation: UInt64
    var offset: Int64
    var generation: Int32
    var isApplied: Bool?
  }

  private(set) var events: [HistoryEvent] = []
  private var random: SeededGenerator
  private var time: UInt64 = 0
  private var operations: UInt64 = 0
  private var logs: [[Stored]]
  private var epochs: [Int32]
  private var producers: [Producer] = []
  private var positions: [ViewKey: Int64] = [:]
  // One group on all partitions; the owner of each is its one member's process.
  private var generation: Int32 = 1
  private var owners: [Int32]
  private var committed: [Int64]
  private var commits: [Int32: [Commit]] = [:]
  private var faults: Int32 = 0

  struct ViewKey: Hashable {
    var process: Int32
    var partition: Int32
  }

  init(seed: UInt64, steps: Int) {
    random = SeededGenerator(seed: seed)
    let partitions = 1 + random.below(3)
    logs = Array(repeating: [], count: partitions)
    epochs = Array(repeating: 0, count: partitions)
    owners = Array(repeating: 31, count: partitions)
    committed = Array(repeating: -1, count: partitions)
    let kinds: [Producer.Kind] = [.raw, .unsaid, .plain, .raw]
    by(0, .cluster(nodes: 3))
    by(0, .limits(Resources(memoryBytes: 1000, descriptors: 100, threads: 10, diskBytes: -1)))
    for (index, kind) in kinds.enumerated() {
      let process = Int32(index + 1)
      producers.append(
        Producer(
          process: process, kind: kind, id: Int64(100 + index), nextValue: UInt64(process) << 40))
      if kind == .raw {
        by(
          process, .producerIDGiven(ProducerID(Int64(100 + index)), ProducerEpoch(0), isBump: false)
        )
      }
    }
    for _ in 0..<steps { step() }
    finish()
  }

  private mutating func by(_ process: Int32, _ what: HistoryEvent.What) {
    time += UInt64(1 + random.below(1000))
    events.append(HistoryEvent(time: time, process: process, what))
  }

  private mutating func operation() -> UInt64 {
    operations += 1
    return operations
  }

  private mutating func step() {
    let index = random.below(producers.count)
    let partition = Int32(random.below(logs.count))
    switch random.below(20) {
    case 0..<5: produce(index, partition)
    case 5..<9: handle(index)
    case 9..<12: answer(index)
    case 12..<14: poll(21 + Int32(random.below(2)), partition)
    case 14:
      let process = 41 + Int32(random.below(2))
      let asked = operation()
      by(process, .endInvoked(operation: asked, partition: partition))
      if random.oneIn(2) { handle(index) }
      let end = Int64(logs[Int(partition)].count)
      by(process, .endAnswered(operation: asked, random.oneIn(10) ? nil : Offset(end)))
    case 15:
      let end = Offset(Int64(logs[Int(partition)].count))
      by(
        51 + Int32(random.below(3)),
        .watermarks(
          partition: partition,
          Watermarks(
            epoch: LeaderEpoch(epochs[Int(partition)]), high: end, stable: end,
            start: .zero)))
    case 16: poll(owners[Int(partition)], partition)
    case 17: commit(partition)
    case 18: fetch(partition)
    default: trouble(partition)
    }
  }

  // MARK: Producing

  private mutating func produce(_ index: Int, _ partition: Int32) {
    guard producers[index].requests.count < 4 else { return }
    let count = 1 + random.below(3)
    var producer: HistoryProducer?
    switch producers[index].kind {
    case .plain: break
    case .unsaid: producer = .unsaid
    case .raw:
      let sequence = producers[index].sequences[partition] ?? 0
      producer = HistoryProducer(
        id: ProducerID(producers[index].id), epoch: ProducerEpoch(producers[index].epoch),
        sequence: sequence)
      producers[index].sequences[partition] = sequence + Int32(count)
    }
    let first = producers[index].nextValue
    producers[index].nextValue += UInt64(count)
    let values = (0..<UInt64(count)).map { first + $0 }
    let request = Request(producers[index].process, operation(), partition, producer, values)
    by(
      request.process,
      .produceInvoked(
        operation: request.operation, partition: partition, producer: producer,
        records: values.map { HistoryRecord(value: $0, crc: HistoryScript.crc($0)) }))
    producers[index].requests.append(request)
  }

  /// The leader has a request, or it is lost on the way.
  private mutating func handle(_ index: Int) {
    guard
      let request = producers[index].requests.first(where: { $0.offset == nil && !$0.isDropped })
    else { return }
    if random.oneIn(8) {
      request.isDropped = true
      guard producers[index].kind == .raw else { return }
      // Those behind it are out of order; the producer goes on in a new epoch.
      for other in producers[index].requests where other.offset == nil { other.isDropped = true }
      producers[index].epoch += 1
      producers[index].sequences = [:]
      by(
        request.process,
        .producerIDGiven(
          ProducerID(producers[index].id), ProducerEpoch(producers[index].epoch), isBump: true))
      return
    }
    append(request, index)
    // Who is not idempotent may repeat it.
    if producers[index].kind == .plain, random.oneIn(8) { append(request, index) }
  }

  private mutating func append(_ request: Request, _ index: Int) {
    let partition = Int(request.partition)
    request.offset = Int64(logs[partition].count)
    request.epoch = epochs[partition]
    request.node = 1 + epochs[partition] % 3
    var header = request.producer ?? .raw(-1, -1)
    if header == .unsaid {
      let sent = producers[index].sent[request.partition] ?? 0
      header = .raw(producers[index].id, sent)
      producers[index].sent[request.partition] = sent + Int32(request.values.count)
    }
    for (place, value) in request.values.enumerated() {
      var producer = header
      if header.id.rawValue >= 0 { producer.sequence += Int32(place) }
      logs[partition].append(Stored(value: value, epoch: epochs[partition], producer: producer))
    }
  }

  private mutating func answer(_ index: Int) {
    let ready = producers[index].requests.indices.filter {
      producers[index].requests[$0].offset != nil || producers[index].requests[$0].isDropped
    }
    guard !ready.isEmpty else { return }
    let request = producers[index].requests.remove(at: ready[random.below(ready.count)])
    if random.oneIn(15) { return }
    var outcome = HistoryEvent.ProduceOutcome.unknown
    if let offset = request.offset {
      if !random.oneIn(8) {
        outcome = .ok(Offset(offset), LeaderEpoch(request.epoch), node: request.node)
      }
    } else if !random.oneIn(3) {
      outcome = .failed
    }
    by(request.process, .produceAnswered(operation: request.operation, outcome))
  }

  // MARK: Reading

  private func seen(_ offset: Int64, _ partition: Int32) -> SeenRecord {
    let stored = logs[Int(partition)][Int(offset)]
    return SeenRecord(
      Offset(offset), value: stored.value, crc: HistoryScript.crc(stored.value),
      epoch: LeaderEpoch(stored.epoch))
  }

  private mutating func poll(_ process: Int32, _ partition: Int32) {
    let key = ViewKey(process: process, partition: partition)
    let end = Int64(logs[Int(partition)].count)
    if positions[key] == nil || (process < 31 && random.oneIn(12)) {
      let owned = process >= 31
      positions[key] = owned ? max(0, committed[Int(partition)]) : Int64(random.below(Int(end) + 1))
      by(process, .positioned(partition: partition, Offset(positions[key] ?? 0)))
    }
    let start = positions[key] ?? 0
    let next = min(end, start + Int64(1 + random.below(4)))
    guard next > start else { return }
    positions[key] = next
    by(
      process,
      .polled(
        partition: partition, records: (start..<next).map { seen($0, partition) },
        highWatermark: Offset(random.oneIn(2) ? end : -1)))
  }

  // MARK: Groups

  private mutating func commit(_ partition: Int32) {
    let owner = owners[Int(partition)]
    guard let position = positions[ViewKey(process: owner, partition: partition)] else { return }
    let asked = operation()
    by(
      owner,
      .commitInvoked(
        operation: asked, group: 1, generation: generation, partition: partition,
        Offset(position)))
    commits[partition, default: []].append(
      Commit(process: owner, operation: asked, offset: position, generation: generation))
    if random.oneIn(2) { settleCommit(partition) }
  }

  /// The coordinator has the oldest that it has not had; the oldest that it has had is answered.
  private mutating func settleCommit(_ partition: Int32) {
    guard var pending = commits[partition], !pending.isEmpty else { return }
    if let place = pending.firstIndex(where: { $0.isApplied == nil }) {
      let isCurrent = pending[place].generation == generation
      pending[place].isApplied = isCurrent
      if isCurrent { committed[Int(partition)] = pending[place].offset }
    }
    if random.oneIn(2), let isApplied = pending[0].isApplied {
      let commit = pending.removeFirst()
      by(
        commit.process,
        .commitAnswered(
          operation: commit.operation, random.oneIn(8) ? .unknown : isApplied ? .ok : .failed))
    }
    commits[partition] = pending
  }

  private mutating func fetch(_ partition: Int32) {
    let asked = operation()
    by(61, .offsetFetchInvoked(operation: asked, group: 1, partition: partition))
    if random.oneIn(2) { settleCommit(partition) }
    let offset = committed[Int(partition)]
    settleCommit(partition)
    by(61, .offsetFetchAnswered(operation: asked, random.oneIn(10) ? nil : Offset(offset)))
  }

  private mutating func rebalance() {
    generation += 1
    var assigned: [Int32: [Int32]] = [:]
    for partition in owners.indices {
      owners[partition] = 31 + Int32(random.below(2))
      assigned[owners[partition], default: []].append(Int32(partition))
    }
    for (process, partitions) in assigned.sorted(by: { $0.key < $1.key }) {
      by(process, .assigned(group: 1, generation: generation, partitions: partitions))
      for partition in partitions {
        positions[ViewKey(process: process, partition: partition)] = nil
      }
    }
  }

  // MARK: Trouble

  private mutating func trouble(_ partition: Int32) {
    switch random.below(6) {
    case 0: epochs[Int(partition)] += 1
    case 1: rebalance()
    case 2:
      faults += 1
      by(0, .faultBegan(fault: faults, kind: random.oneIn(2) ? "kill" : "pause", nodes: [1]))
      if random.oneIn(2) { produce(0, partition) }
      by(0, .faultEnded(fault: faults))
    case 3:
      let end = Int64(logs[Int(partition)].count)
      let behind = Int64(random.below(Int(end) + 1))
      by(
        0,
        .durable(partition: partition, ends: [Offset(behind), Offset(end), Offset(end)], quorum: 2))
    case 4:
      by(
        0,
        .resources(
          node: 1,
          Resources(
            memoryBytes: Int64(random.below(1001)), descriptors: 5, threads: 10,
            diskBytes: 1 << 40)))
    default: by(1, .errorCode([6, 7, 45][random.below(3)]))
    }
  }

  private mutating func finish() {
    for partition in logs.indices {
      let number = Int32(partition)
      for reader: Int32 in 0...3 {
        var offset = 0
        while offset < logs[partition].count {
          // A batch: what one producer wrote in one epoch, one behind the other.
          let first = logs[partition][offset].producer
          var end = offset + 1
          while end < logs[partition].count, case let next = logs[partition][end].producer,
            next.id == first.id, next.epoch == first.epoch,
            next.id.rawValue < 0 || next.sequence == first.sequence + Int32(end - offset),
            !random.oneIn(4)
          {
            end += 1
          }
          by(
            70,
            .finalRead(
              reader: reader, partition: number,
              producer: reader == 0 || first.id.rawValue < 0 ? nil : first,
              records: (offset..<end).map { seen(Int64($0), number) }))
          offset = end
        }
        let end = Offset(Int64(logs[partition].count))
        by(70, .finalRange(reader: reader, partition: number, start: .zero, end: end))
        if reader > 0 {
          by(70, .finalHash(node: reader, partition: number, start: .zero, end: end, hash: 77))
        }
      }
    }
    for isSource in [true, false] {
      by(70, .table("orders", position: 7, isSource: isSource, rows: 3, hash: 5))
    }
  }
}
