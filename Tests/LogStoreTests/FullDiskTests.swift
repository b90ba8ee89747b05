import Bytes
import LogStore
import Platform
import Simulation
import Testing

/// A disk without space: a state that passes, and costs nothing that was acknowledged.
@Suite struct `A full disk` {
  private func problems(_ harness: StoreHarness) -> [String] {
    var random = SeededGenerator(seed: 17)
    return (0..<30).compactMap { round in
      let after =
        round == 0
        ? harness.disk.afterKill { _ in true }
        : harness.disk.afterPowerCut { _ in random.oneIn(2) }
      after.capacity = nil
      return harness.verdict(on: after).map { "crash \(round): \($0)" }
    }
  }

  enum Place: String, CaseIterable {
    case directory, segment, segmentFile, index, indexFile, checkpoint, checkpointFile, journalFile
    case journalSpace

    func matches(_ operation: DiskOperation, _ path: String) -> Bool {
      switch (self, operation) {
      case (.directory, .makeDirectory): true
      case (.segment, .write), (.segmentFile, .open(_, .create, _)): path.hasSuffix(".log")
      case (.index, .write), (.indexFile, .open(_, .create, _)): path.hasSuffix(".index")
      case (.checkpoint, .write), (.checkpointFile, .open): path == "checkpoint.new"
      case (.journalFile, .open), (.journalSpace, .allocate): path.hasPrefix("journal/")
      default: false
      }
    }
  }

  @Test(arguments: Place.allCases)
  func `wherever the space ends, the store is full, loses nothing, and goes on later`(
    place: Place
  ) throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 2)
    let log = try harness.create("a")
    try harness.append(log, ["first"])
    harness.settle()
    harness.tick()
    var failures = 0
    disk.fault = { operation in
      if case .freeSpace = operation { return .noSpace("the test") }
      guard let path = disk.path(of: operation), place.matches(operation, path) else { return nil }
      failures += 1
      return .noSpace("the test")
    }
    var number = 0
    #expect(throws: LogError.diskFull) {
      while number < 2000 {
        number += 1
        do {
          if number % 40 == 0 { _ = try harness.create("log \(number)") }
          try harness.append(log, ["value \(number)", String(repeating: "x", count: 50)])
        } catch LogError.busy {
          harness.tick(1)
        }
        harness.turn()
      }
    }
    harness.settle()
    #expect(failures > 0)
    #expect(harness.events.filter { $0 == .full(true) }.count == 1)
    #expect(!harness.events.contains(.full(false)))
    let tries = failures
    harness.tick(10)
    #expect(failures <= tries + 20, "it tries now and then, and not all the time")
    #expect(harness.store.failureText == nil)
    #expect(try harness.store.failure(of: log) == nil)
    #expect(harness.durable == harness.history.count - 1, "the journal has what was accepted")
    #expect(problems(harness) == [])

    disk.fault = nil
    harness.tick()
    #expect(harness.events.last { if case .full = $0 { true } else { false } } == .full(false))
    for index in 0..<50 {
      do {
        try harness.append(log, ["after \(index)"])
      } catch LogError.busy {
        harness.tick(1)
      }
      harness.turn()
    }
    harness.settle()
    #expect(harness.failures == [])
    #expect(problems(harness) == [])
    #expect(try StoreHarness.state(of: harness.store) == harness.state)
  }

  /// A disk of this many bytes more than it has, filled until the store refuses appends.
  private func filled(_ more: Int64, _ logs: Int) throws -> (StoreHarness, [LogID]) {
    let disk = VirtualDisk()
    var options = StoreHarness.options()
    options.freeSpaceMin = 1024
    let harness = try StoreHarness(disk: disk, seed: UInt64(more), options: options)
    let ids = try (0..<logs).map { try harness.create("log \($0)") }
    harness.settle()
    harness.tick()
    guard case .count(let free) = try disk.perform(.freeSpace) else { return (harness, ids) }
    disk.capacity = Int64.max / 2 - free + more
    var number = 0
    do {
      while number < 10_000 {
        let log = ids[number % logs]
        do {
          try harness.append(log, ["value \(number)", String(repeating: "x", count: 60)])
          number += 1
        } catch LogError.busy {
          harness.tick(1)
        }
        harness.turn()
        if number % 10 == 0 { harness.tick(1) }
      }
    } catch LogError.diskFull {
    }
    harness.settle()
    return (harness, ids)
  }

  @Test(arguments: stride(from: 0 as Int64, through: 40_000, by: 1900).map { $0 })
  func `a disk of any size fills up without loss and goes on with more space`(more: Int64) throws {
    let (harness, logs) = try filled(more, 2)
    #expect(harness.events.contains(.full(true)))
    #expect(harness.failures == [])
    #expect(problems(harness) == [])
    harness.disk.capacity = nil
    harness.tick(5)
    #expect(harness.events.last { if case .full = $0 { true } else { false } } == .full(false))
    try harness.append(logs[0], ["after"])
    harness.settle()
    #expect(try StoreHarness.state(of: harness.store) == harness.state)
    #expect(problems(harness) == [])
  }

  @Test(arguments: [25_000, 30_001, 45_002] as [Int64])
  func `on a full disk the log's start moves, logs go, and their space is used again`(
    more: Int64
  ) throws {
    let (harness, logs) = try filled(more, 3)
    let store = harness.store
    try store.commit(logs[0], through: store.bounds(of: logs[0]).durable.offset)
    let start = try store.bounds(of: logs[0]).highWatermark.rawValue
    try harness.advanceStart(logs[0], to: start)
    try harness.delete(logs[1])
    harness.settle()
    harness.tick(5)
    #expect(harness.events.contains(.deleted(logs[1])))
    #expect(harness.events.last { if case .full = $0 { true } else { false } } == .full(false))
    try harness.append(logs[0], ["after"])
    harness.settle()
    #expect(harness.failures == [])
    #expect(try StoreHarness.state(of: store) == harness.state)
    #expect(problems(harness) == [])
  }
}
