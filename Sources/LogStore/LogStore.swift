package import Bytes
internal import Platform
internal import Records

/// All logs of a node, and the journal they share.
///
/// A core in the sense of this project: it owns no thread and calls no kernel. Its owner calls it
/// from one thread, `flush`es at the end of a turn, hands in every completion of the disk, `tick`s
/// it with the time now and then, and takes the events that say what became durable or readable.
///
///     append ──▶ journal group ──flush──▶ disk ──complete──▶ event .durable, .readable
///                     └─▶ tail in memory ──now and then──▶ segment file
///
/// What may go wrong, and what then holds:
/// (1) Power fails: after recovery every log holds exactly what was durable, in order.
/// (2) A journal write fails: the store is failed as a whole. It acknowledges nothing any more.
/// (3) A segment's file fails: that log is failed. Its records stay in the journal, and the next
///     opening writes them again.
/// (4) The disk is full: appends are refused; everything else goes on, and appends do later.
package final class LogStore {
  package let options: LogStoreOptions
  /// Tells this store's files from another's. Chosen at random when the store was made.
  package let id: UInt64

  let disk: any Disk
  var journal: Journal
  /// By slot. A slot whose log was deleted is used again.
  var logs: [Log] = []
  var freeSlots: [Int] = []
  var slots: [LogID: Int] = [:]
  var byName: [String: LogID] = [:]
  var nextLogID: UInt64 = 1
  /// What logs that were set aside had voted, by name, until they are made again: a voter must not
  /// forget it.
  var votesSetAside: [String: Vote] = [:]
  /// What is being removed from quarantine, and what of it nobody was told of.
  var leavingQuarantine: Set<String> = []
  var removedFromQuarantine: [String] = []
  var failure: String?
  /// Logs may be missing that had records and votes: the journal was damaged where it may have said
  /// that they were made, or all files are older than they were. Checkpoints say so until who knows
  /// which they are has made them anew, and failed them.
  package var mayMissLogs = false
  /// The last checkpoint says so.
  var checkpointMissesLogs = false
  /// What the store's owner has to remember besides its logs: a few bytes, kept by checkpoints.
  package var notes: [UInt8] = []
  var checkpointNotes: [UInt8] = []
  var isFull = false
  var hasReserve = false
  var reserveUnderWay = false
  /// Milliseconds since 1970, as of the last `tick` or `flush`.
  var now: Int64 = 0

  var pending: [DiskToken: Pending] = [:]
  private var nextToken: UInt64 = 0
  private var events: [LogStoreEvent] = []
  private var refused = false
  var checkpoint: CheckpointRun?
  /// Every group at or below is covered by the checkpoint on disk.
  var checkpointThrough: UInt64
  var checkpointsStarted: UInt64 = 0
  var checkpointsDone: UInt64 = 0
  var journalFilesUnderWay = 0
  /// The last attempt to make one failed: not again before the next tick.
  var journalFileFailed = false
  var readers = ReaderCache()
  let tails: TailMemory
  /// Logs with a tail of which something is not on the way to its file, oldest first, those below
  /// `firstWaiting` left out. At most one entry for each log that was appended to since the last
  /// checkpoint began.
  var waitingTails: [(slot: Int, log: LogID)] = []
  var firstWaiting = 0
  let blocks: ReadMemory
  /// Reads into memory that are under way, oldest first; not more than there is memory for.
  var readsUnderWay: [ReadAheadID] = []
  /// What the scrub has read, of one region.
  var scrubbed: ScrubReads?
  /// Followers' readers that were told to wait for such, oldest first.
  var entryWaits: [EntryWait] = []
  /// Reads into memory that were begun since the store was opened.
  package internal(set) var readsAheadBegun: UInt64 = 0
  var lastReadAhead: UInt64 = 0

  init(
    disk: any Disk, options: LogStoreOptions, id: UInt64, journal: Journal, through: UInt64
  ) {
    self.disk = disk
    self.options = options
    self.id = id
    self.journal = journal
    checkpointThrough = through
    readers.filesMax = options.openFilesMax
    tails = TailMemory(options: options)
    blocks = ReadMemory(options: options)
  }

  deinit { tails.close() }

  /// The largest run of batches that can be appended at once, in bytes.
  package var appendBytesMax: Int {
    options.journal.groupBytesMax - JournalFormat.frameHeaderBytes - 8
  }

  /// What happened since the last call.
  package func takeEvents() -> [LogStoreEvent] {
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }

  package var hasEvents: Bool { !events.isEmpty }

  /// The logs there are, oldest first.
  package var logIDs: [LogID] { slots.keys.sorted() }

  package func log(named name: String) -> LogID? { byName[name] }

  /// The disk is full: appends are refused, and what was appended may wait for its files.
  package var isFullOfRecords: Bool { isFull }
  /// Bytes of the disk that were free at the last look.
  package internal(set) var freeSpace: Int64?
  /// Below this the disk is full.
  package var freeSpaceMin: Int64 { options.freeSpaceMin }

  /// Why the store takes nothing more, if it does not.
  package var failureText: String? { failure }

  /// The last group of the journal that is on the disk. It only rises, also over restarts.
  package var journalGroup: UInt64 { journal.durableThrough }

  /// The numbers of the last checkpoint that was begun since the start, and of the last whole one.
  package var checkpoints: (started: UInt64, done: UInt64) {
    (checkpointsStarted, checkpointsDone)
  }

  /// There is something of a log that the last whole checkpoint does not say.
  package var isAheadOfCheckpoint: Bool {
    checkpoint != nil || mayMissLogs != checkpointMissesLogs || logs.contains(where: \.isDirty)
  }

  /// The last whole checkpoint has the notes.
  package var areNotesKept: Bool { notes == checkpointNotes }

  /// Frames added to the journal since the store was opened, and how many of them are durable.
  package var frames: (added: UInt64, durable: UInt64) {
    (journal.framesAdded, journal.framesDurable)
  }

  /// Memory that the newest records of all logs are in.
  package var tailBytes: Int { tails.used }

  /// Memory that old records are read into.
  package var readBytes: Int { blocks.bytes }

  func emit(_ event: LogStoreEvent) { events.append(event) }

  func submit(_ operation: DiskOperation, _ purpose: Pending) {
    nextToken += 1
    let token = DiskToken(nextToken)
    pending[token] = purpose
    disk.submit(operation, token)
  }

  func slot(of log: LogID) throws(LogError) -> Int {
    guard let slot = slots[log] else { throw .unknownLog }
    return slot
  }

  /// Reads or changes the log in its place.
  func withLog<R>(_ slot: Int, _ body: (inout Log) -> R) -> R { body(&logs[slot]) }

  /// What keeps this store from taking frames, if anything does.
  func checkUsable() throws(LogError) {
    if let failure { throw .storeFailed(failure) }
  }

  /// A frame was refused: whoever wanted it is told when there is room.
  func refuse(_ refusal: Journal.Refusal) -> LogError {
    if refusal == .filesInUse, journal.slotsMade == options.journal.filesMax,
      journalFilesUnderWay == 0, let pinning = logs.first(where: { $0.pinsJournal })
    {
      // There will be no room: waiting for it would be for ever.
      fail(
        "the journal is full and holds what the files of '\(pinning.name)' have lost; check the "
          + "disk and restart")
      return .storeFailed(failure ?? "")
    }
    return refuse()
  }

  /// As above, for want of memory: there is room when something has been written.
  func refuse() -> LogError {
    refused = true
    return .busy
  }

  func reportRoom() {
    guard refused else { return }
    refused = false
    emit(.room)
  }
}

