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

  private static func options(reserveBytes: Int64 = 512) -> LogStoreOptions {
    var options = StoreHarness.options()
    options.freeSpaceMin = 1024
    options.reserveBytes = reserveBytes
    return options
  }

  /// A disk of this many bytes more than it has, filled until the store refuses appends.
  private func filled(
    _ more: Int64, _ logs: Int, options: LogStoreOptions = options()
  ) throws -> (StoreHarness, [LogID]) {
    let disk = VirtualDisk()
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

  /// As a process that was killed has left it, without a byte to spare.
  private func killed(_ harness: StoreHarness) -> VirtualDisk {
    let disk = harness.disk.afterKill { _ in true }
    disk.capacity = Int64(disk.usedBytes)
    return disk
  }

  private func open(
    _ disk: VirtualDisk, reserveBytes: Int64 = 512, freeSpaceMin: Int64 = 1024
  ) throws -> LogStore {
    var options = Self.options(reserveBytes: reserveBytes)
    options.freeSpaceMin = freeSpaceMin
    return try LogStore.open(disk, options: options, newID: 1, now: 1)
  }

  @Test(arguments: [25_000, 30_001, 45_002] as [Int64])
  func `a store is opened on a full disk with the room of its reserve, again and again`(
    more: Int64
  ) throws {
    let (harness, logs) = try filled(more, 2, options: Self.options(reserveBytes: 40_000))
    var disk = killed(harness)
    disk.capacity = nil
    let before = try open(disk, reserveBytes: 40_000)
    before.tick(now: 100)
    while !disk.inFlight.isEmpty { before.complete(disk.step()) }
    // Somebody else takes what is free.
    disk = disk.afterKill { _ in true }
    disk.capacity = Int64(disk.usedBytes)
    #expect(disk.files.contains("reserve"))
    for _ in 0..<3 {
      let store = try open(disk, reserveBytes: 40_000, freeSpaceMin: 60_000)
      #expect(!disk.files.contains("reserve"))
      #expect(try StoreHarness.state(of: store) == harness.state)
      store.tick(now: 2_000_000)
      let batch = try StoreHarness.batch(["more"])
      #expect(throws: LogError.diskFull) {
        try store.append(logs[0], batch[...], epoch: LeaderEpoch(0))
      }
      disk = disk.afterKill { _ in true }
    }
    disk.capacity = nil
    #expect(try StoreHarness.state(of: open(disk)) == harness.state)
  }

  @Test(arguments: [25_000, 30_001, 45_002] as [Int64])
  func `a store that cannot be opened for want of space says how much, and loses nothing`(
    more: Int64
  ) throws {
    let (harness, _) = try filled(more, 2)
    let disk = killed(harness)
    if disk.files.contains("reserve") { _ = try disk.perform(.delete("reserve")) }
    disk.capacity = Int64(disk.usedBytes)
    for _ in 0..<3 {
      do {
        _ = try open(disk)
        Issue.record("there is room")
      } catch LogError.noSpace(let why) {
        #expect(why == "0 MiB are free, and up to 1 MiB are needed")
      }
    }
    // Whatever it had begun, and wherever it stopped.
    var room = Int64(disk.usedBytes)
    var attempts = 0
    while true {
      attempts += 1
      room += 700
      let next = disk.afterKill { _ in true }
      next.capacity = room
      guard let store = try? open(next) else {
        next.capacity = nil
        #expect(try StoreHarness.state(of: open(next)) == harness.state)
        continue
      }
      #expect(try StoreHarness.state(of: store) == harness.state)
      break
    }
    #expect(attempts > 1)
  }

  @Test func `a new store that has no room for its journal says so, and leaves nothing in the way`()
    throws
  {
    let disk = VirtualDisk()
    disk.capacity = 3000
    do {
      _ = try open(disk)
      Issue.record("there is room")
    } catch LogError.noSpace(let why) {
      #expect(why.contains("MiB are needed"))
    }
    #expect(try disk.names(in: "journal") == [])
    disk.capacity = nil
    #expect(try open(disk).logIDs == [])
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
