import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

/// Files that are removed, which may take long.
@Suite struct `Removing files` {
  private let disk = VirtualDisk()
  private let harness: StoreHarness
  private let log: LogID

  init() throws {
    harness = try StoreHarness(disk: disk, seed: 41)
    log = try harness.create("a")
    for number in 0..<30 {
      try harness.append(log, ["value \(number)", String(repeating: "x", count: 100)])
      harness.settle()
    }
    harness.store.startCheckpoint()
    harness.settle()
  }

  private func holdBackRemovals() {
    harness.holdsBack = {
      switch $0 {
      case .delete(let path): path.hasPrefix("logs/")
      case .removeTree: true
      default: false
      }
    }
  }

  private var segmentFiles: [String] {
    disk.files.filter { $0.hasPrefix("logs/\(log)") && $0.hasSuffix(".log") }
  }

  @Test func `holds up neither writes nor a checkpoint, and is done by the next opening`() throws {
    try harness.store.commit(log, through: Offset(60))
    let before = segmentFiles
    holdBackRemovals()
    try harness.advanceStart(log, to: 40)
    harness.settle()
    let checkpoints = harness.events.count { $0 == .checkpointed }
    for number in 30..<40 {
      try harness.append(log, ["value \(number)", String(repeating: "y", count: 100)])
      harness.settle()
    }
    harness.store.startCheckpoint()
    harness.settle()
    // All that was appended is in files, beside those that are not gone yet.
    #expect(segmentFiles.count > before.count)
    #expect(harness.events.count { $0 == .checkpointed } > checkpoints)
    let after = disk.afterKill { _ in false }
    #expect(harness.verdict(on: after) == nil)
    #expect(!after.files.contains { before.prefix(3).contains($0) })
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(!segmentFiles.contains { before.prefix(3).contains($0) })
    #expect(harness.verdict(on: disk.afterKill { _ in true }) == nil)
    #expect(harness.failures.isEmpty)
  }

  @Test func `holds up the file that is to have the same name`() throws {
    try harness.store.commit(log, through: Offset(2))
    holdBackRemovals()
    try harness.truncate(log, to: LogPosition(epoch: LeaderEpoch(0), offset: Offset(4)))
    for number in 0..<20 {
      try harness.append(log, ["other \(number)", String(repeating: "z", count: 100)], epoch: 1)
      harness.settle()
    }
    harness.holdsBack = { _ in false }
    harness.settle()
    harness.store.startCheckpoint()
    harness.settle()
    let state = try StoreHarness.readable(harness.store, log)
    #expect(state.batches == harness.state[log]?.batches)
    #expect(harness.verdict(on: disk.afterPowerCut { _ in false }) == nil)
    #expect(harness.failures.isEmpty)
  }

  @Test func `of a deleted log is gone on with after a crash`() throws {
    let other = try harness.create("b")
    try harness.append(other, ["b"])
    harness.settle()
    holdBackRemovals()
    let path = "logs/\(log)"
    try harness.delete(log)
    try harness.append(other, ["c"])
    harness.settle()
    let checkpoints = harness.events.count { $0 == .checkpointed }
    harness.store.startCheckpoint()
    harness.settle()
    #expect(harness.events.count { $0 == .checkpointed } == checkpoints + 1)
    #expect(disk.files.contains { $0.hasPrefix(path) })
    // The checkpoint does not know it any more, and its files are there.
    let after = disk.afterKill { _ in false }
    let store = try StoreHarness.open(after)
    while !store.isQuiet { store.complete(after.step()) }
    #expect(!after.files.contains { $0.hasPrefix(path) || $0.hasPrefix("quarantine") })
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(!disk.files.contains { $0.hasPrefix(path) || $0.hasPrefix("quarantine") })
  }
}
