import Bytes
import LogStore
import Records
import Simulation

/// What leaders and followers do to a few logs, at random: appends, epochs, votes, truncations,
/// resets, deletions and checkpoints, and readers that must find what was appended, wherever it is.
/// Beside it files are looked through, which must find nothing.
final class RandomScript {
  private let harness: StoreHarness
  private var random: SeededGenerator
  private var epochs: [LogID: Int32] = [:]
  /// Reset, and nothing appended since.
  private var wereReset: Set<LogID> = []
  /// To be made again, with such votes.
  private var setAside: [(name: String, vote: Vote)] = []

  init(_ harness: StoreHarness, seed: UInt64) {
    self.harness = harness
    random = SeededGenerator(seed: seed ^ 0x5eed)
  }

  func run(steps: Int) throws {
    for step in 0..<steps {
      do {
        try act(step)
      } catch LogError.busy {
        // The journal is full: what is under way must go on first.
        harness.turn()
      }
      try read()
      try sendEntries()
      scrub(step)
      if !random.oneIn(3) { harness.turn() }
      harness.now += 10
    }
  }

  private var logs: [LogID] { harness.state.keys.sorted() }

  private func act(_ step: Int) throws {
    guard let log = logs.randomElement(using: &random), !random.oneIn(12) || logs.count > 3
    else {
      _ = try harness.create("log \(step) \(random.next())")
      return
    }
    let epoch = max(0, epochs[log] ?? harness.state[log]?.epochs.last?.epoch.rawValue ?? 0)
    switch random.below(24) {
    case 0..<11:
      try harness.append(
        log, values(step), epoch: epoch, timestamp: Int64(step * 100), producer: producer(step))
      wereReset.remove(log)
    case 20..<23: try replicate(log, step, epoch: epoch)
    case 23:
      if random.oneIn(2) { try reset(log, epoch: epoch) }
    case 11:
      try harness.beginEpoch(log, epoch + 1)
      epochs[log] = epoch + 1
    case 12:
      try harness.vote(log, Vote(epoch: LeaderEpoch(epoch + 1), candidate: Int32(step % 3)))
    case 13..<15: try truncate(log)
    case 15..<17: try commit(log)
    case 17: try advanceStart(log)
    case 18: harness.store.startCheckpoint()
    default:
      if random.oneIn(4) {
        try harness.delete(log)
      } else if random.oneIn(4) {
        let vote = Vote(epoch: LeaderEpoch(Int32(random.below(10))), candidate: 1)
        setAside.append((try harness.setAside(log), vote))
      } else if let (name, vote) = setAside.popLast() {
        _ = try harness.create(name, vote: vote)
      } else {
        harness.store.tick(now: harness.now)
      }
    }
  }

  private var scrubPlace: ScrubPlace?

  private func scrub(_ step: Int) {
    guard let log = scrubPlace?.log ?? logs.dropFirst(step % max(1, logs.count)).first
    else { return }
    switch harness.store.scrub(scrubPlace ?? ScrubPlace(log)) {
    case .waiting(let place), .whole(let place): scrubPlace = place
    case .done: scrubPlace = nil
    case .unreadable(let why):
      harness.failures.append("the scrub: \(why)")
      scrubPlace = nil
    }
  }

  private func values(_ step: Int) -> [String] {
    let padding = String(repeating: "v", count: random.below(90))
    return (0...random.below(4)).map { "value \(step) \($0) \(padding)" }
  }

  private func producer(_ step: Int) -> RecordBatchBuilder.Producer {
    guard random.oneIn(2) else { return .none }
    return RecordBatchBuilder.Producer(
      id: ProducerID(Int64(1 + random.below(3))), epoch: ProducerEpoch(Int16(step / 100)),
      baseSequence: Int32(step))
  }

  /// As a follower: one or two batches, of one or two epochs. The first after a reset may begin
  /// before the log.
  private func replicate(_ log: LogID, _ step: Int, epoch: Int32) throws {
    guard let state = harness.state[log] else { return }
    var next = state.end
    var epoch = epoch
    var batches: [[UInt8]] = []
    for index in 0...random.below(2) {
      var values = values(step)
      if index == 0, wereReset.contains(log), next > 0, state.epochs.last?.epoch.rawValue == epoch {
        next -= Int64(random.below(min(3, Int(next) + 1)))
        while next + Int64(values.count) <= state.end { values.append("one more") }
      } else if random.oneIn(3) {
        epoch += 1
      }
      batches.append(
        try StoreHarness.batch(values, at: next, epoch: epoch, producer: producer(step + index)))
      next += Int64(values.count)
    }
    try harness.replicate(log, batches)
    wereReset.remove(log)
    epochs[log] = epoch
  }

  /// To some uncommitted end of a batch or start of an epoch.
  private func truncate(_ log: LogID) throws {
    let bounds = try harness.store.bounds(of: log)
    guard let state = harness.state[log] else { return }
    let targets = state.positions.filter {
      $0.offset >= bounds.highWatermark && $0 < state.position
    }
    guard let target = targets.randomElement(using: &random) else { return }
    try harness.truncate(log, to: target)
    // What follows a truncation is written by another leader.
    let next = max(epochs[log] ?? 0, state.epochs.last?.epoch.rawValue ?? 0) + 1
    epochs[log] = next
  }

