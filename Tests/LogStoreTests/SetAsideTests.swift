import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

@Suite struct `A log that is set aside` {
  private let vote = Vote(epoch: LeaderEpoch(4), candidate: 2)

  private func quarantined(_ disk: VirtualDisk) -> [String] {
    let files = (try? disk.names(in: "quarantine")) ?? []
    return files.filter { $0.hasPrefix("log-") }
  }

  @Test
  func `leaves its name free and its files in quarantine, though its sync failed`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 1)
    let log = try harness.create("a")
    let other = try harness.create("b")
    try harness.append(log, ["one"])
    try harness.append(other, ["one"])
    harness.settle()
    try harness.vote(log, vote)
    disk.fault = { operation in
      if case .sync = operation, disk.path(of: operation)?.hasPrefix("logs/\(log)") ?? false {
        return .failed("syncing", errno: 5)
      }
      return nil
    }
    harness.store.startCheckpoint()
    harness.settle()
    disk.fault = nil
    #expect(try harness.store.failure(of: log) != nil)
    // It holds the journal.
    harness.store.startCheckpoint()
    harness.settle()
    #expect(!harness.events.contains(.checkpointed))

    let aside = try harness.store.setAside(log)
    #expect(aside.vote == vote)
    #expect(aside.path == "quarantine/log-\(log)")
    let again = try harness.store.createLog(
      named: "a", vote: Vote(epoch: LeaderEpoch(2), candidate: 1))
    #expect(harness.store.log(named: "a") == again)
    #expect(try harness.store.vote(of: again) == vote)
    _ = try harness.store.append(again, StoreHarness.batch(["new"])[...], epoch: LeaderEpoch(5))
    // Nothing is moved before the frame that orders it is durable.
    #expect(quarantined(disk) == [])
    harness.settle()
    #expect(quarantined(disk) == ["log-\(log)"])
    harness.store.startCheckpoint()
    harness.settle()
    #expect(harness.events.contains(.checkpointed))
    #expect(harness.events.contains(.deleted(log)))

    let after = disk.afterPowerCut { _ in false }
    let store = try StoreHarness.open(after)
    #expect(try store.bounds(of: again).end == Offset(1))
    #expect(try store.vote(of: again) == vote)
    #expect(store.log(named: "a") == again)
    #expect(try store.bounds(of: other).end == Offset(1))
    #expect(quarantined(after) == ["log-\(log)"])
  }

  @Test
  func `may be one that damage of the journal has cut short, and later votes count`() throws {
    let first = try StoreHarness(seed: 2)
    let log = try first.create("a")
    first.settle()
    let size = first.disk.contents(of: "journal/0")?.count ?? 0
    try first.append(log, ["one"], epoch: 3)
    first.settle()
    try first.vote(log, vote)
    first.settle()
    first.tick()
    let disk = first.disk.afterKill { _ in true }
    // A byte of the batch.
    let journal = try #require(disk.contents(of: "journal/0"))
    let value = try #require(
      (0..<size - 3).first { Array(journal[$0..<$0 + 3]) == Array("one".utf8) })
    disk.flip("journal/0", byte: value, mask: 1)
    let harness = try StoreHarness(disk: disk, seed: 3)
    #expect(try harness.store.failure(of: log) != nil)
    #expect(try harness.store.bounds(of: log).isCutShort)
    #expect(try harness.store.vote(of: log) == vote)
    _ = try harness.store.setAside(log)
    harness.settle()
    // The process dies before it is made anew.
    let next = try StoreHarness(disk: disk.afterPowerCut { _ in false }, seed: 4)
    #expect(next.store.log(named: "a") == nil)
    next.store.startCheckpoint()
    next.settle()
    let last = try StoreHarness.open(next.disk.afterPowerCut { _ in false })
    let again = try last.createLog(named: "a")
    #expect(try last.vote(of: again) == vote)
    #expect(try last.failure(of: again) == nil)
    #expect(again > log)
  }

  @Test
  func `is not voted for below the epoch of its records`() throws {
    let harness = try StoreHarness(seed: 5)
    let log = try harness.create("a")
    try harness.vote(log, vote)
    try harness.append(log, ["one"], epoch: 9)
    #expect(try harness.store.setAside(log).vote == Vote(epoch: LeaderEpoch(9), candidate: -1))
    let again = try harness.store.createLog(named: "a", vote: vote)
    #expect(try harness.store.vote(of: again).epoch == LeaderEpoch(9))
    let third = try harness.store.setAside(again)
    #expect(third.vote.epoch == LeaderEpoch(9))
    harness.store.forgetSetAside(named: "a")
    let last = try harness.store.createLog(named: "a", vote: vote)
    #expect(try harness.store.vote(of: last) == vote)
  }

  @Test
  func `makes the oldest go that are in quarantine`() throws {
    let harness = try StoreHarness(seed: 6)
    var logs: [LogID] = []
    for index in 0..<6 {
      let log = try harness.create("a")
      try harness.append(log, ["value \(index)"])
      harness.settle()
      harness.store.startCheckpoint()
      harness.settle()
      logs.append(log)
      _ = try harness.store.setAside(log)
      harness.settle()
      #expect(
        harness.store.takeRemovedFromQuarantine()
          == (index < 4 ? [] : ["quarantine/log-\(logs[index - 4])"]))
      harness.history.append(harness.state.filter { $0.key != log })
    }
    #expect(quarantined(harness.disk) == logs.suffix(4).map { "log-\($0)" })
  }

  @Test func `names what goes for many at once a single time, however long it takes`() throws {
    let harness = try StoreHarness(seed: 7)
    let logs = try (0..<9).map { index in
      let log = try harness.create("log \(index)")
      try harness.append(log, ["value"])
      harness.settle()
      return log
    }
    harness.holdsBack = { if case .removeTree = $0 { true } else { false } }
    for log in logs { _ = try harness.setAside(log) }
    harness.settle()
    let removed = harness.store.takeRemovedFromQuarantine()
    #expect(removed.sorted() == logs.prefix(5).map { "quarantine/log-\($0)" })
    let late = try harness.create("late")
    harness.settle()
    _ = try harness.setAside(late)
    harness.settle()
    #expect(harness.store.takeRemovedFromQuarantine() == ["quarantine/log-\(logs[5])"])
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(quarantined(harness.disk) == (logs + [late]).suffix(4).map { "log-\($0)" })
  }
}