/// What an owner of a store is told.
package enum LogStoreEvent: Equatable, Sendable {
  /// Everything up to this position is on the disk and in the log: what a truncation that was asked
  /// for meanwhile has taken back is never named. May be below what was named before, after one.
  case durable(LogID, LogPosition)
  /// The vote is on the disk.
  case voted(LogID, Vote)
  /// Readers may be shown records below this offset.
  case readable(LogID, Offset)
  /// The log's deletion is durable, or that it was set aside; its files are gone, or going.
  case deleted(LogID)
  /// What was refused as `busy` may be tried again.
  case room
  /// The disk has become full, or has room again.
  case full(Bool)
  /// What was read into memory is there, or cannot be read.
  case readAhead(ReadAheadID)
  case logFailed(LogID, String)
  case storeFailed(String)
  /// A checkpoint is done; crash recovery begins after it.
  case checkpointed
}

/// What is to be done when a disk operation completes. Holds the file that the operation is on, so
/// that it is not closed before, whatever becomes of its segment.
enum Pending {
  case journalWrite
  case journalFile(slot: Int, JournalFileStep)
  case fileWork(slot: Int, LogID, OpenFile?)
  /// Of the files of a deleted log.
  case leftover
  /// Of a segment's file, and then of its index.
  case removal(slot: Int, LogID, Offset, indexIsNext: Bool)
  case checkpoint(CheckpointRun.Step, UInt64, OpenFile?)
  case reserve(OpenFile)
  case readAhead(ReadBlock, OpenFile)
  /// Of memory for tails.
  case memory
}

extension Pending {
  var isCheckpointStep: Bool {
    if case .checkpoint = self { true } else { false }
  }
}

enum JournalFileStep {
  case open
  case allocate(FileID)
  case name(FileID)
}

/// What is to be done with the logs when a group is submitted and when it is durable.
enum GroupEffect {
  case work(slot: Int, LogID, FileWork, destroys: Bool)
  /// The log's end after a frame, by epoch and by place, after so many truncations of it.
  case position(slot: Int, LogID, LogPosition, Log.Place, truncations: Int)
  case vote(slot: Int, LogID, Vote)
  case deleted(slot: Int, LogID)
}
