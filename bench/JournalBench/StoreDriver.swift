import Bytes
import LogStore
import Platform
import Records

/// Drives a store on a real disk from one thread, as a broker's would, without anything between.
final class StoreDriver {
  let store: LogStore
  private let disk: FileDisk
  private(set) var logs: [LogID] = []
  private(set) var checkpoints = 0
  private var wanted: [LogID: [UInt64]] = [:]
  /// Called for each log whose end has become durable.
  var durable: (LogID, Offset) -> Void = { _, _ in }

  init(directory: String, logs count: Int, journalFiles: Int) throws {
    disk = try FileDisk(directory: directory)
    var options = LogStoreOptions()
    options.journal.filesMax = journalFiles
    store = try LogStore.open(disk, options: options, newID: 1, now: WallClock.milliseconds())
    var logOptions = LogOptions()
    logOptions.segmentBytes = 32 << 20
    logOptions.retentionMilliseconds = nil
    logOptions.retentionBytes = 64 << 20
    for number in 0..<count {
      logs.append(try store.createLog(named: "log-\(number)", options: logOptions))
    }
    try settle()
  }

  /// A batch of one record, about this large.
  static func batch(bytes: Int) throws -> [UInt8] {
    var builder = RecordBatchBuilder()
    var random = SystemRandomNumberGenerator()
    let value = (0..<max(1, bytes - 80)).map { _ in UInt8.random(in: 0...255, using: &random) }
    try builder.append(key: nil, value: value[...], headers: [], timestamp: Timestamp(1))
    return builder.buildUncompressed()
  }

  /// Hands on what was appended, waits for the disk if it must, and takes what it has done.
  func turn(wait: Bool) throws {
    let now = WallClock.milliseconds()
    store.flush(now: now)
    for completion in wait ? disk.waitForCompletions() : disk.takeCompletions() {
      store.complete(completion)
    }
    for event in store.takeEvents() {
      switch event {
      case .durable(let log, let position):
        try store.commit(log, through: position.offset)
        durable(log, position.offset)
      case .checkpointed:
        checkpoints += 1
        do throws(LogError) {
          try store.enforceRetention(of: store.logIDs, now: now)
        } catch .busy {
          // The next checkpoint tries again.
        }
      case .storeFailed(let why), .logFailed(_, let why): throw LogError.storeFailed(why)
      case .full(true): throw LogError.diskFull
      default: break
      }
    }
  }

  /// Until nothing is under way.
  func settle() throws {
    store.flush(now: WallClock.milliseconds())
    while !store.isQuiet { try turn(wait: true) }
  }

  /// What a fresh checkpoint leaves: a journal with nothing in it to replay, all its files made.
  func checkpoint() throws {
    try settle()
    store.startCheckpoint()
    try settle()
  }
}

extension StoreDriver {
  /// Appends one small batch to each of the first `count` logs and waits until all are durable, in
  /// one group; again and again.
  func commitLatency(logs count: Int, rounds: Int) throws -> Percentiles {
    let batch = try Self.batch(bytes: 200)
    var times: [UInt64] = []
    var left = 0
    durable = { _, _ in left -= 1 }
    defer { durable = { _, _ in } }
    for _ in 0..<rounds {
      // What the round before has left for the segments is not part of this one.
      try settle()
      left = count
      let start = MonotonicClock.nanoseconds()
      for log in logs[..<count] {
        _ = try store.append(log, batch[...], epoch: LeaderEpoch(0))
      }
      while left > 0 { try turn(wait: true) }
      times.append(MonotonicClock.nanoseconds() - start)
    }
    return Percentiles(nanoseconds: times)
  }

  struct Throughput {
    var bytes = 0
    var seconds = 0.0
    var checkpoints = 0
    var latency = Percentiles(nanoseconds: [])
    var bytesPerSecond: Double { Double(bytes) / seconds }
  }

  /// Keeps `window` batches of 64 KiB under way in each log, for so many seconds or bytes.
  func throughput(seconds: Double, bytesMax: Int = .max, window: Int) throws -> Throughput {
    let batch = try Self.batch(bytes: 64 << 10)
    var result = Throughput()
    var appended: [LogID: [UInt64]] = [:]
    // When there was room for the next batch: from then on its producer waits, refused or not.
    wanted = [:]
    var times: [UInt64] = []
    durable = { [unowned self] log, _ in
      guard var waiting = appended[log], !waiting.isEmpty else { return }
      let now = MonotonicClock.nanoseconds()
      times.append(now - waiting.removeFirst())
      self.wanted[log, default: []].append(now)
      appended[log] = waiting
      result.bytes += batch.count
    }
    defer { durable = { _, _ in } }
    let checkpointsBefore = checkpoints
    let start = MonotonicClock.nanoseconds()
    var nextTick = start
    var issued = 0
    while Double(MonotonicClock.nanoseconds() - start) < seconds * 1e9, issued < bytesMax {
      issued += try fill(&appended, batch, window)
      let now = MonotonicClock.nanoseconds()
      if now > nextTick {
        nextTick = now + 100_000_000
        store.tick(now: WallClock.milliseconds())
      }
      try turn(wait: true)
    }
    while appended.values.contains(where: { !$0.isEmpty }) { try turn(wait: true) }
    result.seconds = Double(MonotonicClock.nanoseconds() - start) / 1e9
    result.checkpoints = checkpoints - checkpointsBefore
    result.latency = Percentiles(nanoseconds: times)
    return result
  }

  /// Appends wherever the window has room. Returns the bytes.
  private func fill(
    _ appended: inout [LogID: [UInt64]], _ batch: [UInt8], _ window: Int
  ) throws -> Int {
    var bytes = 0
    do throws(LogError) {
      for _ in 0..<window {
        for log in logs where appended[log, default: []].count < window {
          let now = MonotonicClock.nanoseconds()
          if wanted[log, default: []].isEmpty { wanted[log, default: []].append(now) }
          _ = try store.append(log, batch[...], epoch: LeaderEpoch(0))
          appended[log, default: []].append(wanted[log, default: [now]].removeFirst())
          bytes += batch.count
        }
      }
    } catch .busy {
      // Goes on when something has completed.
    }
    return bytes
  }
}
