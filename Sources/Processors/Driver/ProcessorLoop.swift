internal import Glibc
internal import Platform

/// What one processor's thread does, turn by turn.
///
/// ```
///         open both            outbox of the last batch again
/// start ─────────────▶ opened ───────────────────────────────▶ running ──▶ turn, turn, …
///   ▲                                                             │
///   └────────────── broker or its fence lost: all anew ───────────┘
/// ```
///
/// A turn: take a batch, load the state it needs, compute; wait until the records of the batch
/// before are acknowledged; commit; begin to produce this one's.
///
/// (1) Batch n+1 is committed only after all records of batch n are acknowledged, so one outbox is
///     enough.
/// (2) Records are produced only after their batch is committed, at positions that are in the
///     database: whatever is done again after a crash has the same bytes and the same positions.
/// (3) A database that is away is waited for with the batch at hand; nothing is computed again. A
///     broker that is away is opened again, from what the database has.
final class ProcessorLoop {
  /// A batch is cut there: what a transaction takes, and what is done again after a crash.
  static let batchRecordsMax = 10_000
  static let batchBytesMax = 4 << 20
  static let pollMilliseconds: Int64 = 200
  /// How often the source is asked for new partitions.
  static let partitionsMilliseconds: Int64 = 2000

  private let name: String
  private let task: ProcessorTask
  private let sink: any Sink
  private let transport: any RecordTransport
  private let shared: Condition<Shared>
  private let notice: (String) -> Void
  private var deadLetters = DeadLetterNotices()
  private let decoder = EventDecoder()
  private var cache = StateCache()
  /// Number of the last batch that the database has, and the number before the next one.
  private var storedSequence: Int64 = 0
  private var sequence: Int64 = 0
  private var progress: [Int32: SourceProgress] = [:]
  private var pending: ArraySlice<InputRecord> = []
  private var truncation = Truncation.none
  private var partitionsRead: Int32 = 0
  private var partitionsCheckedAt: Int64 = 0

  /// What other threads see and say.
  struct Shared: Sendable {
    var status = ProcessorStatus()
    var isStopping = false
    var hasEnded = false
  }

  init(
    name: String, task: ProcessorTask, sink: any Sink, transport: any RecordTransport,
    shared: Condition<Shared>, notice: @escaping (String) -> Void
  ) {
    self.name = name
    self.task = task
    self.sink = sink
    self.transport = transport
    self.shared = shared
    self.notice = notice
  }

  /// Runs until it is told to stop or cannot go on.
  func run() {
    var failures = 0
    while !isStopping {
      shared.withLock { $0.status.attempts += 1 }
      do {
        try start()
        failures = 0
        while !isStopping { try turn() }
        try transport.finishProducing()
      } catch TransportError.unavailable(let text) {
        transport.close()
        failures += 1
        pause(text, failures)
      } catch is Stopped {
        break
      } catch {
        become(.failed("\(error)"))
        break
      }
    }
    transport.close()
    sink.close()
    shared.withLock { shared in
      if case .failed = shared.status.phase {} else { shared.status.phase = .stopped }
      shared.hasEnded = true
    }
    shared.broadcast()
  }

  private struct Stopped: Error {}

  private var isStopping: Bool { shared.withLock { $0.isStopping } }

  private func become(_ phase: ProcessorStatus.Phase) {
    shared.withLock { shared in
      shared.status.phase = phase
      switch phase {
      case .waiting(let why), .failed(let why): shared.status.lastError = why
      case .starting, .running, .stopped: break
      }
    }
    shared.broadcast()
  }

  /// Waits, longer each time and five seconds at most, or until it is told to stop.
  private func pause(_ why: String, _ failures: Int) {
    become(.waiting(why))
    let milliseconds = Int64(50) << Int64(min(failures, 7))
    shared.wait(until: { $0.isStopping }, milliseconds: min(milliseconds, 5000)) { _ in }
  }

  /// Does what the database can refuse for a while, until it does not.
  private func patiently<T>(_ body: () throws(SinkError) -> T) throws -> T {
    var failures = 0
    while true {
      do throws(SinkError) {
        let result = try body()
        if failures > 0 { become(.running) }
        return result
      } catch {
        guard case .unavailable(let text) = error else { throw error }
        failures += 1
        pause(text, failures)
        if isStopping { throw Stopped() }
      }
    }
  }

  // MARK: Starting

  /// Takes the place of any other instance, in the topics first and in the database then, so that
  /// what the database has is all that the topics will ever get from an earlier one.
  private func start() throws {
    let produced = try transport.open(
      processor: name, sourceTopic: task.sourceTopic, resultTopics: task.resultTopics,
      deadLetterTopic: task.deadLetterTopic)
    let stored = try patiently { () throws(SinkError) in
      try sink.open(processor: name, sourceTopic: task.sourceTopic, tables: task.tables)
    }
    // What is cached may be from before another instance wrote.
    cache = StateCache()
    pending = []
    truncation = try storedTruncation()
    partitionsRead = 0
    partitionsCheckedAt = 0
    progress = [:]
    for part in stored.source { progress[part.partition] = part }
    try transport.resume(stored.outbox, sequence: stored.sequence)
    // A database that is behind the topic was restored or emptied: it is filled again from its own
    // offsets, and the topic gets those results once more, after what it has.
    storedSequence = stored.sequence
    sequence = max(stored.sequence, produced)
    try awaitSource()
    let isSweeping = truncation.sweep != nil
    shared.withLock { shared in
      shared.status.isSweeping = isSweeping
      shared.status.sequence = stored.sequence
      shared.status.progress = stored.source
    }
    become(.running)
  }

