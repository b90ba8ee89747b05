internal import Bytes
internal import Platform

/// The store's one write-ahead log: whatever is to be durable is a frame in it first.
///
/// Frames are collected in the open group. `takeWrite` closes it and hands out the write; while
/// that is under way, new frames collect in the next group. So one flush commits what all logs have
/// added since the last one began.
///
///       add            takeWrite              completed
///   ─────────▶ open ────────────▶ under way ─────────────▶ durable ──▶ (recycled)
///                └─▶ waiting (full while a write is under way) ─┘
///
/// (1) Groups are written in the order of their numbers, one at a time.
/// (2) A file is used from its beginning to its end and never again before every group in it is
///     covered by a checkpoint (`recycle`).
/// (3) The journal holds at most `filesMax` files and `groupsWaitingMax` closed groups; when either
///     is used up, `add` refuses, and whoever appends has to wait.
struct Journal {
  /// Why a frame cannot be taken now. It can be later.
  enum Refusal: Error, Equatable {
    /// Too much waits to be written: come back when a write has completed.
    case backlog
    /// All files are in use: come back after a checkpoint.
    case filesInUse
  }

  struct File {
    var slot: Int
    var file: FileID
    var generation: UInt64
    var firstGroup: UInt64
    var lastGroup: UInt64
  }

  let store: UInt64
  let options: JournalOptions

  /// Files with groups in them, oldest first; the last one is being filled.
  private(set) var used: [File] = []
  /// Files that may be used from the beginning.
  private(set) var free: [(slot: Int, file: FileID)] = []
  /// Slots that have a file or are getting one.
  private(set) var slotsMade = 0
  /// Slots whose file is whole on the disk.
  private(set) var filesMade = 0
  private var nextGeneration: UInt64
  /// Where the next group goes in the last of `used`.
  private var position: Int64 = 0

  private(set) var open: JournalGroup?
  private var waiting: [JournalGroup] = []
  private(set) var underWay: JournalGroup?
  private var nextNumber: UInt64
  private(set) var durableThrough: UInt64
  private var previousCRC: UInt32
  private var memories: MemoryPool
  /// The last group that was written had frames: an idle group has something to vouch for.
  private var unvouched = false
  /// Frames since the store was opened: all, and those that are durable.
  private(set) var framesAdded: UInt64 = 0
  private(set) var framesDurable: UInt64 = 0

  /// Continues after group `lastGroup`, in new files of `generation` and up.
  init(
    store: UInt64, options: JournalOptions, generation: UInt64, lastGroup: UInt64, lastCRC: UInt32
  ) {
    self.store = store
    self.options = options
    nextGeneration = generation
    nextNumber = lastGroup + 1
    durableThrough = lastGroup
    previousCRC = lastCRC
    memories = MemoryPool(options: options)
  }

  /// The oldest generation that may hold a group after `through`, now or later: the file being
  /// filled goes on being filled.
  func firstGeneration(after through: UInt64) -> UInt64 {
    used.first { $0.lastGroup > through }?.generation ?? used.last?.generation ?? nextGeneration
  }

  var hasFrames: Bool { (open?.frames ?? 0) > 0 || !waiting.isEmpty }
  /// The group that the last frame is in, if it has not been submitted.
  var lastUnsubmitted: JournalGroup? { open.flatMap { $0.frames > 0 ? $0 : nil } ?? waiting.last }
  /// Nothing is waiting, open or under way.
  var isIdle: Bool { !hasFrames && underWay == nil }

  /// Bytes between the oldest group that is still needed and the newest.
  var usedBytes: Int64 {
    used.isEmpty ? 0 : Int64(used.count - 1) * options.fileBytes + position
  }
}

// MARK: - Files

extension Journal {
  /// A slot whose file should be made now, because the journal will need it; nil if there is no
  /// need. The caller makes it and calls `addFile`, or gives up and calls `giveUp`.
  mutating func slotToMake() -> Int? {
    guard slotsMade < options.filesMax, free.isEmpty else { return nil }
    guard used.isEmpty || position * 2 > options.fileBytes else { return nil }
    slotsMade += 1
    return slotsMade - 1
  }

  mutating func addFile(slot: Int, _ file: FileID) {
    slotsMade = max(slotsMade, slot + 1)
    filesMade = max(filesMade, slot + 1)
    free.append((slot, file))
  }

  /// The file of the newest slot could not be made; it may be tried again.
  mutating func giveUp(slot: Int) {
    require(slot == slotsMade - 1, "slot \(slot) is made when there are \(slotsMade)")
    slotsMade -= 1
  }

  /// Frees the files whose groups are all at or below `through`.
  mutating func recycle(through: UInt64) {
    while used.count > 1, let first = used.first, first.lastGroup <= through {
      used.removeFirst()
      free.append((first.slot, first.file))
    }
  }
}

