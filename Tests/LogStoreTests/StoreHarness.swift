import Bytes
import LogStore
import Platform
import Records
import Simulation

/// A store on a virtual disk, and beside it what its logs must hold: the state after each frame.
///
/// The journal is one sequence, so whatever a crash leaves must be the state after some first
/// frames of it: at least those that were durable, and the same number for all logs.
final class StoreHarness {
  struct LogState: Equatable {
    var name: String
    var start: Int64 = 0
    var end: Int64 = 0
    var epochs: [EpochHistory.Entry] = []
    var vote = Vote()
    /// Batches as they are stored.
    var batches: [[UInt8]] = []
    /// By producer: what a reset brought, and what came after it and is not in that.
    var producers: [ProducerID: ModelProducer] = [:]
    var producersBefore: [ProducerID: ModelProducer] = [:]
    var producersThrough: Int64 = 0

    /// What can be seen of them.
    static func == (a: LogState, b: LogState) -> Bool {
      a.name == b.name && a.start == b.start && a.end == b.end && a.epochs == b.epochs
        && a.vote == b.vote && a.batches == b.batches && a.producers == b.producers
    }

    var position: LogPosition {
      LogPosition(epoch: epochs.last?.epoch ?? .none, offset: Offset(end))
    }
  }

  typealias State = [LogID: LogState]

  let disk: VirtualDisk
  let store: LogStore
  /// The state after each frame; the first is that before any.
  var history: [State] = [[:]]
  var random: SeededGenerator
  var now: Int64 = 1_000_000
  var failures: [String] = []
  private(set) var events: [LogStoreEvent] = []
  private var marks: [LogID: Offset] = [:]
  private var votesSetAside: [String: Vote] = [:]

  static func options(journalFile: Int64 = 8192, files: Int = 4) -> LogStoreOptions {
    var options = LogStoreOptions()
    options.journal.fileBytes = journalFile
    options.journal.filesMax = files
    options.journal.groupBytesMax = 2048
    options.journal.blockBytes = 512
    // Blocks of 512 bytes, chunks of one and of four, and soon too many of them.
    options.tails.bytesMax = 16384
    options.tails.chunkBytesMax = 2048
    options.tails.writeBytes = 1024
    // So little that readers take it from one another.
    options.reads.blockBytes = 512
    options.reads.bytesMax = 1536
    options.freeSpaceMin = 0
    options.reserveBytes = 512
    return options
  }

  static func logOptions() -> LogOptions {
    var options = LogOptions()
    options.segmentBytes = 700
    options.indexIntervalBytes = 100
    return options
  }

  init(
    disk: VirtualDisk = VirtualDisk(), seed: UInt64, options: LogStoreOptions = options()
  ) throws {
    self.disk = disk
    random = SeededGenerator(seed: seed)
    store = try LogStore.open(disk, options: options, newID: 0xfeed, now: now)
  }

  var state: State { history[history.count - 1] }
  /// Frames that are durable, of those in `history`. The store adds some of its own, which change
  /// nothing that can be seen: they are in `ownFrames` by what had been added before them.
  var durable: Int { Int(store.frames.durable) - ownFrames.count { $0 < store.frames.durable } }
  private var ownFrames: [UInt64] = []

  /// Notes the state after a frame that was just added.
  private func record(_ change: (inout State) -> Void) {
    noteOwnFrames(before: 1)
    noteMarks()
    var next = state
    change(&next)
    history.append(next)
  }

  private func noteOwnFrames(before pending: Int) {
    while history.count - 1 + ownFrames.count + pending < Int(store.frames.added) {
      ownFrames.append(UInt64(history.count - 1 + ownFrames.count))
    }
  }

  func create(_ name: String, vote: Vote = Vote()) throws -> LogID {
    let log = try store.createLog(named: name, options: Self.logOptions(), vote: vote)
    let floor = votesSetAside.removeValue(forKey: name) ?? vote
    record {
      $0[log] = LogState(name: name)
      $0[log]?.vote = floor.epoch >= vote.epoch ? floor : vote
    }
    return log
  }

  /// Returns the log's name.
  func setAside(_ log: LogID) throws -> String {
    let aside = try store.setAside(log)
    let name = state[log]?.name ?? ""
    votesSetAside[name] = aside.vote
    record { $0[log] = nil }
    return name
  }

  static func batch(
    _ values: [String], producer: RecordBatchBuilder.Producer = .none, timestamp: Int64 = 5
  ) throws -> [UInt8] {
    var builder = RecordBatchBuilder(producer: producer)
    for value in values {
      try builder.append(
        key: nil, value: Array(value.utf8)[...], headers: [], timestamp: Timestamp(timestamp))
    }
    return builder.buildUncompressed()
  }

  /// As a leader has it.
  static func batch(
    _ values: [String], at offset: Int64, epoch: Int32,
    producer: RecordBatchBuilder.Producer = .none
  ) throws -> [UInt8] {
    var batch = try batch(values, producer: producer)
    batch.withUnsafeMutableBytes {
      guard let base = $0.baseAddress else { return }
      RecordBatchHeader.patch(base, baseOffset: Offset(offset), leaderEpoch: LeaderEpoch(epoch))
    }
    return batch
  }

