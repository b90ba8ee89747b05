import Bytes
import LogStore
import Platform
import Simulation
import Testing

/// What files have is looked through, also of the segment that grows.
@Suite struct `Looking through a log's files` {
  private let harness: StoreHarness
  private let log: LogID

  /// A log of two batches that fit in one segment.
  init() throws {
    harness = try StoreHarness(seed: 41)
    log = try harness.create("a")
    for number in 0..<2 {
      try harness.append(log, ["value \(number)"])
      harness.settle()
    }
  }

  private var path: String {
    harness.disk.files.first { $0.hasPrefix("logs/") && $0.hasSuffix("0000.log") } ?? ""
  }

  private func written() -> Int { harness.disk.contents(of: path)?.count ?? 0 }

  private func checkpoint() {
    harness.store.startCheckpoint()
    harness.settle()
  }

  /// Looks through all of the log. Returns why it has failed, if it has.
  private func scrub(_ store: LogStore, _ turn: () -> Void) throws -> String? {
    var place = ScrubPlace(log)
    for _ in 0..<1000 {
      switch store.scrub(place) {
      case .waiting(let same): place = same
      case .whole(let next): place = next
      case .done: return try store.failure(of: log)
      case .unreadable(let why): return why
      }
      turn()
    }
    return "it has no end"
  }

  private func scrub() throws -> String? { try scrub(harness.store) { harness.settle() } }

  @Test func `finds any byte of the open segment that has changed since the file has it`() throws {
    // What is committed is not read when the store is opened.
    try harness.commit(log, through: 2)
    checkpoint()
    let size = try harness.store.bounds(of: log).sizeBytes
    #expect(try harness.store.bounds(of: log).segments == 1)
    #expect(try scrub() == nil)
    for byte in 0..<written() {
      let disk = harness.disk.afterKill { _ in true }
      disk.flip(path, byte: byte, mask: 4)
      // One that is opened again, which reads the file for itself.
      let store = try StoreHarness.open(disk)
      #expect(try store.failure(of: log) == nil)
      let found = try scrub(store) {
        while !disk.inFlight.isEmpty { store.complete(disk.step()) }
      }
      #expect((found != nil) == (byte < size), "byte \(byte)")
    }
  }

  @Test func `finds what has changed in the file while readers have it from memory`() throws {
    checkpoint()
    harness.disk.flip(path, byte: 70, mask: 1)
    try harness.commit(log, through: 2)
    let slice = try #require(try harness.store.slice(of: log, from: .zero, bytesMax: 1000))
    #expect(try harness.store.bytes(of: slice) == harness.state[log]?.batches.joined().map { $0 })
    #expect(try scrub()?.contains("is damaged near byte 0") == true)
    #expect(throws: LogError.self) { try harness.append(log, ["more"]) }
  }

  @Test func `finds a file that was cut`() throws {
    checkpoint()
    harness.disk.cut(path, to: 100)
    #expect(try scrub()?.contains("is damaged") == true)
  }

  @Test func `minds nothing that is not in the file yet, and sees it when it is`() throws {
    #expect(written() == 0)
    #expect(try scrub() == nil)
    checkpoint()
    // The block that the file has is to be written again, with more in it.
    harness.holdsBack = { if case .write = $0 { true } else { false } }
    try harness.append(log, ["value 2"])
    harness.store.startCheckpoint()
    harness.settle()
    #expect(try scrub() == nil)
    harness.holdsBack = { _ in false }
    harness.settle()
    #expect(try scrub() == nil)
    let size = Int(try harness.store.bounds(of: log).sizeBytes)
    harness.disk.flip(path, byte: size - 1, mask: 1)
    #expect(try scrub() != nil)
  }

  @Test func `does not take for damage what a truncation has replaced meanwhile`() throws {
    checkpoint()
    harness.holdsBack = { if case .load = $0 { true } else { false } }
    let place = ScrubPlace(log)
    guard case .waiting(let waiting) = harness.store.scrub(place) else {
      Issue.record("nothing is read")
      return
    }
    // Read, and then replaced by what is as long.
    harness.holdsBack = { _ in false }
    harness.settle()
    try harness.truncate(log, to: LogPosition(epoch: LeaderEpoch(0), offset: Offset(1)))
    try harness.append(log, ["other 1"], epoch: 1)
    harness.settle()
    checkpoint()
    #expect(try harness.store.failure(of: log) == nil)
    var next = waiting
    for _ in 0..<100 {
      switch harness.store.scrub(next) {
      case .waiting(let same): next = same
      case .whole(let after): next = after
      case .done, .unreadable: break
      }
      harness.settle()
    }
    #expect(harness.failures == [])
    #expect(try scrub() == nil)
  }

  @Test func `comes to an end while the log grows faster`() throws {
    checkpoint()
    var place = ScrubPlace(log)
    var steps = 0
    scrubbing: while steps < 200 {
      steps += 1
      switch harness.store.scrub(place) {
      case .waiting(let same): place = same
      case .whole(let next): place = next
      case .done, .unreadable: break scrubbing
      }
      for _ in 0..<4 {
        do {
          try harness.append(log, ["more", String(repeating: "x", count: 200)])
        } catch LogError.busy {
          harness.tick(1)
        }
        harness.settle()
      }
    }
    #expect(steps < 20)
    #expect(harness.failures == [])
  }
}
