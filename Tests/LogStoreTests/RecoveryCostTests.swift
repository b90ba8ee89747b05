import LogStore
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
    #expect(large.operations <= small.operations + 4, "\(small) and \(large)")
  }
}