  /// To anywhere, with some of what another log may know.
  private func reset(_ log: LogID, epoch: Int32) throws {
    guard let state = harness.state[log] else { return }
    let offset = Int64(random.below(Int(state.end) + 20))
    let epoch = epoch + Int32(random.below(3))
    var history = EpochHistory()
    if epoch > 0, random.oneIn(2) {
      history.begin(LeaderEpoch(epoch - 1), at: Offset(max(0, offset - 7)))
    }
    history.begin(LeaderEpoch(epoch), at: Offset(random.oneIn(2) ? offset : max(0, offset - 3)))
    var producers: [ProducerID: ModelProducer] = [:]
    for id in 1...3 where random.oneIn(2) {
      let batch = ModelProducer.Batch(
        firstSequence: 7, lastSequence: 8, firstOffset: offset, lastOffset: offset + 1)
      producers[ProducerID(Int64(id))] = ModelProducer(epoch: 0, batches: [batch])
    }
    try harness.reset(
      log, to: LogPosition(epoch: LeaderEpoch(epoch), offset: Offset(offset)), history,
      producers: producers, through: offset + Int64(random.below(6)))
    wereReset.insert(log)
    epochs[log] = epoch
  }

  /// From some batch on: begins to read it into memory, or takes what there is.
  private func read() throws {
    guard let log = logs.randomElement(using: &random), let state = harness.state[log]
    else { return }
    let bounds = try harness.store.bounds(of: log)
    let starts = state.batches.indices.filter { index in
      let end = StoreHarness.end(of: state.batches[index])
      return end > bounds.start.rawValue && end <= bounds.readable.rawValue
    }
    guard let index = starts.randomElement(using: &random) else { return }
    let first = try RecordBatchHeader(state.batches[index][...]).baseOffset
    let offset = max(first, bounds.start)
    let reads = try harness.store.readAhead(
      of: log, from: offset, bytesMax: 100 + random.below(1000), blocksMax: random.below(4))
    // One who was told to wait may look all the same.
    guard reads == nil || random.oneIn(2) else { return }
    let bytesMax = 100 + random.below(1000)
    guard let slice = try harness.store.slice(of: log, from: offset, bytesMax: bytesMax) else {
      harness.failures.append("\(log) has nothing at \(offset), which is readable")
      return
    }
    if let held { try check(held) }
    held = Held(slice: slice, expected: Array(state.batches[index...].joined().prefix(slice.count)))
  }

  /// What a slow reader has been given, and sends at some later time.
  private struct Held {
    let slice: LogSlice
    let expected: [UInt8]
  }

  private var held: Held?

  private func check(_ held: Held) throws {
    // Files may be gone by now; wrong bytes are never right.
    guard let bytes = try? harness.store.bytes(of: held.slice), bytes.count == held.expected.count
    else { return }
    if bytes != held.expected { harness.failures.append("a reader was given other bytes") }
  }

  /// To a follower that has some prefix of a log: what follows it there.
  private func sendEntries() throws {
    guard let log = logs.randomElement(using: &random), let state = harness.state[log]
    else { return }
    let after = state.positions.randomElement(using: &random) ?? state.position
    let bytesMax = 1 + random.below(800)
    var found = try harness.store.entries(of: log, after: after, bytesMax: bytesMax)
    if case .waiting = found {
      harness.turn()
      found = try harness.store.entries(of: log, after: after, bytesMax: bytesMax)
    }
    // Waits have their test; a reader that gives up is no matter.
    guard case .entries(let entries) = found else { return }
    if let problem = state.problem(entries, after: after, bytesMax: bytesMax) {
      harness.failures.append("\(log) sent after \(after): \(problem)")
    }
    let wrong = LogPosition(epoch: after.epoch, offset: after.offset + 1)
    guard !state.positions.contains(wrong), wrong.offset > Offset(state.start) else { return }
    let other = try? harness.store.entries(of: log, after: wrong, bytesMax: bytesMax)
    if case .entries? = other {
      harness.failures.append("\(log) sent what follows \(wrong), which it does not have")
    }
  }

  /// Up to what is durable, as a leader of one would.
  private func commit(_ log: LogID) throws {
    let bounds = try harness.store.bounds(of: log)
    guard let state = harness.state[log] else { return }
    let ends = state.batches.map { StoreHarness.end(of: $0) }
      .filter { $0 > bounds.highWatermark.rawValue && $0 <= bounds.durable.offset.rawValue }
    guard let end = ends.randomElement(using: &random) else { return }
    try harness.commit(log, through: end)
  }

  private func advanceStart(_ log: LogID) throws {
    let bounds = try harness.store.bounds(of: log)
    guard bounds.highWatermark > bounds.start else { return }
    let span = Int(bounds.highWatermark - bounds.start)
    try harness.advanceStart(log, to: bounds.start.rawValue + Int64(1 + random.below(span)))
  }
}
