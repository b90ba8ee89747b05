internal import Bytes
internal import Platform

/// The work on the logs' files: one piece at a time for each log, in order, and removals beside it.
extension LogStore {
  /// Starts the log's next piece of work, if it may start.
  func run(_ slot: Int) {
    while true {
      guard withLog(slot, { $0.work.underWay == nil && !$0.work.waitsForSpace }) else { return }
      guard let next = withLog(slot, { $0.work.next }), next.gate <= journal.durableThrough
      else { return }
      guard !withLog(slot, { $0.work.waitsForRemovals }),
        let work = withLog(slot, { $0.work.take() })
      else { return }
      if case .delete(let base, let hasIndex) = work {
        remove(slot, base, hasIndex: hasIndex)
        continue
      }
      if case .barrier(let number) = work {
        barrierReached(slot, number)
        continue
      }
      guard let (operation, file) = operation(for: work, slot) else { continue }
      withLog(slot) { $0.work.underWay = work }
      submit(operation, .fileWork(slot: slot, logs[slot].id, file))
      return
    }
  }

  /// The operation and the file it is on; nil if there is nothing to do, because what came before
  /// failed.
  private func operation(
    for work: FileWork, _ slot: Int
  ) -> (DiskOperation, OpenFile?)? {
    let log = logs[slot].id
    switch work {
    case .makeDirectory:
      return (.makeDirectory(Segment.directory(log)), nil)
    case .create(let files):
      return (.open(files.dataPath, .create, direct: true), nil)
    case .open(let files):
      return (.open(files.dataPath, .existing, direct: true), nil)
    case .createIndex(let files):
      return (.open(files.indexPath, .create, direct: false), nil)
    case .write(let files, let position, let parts):
      guard let file = files.data else { return nil }
      let bytes = parts.compactMap { part in
        part.chunk.memory.map { DiskBytes($0, part.range) }
      }
      guard bytes.count == parts.count else { return nil }
      return (.write(file.id, position: position, bytes, durable: false), file)
    case .writeIndex(let files, let position, let bytes):
      guard let file = files.index else { return nil }
      return (.write(file.id, position: position, [bytes], durable: false), file)
    case .truncate(let files, let size):
      guard let file = files.anyData else { return nil }
      return (.truncate(file.id, size: size), file)
    case .removeDirectory(let isKept):
      let target = isKept ? Self.quarantinePath(log) : Segment.leftDirectory(log)
      return (.rename(from: Segment.directory(log), to: target), nil)
    case .delete, .barrier:
      return nil
    }
  }

  func fileWorkDone(_ slot: Int, _ log: LogID, _ result: Result<DiskResult, DiskError>) {
    guard logs[slot].id == log, let work = withLog(slot, { $0.work.underWay }) else { return }
    switch result {
    case .success(let result):
      withLog(slot) { $0.work.underWay = nil }
      succeeded(work, slot, result)
    case .failure(.noSpace):
      // Kept, and tried again when there is space: the journal has the bytes.
      withLog(slot) { $0.work.waitsForSpace = true }
      becomeFull()
      return
    case .failure(let error):
      withLog(slot) { $0.work.underWay = nil }
      failed(work, slot, error)
    }
    run(slot)
  }

  /// Begins the removals that wait behind work for which there is no space: they make some.
  func removeBehindWaitingWork(_ slot: Int) {
    guard withLog(slot, { $0.work.waitsForSpace && $0.work.removing.isEmpty }) else { return }
    for work in withLog(slot, { $0.work.takeRemovals(durableThrough: journal.durableThrough) }) {
      switch work {
      case .delete(let base, let hasIndex): remove(slot, base, hasIndex: hasIndex)
      case .removeDirectory:
        // Nothing of the log is to be written any more.
        withLog(slot) {
          $0.work.underWay = nil
          $0.work.waitsForSpace = false
          $0.work.add(work)
        }
        run(slot)
      default: fatalError("only removals are taken out of their order")
      }
    }
  }

  /// Goes on with the removal of deleted logs, where an earlier process ended.
  func removeLeftovers() {
    for name in (try? disk.names(in: "logs")) ?? [] where name.hasSuffix(Segment.leftSuffix) {
      submit(.removeTree("logs/\(name)"), .leftover)
    }
  }