  @discardableResult
  func append(
    _ log: LogID, _ values: [String], epoch: Int32 = 0, timestamp: Int64 = 5,
    producer: RecordBatchBuilder.Producer = .none
  ) throws -> LogStore.Appended {
    var bytes = try Self.batch(values, producer: producer, timestamp: timestamp)
    let appended = try store.append(log, bytes[...], epoch: LeaderEpoch(epoch))
    bytes.withUnsafeMutableBytes {
      guard let base = $0.baseAddress else { return }
      RecordBatchHeader.patch(base, baseOffset: appended.first, leaderEpoch: LeaderEpoch(epoch))
    }
    record { state in
      guard var next = state[log] else { return }
      next.add(bytes)
      state[log] = next
    }
    return appended
  }

  /// Appends batches as a leader has them.
  func replicate(_ log: LogID, _ batches: [[UInt8]]) throws {
    _ = try store.replicate(log, batches.flatMap { $0 }[...])
    record { state in for batch in batches { state[log]?.add(batch) } }
  }

  /// `producers` is what the log is to know of its producers, as encoded.
  func reset(
    _ log: LogID, to position: LogPosition, _ history: EpochHistory,
    producers: [ProducerID: ModelProducer], through: Int64
  ) throws {
    _ = try store.reset(
      log, to: position, history: history, producers: ModelProducer.encoded(producers)[...],
      producersThrough: Offset(through))
    var history = history
    history.trim(to: position.offset)
    record { state in
      guard let old = state[log] else { return }
      var next = LogState(name: old.name)
      next.vote = old.vote
      next.start = position.offset.rawValue
      next.end = next.start
      next.epochs = history.entries
      next.producersBefore = producers
      next.producers = producers
      next.producersThrough = through
      state[log] = next
    }
  }

  func beginEpoch(_ log: LogID, _ epoch: Int32) throws {
    let position = try store.beginEpoch(log, LeaderEpoch(epoch))
    record { $0[log]?.begin(epoch, at: position.offset) }
  }

  func vote(_ log: LogID, _ vote: Vote) throws {
    try store.recordVote(log, vote)
    record { $0[log]?.vote = vote }
  }

  func truncate(_ log: LogID, to position: LogPosition) throws {
    _ = try store.truncate(log, to: position)
    record { state in
      guard var next = state[log] else { return }
      next.end = position.offset.rawValue
      next.epochs.removeAll { $0.epoch > position.epoch || $0.start > position.offset }
      while let last = next.batches.last, Self.end(of: last) > next.end {
        next.batches.removeLast()
      }
      next.foldProducersAgain()
      state[log] = next
    }
  }

  func advanceStart(_ log: LogID, to offset: Int64) throws {
    guard offset > state[log]?.start ?? 0 else { return }
    try store.advanceStart(log, to: Offset(offset))
    record { $0[log]?.advanceStart(to: offset) }
  }

  func delete(_ log: LogID) throws {
    try store.deleteLog(log)
    record { $0[log] = nil }
  }

  static func end(of batch: [UInt8]) -> Int64 {
    (try? RecordBatchHeader(batch[...]))?.nextOffset.rawValue ?? -1
  }

  // MARK: Driving

  /// Hands what was added to the disk, and does one operation that is in flight, whichever.
  func turn() {
    store.flush(now: now)
    if isTimed {
      if let next = disk.nextTime { disk.advance(to: next).forEach(store.complete) }
      noteOwnFrames(before: 0)
      takeEvents()
      return
    }
    let ready = ready
    guard !ready.isEmpty else { return }
    store.complete(disk.step(ready[random.below(ready.count)]))
    noteOwnFrames(before: 0)
    takeEvents()
  }

  /// The disk does what is due next, and not anything.
  var isTimed = false

  /// Operations that are in flight and stay there for now.
  var holdsBack: (DiskOperation) -> Bool = { _ in false }

  /// Those in flight that may be done, by their places.
  private var ready: [Int] {
    disk.inFlight.indices.filter { !holdsBack(disk.inFlight[$0].operation) }
  }

  /// Until nothing is in flight but what is held back, and a store that has not failed is quiet.
  func settle() {
    repeat {
      turn()
    } while !ready.isEmpty
      || (disk.inFlight.isEmpty && !store.isQuiet && store.failureText == nil)
  }

  /// As time passes: the ticks of `count` tenths of a second.
  func tick(_ count: Int = 3) {
    for _ in 0..<count {
      now += 100
      store.tick(now: now)
      settle()
      takeEvents()
    }
  }

  private func takeEvents() {
    for event in store.takeEvents() {
      events.append(event)
      switch event {
      case .durable(let log, let position):
        if !history[...durable].contains(where: { $0[log]?.position == position }) {
          failures.append("\(log) reported durable at \(position), where it never durably was")
        }
        if let now = state[log], !now.has(position) {
          failures.append("\(log) reported durable at \(position), which was truncated")
        }
      case .voted(let log, let vote):
        if !history[...durable].contains(where: { $0[log]?.vote == vote }) {
          failures.append("\(log) reported \(vote), which is not durable")
        }
      case .storeFailed(let why), .logFailed(_, let why): failures.append(why)
      default: break
      }
    }
  }
}

