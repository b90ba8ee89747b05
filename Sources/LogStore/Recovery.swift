internal import Bytes
package import Platform
internal import Records

/// Opens a store: what a stop, a crash or a power cut left becomes what was acknowledged.
///
///     checkpoint ──▶ segments cut to what was synced ──▶ journal replayed ──▶ synced ──▶
///     checkpoint
///
/// (1) Segment bytes count only below the checkpoint's synced end; the rest is cut and comes again
///     from the journal.
/// (2) Everything is done in an order that can be begun again after a crash at any step, with the
///     same result: until the new checkpoint is renamed, the old one and its journal are there.
/// (3) Nothing is deleted for not being known: files that no log owns are kept in `quarantine`.
/// (4) What the journal cannot give back whole is never cut silently: the log is failed.
/// (5) What the new checkpoint claims is durable before it is renamed. What the old one claims was
///     so already, also if the process before was killed: its files were synced before its rename,
///     and whatever was done to them since has a frame behind it, with two exceptions that may stay
///     volatile. Bytes beyond a segment's size are cut again by whoever opens it, and an index is
///     checked by its CRC and made again. So only logs that the replay finds frames of, and those
///     in doubt, are synced, and the time to open does not grow with the logs nobody wrote to.
extension LogStore {
  /// Opens the store on this disk, or makes one if the disk is empty. `newID` becomes the id of a
  /// store that is made; take it at random. `now` is in milliseconds since 1970. Where the disk is
  /// full, what was begun is begun again, as after a crash, with the room that the reserve has.
  package static func open(
    _ disk: any Disk, options: LogStoreOptions = LogStoreOptions(), newID: UInt64, now: Int64
  ) throws(LogError) -> LogStore {
    while true {
      do throws(DiskError) {
        var recovery = try Recovery(disk: disk, options: options, newID: newID, now: now)
        let store = try recovery.run()
        store.removeLeftovers()
        return store
      } catch .noSpace(let what) {
        guard (try? disk.perform(.delete(reservePath))) != nil else {
          throw .noSpace(Recovery.shortage(what, disk, options))
        }
      } catch {
        throw .disk("\(error)")
      }
    }
  }
}

struct Recovery {
  let disk: any Disk
  let options: LogStoreOptions
  let now: Int64
  var checkpoint: Checkpoint
  var logs: [Log] = []
  var slots: [LogID: Int] = [:]
  /// Ids of logs whose deletion was replayed.
  var deleted: [LogID] = []
  /// Ids of logs that were set aside: their directories are strays.
  var setAside: [LogID] = []
  /// Every log may miss frames.
  private var damage: String?
  /// A log may be missing whose creation was in what is damaged.
  private var mayMissLogs = false

  init(disk: any Disk, options: LogStoreOptions, newID: UInt64, now: Int64) throws(DiskError) {
    self.disk = disk
    self.options = options
    self.now = now
    let names = try disk.names(in: ".")
    guard names.contains(Checkpoint.path) else {
      checkpoint = try Self.make(disk, names, newID)
      return
    }
    let bytes = try Self.readCheckpoint(disk)
    do throws(ByteError) {
      checkpoint = try Checkpoint(decoding: bytes)
      for record in checkpoint.records { try restore(record) }
      mayMissLogs = checkpoint.mayMissLogs
    } catch {
      throw .failed(
        "reading the checkpoint, which is damaged; restore this node's directory from a backup or "
          + "let it join again empty: it", errno: 0)
    }
  }

  static func readCheckpoint(_ disk: any Disk) throws(DiskError) -> [UInt8] {
    let file = try disk.openFile(Checkpoint.path, .existing)
    defer { _ = try? disk.perform(.close(file)) }
    return try disk.read(file, 0, Int(try disk.size(file)))
  }

  /// A new store: directories, and a checkpoint that says there is nothing.
  private static func make(
    _ disk: any Disk, _ names: [String], _ id: UInt64
  ) throws(DiskError) -> Checkpoint {
    for directory in ["journal", "logs"] {
      if names.contains(directory) {
        guard try disk.names(in: directory).isEmpty else {
          throw .failed("opening a store whose checkpoint is missing; it", errno: 0)
        }
      } else {
        _ = try disk.perform(.makeDirectory(directory))
      }
    }
    let empty = Checkpoint(
      store: id, firstGeneration: 1, through: 0, nextLogID: 1, journalFiles: 0,
      records: [])
    try write(empty, disk)
    return empty
  }

  private mutating func restore(_ record: [UInt8]) throws(ByteError) {
    let log = try Log(decoding: record)
    slots[log.id] = logs.count
    logs.append(log)
  }

  // MARK: Run

