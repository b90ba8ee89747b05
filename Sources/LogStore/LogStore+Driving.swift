internal import Bytes
package import Platform

/// The turns of the wheel: what is written when, and what follows when it has been.
extension LogStore {
  /// Hands what was appended to the disk, if nothing is on its way yet. For the end of a turn.
  package func flush(now: Int64) {
    self.now = max(self.now, now)
    writeJournal(idle: false)
    makeJournalFiles()
  }

  /// What time brings: vouching for the last group when nothing follows, retries on a full disk, a
  /// checkpoint when the journal is half full. Ten times a second is often enough.
  package func tick(now: Int64) {
    self.now = max(self.now, now)
    writeJournal(idle: true)
    watchSpace()
    journalFileFailed = false
    makeJournalFiles()
    startCheckpointIfDue()
  }

  /// Nothing is under way and nothing waits: a clean moment to stop.
  package var isQuiet: Bool { pending.isEmpty && journal.isIdle }

  /// Takes in what became of a disk operation.
  package func complete(_ completion: DiskCompletion) {
    guard let purpose = pending.removeValue(forKey: completion.token) else {
      fatalError("the disk completed an operation nobody submitted")
    }
    switch purpose {
    case .journalWrite: journalWritten(completion.result)
    case .journalFile(let slot, let step): journalFile(slot, step, completion.result)
    case .fileWork(let slot, let log, _): fileWorkDone(slot, log, completion.result)
    case .leftover:
      // What could not be removed is tried again at the next opening.
      break
    case .removal(let slot, let log, let base, let indexIsNext):
      removalDone(slot, log, base, indexIsNext: indexIsNext)
    case .checkpoint(let step, let number, let file):
      if let file, case .failure = completion.result { syncFailed(file) }
      checkpointStep(step, number, completion.result)
    case .reserve: reserveMade(completion.result)
    case .readAhead(let block, _): readAheadDone(block, completion.result)
    case .memory: break
    }
  }

  private func writeJournal(idle: Bool) {
    guard failure == nil, let (group, operation) = journal.takeWrite(idle: idle) else { return }
    submit(operation, .journalWrite)
    for effect in group.effects {
      guard case .work(let slot, let log, let work, let destroys) = effect, logs[slot].id == log
      else { continue }
      // Behind what its files have lost there would be a hole.
      if logs[slot].pinsJournal {
        guard case .removeDirectory = work else { continue }
      }
      withLog(slot) { $0.work.add(work, gate: destroys ? group.number : 0) }
      run(slot)
    }
    reportRoom()
  }

  private func journalWritten(_ result: Result<DiskResult, DiskError>) {
    guard failure == nil else { return }
    if case .failure(let error) = result {
      fail("writing the journal failed (\(error)); check the disk and restart")
      return
    }
    let group = journal.completed()
    var gated: [Int] = []
    for effect in group.effects {
      switch effect {
      case .work(let slot, _, _, let destroys):
        if destroys { gated.append(slot) }
      case .position(let slot, let log, let position, let place, let truncations):
        guard slots[log] == slot else { continue }
        let before = logs[slot].visible.end
        let isThere = withLog(slot) {
          $0.noteDurable(
            position, place,
            truncations: options.planted.contains(.ignoreTruncations)
              ? $0.truncations : truncations)
        }
        guard isThere else { continue }
        emit(.durable(log, position))
        let readable = logs[slot].visible.end
        if readable > before { emit(.readable(log, readable)) }
      case .vote(let slot, let log, let vote):
        if slots[log] == slot { emit(.voted(log, vote)) }
      case .deleted:
        break
      }
    }
    for slot in gated { run(slot) }
    // What came in while this group was under way.
    writeJournal(idle: false)
    reportRoom()
    startCheckpointIfDue()
    continueCheckpoint()
  }

  /// After this nothing is acknowledged until the store is opened again.
  func fail(_ why: String) {
    guard failure == nil else { return }
    failure = why
    emit(.storeFailed(why))
  }

  // MARK: Journal files

  private func makeJournalFiles() {
    guard failure == nil, !isFull, !journalFileFailed, journalFilesUnderWay == 0,
      let slot = journal.slotToMake()
    else { return }
    journalFilesUnderWay += 1
    submit(
      .open(Self.journalPath(slot), .create, direct: true), .journalFile(slot: slot, .open))
  }

  static func journalPath(_ slot: Int) -> String { "journal/\(slot)" }

  private func journalFile(
    _ slot: Int, _ step: JournalFileStep, _ result: Result<DiskResult, DiskError>
  ) {
    switch (step, result) {
    case (.open, .success(.file(let file))):
      submit(
        .allocate(file, bytes: options.journal.fileBytes), .journalFile(slot: slot, .allocate(file))
      )
    case (.allocate(let file), .success):
      submit(.syncDirectory("journal"), .journalFile(slot: slot, .name(file)))
    case (.name(let file), .success):
      journalFilesUnderWay -= 1
      // Known to be there before anything is in it, if the journal has room to say so.
      let said = (try? add(.journalFile, LogID(0), .none, payload: Int64(slot))) != nil
      journal.addFile(slot: slot, file)
      if !said { _ = try? add(.journalFile, LogID(0), .none, payload: Int64(slot)) }
      reportRoom()
    case (.allocate(let file), .failure), (.name(let file), .failure):
      // A file of the wrong size must not stay: the next attempt makes it anew.
      _ = try? disk.perform(.close(file))
      giveUpJournalFile(slot, result)
    case (.open, _):
      giveUpJournalFile(slot, result)
    }
  }

  /// The next tick tries again, if there is space then.
  private func giveUpJournalFile(_ slot: Int, _ result: Result<DiskResult, DiskError>) {
    _ = try? disk.perform(.delete(Self.journalPath(slot)))
    journalFilesUnderWay -= 1
    journalFileFailed = true
    journal.giveUp(slot: slot)
    if case .failure(.noSpace) = result { becomeFull() }
  }
}