  private func remove(_ slot: Int, _ base: Offset, hasIndex: Bool) {
    let log = logs[slot].id
    withLog(slot) { $0.work.removing.append(base) }
    submit(
      .delete(Segment.path(log, base, "log")),
      .removal(slot: slot, log, base, indexIsNext: hasIndex))
  }

  /// Whatever became of it: a file that is left is one too many, which the next opening removes.
  func removalDone(_ slot: Int, _ log: LogID, _ base: Offset, indexIsNext: Bool) {
    guard logs[slot].id == log else { return }
    if indexIsNext {
      submit(
        .delete(Segment.path(log, base, "index")),
        .removal(slot: slot, log, base, indexIsNext: false))
      return
    }
    withLog(slot) { $0.work.removing.removeAll { $0 == base } }
    run(slot)
  }

  /// Tries again what failed for want of space.
  func retryFileWork(_ slot: Int) {
    guard withLog(slot, { $0.work.waitsForSpace }), let work = withLog(slot, { $0.work.underWay })
    else { return }
    withLog(slot) { $0.work.waitsForSpace = false }
    guard let (operation, file) = operation(for: work, slot) else {
      withLog(slot) { $0.work.underWay = nil }
      run(slot)
      return
    }
    submit(operation, .fileWork(slot: slot, logs[slot].id, file))
  }

  private func succeeded(_ work: FileWork, _ slot: Int, _ result: DiskResult) {
    switch (work, result) {
    case (.create(let files), .file(let file)), (.open(let files), .file(let file)):
      files.data = OpenFile(file, disk)
    case (.createIndex(let files), .file(let file)):
      files.index = OpenFile(file, disk)
    case (.write(_, _, let parts), _):
      for part in parts {
        part.chunk.noteWritten(to: part.chunk.start + Int64(part.range.upperBound))
      }
      reportRoom()
    case (.removeDirectory(let isKept), _):
      let id = logs[slot].id
      logs[slot] = Log(id: LogID(0), name: "")
      freeSlots.append(slot)
      emit(.deleted(id))
      if isKept {
        wasSetAside()
      } else {
        submit(.removeTree(Segment.leftDirectory(id)), .leftover)
      }
      if checkpoint?.barriers.remove(slot) != nil { continueCheckpoint() }
    default:
      break
    }
  }

  private func failed(_ work: FileWork, _ slot: Int, _ error: DiskError) {
    switch (work, error) {
    case (.makeDirectory, .alreadyExists):
      // A crash came between the work and its record.
      break
    case (.removeDirectory, _):
      // It is not there, or the next opening sets it aside.
      succeeded(work, slot, .done)
    case (.createIndex, _), (.writeIndex, _):
      // Nothing is lost: an index is made again from its segment.
      break
    default:
      loseWrites(slot, "\(error)")
    }
  }

  /// A sync of one of a log's files failed, and is never tried again: the kernel has dropped what
  /// was not written.
  func syncFailed(_ file: OpenFile) {
    for slot in logs.indices {
      guard
        logs[slot].segments.contains(where: {
          $0.files?.data === file || $0.files?.reading === file || $0.files?.index === file
        })
      else { continue }
      loseWrites(slot, "the disk did not take what was written to it; check the disk and restart")
    }
  }

  /// The log's files lack what was written to them. It takes no more appends, and its records since
  /// the last checkpoint stay in the journal, for the next opening to write again. Until then there
  /// is no other checkpoint, and the store fails when the journal is full. What is only in memory
  /// is let go: no other log is to go without memory for as long as this process lives.
  private func loseWrites(_ slot: Int, _ why: String) {
    failLog(slot, why)
    // One that is deleted needs its records no more, and only its removal is left to do.
    let isDeleted = slots[logs[slot].id] != slot
    withLog(slot) {
      $0.pinsJournal = !isDeleted
      $0.work.removeAllButRemoval()
      for segment in $0.segments { segment.tail?.lose() }
    }
    // Its record in a checkpoint under way claims what is not so.
    abandonCheckpoint()
  }

  /// The log takes no more appends.
  func failLog(_ slot: Int, _ why: String) {
    guard withLog(slot, { $0.failure == nil }) else { return }
    withLog(slot) {
      $0.failure = why
      $0.isDirty = true
    }
    emit(.logFailed(logs[slot].id, why))
  }
}