  mutating func run() throws(DiskError) -> LogStore {
    try forEachLog { (recovery, log) throws(DiskError) in try recovery.openSegments(&log) }
    var reader = try journalReader()
    try reader.read { (finding) throws(DiskError) in try redo(finding) }
    try checkJournalFiles(reader)
    if let damage {
      for index in logs.indices {
        logs[index].failure = logs[index].failure ?? damage
        logs[index].isCutShort = true
      }
    }
    try settle()
    try removeDeleted()
    try setStrayLogsAside()
    try quarantine(reader)
    let journalFiles = try journalFilesInOrder(reader)
    checkpoint.through = reader.lastGroup
    checkpoint.firstGeneration = reader.nextGeneration
    checkpoint.journalFiles = journalFiles.count
    let gone = Set(deleted + setAside)
    let kept = logs.filter { !gone.contains($0.id) }
    checkpoint.records = kept.map { $0.encodedRecord() }
    checkpoint.mayMissLogs = mayMissLogs
    try Self.write(checkpoint, disk)
    try removeStrays(kept)
    return try store(kept, reader, journalFiles)
  }

  /// Takes the logs out of `self` for the time: changed in place while `self` is used, each change
  /// would copy them all.
  mutating func forEachLog(
    _ change: (Recovery, inout Log) throws(DiskError) -> Void
  ) throws(DiskError) {
    var changed = logs
    logs = []
    for index in changed.indices { try change(self, &changed[index]) }
    logs = changed
  }

  private func store(
    _ logs: [Log], _ reader: JournalReader, _ files: [(slot: Int, file: FileID)]
  ) throws(DiskError) -> LogStore {
    var journal = Journal(
      store: checkpoint.store, options: options.journal, generation: reader.nextGeneration,
      lastGroup: reader.lastGroup, lastCRC: reader.lastCRC)
    for (slot, file) in files { journal.addFile(slot: slot, file) }
    let store = LogStore(
      disk: disk, options: options, id: checkpoint.store, journal: journal,
      through: reader.lastGroup)
    store.now = now
    store.mayMissLogs = mayMissLogs
    store.checkpointMissesLogs = mayMissLogs
    store.notes = checkpoint.notes
    store.checkpointNotes = checkpoint.notes
    store.nextLogID = checkpoint.nextLogID
    store.votesSetAside = checkpoint.votesSetAside
    for var log in logs {
      log.isDirty = false
      log.hasNewNames = false
      log.hasNewMark = false
      log.record = log.encodedRecord()
      _ = log.noteDurable(log.position, log.endPlace, truncations: log.truncations)
      _ = store.insert(log)
    }
    store.hasReserve = try disk.names(in: ".").contains(LogStore.reservePath)
    return store
  }

  private static func write(_ checkpoint: Checkpoint, _ disk: any Disk) throws(DiskError) {
    if try disk.names(in: ".").contains(Checkpoint.temporaryPath) {
      _ = try disk.perform(.delete(Checkpoint.temporaryPath))
    }
    let bytes = checkpoint.encoded()
    let memory = BlockMemory(count: bytes.count)
    unsafe bytes.withUnsafeBytes { unsafe memory.bytes.copyMemory(from: $0) }
    let file = try makeFile(Checkpoint.temporaryPath, disk) { (file) throws(DiskError) in
      _ = try disk.perform(
        .write(file, position: 0, [DiskBytes(memory, 0..<bytes.count)], durable: false))
      _ = try disk.perform(.sync(file))
    }
    _ = try disk.perform(.close(file))
    _ = try disk.perform(.rename(from: Checkpoint.temporaryPath, to: Checkpoint.path))
    _ = try disk.perform(.syncDirectory("."))
  }
}

// MARK: - Segments

extension Recovery {
  /// Opens what may grow or shrink, cuts it to what was synced, and loads its index. Closed
  /// segments below the high watermark are not touched: recovery takes no longer for more data.
  private func openSegments(_ log: inout Log) throws(DiskError) {
    let names = (try? disk.names(in: Segment.directory(log.id))) ?? []
    for index in log.segments.indices where log.segments[index].hasFile {
      let base = log.segments[index].base
      let next = index + 1 < log.segments.count ? log.segments[index + 1].base : nil
      let path = log.segments[index].dataPath(log.id)
      guard names.contains(Self.fileName(path)) else {
        log.doubts.append(base..<max(next ?? log.end, base))
        continue
      }
      guard next.map({ $0 > log.highWatermark }) ?? true else { continue }
      let file = OpenFile(try disk.openFile(path, .existing), disk)
      if try disk.size(file.id) > log.segments[index].size {
        _ = try disk.perform(.truncate(file.id, size: log.segments[index].size))
      }
      let files = SegmentFiles(log: log.id, base: base)
      files.reading = file
      log.segments[index].files = files
      try loadIndex(&log, index, file)
    }
    try addUncommitted(&log)
  }

