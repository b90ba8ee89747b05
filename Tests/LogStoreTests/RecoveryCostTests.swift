import LogStore
import Platform
import Simulation
import Testing

@Suite struct `The cost of recovery` {
  /// Operations of a recovery after `batches` batches in closed segments and five in the journal.
  private func operations(batches: Int) throws -> (operations: Int, files: Int) {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 8)
    let log = try harness.create("a")
    for number in 0..<batches {
      try harness.append(log, ["value \(number)", String(repeating: "x", count: 60)])
      harness.settle()
    }
    try harness.store.commit(log, through: harness.store.bounds(of: log).end)
    harness.store.startCheckpoint()
    harness.settle()
    // The segments that were still open at the first are closed at the second.
    try harness.append(log, ["last"])
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    for number in 0..<5 {
      try harness.append(log, ["in the journal \(number)"])
      harness.settle()
    }
    let after = disk.afterKill { _ in true }
    let store = try StoreHarness.open(after)
    let done = after.operationsDone
    #expect(try StoreHarness.state(of: store) == harness.state)
    return (done, disk.files.count)
  }

  @Test
  func `recovery does not do more for ten times the data`() throws {
    let small = try operations(batches: 40)
    let large = try operations(batches: 400)
    #expect(large.files > small.files * 5)
    // Of a file of the journal, which is read in 16 pieces, more may lie before the checkpoint.
    #expect(large.operations <= small.operations + 20, "\(small) and \(large)")
  }

  /// Syncs of a recovery that finds so many logs in the checkpoint and frames of one behind it.
  private func syncs(logs: Int) throws -> [String] {
    let disk = VirtualDisk()
    // A journal that never asks for a checkpoint by itself.
    let options = StoreHarness.options(journalFile: 65536)
    let harness = try StoreHarness(disk: disk, seed: 9, options: options)
    for number in 0..<logs {
      try harness.append(harness.create("log \(number)"), ["a value"])
      harness.settle()
    }
    harness.store.startCheckpoint()
    harness.settle()
    try harness.append(harness.store.logIDs[0], ["in the journal"])
    harness.settle()
    let after = disk.afterKill { _ in true }
    var synced: [String] = []
    after.fault = { [unowned after] operation in
      switch operation {
      case .sync, .syncDirectory: synced.append(after.path(of: operation) ?? "")
      default: break
      }
      return nil
    }
    let store = try LogStore.open(after, options: options, newID: 1, now: harness.now)
    #expect(try StoreHarness.state(of: store) == harness.state)
    return synced
  }

  @Test
  func `what nobody wrote to since the checkpoint is not synced`() throws {
    let few = try syncs(logs: 2)
    #expect(few.contains { $0.hasSuffix(".log") })
    #expect(try syncs(logs: 40) == few)
  }
}
