import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

@Suite struct `A log that is reset` {
  private func position(_ epoch: Int32, _ offset: Int64) -> LogPosition {
    LogPosition(epoch: LeaderEpoch(epoch), offset: Offset(offset))
  }

  private func history(_ entries: (Int32, Int64)...) -> EpochHistory {
    var history = EpochHistory()
    for (epoch, start) in entries { history.begin(LeaderEpoch(epoch), at: Offset(start)) }
    return history
  }

  private func producer(_ id: Int64, _ sequence: Int32) -> RecordBatchBuilder.Producer {
    RecordBatchBuilder.Producer(
      id: ProducerID(id), epoch: ProducerEpoch(0), baseSequence: sequence)
  }

  @Test
  func `has no records, begins where it is told to, and is durable there later`() throws {
    let harness = try StoreHarness(seed: 1)
    let log = try harness.create("a")
    for index in 0..<12 {
      try harness.append(log, ["value \(index)", String(repeating: "v", count: 90)])
    }
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    try harness.reset(
      log, to: position(7, 40), history((2, 3), (5, 30), (7, 40)), producers: [:], through: 40)
    var bounds = try harness.store.bounds(of: log)
    #expect(bounds.start == Offset(40))
    #expect(bounds.end == Offset(40))
    #expect(bounds.highWatermark == Offset(40))
    #expect(bounds.readable == Offset(40))
    #expect(bounds.durable == position(-1, 0))
    #expect(try harness.store.epochs(of: log).entries == history((5, 40), (7, 40)).entries)
    // Nothing is destroyed before the frame that orders it is durable.
    harness.store.flush(now: harness.now)
    #expect(
      !harness.disk.inFlight.contains { if case .delete = $0.operation { true } else { false } })
    harness.settle()
    bounds = try harness.store.bounds(of: log)
    #expect(bounds.durable == position(7, 40))
    #expect(harness.events.contains(.durable(log, position(7, 40))))
    #expect(harness.disk.files.filter { $0.hasPrefix("logs/") } == [])
    try harness.replicate(log, [try StoreHarness.batch(["new"], at: 40, epoch: 7)])
    harness.settle()
    #expect(harness.failures == [])
    #expect(harness.verdict(on: harness.disk.afterPowerCut { _ in false }) == nil)
  }

  @Test
  func `is not said to have on the disk what it had before`() throws {
    let harness = try StoreHarness(seed: 2)
    let log = try harness.create("a")
    harness.settle()
    try harness.append(log, ["one"], epoch: 1)
    // Under way.
    harness.store.flush(now: harness.now)
    try harness.reset(log, to: position(3, 9), history((3, 4)), producers: [:], through: 9)
    harness.settle()
    #expect(!harness.events.contains(.durable(log, position(1, 1))))
    #expect(harness.events.contains(.durable(log, position(3, 9))))
    #expect(harness.failures == [])
  }

  @Test
  func `goes on with the batch that its start is inside of`() throws {
    let harness = try StoreHarness(seed: 3)
    let log = try harness.create("a")
    try harness.reset(log, to: position(2, 15), history((2, 3)), producers: [:], through: 15)
    #expect(throws: LogError.self) {
      try harness.store.replicate(log, StoreHarness.batch(["x"], at: 14, epoch: 2)[...])
    }
    #expect(throws: LogError.self) {
      try harness.store.replicate(log, StoreHarness.batch(["x", "y", "z"], at: 14, epoch: 3)[...])
    }
    let first = try StoreHarness.batch(["12", "13", "14", "15", "16"], at: 12, epoch: 2)
    try harness.replicate(log, [first, try StoreHarness.batch(["17"], at: 17, epoch: 4)])
    harness.settle()
    try harness.store.commit(log, through: Offset(18))
    let slice = try #require(
      try harness.store.slice(of: log, from: Offset(15), bytesMax: first.count))
    #expect(try harness.store.bytes(of: slice) == first)
    let disk = harness.disk.afterKill { _ in true }
    #expect(harness.verdict(on: disk) == nil)
    harness.store.startCheckpoint()
    harness.settle()
    #expect(harness.verdict(on: harness.disk.afterKill { _ in true }) == nil)
    #expect(harness.failures == [])
  }

  @Test
  func `knows a batch for a duplicate that its leader knew, and counts none twice`() throws {
    let leader = try StoreHarness(seed: 4)
    let source = try leader.create("a")
    for index in 0..<6 {
      try leader.append(source, ["v"], epoch: 1, producer: producer(7, Int32(index)))
    }
    leader.settle()
    try leader.store.commit(source, through: Offset(6))
    try leader.advanceStart(source, to: 4)
    try leader.append(source, ["v"], epoch: 1, producer: producer(7, 6))
    let snapshot = try leader.store.producerSnapshot(of: source)
    #expect(snapshot.through == Offset(6))
    #expect(snapshot.leftOut == 0)

    let follower = try StoreHarness(seed: 5)
    let log = try follower.create("a")
    _ = try follower.store.reset(
      log, to: position(1, 4), history: leader.store.epochs(of: source),
      producers: snapshot.bytes[...], producersThrough: snapshot.through)
    for offset in 4..<7 {
      _ = try follower.store.replicate(
        log,
        StoreHarness.batch(
          ["v"], at: Int64(offset), epoch: 1, producer: producer(7, Int32(offset)))[...])
    }
    follower.settle()
    try follower.store.commit(log, through: Offset(7))
    try leader.store.commit(source, through: Offset(7))
    for disk in [nil, follower.disk.afterKill { _ in true }] {
      let store = try disk.map { try StoreHarness.open($0) } ?? follower.store
      try store.commit(log, through: Offset(7))
      let known = try ModelProducer.decoded(store.producerSnapshot(of: log).bytes)
      #expect(known[ProducerID(7)]?.batches.map(\.lastOffset) == [2, 3, 4, 5, 6])
      #expect(
        known == (try ModelProducer.decoded(leader.store.producerSnapshot(of: source).bytes)))
    }
  }

  @Test
  func `gets the producers that wrote last of more than there is room for`() throws {
    let leader = try StoreHarness(seed: 6)
    let source = try leader.create("a")
    for id in 1...30 {
      leader.now += 1000
      leader.store.tick(now: leader.now)
      try leader.append(source, ["v"], producer: producer(Int64(100 - id), 0))
      leader.settle()
    }
    try leader.store.commit(source, through: Offset(30))
    let snapshot = try leader.store.producerSnapshot(of: source)
    let known = try ModelProducer.decoded(snapshot.bytes)
    #expect(snapshot.bytes.count <= 1024)
    #expect(snapshot.leftOut == 30 - known.count)
    #expect(known.count > 10)
    #expect(known.keys.sorted() == (70..<70 + known.count).map { ProducerID(Int64($0)) })

    // Another node may have a larger journal.
    var all: [ProducerID: ModelProducer] = [:]
    for id in 1...60 { all[ProducerID(Int64(id))] = ModelProducer(epoch: 0, batches: []) }
    for id in 1...60 {
      all[ProducerID(Int64(id))]?.batches = [
        ModelProducer.Batch(firstSequence: 0, lastSequence: 0, firstOffset: 0, lastOffset: 0)
      ]
    }
    let log = try leader.create("b")
    _ = try leader.store.reset(
      log, to: position(1, 4), history: history((1, 0)),
      producers: ModelProducer.encoded(all)[...], producersThrough: Offset(4))
    leader.settle()
    let left = try ModelProducer.decoded(leader.store.producerSnapshot(of: log).bytes)
    #expect(left.count > 10)

    // Whoever was left out has written, nobody knows what; others have not.
    _ = try leader.store.reset(
      log, to: position(1, 4), history: history((1, 0)), producers: snapshot.bytes[...],
      producersThrough: Offset(4))
    leader.settle()
    for disk in [nil, leader.disk.afterKill { _ in true }] {
      let store = try disk.map { try StoreHarness.open($0) } ?? leader.store
      let judge = { (id: Int64, sequence: Int32) in
        let batch = try StoreHarness.batch(["v"], producer: self.producer(id, sequence))
        return try store.judge(log, RecordBatchHeader(batch[...]))
      }
      #expect(known[ProducerID(99)] == nil)
      #expect(try judge(99, 5) == .new)
      #expect(try judge(100, 5) == .outOfOrder(expected: 0))
      #expect(try judge(100, 0) == .new)
    }
  }

  @Test
  func `is refused a history that does not lead to its position, and producers that are none`()
    throws
  {
    let harness = try StoreHarness(seed: 7)
    let log = try harness.create("a")
    let store = harness.store
    #expect(throws: LogError.self) {
      try store.reset(
        log, to: position(3, 9), history: history((2, 4)), producers: [0, 0, 0, 0],
        producersThrough: .zero)
    }
    #expect(throws: LogError.self) {
      try store.reset(
        log, to: position(3, 9), history: history((3, 4)), producers: [0, 0, 0, 9],
        producersThrough: .zero)
    }
    #expect(try store.bounds(of: log).end == .zero)
  }

  @Test
  func `loses no producer and commits nothing more when its start moves before a crash`() throws {
    let harness = try StoreHarness(seed: 8)
    let log = try harness.create("a")
    let big = String(repeating: "v", count: 500)
    try harness.append(log, [big], producer: producer(7, 0))
    try harness.append(log, [big], producer: producer(8, 0))
    try harness.append(log, [big])
    // The checkpoint knows of nothing committed.
    harness.store.startCheckpoint()
    harness.settle()
    try harness.store.commit(log, through: Offset(2))
    try harness.advanceStart(log, to: 2)
    harness.settle()
    let store = try StoreHarness.open(harness.disk.afterKill { _ in true })
    #expect(try store.bounds(of: log).highWatermark == Offset(2))
    #expect(try store.bounds(of: log).end == Offset(3))
    let known = try ModelProducer.decoded(store.producerSnapshot(of: log).bytes)
    #expect(known.keys.sorted() == [ProducerID(7), ProducerID(8)])
  }
}
