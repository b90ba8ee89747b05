import Bytes
import LogStore
import Records
import Simulation
import Testing

/// A producer of which a log knows nothing.
@Suite struct `A producer that a log does not know` {
  private func batch(_ id: Int64, _ sequence: Int32, epoch: Int16 = 0) throws -> [UInt8] {
    try StoreHarness.batch(
      ["v"],
      producer: RecordBatchBuilder.Producer(
        id: ProducerID(id), epoch: ProducerEpoch(epoch), baseSequence: sequence))
  }

  private func judge(
    _ store: LogStore, _ log: LogID, _ id: Int64, _ sequence: Int32, epoch: Int16 = 0
  ) throws -> ProducerStates.Verdict {
    let batch = try batch(id, sequence, epoch: epoch)
    return try store.judge(log, RecordBatchHeader(batch[...]))
  }

  @Test func `begins with its first batch, also where others have written`() throws {
    let harness = try StoreHarness(seed: 1)
    let log = try harness.create("a")
    #expect(try judge(harness.store, log, 7, 15) == .outOfOrder(expected: 0))
    #expect(try judge(harness.store, log, 7, 15, epoch: 3) == .outOfOrder(expected: 0))
    #expect(try judge(harness.store, log, 7, 0, epoch: 3) == .new)
    _ = try harness.store.append(log, batch(7, 0)[...], epoch: LeaderEpoch(0))
    harness.settle()
    #expect(try judge(harness.store, log, 7, 1) == .new)
    #expect(try judge(harness.store, log, 8, 15) == .outOfOrder(expected: 0))
  }

  @Test func `goes on where it was if it may have been forgotten, also after a restart`() throws {
    let harness = try StoreHarness(seed: 2)
    let log = try harness.create("a")
    for id: Int64 in [5, 9] {
      _ = try harness.store.append(log, batch(id, 0)[...], epoch: LeaderEpoch(0))
    }
    harness.settle()
    try harness.store.commit(log, through: Offset(2))
    harness.store.evictProducers(idleSince: .max)
    _ = try harness.store.append(log, batch(11, 0)[...], epoch: LeaderEpoch(0))
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    for disk in [nil, harness.disk.afterKill { _ in true }] {
      let store = try disk.map { try StoreHarness.open($0) } ?? harness.store
      #expect(try judge(store, log, 5, 1) == .new)
      #expect(try judge(store, log, 9, 4) == .new)
      #expect(try judge(store, log, 10, 4) == .outOfOrder(expected: 0))
      #expect(try judge(store, log, 11, 1) == .new)
    }
  }
}
