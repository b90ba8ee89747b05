internal import Bytes
internal import Platform

/// What a recovery does when the journal is replayed: it makes durable what was done again, removes
/// what nobody owns, and keeps what is damaged.
extension Recovery {
  /// Makes durable, as it is now, what may not be so yet: all at once, because syncs that wait
  /// together share the file system's commits.
  mutating func settle() throws(DiskError) {
    var syncs: [DiskOperation] = []
    let gone = Set(deleted + setAside)
    try forEachLog { (recovery, log) throws(DiskError) in
      guard !gone.contains(log.id) else { return }
      Self.endAtDoubts(&log)
      for index in log.segments.indices where log.segments[index].files?.reading != nil {
        if try recovery.writeIndex(&log.segments[index], log.id) { log.hasVolatileFiles = true }
      }
      if log.hasVolatileFiles || log.failure != nil { syncs += Self.syncs(of: log) }
    }
    try disk.performAll(syncs)
  }

  static func syncs(of log: Log) -> [DiskOperation] {
    let files = log.segments.compactMap(\.files).flatMap { files in
      files.reading.map { [$0, files.index] } ?? []
    }
    return files.compactMap { $0.map { .sync($0.id) } }
      + [.syncDirectory(Segment.directory(log.id))]
  }

  static func endAtDoubts(_ log: inout Log) {
    guard let doubtful = log.doubts.map(\.lowerBound).min() else { return }
    log.failure =
      log.failure
      ?? "its files lack records from offset \(doubtful.rawValue) on; repair it from a replica"
    log.isCutShort = true
    log.endAtFirstDoubt()
  }

  /// False if there is nothing to write.
  func writeIndex(_ segment: inout Segment, _ log: LogID) throws(DiskError) -> Bool {
    guard let files = segment.files, let (position, bytes) = segment.takeUnwrittenIndex()
    else { return false }
    if files.index == nil {
      let path = files.indexPath
      if try disk.names(in: Segment.directory(log)).contains(Self.fileName(path)) {
        _ = try disk.perform(.delete(path))
      }
      files.index = OpenFile(try disk.openFile(path, .create), disk)
      segment.hasIndexFile = true
    }
    guard let file = files.index else { return false }
    let memory = BlockMemory(count: bytes.count)
    unsafe bytes.withUnsafeBytes { unsafe memory.bytes.copyMemory(from: $0) }
    _ = try disk.perform(
      .write(file.id, position: position, [DiskBytes(memory, 0..<bytes.count)], durable: false))
    return true
  }

  /// Removes the logs whose deletion was replayed: before the checkpoint that does not know them.
  func removeDeleted() throws(DiskError) {
    for log in deleted {
      let directory = Segment.directory(log)
      for name in (try? disk.names(in: directory)) ?? [] {
        _ = try disk.perform(.delete("\(directory)/\(name)"))
      }
      _ = try? disk.perform(.removeDirectory(directory))
    }
    _ = try disk.perform(.syncDirectory("logs"))
  }

  /// Directories of logs whose creation never became durable: their ids are not used again, and
  /// whatever is in them is kept.
  mutating func setStrayLogsAside() throws(DiskError) {
    for name in try disk.names(in: "logs") {
      guard let number = UInt64(name, radix: 16) else { continue }
      checkpoint.nextLogID = max(checkpoint.nextLogID, number + 1)
      guard slots[LogID(number)] == nil else { continue }
      if try disk.names(in: "logs/\(name)").isEmpty {
        _ = try disk.perform(.removeDirectory("logs/\(name)"))
      } else {
        try makeQuarantine()
        _ = try disk.perform(
          .rename(from: "logs/\(name)", to: LogStore.quarantinePath(LogID(number))))
        _ = try disk.perform(.syncDirectory("quarantine"))
      }
      _ = try disk.perform(.syncDirectory("logs"))
    }
  }

