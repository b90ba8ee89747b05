internal import Bytes
internal import Platform

/// A checkpoint under way, beside appends.
///
///     barriers ──▶ segments synced ──▶ directories synced ──▶ file written ──▶ synced ──▶ renamed
///
/// (1) The logs' records are taken at the beginning, all at one moment: after the frames of group
///     `through`.
/// (2) A log's files are synced when the work that precedes that moment is done: its barrier.
/// (3) The file is written only when group `through` is durable, and renamed only when all that it
///     claims is on the disk.
/// (4) If anything it claims fails, it is given up, and the one before it stays.
struct CheckpointRun {
  enum Step {
    case segment
    case directory
    case open
    case write(FileID)
    case sync(FileID)
    case rename(FileID)
    case name(FileID)
  }

  /// What becomes of a log when the checkpoint is there.
  struct Fresh {
    var slot: Int
    var log: LogID
    var record: [UInt8]
    var segments: [Segment]
  }

  let number: UInt64
  let through: UInt64
  let mayMissLogs: Bool
  let notes: [UInt8]
  let bytes: [UInt8]
  /// By slot, ascending.
  var fresh: [Fresh]
  /// Slots of logs whose barrier has not been reached. Membership only.
  var barriers: Set<Int>
  /// Files to sync, and those being synced. Held, so that none is closed before.
  var files: [OpenFile] = []
  /// How many of `files` were handed to the disk. Counted instead of removed: with thousands of
  /// logs each removal would copy what is left.
  var filesBegun = 0
  var syncsUnderWay = 0
  let directories: [String]
  var directoriesBegun = 0
  var isWriting = false

  func fresh(_ slot: Int) -> Fresh? {
    var range = fresh.indices
    while let first = range.first {
      let middle = first + range.count / 2
      if fresh[middle].slot == slot { return fresh[middle] }
      range = fresh[middle].slot < slot ? middle + 1..<range.upperBound : first..<middle
    }
    return nil
  }
}

extension LogStore {
  /// The journal is half full.
  func startCheckpointIfDue() {
    let capacity = options.journal.fileBytes * Int64(options.journal.filesMax)
    guard journal.usedBytes * 2 >= capacity else { return }
    startCheckpoint()
  }

  /// Begins a checkpoint, if none is under way and something has changed since the last.
  package func startCheckpoint() {
    guard checkpoint == nil, failure == nil else { return }
    // What is left of one that was given up could still rename the file of the next.
    guard !pending.values.contains(where: { $0.isCheckpointStep }) else { return }
    // A checkpoint ends the need for the journal before it, and what a log has lost is only there.
    guard !logs.contains(where: { $0.pinsJournal }) else { return }
    // Not the open group: frames that it takes later are not in the records.
    let through = journal.closeGroups()
    guard
      through > checkpointThrough || mayMissLogs != checkpointMissesLogs || !areNotesKept
        || logs.contains(where: { $0.isDirty || $0.hasNewMark })
    else { return }
    checkpointsStarted += 1
    var fresh: [CheckpointRun.Fresh] = []
    var records: [[UInt8]] = []
    var directories: Set<String> = []
    // All that waits is written now.
    forgetWaitingTails()
    for slot in logs.indices where slots[logs[slot].id] == slot {
      if logs[slot].isDirty {
        queueIndexWork(slot)
        writeTail(slot, all: true)
        queue(.barrier(checkpointsStarted), slot)
        let log = logs[slot]
        let record = log.encodedRecord()
        fresh.append(
          CheckpointRun.Fresh(
            slot: slot, log: log.id, record: record, segments: log.segments))
        if log.hasNewNames { directories.formUnion(["logs", Segment.directory(log.id)]) }
        records.append(record)
        withLog(slot) {
          $0.isDirty = false
          $0.hasNewNames = false
          $0.hasNewMark = false
        }
      } else {
        if logs[slot].hasNewMark {
          // What its files have is as the last checkpoint says.
          withLog(slot) {
            $0.record = $0.encodedRecord()
            $0.hasNewMark = false
          }
        }
        records.append(logs[slot].record)
      }
    }
    let contents = Checkpoint(
      store: id, firstGeneration: journal.firstGeneration(after: through), through: through,
      nextLogID: nextLogID, journalFiles: journal.filesMade, records: records,
      votesSetAside: votesSetAside, mayMissLogs: mayMissLogs, notes: notes)
    // Logs that were deleted, and whose files are there: the checkpoint does not know them.
    let leaving = logs.indices.filter {
      logs[$0].id != LogID(0) && slots[logs[$0].id] != $0
    }
    checkpoint = CheckpointRun(
      number: checkpointsStarted, through: through, mayMissLogs: mayMissLogs, notes: notes,
      bytes: contents.encoded(), fresh: fresh,
      barriers: Set(fresh.map { $0.slot } + leaving), directories: directories.sorted())
    for item in fresh { run(item.slot) }
    continueCheckpoint()
  }

  /// Adds work behind everything that was appended so far, submitted or not.
  func queue(_ work: FileWork, _ slot: Int) {
    if let group = journal.lastUnsubmitted {
      group.effects.append(.work(slot: slot, logs[slot].id, work, destroys: false))
    } else {
      withLog(slot) { $0.work.add(work) }
    }
  }

  private func queueIndexWork(_ slot: Int) {
    for index in logs[slot].segments.indices {
      guard let files = logs[slot].segments[index].files else { continue }
      let hasFile = logs[slot].segments[index].hasIndexFile
      guard let (position, bytes) = withLog(slot, { $0.segments[index].takeUnwrittenIndex() })
      else { continue }
      let memory = BlockMemory(count: bytes.count)
      unsafe bytes.withUnsafeBytes { unsafe memory.bytes.copyMemory(from: $0) }
      if !hasFile {
        withLog(slot) {
          $0.segments[index].hasIndexFile = true
          $0.hasNewNames = true
        }
        queue(.createIndex(files), slot)
      }
      queue(.writeIndex(files, position: position, DiskBytes(memory, 0..<bytes.count)), slot)
    }
  }

