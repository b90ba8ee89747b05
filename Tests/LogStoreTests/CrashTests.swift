import Bytes
import LogStore
import Platform
import Simulation
import Testing

@Suite struct `Crashes on a virtual disk` {
  /// Uses most kinds of frames, and is small enough for every subset.
  private func smallScript(_ harness: StoreHarness) throws {
    let a = try harness.create("a")
    harness.turn()
    try harness.append(a, ["one", "two"])
    harness.turn()
    try harness.append(a, ["three"])
    let b = try harness.create("b")
    harness.turn()
    harness.turn()
    try harness.append(b, ["x"])
    try harness.vote(b, Vote(epoch: LeaderEpoch(1), candidate: 2))
    harness.turn()
    try harness.beginEpoch(b, 1)
    try harness.truncate(b, to: LogPosition(epoch: LeaderEpoch(0), offset: .zero))
    harness.settle()
    // Now the files get what is claimed of them, a part of a block each.
    harness.store.startCheckpoint()
    for _ in 0..<3 { harness.turn() }
    try harness.append(a, ["four"])
    harness.settle()
    // More than a segment: blocks are written, and the rest of the one that is closed.
    try harness.append(a, ["five", String(repeating: "v", count: 600)])
    harness.turn()
    try harness.append(a, ["six"])
    harness.settle()
    // What the checkpoint claims goes, and a file of the same name comes.
    var history = EpochHistory()
    history.begin(LeaderEpoch(3), at: .zero)
    try harness.reset(
      a, to: LogPosition(epoch: LeaderEpoch(3), offset: .zero), history, producers: [:], through: 0)
    try harness.replicate(a, [try StoreHarness.batch(["other"], at: 0, epoch: 3)])
    try harness.replicate(b, [try StoreHarness.batch(["y"], at: 0, epoch: 4)])
    harness.settle()
  }

  @Test
  func `a power cut at every operation, with every subset of what was volatile, loses nothing`()
    throws
  {
    var cuts = 0
    var problems: [String] = []
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 1)
    disk.willPerform = { disk, done in
      let count = disk.volatileCount
      var random = SeededGenerator(seed: UInt64(done))
      // Every subset of up to ten things; of more, as many at random.
      let masks =
        count <= 10 ? Array(0..<(1 << UInt64(count))) : (0..<1000).map { _ in random.next() }
      for mask in masks {
        cuts += 1
        let after = disk.afterPowerCut { mask >> UInt64($0 % 64) & 1 == 1 }
        if let problem = harness.verdict(on: after) {
          problems.append("operation \(done), mask \(mask): \(problem)")
        }
      }
    }
    try smallScript(harness)
    disk.willPerform = nil
    #expect(problems.isEmpty, "\(problems.prefix(3))")
    #expect(cuts > 1000)
    #expect(harness.durable == harness.history.count - 1)
  }

  @Test(arguments: Array(0..<14) + [20, 23, 41, 1000] as [UInt64])
  func `crashes anywhere in a long random script lose nothing durable`(seed: UInt64) throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: seed)
    var random = SeededGenerator(seed: seed ^ 0xabcd)
    var problems: [String] = []
    var crashes = 0
    disk.willPerform = { disk, done in
      guard random.oneIn(3) else { return }
      crashes += 1
      let density = 1 + random.below(4)
      let after =
        random.oneIn(3)
        ? disk.afterKill { _ in random.oneIn(2) }
        : disk.afterPowerCut { _ in !random.oneIn(density) }
      if let problem = harness.verdict(on: after) {
        problems.append("operation \(done): \(problem)")
      }
    }
    try RandomScript(harness, seed: seed).run(steps: 400)
    disk.willPerform = nil
    #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(3))")
    #expect(crashes > 100)
    #expect(harness.failures.isEmpty)
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func `a crash at every step of the recovery, recovered again, gives the same`(seed: UInt64) throws
  {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: seed)
    var random = SeededGenerator(seed: seed &* 77)
    try RandomScript(harness, seed: seed).run(steps: 60 + Int(seed) * 40)
    for _ in 0..<2 {
      let density = 1 + random.below(4)
      let crashed = disk.afterPowerCut { _ in !random.oneIn(density) }
      let expected = try StoreHarness.state(
        of: StoreHarness.open(crashed.afterKill { _ in true }))
      var problems: [String] = []
      var steps = 0
      crashed.willPerform = { half, done in
        steps += 1
        for round in 0..<3 {
          var coin = SeededGenerator(seed: UInt64(done * 3 + round) ^ seed)
          let again =
            round == 0 ? half.afterKill { _ in true } : half.afterPowerCut { _ in coin.oneIn(2) }
          do {
            let found = try StoreHarness.state(of: StoreHarness.open(again))
            if found != expected { problems.append("step \(done): another state") }
          } catch {
            problems.append("step \(done): \(error)")
          }
        }
      }
      let store = try StoreHarness.open(crashed)
      crashed.willPerform = nil
      #expect(try StoreHarness.state(of: store) == expected)
      #expect(steps > 10)
      #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(3))")
    }
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func `a store that crashes again and again keeps what each life made durable`(seed: UInt64) throws
  {
    var random = SeededGenerator(seed: seed &+ 5000)
    var disk = VirtualDisk()
    var before: StoreHarness.State = [:]
    for life in 0..<12 {
      let harness = try StoreHarness(disk: disk, seed: seed &* 31 &+ UInt64(life))
      let start = try StoreHarness.state(of: StoreHarness.open(disk.afterKill { _ in true }))
      if life > 0 { #expect(start == before, "life \(life) begins as the one before ended") }
      harness.history = [start]
      try RandomScript(harness, seed: UInt64(life) &+ seed).run(steps: 60)
      disk =
        random.oneIn(3)
        ? disk.afterKill { _ in random.oneIn(2) } : disk.afterPowerCut { _ in random.oneIn(2) }
      #expect(harness.verdict(on: disk.afterKill { _ in true }) == nil, "life \(life)")
      before = try StoreHarness.state(of: StoreHarness.open(disk.afterKill { _ in true }))
    }
  }

  @Test
  func `a segment's file that was made before its frame was durable is not in the way`() throws {
    let harness = try StoreHarness(seed: 9)
    let log = try harness.create("a")
    harness.settle()
    try harness.append(log, ["never durable"])
    harness.store.flush(now: harness.now)
    let create = try #require(
      harness.disk.inFlight.firstIndex {
        if case .open(let path, .create, _) = $0.operation { path.hasSuffix(".log") } else { false }
      })
    harness.store.complete(harness.disk.step(create))
    let next = try StoreHarness(disk: harness.disk.afterKill { _ in false }, seed: 10)
    next.history = [try StoreHarness.state(of: next.store)]
    try next.append(log, ["again"])
    next.settle()
    #expect(next.failures == [])
    #expect(try next.store.failure(of: log) == nil)
    #expect(try StoreHarness.state(of: next.store) == next.state)
  }
}
