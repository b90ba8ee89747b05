import Bytes
import Glibc
import LogStore
import Platform
import Records
import Simulation
import Testing

/// What was appended is in memory before it is in its segment's file, and for a while after.
@Suite struct `The tail of a log` {
  /// Everything in it, read as a consumer would.
  private func values(_ store: LogStore, _ log: LogID) throws -> [[UInt8]] {
    try StoreHarness.readable(store, log).batches
  }

  private func isSegmentWrite(_ disk: VirtualDisk, _ operation: DiskOperation) -> Bool {
    guard case .write = operation, let path = disk.path(of: operation) else { return false }
    return path.hasSuffix(".log")
  }

  /// Opens what many different crashes leave, and says what is wrong with it.
  private func problems(_ harness: StoreHarness, rounds: Int = 30) -> [String] {
    var random = SeededGenerator(seed: 23)
    return (0..<rounds).compactMap { round in
      let after =
        round == 0
        ? harness.disk.afterKill { _ in true }
        : harness.disk.afterPowerCut { _ in random.oneIn(2) }
      return harness.verdict(on: after).map { "crash \(round): \($0)" }
    }
  }

  @Test
  func `what is durable and committed is readable before its file has any of it`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 1)
    let log = try harness.create("a")
    harness.settle()
    var written = 0
    disk.fault = { operation in
      if isSegmentWrite(disk, operation) { written += 1 }
      return nil
    }
    for index in 0..<3 { try harness.append(log, ["value \(index)"]) }
    #expect(try harness.store.slice(of: log, from: .zero, bytesMax: 1000) == nil)
    harness.settle()
    #expect(try harness.store.slice(of: log, from: .zero, bytesMax: 1000) == nil)
    try harness.store.commit(log, through: Offset(3))
    let slice = try #require(try harness.store.slice(of: log, from: .zero, bytesMax: 1000))
    #expect(try harness.store.bytes(of: slice) == harness.state[log]?.batches.flatMap { $0 })
    #expect(try harness.store.find(Timestamp(5), in: log)?.offset == .zero)
    #expect(written == 0)
  }

  @Test
  func `what is committed and not durable is not readable`() throws {
    let harness = try StoreHarness(seed: 2)
    let log = try harness.create("a")
    harness.settle()
    try harness.append(log, ["one"])
    harness.settle()
    try harness.append(log, ["two"])
    // It is in the middle of nothing, or there is nothing.
    #expect(throws: LogError.outOfRange) { try harness.store.commit(log, through: Offset(3)) }
    try harness.store.commit(log, through: Offset(2))
    #expect(try harness.store.bounds(of: log).readable == Offset(1))
    harness.settle()
    #expect(try harness.store.bounds(of: log).readable == Offset(2))
    #expect(harness.events.contains(.readable(log, Offset(2))))
  }

  @Test
  func `durable news of what was truncated shows nobody what came in its place`() throws {
    let harness = try StoreHarness(seed: 3)
    let log = try harness.create("a")
    try harness.append(log, ["zero"])
    harness.settle()
    try harness.store.commit(log, through: Offset(1))
    try harness.append(log, ["one", "two", "three"])
    // A peer may say anything.
    #expect(throws: LogError.outOfRange) { try harness.store.commit(log, through: Offset(2)) }
    // On its way: it becomes durable after the truncation, which is not durable then.
    harness.store.flush(now: harness.now)
    try harness.truncate(log, to: LogPosition(epoch: LeaderEpoch(0), offset: Offset(1)))
    try harness.append(log, ["another"], epoch: 1)
    try harness.store.commit(log, through: Offset(2))
    let journal = try #require(
      harness.disk.inFlight.firstIndex {
        if case .write(_, _, _, durable: true) = $0.operation { true } else { false }
      })
    harness.store.complete(harness.disk.step(journal))
    #expect(try harness.store.bounds(of: log).readable == Offset(1))
    harness.settle()
    #expect(try harness.store.bounds(of: log).readable == Offset(2))
    #expect(try values(harness.store, log) == harness.state[log]?.batches)
  }

  @Test
  func `a power cut anywhere while tails are written in parts loses nothing`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 4)
    let log = try harness.create("a")
    var options = StoreHarness.logOptions()
    options.segmentBytes = 6000
    try harness.store.configure(log, options)
    harness.history.append(harness.state)
    harness.settle()
    var found: [String] = []
    var cuts = 0
    disk.willPerform = { disk, done in
      var random = SeededGenerator(seed: UInt64(done))
      for _ in 0..<20 {
        cuts += 1
        let density = 1 + random.below(4)
        let after = disk.afterPowerCut { _ in !random.oneIn(density) }
        if let problem = harness.verdict(on: after) {
          found.append("operation \(done): \(problem)")
        }
      }
    }
    // Ends at every place of a block, and beyond the size of chunks and segments.
    for number in 0..<60 {
      let filling = String(repeating: "v", count: number * 37 % 400)
      do {
        try harness.append(log, ["value \(number)", filling])
      } catch LogError.busy {
        harness.settle()
      }
      if number % 7 == 3 { harness.store.startCheckpoint() }
      if number % 3 == 0 { harness.turn() }
    }
    harness.settle()
    disk.willPerform = nil
    #expect(found.isEmpty, "\(found.prefix(3))")
    #expect(cuts > 1000)
    #expect(harness.failures.isEmpty)
    #expect(try values(harness.store, log) == harness.state[log]?.batches)
  }

  /// A batch of these many bytes is in the tail, the checkpoint that claims it is under way, and it
  /// is truncated to its first batch and goes on with other bytes.
  @Test(arguments: 0..<8 as Range<UInt64>)
  func `a truncation inside a tail changes nothing that a checkpoint claims`(seed: UInt64) throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: seed)
    let log = try harness.create("a")
    harness.settle()
    var found: [String] = []
    disk.willPerform = { disk, done in
      var random = SeededGenerator(seed: UInt64(done) &* 31 &+ seed)
      for _ in 0..<30 {
        let after = disk.afterPowerCut { _ in random.oneIn(2) }
        if let problem = harness.verdict(on: after) {
          found.append("operation \(done): \(problem)")
        }
      }
    }
    var epoch: Int32 = 0
    for round in 0..<6 {
      let end = Offset(harness.state[log]?.end ?? 0)
      try harness.append(log, ["kept \(round)"], epoch: epoch)
      try harness.append(log, ["gone", String(repeating: "x", count: 40 * round)], epoch: epoch)
      for _ in 0..<round { harness.turn() }
      harness.store.startCheckpoint()
      for _ in 0..<Int(seed) { harness.turn() }
      try harness.truncate(
        log, to: LogPosition(epoch: LeaderEpoch(epoch), offset: end + 1))
      epoch += 1
      try harness.append(log, ["instead \(round)"], epoch: epoch)
      if round % 2 == 0 { harness.store.startCheckpoint() }
      harness.settle()
    }
    disk.willPerform = nil
    #expect(found.isEmpty, "\(found.prefix(3))")
    #expect(harness.failures.isEmpty)
    #expect(try values(harness.store, log) == harness.state[log]?.batches)
    #expect(problems(harness) == [])
  }

  @Test
  func `more logs than there is memory for are written out and lose nothing`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 6)
    var logs: [LogID] = []
    func add(_ action: () throws -> Void) throws {
      while true {
        do { return try action() } catch LogError.busy { harness.tick(1) }
      }
    }
    for number in 0..<100 { try add { logs.append(try harness.create("log \(number)")) } }
    for round in 0..<5 {
      for log in logs {
        try add { try harness.append(log, ["\(log) in round \(round)"]) }
        harness.turn()
        // A block each would be 51,200 bytes.
        #expect(harness.store.tailBytes <= 16384)
      }
    }
    harness.settle()
    #expect(harness.failures.isEmpty)
    #expect(problems(harness, rounds: 5) == [])
    #expect(try StoreHarness.state(of: harness.store) == harness.state)
  }

  @Test
  func `appends wait while the disk is behind with what memory is full of, and go on after`()
    throws
  {
    let disk = VirtualDisk()
    let harness = try StoreHarness(
      disk: disk, seed: 7, options: StoreHarness.options(journalFile: 65536))
    let log = try harness.create("a")
    harness.settle()
    var written = 0
    #expect(throws: LogError.busy) {
      // Only the journal is written: everything else waits.
      for number in 0..<200 {
        try harness.append(log, ["value \(number)", String(repeating: "x", count: 300)])
        harness.store.flush(now: harness.now)
        while let index = disk.inFlight.firstIndex(where: { item in
          if case .write(_, _, _, durable: true) = item.operation { true } else { false }
        }) {
          harness.store.complete(disk.step(index))
        }
        written += 1
      }
    }
    #expect(written > 10)
    #expect(harness.store.tailBytes <= 16384)
    harness.turn()
    harness.settle()
    #expect(harness.events.contains(.room))
    try harness.append(log, ["after"])
    harness.settle()
    #expect(harness.failures.isEmpty)
    #expect(try values(harness.store, log) == harness.state[log]?.batches)
  }

  @Test
  func `a reader that holds a slice reads the same when its memory has gone to others`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 8)
    let log = try harness.create("a")
    let other = try harness.create("b")
    for number in 0..<3 { try harness.append(log, ["value \(number)"]) }
    harness.settle()
    try harness.store.commit(log, through: Offset(3))
    let slice = try #require(try harness.store.slice(of: log, from: .zero, bytesMax: 1000))
    let bytes = try harness.store.bytes(of: slice)
    func isInMemory() throws -> Bool {
      try slice.pieces.allSatisfy { piece in
        if case .memory = try piece.bytes(disk) { true } else { false }
      }
    }
    #expect(try isInMemory())
    // Far more than there is memory for.
    for number in 0..<100 {
      do {
        try harness.append(other, ["other \(number)", String(repeating: "x", count: 300)])
      } catch LogError.busy {
        harness.tick(1)
      }
      harness.turn()
    }
    harness.settle()
    #expect(!(try isInMemory()))
    #expect(try harness.store.bytes(of: slice) == bytes)
    #expect(try harness.store.bytes(of: slice) == harness.state[log]?.batches.flatMap { $0 })
  }

  @Test
  func `a reader reads the same when what was behind it is truncated and written anew`() throws {
    let harness = try StoreHarness(seed: 18)
    let log = try harness.create("a")
    let epoch = LeaderEpoch(0)
    try harness.append(log, ["one"])
    try harness.append(log, ["two"])
    harness.settle()
    try harness.store.commit(log, through: Offset(1))
    let slice = try #require(try harness.store.slice(of: log, from: .zero, bytesMax: 1000))
    let bytes = try harness.store.bytes(of: slice)
    for round in 0..<3 {
      // The file has nothing of the block that all of this is in.
      try harness.truncate(log, to: LogPosition(epoch: epoch, offset: Offset(1)))
      try harness.append(log, ["instead, and longer than it"], epoch: Int32(round + 1))
      #expect(try harness.store.bytes(of: slice) == bytes)
    }
    harness.store.startCheckpoint()
    harness.store.flush(now: harness.now)
    // On its way to the file.
    try harness.truncate(log, to: LogPosition(epoch: epoch, offset: Offset(1)))
    #expect(try harness.store.bytes(of: slice) == bytes)
    try harness.append(log, ["and again"], epoch: 9)
    #expect(try harness.store.bytes(of: slice) == bytes)
    harness.settle()
    #expect(try harness.store.bytes(of: slice) == bytes)
    #expect(try values(harness.store, log) == harness.state[log]?.batches)
  }

  @Test
  func `a closed segment's file has exactly its batches`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 9)
    let log = try harness.create("a")
    for number in 0..<40 {
      try harness.append(log, ["value \(number)", String(repeating: "x", count: number * 5)])
      harness.settle()
      if number % 9 == 0 { harness.store.startCheckpoint() }
    }
    harness.settle()
    let files = disk.files.filter { $0.hasPrefix("logs/\(log)") && $0.hasSuffix(".log") }
    #expect(files.count > 10)
    var found: [[UInt8]] = []
    for file in files.dropLast() {
      var batches = RecordBatches((disk.contents(of: file) ?? [])[...])
      while let batch = try batches.next() { found.append(Array(batch.bytes)) }
      #expect(batches.truncatedSize == 0)
    }
    #expect(found == Array(try #require(harness.state[log]).batches.prefix(found.count)))
  }

  @Test
  func `what a failing disk did not take is not served from memory that others use`() throws {
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 10)
    let bad = try harness.create("bad")
    let good = try harness.create("good")
    for number in 0..<4 { try harness.append(bad, ["bad \(number)"]) }
    harness.settle()
    try harness.store.commit(bad, through: Offset(4))
    let slice = try #require(try harness.store.slice(of: bad, from: .zero, bytesMax: 1000))
    disk.fault = { operation in
      guard isSegmentWrite(disk, operation), let path = disk.path(of: operation),
        path.hasPrefix("logs/\(bad)/")
      else { return nil }
      return .failed("the test", errno: 5)
    }
    harness.store.startCheckpoint()
    harness.settle()
    #expect(try harness.store.failure(of: bad) != nil)
    for number in 0..<20 {
      try harness.append(good, ["good \(number)", String(repeating: "x", count: 100)])
      harness.settle()
    }
    #expect(throws: LogError.self) { _ = try harness.store.bytes(of: slice) }
    #expect(throws: LogError.self) {
      _ = try harness.store.slice(of: bad, from: .zero, bytesMax: 1000)
    }
    #expect(problems(harness) == [])
  }

  @Test
  func `has pages that the disk is asked to touch before, and waits for none`() throws {
    let page = BlockMemory.hugePageBytes
    var options = StoreHarness.options(journalFile: Int64(4 * page))
    options.journal.groupBytesMax = 256 << 10
    options.tails.bytesMax = 6 * page
    options.tails.chunkBytesMax = 256 << 10
    let disk = VirtualDisk()
    let harness = try StoreHarness(disk: disk, seed: 11, options: options)
    let log = try harness.create("a")
    var touched: [Range<Int>] = []
    harness.holdsBack = { if case .populate = $0 { true } else { false } }
    while harness.store.tailBytes < 5 * page {
      do {
        try harness.append(log, [String(repeating: "x", count: 200_000)])
      } catch LogError.busy {
        harness.tick(1)
      }
      harness.settle()
      touched = disk.inFlight.compactMap {
        if case .populate(let part) = $0.operation { part.range } else { nil }
      }
      // The page after the one that is filled, for as long as there is one, has been asked for.
      let asked = try #require(touched.last?.upperBound)
      #expect(asked >= min(6 * page, harness.store.tailBytes + page))
    }
    // Each once, in order, and the first of all was there before anybody could ask.
    #expect(touched.first?.lowerBound == page)
    for (one, next) in zip(touched, touched.dropFirst()) {
      #expect(one.upperBound == next.lowerBound)
    }
    // What was appended is durable, though nobody has touched a page yet.
    #expect(harness.durable == harness.history.count - 1)
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(harness.failures.isEmpty)
    #expect(try values(harness.store, log) == harness.state[log]?.batches)
  }

  @Test
  func `a direct write that is not of whole blocks stops the program`() async {
    await #expect(processExitsWith: .failure) {
      let disk = VirtualDisk()
      let file = try disk.openFile("file", .create, direct: true)
      _ = try disk.perform(
        .write(file, position: 512, [DiskBytes(BlockMemory(count: 4096), 0..<700)], durable: false))
    }
    await #expect(processExitsWith: .success) {
      let disk = VirtualDisk()
      let file = try disk.openFile("file", .create, direct: true)
      _ = try disk.perform(
        .write(file, position: 512, [DiskBytes(BlockMemory(count: 4096), 0..<1024)], durable: false)
      )
      exit(0)
    }
  }
}