extension StoreHarness.LogState {
  var summary: String {
    let epochs = epochs.map { "\($0.epoch.rawValue)@\($0.start.rawValue)" }
    let ends = batches.map { StoreHarness.end(of: $0) }
    let producers = producers.sorted { $0.key < $1.key }.map { id, producer in
      "\(id.rawValue): \(producer.batches.map { $0.lastOffset })"
    }
    return "\(start)..\(end) vote \(vote.epoch.rawValue) epochs \(epochs) ends \(ends) "
      + "producers \(producers)"
  }

  /// Whether the log has the prefix.
  func has(_ position: LogPosition) -> Bool {
    var known = EpochHistory()
    for entry in epochs { known.begin(entry.epoch, at: entry.start) }
    return known.contains(position, end: self.position)
  }

  mutating func begin(_ epoch: Int32, at offset: Offset) {
    guard LeaderEpoch(epoch) > epochs.last?.epoch ?? .none else { return }
    epochs.append(EpochHistory.Entry(epoch: LeaderEpoch(epoch), start: offset))
  }

  mutating func advanceStart(to offset: Int64) {
    start = offset
    forgetBatches { StoreHarness.end(of: $0) <= offset }
    if let keep = epochs.lastIndex(where: { $0.start.rawValue < offset }) {
      epochs.removeFirst(keep)
      epochs[0].start = max(epochs[0].start, Offset(offset))
    }
  }
}

extension StoreHarness {
  /// What a store holds, read as a consumer would.
  static func state(of store: LogStore) throws -> State {
    var state: State = [:]
    for id in store.logIDs {
      let log = try readable(store, id)
      if let failure = try store.failure(of: id) { throw LogError.logFailed(failure) }
      state[id] = log
    }
    return state
  }

  /// What a reader of a log is given: from its start to its end, all of it committed.
  static func readable(_ store: LogStore, _ id: LogID) throws -> LogState {
    let bounds = try store.bounds(of: id)
    let before = try store.producerSnapshot(of: id)
    try store.commit(id, through: bounds.end)
    var log = LogState(name: try store.name(of: id))
    log.start = bounds.start.rawValue
    log.end = bounds.end.rawValue
    log.epochs = try store.epochs(of: id).entries
    log.vote = try store.vote(of: id)
    log.producersBefore = try ModelProducer.decoded(before.bytes)
    log.producersThrough = before.through.rawValue
    log.producers = try ModelProducer.decoded(store.producerSnapshot(of: id).bytes)
    var next = bounds.start
    while let slice = try store.slice(of: id, from: next, bytesMax: 200) {
      var batches = RecordBatches(try store.bytes(of: slice)[...])
      while let batch = try batches.next() {
        try batch.checkCRC()
        log.batches.append(Array(batch.bytes))
        next = batch.header.nextOffset
      }
    }
    if next != bounds.end { log.end = -1 }
    return log
  }

  static func open(_ disk: VirtualDisk, now: Int64 = 1) throws -> LogStore {
    try LogStore.open(disk, options: options(), newID: 1, now: now)
  }

  func commit(_ log: LogID, through offset: Int64) throws {
    try store.commit(log, through: Offset(offset))
    noteMarks()
  }

  /// The highest that was ever committed of each log.
  private func noteMarks() {
    for id in store.logIDs {
      guard let mark = try? store.bounds(of: id).highWatermark else { continue }
      marks[id] = max(marks[id] ?? .zero, mark)
    }
  }

  /// What sets a state apart from the newest that is like it in most logs.
  private func difference(_ found: State) -> String {
    func differing(_ state: State) -> [LogID] {
      Set(state.keys).union(found.keys).filter { state[$0] != found[$0] }.sorted()
    }
    let nearest = history.reversed().min { differing($0).count < differing($1).count } ?? [:]
    return differing(nearest).map { id in
      let (was, now) = (nearest[id]?.summary ?? "nothing", found[id]?.summary ?? "nothing")
      return "\(id) is \(now), and was \(was)"
    }.joined(separator: "; ")
  }

  /// Opens what a crash left and says what is wrong with it, if anything is.
  func verdict(on disk: VirtualDisk) -> String? {
    // A crash inside of what the store is doing must not ask it anything.
    if self.disk.willPerform == nil { noteMarks() }
    do {
      let store = try Self.open(disk, now: now)
      for id in store.logIDs {
        let mark = try store.bounds(of: id).highWatermark
        guard mark <= marks[id] ?? .zero else { return "\(id) is committed up to \(mark)" }
      }
      let found = try Self.state(of: store)
      guard let last = history.lastIndex(of: found) else {
        return "a state that never was: \(difference(found))"
      }
      return last >= durable ? nil : "only \(last) frames of \(durable) durable ones"
    } catch {
      return "\(error)"
    }
  }
}
