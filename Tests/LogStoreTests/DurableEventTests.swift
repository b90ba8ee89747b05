import Bytes
import LogStore
import Simulation
import Testing

@Suite struct `Durable events` {
  private func position(_ epoch: Int32, _ offset: Int64) -> LogPosition {
    LogPosition(epoch: LeaderEpoch(epoch), offset: Offset(offset))
  }

  private func named(_ harness: StoreHarness, _ log: LogID) -> [LogPosition] {
    harness.events.compactMap { event in
      if case .durable(log, let position) = event { position } else { nil }
    }
  }

  @Test
  func `what a truncation takes back before it is on the disk is never said to be durable`() throws
  {
    let harness = try StoreHarness(seed: 1)
    let log = try harness.create("a")
    try harness.append(log, ["one"], epoch: 1)
    harness.settle()
    // Under way to the disk.
    try harness.append(log, ["two", "three"], epoch: 1)
    harness.store.flush(now: harness.now)
    try harness.truncate(log, to: position(1, 1))
    try harness.append(log, ["other"], epoch: 3)
    harness.settle()
    let expected = [position(-1, 0), position(1, 1), position(1, 1), position(3, 2)]
    #expect(named(harness, log) == expected)
    #expect(harness.failures == [])
    #expect(try harness.store.bounds(of: log).durable == position(3, 2))
  }

  @Test
  func `the start of an epoch that is taken back before it is on the disk is not said to be`()
    throws
  {
    let harness = try StoreHarness(seed: 2)
    let log = try harness.create("a")
    try harness.append(log, ["one"], epoch: 1)
    harness.settle()
    try harness.beginEpoch(log, 2)
    harness.store.flush(now: harness.now)
    // Nothing has an offset that goes.
    try harness.truncate(log, to: position(1, 1))
    harness.settle()
    #expect(!named(harness, log).contains(position(2, 1)))
    #expect(harness.failures == [])
    #expect(try harness.store.bounds(of: log).durable == position(1, 1))
  }

  @Test
  func `what is durable falls at once with a truncation, and readers are shown no more`() throws {
    let harness = try StoreHarness(seed: 3)
    let log = try harness.create("a")
    try harness.append(log, ["one"], epoch: 1)
    try harness.append(log, ["two"], epoch: 1)
    harness.settle()
    try harness.truncate(log, to: position(1, 1))
    #expect(try harness.store.bounds(of: log).durable == position(1, 1))
    #expect(try harness.store.bounds(of: log).readable == Offset(0))
    try harness.store.commit(log, through: Offset(1))
    #expect(try harness.store.bounds(of: log).readable == Offset(1))
    harness.settle()
    #expect(harness.failures == [])
  }

  @Test
  func `a vote is said to be durable when its frame is, and is no position of the log`() throws {
    let harness = try StoreHarness(seed: 4)
    let log = try harness.create("a")
    harness.settle()
    let before = named(harness, log)
    let first = Vote(epoch: LeaderEpoch(3), candidate: 2)
    let second = Vote(epoch: LeaderEpoch(4), candidate: 1)
    try harness.vote(log, first)
    harness.store.flush(now: harness.now)
    try harness.vote(log, second)
    #expect(!harness.events.contains(.voted(log, first)))
    harness.settle()
    let votes = harness.events.filter { if case .voted = $0 { true } else { false } }
    #expect(votes == [.voted(log, first), .voted(log, second)])
    #expect(named(harness, log) == before)
    #expect(harness.failures == [])
  }

  @Test
  func `a log that was deleted has no events but of its end`() throws {
    let harness = try StoreHarness(seed: 5)
    let log = try harness.create("a")
    harness.settle()
    let before = harness.events.count
    try harness.append(log, ["one"])
    try harness.vote(log, Vote(epoch: LeaderEpoch(1), candidate: 1))
    try harness.delete(log)
    harness.settle()
    #expect(harness.events[before...].allSatisfy { $0 == .deleted(log) })
  }
}