  /// The work before the checkpoint's moment is done for this log.
  func barrierReached(_ slot: Int, _ number: UInt64) {
    guard checkpoint?.number == number, checkpoint?.barriers.remove(slot) != nil,
      let item = checkpoint?.fresh(slot)
    else { return }
    for files in item.segments.compactMap(\.files) {
      if let file = files.anyData { checkpoint?.files.append(file) }
      if let file = files.index { checkpoint?.files.append(file) }
    }
    continueCheckpoint()
  }

  func continueCheckpoint() {
    guard failure == nil else { return }
    while let run = checkpoint, run.filesBegun < run.files.count,
      run.syncsUnderWay < options.checkpointSyncsMax
    {
      let file = run.files[run.filesBegun]
      checkpoint?.filesBegun += 1
      checkpoint?.syncsUnderWay += 1
      submit(.sync(file.id), .checkpoint(.segment, run.number, file))
    }
    guard let run = checkpoint, run.barriers.isEmpty, run.filesBegun == run.files.count,
      run.syncsUnderWay == 0,
      !run.isWriting, journal.durableThrough >= run.through
    else { return }
    if run.directoriesBegun < run.directories.count {
      let directory = run.directories[run.directoriesBegun]
      checkpoint?.isWriting = true
      checkpoint?.directoriesBegun += 1
      submit(.syncDirectory(directory), .checkpoint(.directory, run.number, nil))
    } else {
      checkpoint?.isWriting = true
      // One that was begun before a crash or an error.
      _ = try? disk.perform(.delete(Checkpoint.temporaryPath))
      submit(
        .open(Checkpoint.temporaryPath, .create, direct: false),
        .checkpoint(.open, run.number, nil))
    }
  }

  func checkpointStep(
    _ step: CheckpointRun.Step, _ number: UInt64, _ result: Result<DiskResult, DiskError>
  ) {
    guard let run = checkpoint, run.number == number else { return }
    if case .failure(let error) = result {
      checkpointFailed(step, error)
      return
    }
    switch (step, result) {
    case (.segment, _):
      checkpoint?.syncsUnderWay -= 1
      continueCheckpoint()
    case (.directory, _):
      checkpoint?.isWriting = false
      continueCheckpoint()
    case (.open, .success(.file(let file))):
      let memory = BlockMemory(count: run.bytes.count)
      unsafe run.bytes.withUnsafeBytes { unsafe memory.bytes.copyMemory(from: $0) }
      let bytes = DiskBytes(memory, 0..<run.bytes.count)
      submit(
        .write(file, position: 0, [bytes], durable: false), .checkpoint(.write(file), number, nil))
    case (.write(let file), _):
      submit(.sync(file), .checkpoint(.sync(file), number, nil))
    case (.sync(let file), _):
      submit(
        .rename(from: Checkpoint.temporaryPath, to: Checkpoint.path),
        .checkpoint(.rename(file), number, nil))
    case (.rename(let file), _):
      submit(.syncDirectory("."), .checkpoint(.name(file), number, nil))
    case (.name(let file), _):
      _ = try? disk.perform(.close(file))
      checkpointDone(run)
    case (.open, _):
      fatalError("open answers with a file")
    }
  }

  private func checkpointDone(_ run: CheckpointRun) {
    checkpoint = nil
    checkpointsDone = run.number
    checkpointThrough = run.through
    checkpointMissesLogs = run.mayMissLogs
    checkpointNotes = run.notes
    for item in run.fresh where logs[item.slot].id == item.log {
      withLog(item.slot) { log in
        log.record = item.record
        log.releaseDurableSegments(item.segments)
      }
    }
    journal.recycle(through: run.through)
    emit(.checkpointed)
    reportRoom()
    startCheckpointIfDue()
  }

  private func checkpointFailed(_ step: CheckpointRun.Step, _ error: DiskError) {
    if case .noSpace = error { becomeFull() }
    switch step {
    case .segment:
      // Which file it was is known from the completion (see `complete`).
      break
    case .write(let file), .sync(let file), .rename(let file), .name(let file):
      _ = try? disk.perform(.close(file))
    case .directory, .open:
      break
    }
    abandonCheckpoint()
  }

  /// The checkpoint before stays; the next one is begun at the next occasion.
  func abandonCheckpoint() {
    guard let run = checkpoint else { return }
    checkpoint = nil
    for item in run.fresh where logs[item.slot].id == item.log {
      withLog(item.slot) {
        $0.isDirty = true
        $0.hasNewNames = true
      }
    }
  }
}

extension Log {
  /// What the segments were like at a checkpoint is on the disk: closed ones with nothing in them
  /// that could still be truncated need no open files and no index in memory.
  fileprivate mutating func releaseDurableSegments(_ recorded: [Segment]) {
    for durable in recorded {
      let index = segmentIndex(for: durable.base)
      // One of the same name and size may be another.
      guard let files = segments[index].files, files === durable.files,
        segments[index].truncations == durable.truncations
      else { continue }
      guard segments[index].isClosed, durable.isClosed, durable.size == segments[index].size,
        segments[index + 1].base <= highWatermark,
        segments[index].indexWritten == segments[index].index.count
      else { continue }
      segments[index].files = nil
      segments[index].index = SegmentIndex()
    }
  }
}
