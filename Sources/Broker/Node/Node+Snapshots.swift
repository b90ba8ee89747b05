internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// A log that a machine of this node writes for itself: how long it has grown.
///
/// What such a log adds up to is small, and the log would grow for ever. So from time to time the
/// machine's whole state is written to the log's end as ordinary records, and when those are
/// committed the log begins at what they stand for. Its segments below go as those of every log.
///
/// (1) The log's start moves only when all of the snapshot is committed. Until then the records are
///     what a snapshot is to whoever reads the log: repetitions of what it says already.
/// (2) The snapshot is of what is committed. What is under way meanwhile is behind the new start,
///     before the snapshot, and says more recent things; the snapshot leaves out what it is about.
///     The start moves only when that is committed too: who leads next may cut it off.
struct MachineLog {
  enum Kind: Equatable {
    case metadata
    /// Of the groups' offsets.
    case offsets(partition: Int32)
  }

  enum State: Equatable {
    case growing
    /// A snapshot is on its way to the disk.
    case writing
    /// It is there; the log is to begin at this offset.
    case advancing(Offset)
  }

  let kind: Kind
  var state = State.growing
  /// Bytes of records from the log's start on.
  var bytes = 0
  /// Bytes of the last snapshot: about what the state takes.
  var snapshotBytes = 0
  /// Milliseconds; after a failure, not before.
  var retryAt: Int64 = 0

  /// A log that has not grown over this is left alone.
  static let snapshotBytesMin = 4 << 20
  /// Nor one that is not this many times its last snapshot.
  static let snapshotRatio = 4
  /// Records of a snapshot go into batches of about this many bytes.
  static let batchBytes = 512 << 10
  /// Between two attempts.
  static let retryMilliseconds: Int64 = 60_000

  func isTooLong(over bytesMin: Int) -> Bool {
    bytes > max(bytesMin, Self.snapshotRatio * snapshotBytes)
  }
}

/// A snapshot on its way to the disk.
final class SnapshotAppend {
  let log: LogID
  /// Where the log may begin once all of the snapshot is committed.
  let start: Offset
  var outstanding: Int
  var hasFailed = false

  init(log: LogID, start: Offset, outstanding: Int) {
    self.log = log
    self.start = start
    self.outstanding = outstanding
  }
}

extension Node {
  /// Bytes were added to a log. Those of other logs than the machines' are not counted.
  func noteGrowth(_ log: LogID, _ bytes: Int) { machineLogs[log]?.bytes += bytes }

  /// Writes snapshots where logs have grown too long, and moves the starts of those whose snapshots
  /// are there.
  func shortenMachineLogs() {
    for log in machineLogs.keys.sorted() { shorten(log) }
  }

  func shorten(_ log: LogID) {
    guard let machine = machineLogs[log], let replica = replicas[log], replica.isReady,
      log != metadataLog || isController
    else { return }
    switch machine.state {
    case .writing: break
    case .advancing(let start): advance(log, to: start)
    case .growing:
      // What waits for room is decided already, but not in the log: a snapshot could miss it.
      guard machine.isTooLong(over: options.snapshotBytesMin), now >= machine.retryAt,
        stuckRecords.isEmpty, failure == nil, !replica.raft.isTransferring
      else { return }
      writeSnapshot(log, machine.kind)
    }
  }

  private func writeSnapshot(_ log: LogID, _ kind: MachineLog.Kind) {
    guard let bounds = try? store.bounds(of: log) else { return }
    // With room for what a batch adds to its records.
    let batchBytes = min(MachineLog.batchBytes, store.appendBytesMax / 2)
    let records: [LogRecord]
    switch kind {
    case .metadata:
      // Decisions under way come before the snapshot and are not in it: not now.
      guard metadataAppends.isEmpty, bounds.highWatermark == bounds.end else { return }
      records = MetadataSnapshotParts.records(
        of: controller.state, partBytesMax: min(batchBytes, MetadataSnapshotParts.partBytesMax)
      ).map {
        LogRecord(key: $0.key, value: $0.value)
      }
    case .offsets(let partition):
      guard groups.isActive(partition) else { return }
      records = groups.snapshot(of: partition).map { LogRecord(key: $0.key, value: $0.value) }
    }
    let batches = Self.batches(records, of: batchBytes)
    let before = machineLogs[log]?.bytes ?? 0
    machineLogs[log]?.bytes = 0
    machineLogs[log]?.state = .writing
    let snapshot = SnapshotAppend(
      log: log, start: bounds.highWatermark, outstanding: max(1, batches.count))
    if batches.isEmpty {
      machineLogs[log]?.snapshotBytes = 0
      // Nothing is written: what is under way stands for the snapshot.
      guard let last = appends[log]?.last else { return snapshotDecided(snapshot, .none) }
      let stand = RecordsAppend(
        owner: .snapshot(snapshot), log: log, batch: [], makesSpace: false)
      appends[log]?.append(AppendInFlight(position: last.position, owner: .records(stand)))
      return
    }
    for batch in batches { append(batch, to: log, .snapshot(snapshot)) }
    // Where it was refused at once, the log is as long as it was.
    if snapshot.hasFailed { machineLogs[log]?.bytes += before }
    let written = machineLogs[log]?.bytes ?? 0
    machineLogs[log]?.snapshotBytes = written
  }

  /// What a record takes besides its key and value, at most.
  private static var recordOverheadBytes: Int { 32 }

  private static func batches(_ records: [LogRecord], of bytesMax: Int) -> [[LogRecord]] {
    var batches: [[LogRecord]] = []
    var bytes = 0
    for record in records {
      let size = (record.key?.count ?? 0) + (record.value?.count ?? 0) + Self.recordOverheadBytes
      if batches.isEmpty || bytes + size > bytesMax {
        batches.append([])
        bytes = 0
      }
      batches[batches.count - 1].append(record)
      bytes += size
    }
    return batches
  }

  /// A part of a snapshot is committed, or never will be.
  func snapshotDecided(_ snapshot: SnapshotAppend, _ code: ErrorCode) {
    snapshot.outstanding -= 1
    if code != .none { snapshot.hasFailed = true }
    guard snapshot.outstanding == 0 else { return }
    if snapshot.hasFailed {
      giveUpSnapshot(snapshot.log)
    } else {
      advance(snapshot.log, to: snapshot.start)
    }
  }

  private func advance(_ log: LogID, to start: Offset) {
    do throws(LogError) {
      try store.advanceStart(log, to: start)
      if let replica = replicas[log] { startAdvanced(replica, to: start) }
      machineLogs[log]?.state = .growing
    } catch .busy {
      // The snapshot stays; its turn comes with the next tick.
      machineLogs[log]?.state = .advancing(start)
    } catch {
      giveUpSnapshot(log)
    }
  }

  private func giveUpSnapshot(_ log: LogID) {
    machineLogs[log]?.state = .growing
    machineLogs[log]?.retryAt = now + MachineLog.retryMilliseconds
  }
}