@Suite struct `A store whose checkpoint is damaged` {
  private func damaged() throws -> VirtualDisk {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 1)
    try harness.append(try harness.create("a"), ["one"])
    harness.settle()
    let after = disk.afterPowerCut { _ in false }
    after.flip("checkpoint", byte: 20, mask: 4)
    return after
  }

  @Test func `is kept in quarantine, and its place is free`() throws {
    let disk = try damaged()
    let journal = try disk.names(in: "journal")
    #expect(throws: LogError.self) { try StoreHarness.open(disk) }
    #expect(try LogStore.setAsideDamagedStore(on: disk) == "quarantine/store-1")
    #expect(try disk.names(in: "quarantine/store-1") == ["checkpoint", "journal", "logs"])
    #expect(try disk.names(in: "quarantine/store-1/journal") == journal)
    #expect(try StoreHarness.open(disk).logIDs == [])
    #expect(try LogStore.setAsideDamagedStore(on: disk) == nil)
  }

  @Test func `is set aside whatever crash comes between`() throws {
    for steps in 0..<40 {
      let disk = try damaged()
      var crashed: VirtualDisk?
      let first = disk.operationsDone
      disk.willPerform = { disk, done in
        if done == first + steps { crashed = disk.afterPowerCut { _ in steps.isMultiple(of: 2) } }
      }
      _ = try LogStore.setAsideDamagedStore(on: disk)
      let found = crashed ?? disk
      _ = try LogStore.setAsideDamagedStore(on: found)
      #expect(try StoreHarness.open(found).logIDs == [], "after \(steps) operations")
    }
  }

  @Test func `is left alone when nothing is wrong`() throws {
    let disk = VirtualDisk()
    #expect(try LogStore.setAsideDamagedStore(on: disk) == nil)
    let harness = try StoreHarness(disk: disk, seed: 1)
    try harness.append(try harness.create("a"), ["one"])
    harness.settle()
    #expect(try LogStore.setAsideDamagedStore(on: disk.afterKill { _ in true }) == nil)
  }
}