  private func loadIndex(
    _ log: inout Log, _ number: Int, _ file: OpenFile
  ) throws(DiskError) {
    let segment = log.segments[number]
    let path = segment.indexPath(log.id)
    if segment.hasIndexFile, let id = try? disk.openFile(path, .existing) {
      let open = OpenFile(id, disk)
      let bytes = try disk.read(id, 0, segment.indexWritten * SegmentIndex.Entry.size)
      if let index = SegmentIndex(
        decoding: bytes, count: segment.indexWritten, crc: segment.indexCRC.value)
      {
        log.segments[number].index = index
        log.segments[number].files?.index = open
        return
      }
    }
    // Made again from the segment, and written anew at the next checkpoint.
    if segment.hasIndexFile { _ = try? disk.perform(.delete(path)) }
    log.segments[number] = try Segment.rebuilt(
      segment, SegmentSource(file, disk), interval: log.options.indexIntervalBytes)
  }

  /// The batches between the high watermark and the end, which are known to nobody else. Where the
  /// files do not have them, there is doubt: until the replay says that they went.
  private func addUncommitted(_ log: inout Log) throws(DiskError) {
    var place = log.readable
    for (index, segment) in log.segments.enumerated() where segment.base >= place.segment {
      let isLast = index == log.segments.count - 1
      let end = isLast ? log.end : log.segments[index + 1].base
      guard end > place.end else { continue }
      if segment.base > place.segment {
        place = Log.Place(end: segment.base, segment: segment.base, position: 0)
      }
      if let file = segment.files?.reading { try addBatches(&log, segment, file, &place, end) }
      if place.end < end { log.doubts.append(place.end..<end) }
    }
    log.found(Log.Place(end: log.end, segment: place.segment, position: place.position))
  }

  private func addBatches(
    _ log: inout Log, _ segment: Segment, _ file: OpenFile, _ place: inout Log.Place, _ end: Offset
  ) throws(DiskError) {
    var scan = BatchScan(SegmentSource(file, disk))
    while place.end < end,
      let header = try scan.header(at: place.position, limit: segment.size),
      header.baseOffset == place.end
        || header.baseOffset < place.end && place == log.readable && place.position == 0,
      header.nextOffset > place.end, header.nextOffset <= end,
      log.epochs.epoch(at: place.end) == header.partitionLeaderEpoch,
      let batch = try scan.batch(at: place.position, header), (try? batch.checkCRC()) != nil
    {
      place = Log.Place(
        end: header.nextOffset, segment: segment.base,
        position: place.position + Int64(header.batchSize))
      log.note(place)
    }
  }
}

// MARK: - Replay

extension Recovery {
  mutating func redo(_ finding: JournalReader.Finding) throws(DiskError) {
    switch finding {
    case .damaged where options.planted.contains(.truncateAtDamage): break
    case .damaged(nil):
      damage = "the journal is damaged and may have held records of it; repair it from a replica"
      mayMissLogs = true
    case .damaged(let log?):
      guard let slot = slots[log] else {
        mayMissLogs = mayMissLogs || !(deleted + setAside).contains(log)
        return
      }
      logs[slot].failure =
        logs[slot].failure ?? "a part of the journal that held its records is damaged"
      logs[slot].isCutShort = true
    case .frame(let frame, let payload):
      try redo(frame, payload)
    }
  }