  private func storedTruncation() throws -> Truncation {
    let key = Truncation.stateKey
    guard let text = try patiently({ () throws(SinkError) in try sink.load([key]) })[0] else {
      return .none
    }
    guard let truncation = Truncation(stateText: text) else {
      throw StateError(key: key, value: text)
    }
    return truncation
  }

  private func awaitSource() throws {
    var failures = 0
    while true {
      try readNewPartitions()
      if partitionsRead > 0 { return }
      failures += 1
      pause("There is no topic '\(task.sourceTopic)' yet.", min(failures, 4))
      if isStopping { throw Stopped() }
    }
  }

  private func readNewPartitions() throws {
    partitionsCheckedAt = MonotonicClock.milliseconds()
    guard let count = try transport.sourcePartitions(), count > partitionsRead else { return }
    for partition in partitionsRead..<count {
      try transport.read(partition: partition, from: progress[partition]?.nextOffset)
    }
    partitionsRead = count
  }

  private func lookForMore() throws {
    try readNewPartitions()
    let ends = try transport.sourceEnds(partitions: partitionsRead)
    shared.withLock { $0.status.sourceEnds = ends }
  }

  // MARK: A turn

  private func turn() throws {
    if let line = deadLetters.summary(now: MonotonicClock.milliseconds()) { notice(line) }
    if MonotonicClock.milliseconds() - partitionsCheckedAt >= Self.partitionsMilliseconds {
      try lookForMore()
    }
    if let sweep = truncation.sweep { return try take(back: sweep) }
    if pending.isEmpty {
      pending = try transport.poll(milliseconds: Self.pollMilliseconds).filter { record in
        record.offset >= progress[record.partition]?.nextOffset ?? 0
      }[...]
    }
    guard !pending.isEmpty else { return }
    try finish(
      task.begin(cutBatch(), progress: progress, decoder: decoder, truncation: truncation))
  }

  /// The next rows of a table that was truncated.
  private func take(back sweep: Truncation.Sweep) throws {
    let rows = try patiently { () throws(SinkError) in
      try sink.rows(after: sweep.after, limit: Self.batchRecordsMax)
    }
    try finish(
      task.begin(
        sweeping: rows, isLast: rows.count < Self.batchRecordsMax, truncation: truncation))
  }

  private func finish(_ work: consuming Work) throws {
    while !work.needs.isEmpty { work.supply(try state(work.needs)) }
    var effects = try work.finish()
    try transport.place(&effects.outbox)
    try transport.finishProducing()
    let batch = SinkBatch(
      previousSequence: storedSequence, sequence: sequence + 1, effects: effects)
    try commit(batch)
    try transport.produce(effects.outbox, sequence: sequence)
    if !effects.progress.isEmpty { transport.report(effects.progress) }
  }

  private func cutBatch() -> [InputRecord] {
    var bytes = 0
    var end = pending.startIndex
    while end < pending.endIndex, end - pending.startIndex < Self.batchRecordsMax {
      bytes += (pending[end].value?.count ?? 0) + (pending[end].key?.count ?? 0)
      if bytes > Self.batchBytesMax, end > pending.startIndex { break }
      end += 1
    }
    defer { pending = pending[end...] }
    return Array(pending[..<end])
  }

  private func state(_ keys: [String]) throws -> [String?] {
    var values = keys.map { cache.value($0) }
    let missing = values.indices.filter { values[$0] == nil }
    guard !missing.isEmpty else { return values.map { $0 ?? nil } }
    let loaded = try patiently { () throws(SinkError) in
      try sink.load(missing.map { keys[$0] })
    }
    for (index, value) in zip(missing, loaded) {
      values[index] = .some(value)
      cache.set(keys[index], value)
    }
    return values.map { $0 ?? nil }
  }

  private func commit(_ batch: SinkBatch) throws {
    try patiently { () throws(SinkError) in try sink.commit(batch) }
    sequence = batch.sequence
    storedSequence = batch.sequence
    for write in batch.effects.state { cache.set(write.key, write.value) }
    for part in batch.effects.progress { progress[part.partition] = part }
    truncation = batch.effects.truncation ?? truncation
    let now = Self.wallClockMicroseconds()
    let isSweeping = truncation.sweep != nil
    shared.withLock { shared in
      shared.status.isSweeping = isSweeping
      shared.status.committed(batch.effects, sequence: batch.sequence, at: now)
      shared.status.cachedEntries = cache.count
      shared.status.cachedBytes = cache.bytes
    }
    shared.broadcast()
    let lines = deadLetters.take(
      batch.effects.deadLetters, count: batch.effects.counts.deadLettered,
      now: MonotonicClock.milliseconds())
    for line in lines { notice(line) }
  }

  private static func wallClockMicroseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}