  func makeQuarantine() throws(DiskError) {
    guard !(try disk.names(in: ".").contains("quarantine")) else { return }
    _ = try disk.perform(.makeDirectory("quarantine"))
    _ = try disk.perform(.syncDirectory("."))
  }

  /// Deletes segments that their log's start or a truncation left behind: after the checkpoint,
  /// because the one before names them.
  func removeStrays(_ logs: [Log]) throws(DiskError) {
    for log in logs where log.failure == nil {
      let directory = Segment.directory(log.id)
      // A segment's file may be there before the frame that makes it is durable: one that is not
      // recorded would be in the way of the next append.
      let known = log.segments.flatMap { segment in
        (segment.hasFile ? [segment.dataPath(log.id)] : [])
          + (segment.hasIndexFile ? [segment.indexPath(log.id)] : [])
      }
      for name in try disk.names(in: directory) where !known.contains("\(directory)/\(name)") {
        _ = try disk.perform(.delete("\(directory)/\(name)"))
      }
    }
  }

  func journalReader() throws(DiskError) -> JournalReader {
    var files: [(slot: Int, file: FileID)] = []
    for name in try disk.names(in: "journal") {
      guard let slot = Int(name) else { continue }
      let file = try disk.openFile(LogStore.journalPath(slot), .existing, direct: true)
      files.append((slot, file))
    }
    return try JournalReader(
      store: checkpoint.store, options: options.journal, disk: disk,
      files: files.sorted { $0.slot < $1.slot }, through: checkpoint.through,
      firstGeneration: checkpoint.firstGeneration)
  }

  /// A file of the journal that was there and is gone or shorter may have held anything.
  mutating func checkJournalFiles(_ reader: JournalReader) throws(DiskError) {
    for slot in 0..<checkpoint.journalFiles {
      let file = reader.files.first { $0.slot == slot }
      let size = try file.map { (file) throws(DiskError) in try disk.size(file.file) }
      if size.map({ $0 < options.journal.fileBytes }) ?? true { try redo(.damaged(nil)) }
    }
  }

  /// Damaged journal files are evidence, and may hold records that someone can save.
  func quarantine(_ reader: JournalReader) throws(DiskError) {
    guard !reader.damagedSlots.isEmpty else { return }
    try makeQuarantine()
    for slot in reader.damagedSlots {
      _ = try disk.perform(
        .rename(
          from: LogStore.journalPath(slot), to: "quarantine/journal-\(checkpoint.through)-\(slot)"))
    }
    _ = try disk.perform(.syncDirectory("quarantine"))
    _ = try disk.perform(.syncDirectory("journal"))
  }

  /// The journal's files, whole ones of the right size, without gaps in their slots.
  func journalFilesInOrder(
    _ reader: JournalReader
  ) throws(DiskError) -> [(slot: Int, file: FileID)] {
    var kept: [(slot: Int, file: FileID)] = []
    for file in reader.files {
      let size = try disk.size(file.file)
      let isUsable =
        !reader.damagedSlots.contains(file.slot) && size == options.journal.fileBytes
        && file.slot < options.journal.filesMax
      if isUsable {
        kept.append((file.slot, file.file))
      } else {
        _ = try disk.perform(.close(file.file))
        _ = try? disk.perform(.delete(LogStore.journalPath(file.slot)))
      }
    }
    // The journal counts its slots; one that is missing in the middle is made again here.
    let slotsMade = max(1, (kept.map { $0.slot + 1 }.max() ?? 0))
    for slot in 0..<slotsMade where !kept.contains(where: { $0.slot == slot }) {
      let path = LogStore.journalPath(slot)
      let file = try Self.makeFile(path, direct: true, disk) { (file) throws(DiskError) in
        _ = try disk.perform(.allocate(file, bytes: options.journal.fileBytes))
      }
      kept.append((slot, file))
    }
    _ = try disk.perform(.syncDirectory("journal"))
    return kept.sorted { $0.slot < $1.slot }
  }
}
