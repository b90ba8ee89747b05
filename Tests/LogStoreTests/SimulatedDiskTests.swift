import Bytes
import LogStore
import Platform
import Simulation
import Testing

@Suite struct `A disk in simulated time` {
  private func isDurableWrite(_ operation: DiskOperation) -> Bool {
    if case .write(_, _, _, durable: true) = operation { true } else { false }
  }

  /// Submits writes to four files, durable ones to the first, and gives the order in which they are
  /// done.
  private func order(seed: UInt64, faults: (inout VirtualDisk.Faults) -> Void = { _ in }) throws
    -> [(time: Int64, token: UInt64)]
  {
    let disk = VirtualDisk(seed: seed)
    faults(&disk.faults)
    let files = try (0..<4).map { try disk.openFile("f\($0)", .create) }
    let bytes = DiskBytes(BlockMemory(count: 512), 0..<512)
    for index in 0..<40 {
      let file = files[index % 4]
      disk.submit(
        .write(file, position: 0, [bytes], durable: index % 4 == 0), DiskToken(UInt64(index)))
    }
    var done: [(Int64, UInt64)] = []
    while let time = disk.nextTime {
      if time > 0 { #expect(disk.advance(to: time - 1).isEmpty) }
      for completion in disk.advance(to: time) { done.append((time, completion.token.rawValue)) }
    }
    return done
  }

  @Test
  func `does operations when they are due, as the seed says, and durable writes in their order`()
    throws
  {
    let first = try order(seed: 1)
    #expect(first.map(\.token).sorted() == Array(0..<40))
    #expect(first.map(\.token) != Array(0..<40))
    #expect(first.map(\.time) == first.map(\.time).sorted())
    let durable = first.map(\.token).filter { $0 % 4 == 0 }
    #expect(durable == durable.sorted())
    #expect(try order(seed: 1).map(\.token) == first.map(\.token))
    #expect(try order(seed: 2).map(\.token) != first.map(\.token))
    let slow = try order(seed: 1) { $0.slowness = 50 }
    #expect(slow.map(\.token) == first.map(\.token))
    #expect(slow[39].time == first[39].time * 50)
    let atOnce = try order(seed: 1) { $0.latency = .none }
    #expect(atOnce.map(\.token) == Array(0..<40))
    #expect(atOnce[39].time == 0)
  }

  @Test
  func `does nothing while it stalls, and has nothing to do when it is idle`() throws {
    let disk = VirtualDisk(seed: 3)
    #expect(disk.nextTime == nil)
    #expect(disk.advance(to: 1_000_000).isEmpty)
    disk.submit(.makeDirectory("a"), DiskToken(1))
    disk.faults.stallsUntil = .max
    #expect(disk.nextTime == nil)
    #expect(disk.advance(to: 1_000_000_000).isEmpty)
    disk.faults.stallsUntil = 3_000_000_000
    #expect(disk.nextTime == 3_000_000_000)
    #expect(disk.advance(to: 2_999_999_999).isEmpty)
    #expect(disk.advance(to: 3_000_000_000).count == 1)
    #expect(disk.nextTime == nil)
  }

  @Test
  func `fails the syncs it is told to, and what they were of is lost`() throws {
    let disk = VirtualDisk(seed: 4)
    let harness = try StoreHarness(disk: disk, seed: 4)
    harness.isTimed = true
    let log = try harness.create("a")
    try harness.append(log, ["one"])
    harness.settle()
    disk.faults.failsSyncs = "journal/"
    try harness.append(log, ["two"])
    harness.settle()
    #expect(harness.store.failureText != nil)
    disk.faults.failsSyncs = nil
    var random = SeededGenerator(seed: 4)
    for _ in 0..<20 {
      let after = disk.after(.powerCut, &random)
      let store = try StoreHarness.open(after)
      #expect(try store.bounds(of: log).end == Offset(1))
    }
  }

  @Test
  func `changes one bit of what is durable, and goes back to what it was`() throws {
    let disk = VirtualDisk(seed: 5)
    let harness = try StoreHarness(disk: disk, seed: 5)
    harness.isTimed = true
    let log = try harness.create("a")
    try harness.append(log, ["one"])
    harness.settle()
    let image = disk.image()
    try harness.append(log, ["two"])
    harness.settle()
    var random = SeededGenerator(seed: 5)
    let before = disk.files.map { disk.contents(of: $0) ?? [] }
    let rot = try #require(disk.rot(&random) { $0.hasPrefix("journal/") })
    let after = disk.files.map { disk.contents(of: $0) ?? [] }
    let differing = zip(before.joined(), after.joined()).filter { $0 != $1 }
    #expect(differing.count == 1)
    #expect(differing.first.map { ($0 ^ $1).nonzeroBitCount } == 1)
    #expect(rot.path.hasPrefix("journal/"))
    for _ in 0..<2 {
      let old = image.restored(inPlaceOf: disk)
      let store = try StoreHarness.open(old)
      #expect(try store.bounds(of: log).end == Offset(1))
      // The image stays as it is.
      _ = try store.append(log, StoreHarness.batch(["other"])[...], epoch: LeaderEpoch(0))
      store.flush(now: 1)
      while let next = old.nextTime { old.advance(to: next).forEach(store.complete) }
      #expect(try store.bounds(of: log).durable.offset == Offset(2))
    }
    #expect(disk.after(.kill, &random).nextTime == nil)
  }

  @Test
  func `counts its bytes when it has changed, and is full by them`() throws {
    let disk = VirtualDisk(seed: 6)
    let file = try disk.openFile("a", .create)
    let bytes = DiskBytes(BlockMemory(count: 1024), 0..<1024)
    _ = try disk.perform(.write(file, position: 0, [bytes], durable: false))
    disk.faults.capacity = 2000
    #expect(try disk.freeSpace() == 976)
    #expect(throws: DiskError.self) {
      try disk.perform(.write(file, position: 1024, [bytes], durable: false))
    }
    _ = try disk.perform(.truncate(file, size: 100))
    #expect(try disk.freeSpace() == 1900)
    _ = try disk.perform(.delete("a"))
    #expect(disk.usedBytes == 0)
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func `crashes at any time, also while it is slow or stalls, lose nothing durable`(seed: UInt64)
    throws
  {
    var disk = VirtualDisk(seed: seed)
    var random = SeededGenerator(seed: seed &+ 900)
    for life in 0..<10 {
      let harness = try StoreHarness(disk: disk, seed: seed &* 31 &+ UInt64(life))
      harness.isTimed = true
      harness.history = [try StoreHarness.state(of: StoreHarness.open(disk.image()))]
      disk.faults.slowness = random.oneIn(3) ? 1000 : 1
      try RandomScript(harness, seed: UInt64(life) &* 7 &+ seed).run(steps: 40)
      if random.oneIn(2) {
        disk.faults.stallsUntil = .max
        try RandomScript(harness, seed: seed).run(steps: 3)
      }
      #expect(harness.failures == [])
      disk = disk.after(random.oneIn(2) ? .kill : .powerCut, &random)
      disk.faults.stallsUntil = .min
      #expect(harness.verdict(on: disk.image()) == nil, "life \(life)")
    }
  }
}