// MARK: - Frames

extension Journal {
  /// Adds a frame to the open group; `fill` writes the payload. The result is where the payload
  /// lies, which stays as it is for as long as the result is held.
  mutating func add(
    _ kind: FrameKind, log: LogID, epoch: LeaderEpoch, uncommitted: UInt32?, payloadBytes: Int,
    fill: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(Refusal) -> DiskBytes {
    let group = try groupWithRoom(for: JournalFormat.frameBytes(payload: payloadBytes))
    framesAdded += 1
    return unsafe group.add(
      kind, log: log, epoch: epoch, uncommitted: uncommitted, payloadBytes: payloadBytes,
      fill: fill)
  }

  /// The open group, in which this many bytes fit.
  mutating func groupWithRoom(for bytes: Int) throws(Refusal) -> JournalGroup {
    require(
      bytes <= options.groupBytesMax,
      "a frame of \(bytes) bytes is larger than a group of \(options.groupBytesMax)")
    if let group = open {
      if group.room >= bytes { return group }
      guard waiting.count < options.groupsWaitingMax else { throw .backlog }
    }
    let group = try makeGroup(for: bytes)
    // Only now: a refusal must leave the open group open.
    return group
  }

  private mutating func makeGroup(for bytes: Int) throws(Refusal) -> JournalGroup {
    let block = options.blockBytes
    let needed = JournalFormat.groupHeaderBytes + bytes
    let end = open.map { $0.position + Int64($0.writtenBytes(block: block)) } ?? position
    let opensFile = used.isEmpty || options.fileBytes - end < Int64(needed + block)
    guard !opensFile || !free.isEmpty else { throw .filesInUse }
    guard let memory = memories.take() else { throw .backlog }

    closeOpenGroup()
    if opensFile {
      let (slot, file) = free.removeFirst()
      used.append(
        File(
          slot: slot, file: file, generation: nextGeneration, firstGroup: nextNumber,
          lastGroup: nextNumber))
      nextGeneration += 1
      position = Int64(block)
    }
    let file = used[used.count - 1]
    used[used.count - 1].lastGroup = nextNumber
    let group = JournalGroup(
      memory: memory, file: file.file, generation: file.generation, number: nextNumber,
      position: position, opensFile: opensFile, start: block,
      capacity: min(memory.count - block, Int(options.fileBytes - position)))
    nextNumber += 1
    open = group
    return group
  }

  /// Whatever is added from now on goes to a later group. The result is the last group until now.
  mutating func closeGroups() -> UInt64 {
    if hasFrames { closeOpenGroup() }
    return open.map { $0.number - 1 } ?? nextNumber - 1
  }

  private mutating func closeOpenGroup() {
    guard let group = open else { return }
    position = group.position + Int64(group.writtenBytes(block: options.blockBytes))
    group.framesThrough = framesAdded
    waiting.append(group)
    open = nil
  }
}

// MARK: - Writes

extension Journal {
  /// The next write, if there is something to write and nothing under way: the group and its
  /// operation. With `idle`, an empty group when there is nothing else and the last is not vouched
  /// for yet.
  mutating func takeWrite(idle: Bool = false) -> (JournalGroup, DiskOperation)? {
    guard underWay == nil else { return nil }
    if waiting.isEmpty {
      if (open?.frames ?? 0) == 0 {
        guard idle, unvouched, (try? groupWithRoom(for: 0)) != nil else { return nil }
      }
      closeOpenGroup()
    }
    let group = waiting.removeFirst()
    unvouched = group.frames > 0
    let crc = group.finish(
      store: store, durableThrough: durableThrough, previousCRC: previousCRC)
    previousCRC = crc
    underWay = group
    return (group, group.operation(block: options.blockBytes))
  }

  /// The group under way is on the disk.
  mutating func completed() -> JournalGroup {
    guard let group = underWay else { fatalError("no journal write was under way") }
    underWay = nil
    durableThrough = group.number
    framesDurable = group.framesThrough
    return group
  }
}

/// Memory for groups, each as large as the largest, used again when nobody holds it any more. Pages
/// that no group has reached cost nothing, so the same few are taken again and again.
private struct MemoryPool {
  private let bytes: Int
  private let countMax: Int
  private var all: [BlockMemory] = []

  init(options: JournalOptions) {
    bytes = options.groupBytesMax + 2 * options.blockBytes
    countMax = options.memoriesMax
  }

  mutating func take() -> BlockMemory? {
    for index in all.indices where isKnownUniquelyReferenced(&all[index]) { return all[index] }
    guard all.count < countMax else { return nil }
    let memory = BlockMemory(count: bytes)
    all.append(memory)
    return memory
  }
}