  private mutating func redo(
    _ frame: FrameHeader, _ payload: ArraySlice<UInt8>
  ) throws(DiskError) {
    if frame.kind == .create {
      guard slots[frame.log] == nil,
        var log = Log(id: frame.log, voted: frame.epoch, creation: payload)
      else { return }
      slots[frame.log] = logs.count
      log.hasVolatileFiles = true
      checkpoint.votesSetAside[log.name] = nil
      logs.append(log)
      checkpoint.nextLogID = max(checkpoint.nextLogID, frame.log.rawValue + 1)
      try makeDirectory(frame.log)
      return
    }
    if frame.kind == .journalFile {
      var reader = ByteReader(payload)
      checkpoint.journalFiles = max(checkpoint.journalFiles, Int((try? reader.int64()) ?? 0) + 1)
      return
    }
    guard let slot = slots[frame.log] else { return }
    switch frame.kind {
    case .configure, .epochStart, .vote, .journalFile: break
    case .create, .append, .truncate, .logStart, .delete, .reset, .setAside:
      logs[slot].hasVolatileFiles = true
    }
    if frame.kind == .reset {
      // What was damaged before is thrown away.
      logs[slot].failure = nil
      logs[slot].isCutShort = false
    }
    // A log that misses a frame takes none of those after it, only its end, and votes: those have
    // nothing to do with its records.
    switch frame.kind {
    case .delete, .setAside, .vote: break
    default: guard damage == nil, logs[slot].failure == nil else { return }
    }
    if let uncommitted = frame.uncommitted {
      let mark = logs[slot].end - Int64(uncommitted)
      _ = logs[slot].commit(through: mark)
    }
    var reader = ByteReader(payload)
    let number = (try? reader.int64()) ?? 0
    switch frame.kind {
    case .create, .journalFile: break
    case .configure:
      if let (_, options) = LogOptions.decoded(payload) { logs[slot].options = options }
    case .append: try redoAppend(slot, payload)
    case .epochStart where options.planted.contains(.forgetEpochStarts): break
    case .epochStart: _ = logs[slot].beginEpoch(frame.epoch)
    case .vote where options.planted.contains(.forgetVotes): break
    case .vote: logs[slot].vote = Vote(epoch: frame.epoch, candidate: Int32(clamping: number))
    case .truncate:
      let target = LogPosition(epoch: frame.epoch, offset: Offset(number))
      if target.offset >= logs[slot].end || logs[slot].truncationPlace(target.offset) != nil {
        try perform(logs[slot].truncate(to: target), slot)
      } else {
        logs[slot].truncateInDoubt(to: target)
      }
    case .logStart:
      // What the start was moved over was committed.
      let offset = Offset(number)
      logs[slot].commit(atLeast: offset)
      try perform(logs[slot].advanceStart(to: offset), slot)
    case .reset:
      guard let reset = LogReset(decoding: payload, epoch: frame.epoch) else { return }
      try perform(logs[slot].reset(to: reset), slot)
    case .delete:
      slots[frame.log] = nil
      deleted.append(frame.log)
    case .setAside:
      slots[frame.log] = nil
      setAside.append(frame.log)
      checkpoint.votesSetAside[logs[slot].name] = logs[slot].voteFloor
    }
  }

  private mutating func redoAppend(_ slot: Int, _ payload: ArraySlice<UInt8>) throws(DiskError) {
    var headers: [RecordBatchHeader] = []
    var batches = RecordBatches(payload)
    while var header = try? batches.nextHeader() {
      if options.planted.contains(.forgetProducers) { header.producerID = .none }
      headers.append(header)
    }
    guard let first = headers.first, logs[slot].isFollowed(by: first) else {
      logs[slot].doubts.append(logs[slot].end..<Offset(.max))
      return
    }
    let memory = BlockMemory(count: max(payload.count, 1))
    unsafe payload.withUnsafeBytes { unsafe memory.bytes.copyMemory(from: $0) }
    let work = logs[slot].append(headers, bytes: payload.count, now: now)
    try perform(work, slot)
    // Through the page cache: it is synced at once, and then begins the time of tails.
    guard let segment = logs[slot].segments.last, let file = segment.files?.reading else { return }
    _ = try disk.perform(
      .write(
        file.id, position: segment.size - Int64(payload.count),
        [DiskBytes(memory, 0..<payload.count)], durable: false))
  }

  private mutating func perform(_ work: Log.Work, _ slot: Int) throws(DiskError) {
    for (piece, _) in work { try perform(piece, slot) }
  }

  private mutating func perform(_ work: FileWork, _ slot: Int) throws(DiskError) {
    let log = logs[slot].id
    switch work {
    case .create(let files):
      // The directory is gone if the log was deleted later, and the file is there if an earlier
      // attempt, or the time before the crash, has left it.
      try makeDirectory(log)
      if try disk.names(in: Segment.directory(log)).contains(Self.fileName(files.dataPath)) {
        _ = try disk.perform(.delete(files.dataPath))
      }
      files.reading = OpenFile(try disk.openFile(files.dataPath, .create), disk)
      files.opensData = false
    case .truncate(let files, let size):
      guard let file = files.reading else { return }
      _ = try disk.perform(.truncate(file.id, size: size))
    case .delete, .makeDirectory, .open, .createIndex, .write, .writeIndex, .removeDirectory,
      .barrier:
      // Files too many are removed at the end, when what replaces them is durable.
      break
    }
  }

  static func fileName(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  private func makeDirectory(_ log: LogID) throws(DiskError) {
    do throws(DiskError) {
      _ = try disk.perform(.makeDirectory(Segment.directory(log)))
    } catch .alreadyExists {
    }
  }
}
