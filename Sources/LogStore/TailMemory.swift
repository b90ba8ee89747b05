internal import Bytes
internal import Platform

/// The memory of all logs' tails: what was appended lately, written to its file already or not.
///
/// A chunk of it goes through three states; the memory in each is counted:
///
///     filling ──all is on the way to the file──▶ leaving ──written──▶ kept ──▶ (given up)
///
/// (1) All together is at most `bytesMax`. What is kept is only a cache: the oldest of it makes
///     room for whoever needs some. If that is not enough, appends are refused until something has
///     been written.
/// (2) Memory is used again without being zeroed or handed back to the system in between: a page
///     that is touched for the first time costs more than what is copied into it.
/// (3) Chunks are of few sizes, each four times the one below: a log that gets little has little.
final class TailMemory {
  /// The unit of direct I/O.
  let block: Int
  private var arena: MemoryArena
  /// Given back while an operation of the disk still had it.
  private var held: [BlockMemory] = []
  /// What was taken beside the arena, because of what is held.
  private var besideBytes = 0
  private var leavingBytes = 0
  private var keptBytes = 0
  /// Oldest first.
  private var kept: [TailChunk] = []
  private var firstKept = 0

  init(options: LogStoreOptions) {
    block = options.journal.blockBytes
    // Below this the largest append would never find room.
    let bytes = max(options.tails.bytesMax, 4 * options.journal.groupBytesMax)
    arena = MemoryArena(bytes: bytes, smallest: block, largest: options.tails.chunkBytesMax)
  }

  private var bytesMax: Int { arena.bytes }
  /// Memory that is not free.
  var used: Int { arena.bytes - arena.freeBytes + besideBytes }
  /// Memory that appended bytes are in and that nobody writes out yet.
  var fillingBytes: Int { used - leavingBytes - keptBytes }
  /// More than half of it waits for being written: time to write some.
  var isPressed: Bool { fillingBytes > bytesMax / 2 }

  /// Whether there is, or can be made, room for so much more.
  func hasRoom(for bytes: Int) -> Bool {
    reclaim()
    return used - keptBytes + bytes <= bytesMax
  }

  /// How large a chunk for `bytes` is: the smallest that takes them, or the largest there is; up to
  /// `wish`, as long as half of all is left. Many logs that grow together are to have some each.
  func size(for bytes: Int, wish: Int) -> Int {
    let left = bytesMax - (used - keptBytes)
    let wanted = 2 * left < bytesMax ? bytes : max(bytes, wish)
    return arena.sizes.first { $0 >= wanted } ?? arena.sizes[arena.sizes.count - 1]
  }

  /// Memory of one of the sizes, with anything in it; of a smaller one if what is free is in
  /// pieces. There must be room; what is short of it then is what the disk has just written and not
  /// let go.
  func take(_ size: Int) -> BlockMemory {
    for piece in arena.sizes.reversed() where piece <= size {
      // Not all that is kept for the sake of one large piece.
      let enough = keptBytes - 4 * piece
      while true {
        if let memory = arena.take(piece) { return memory }
        guard keptBytes > enough || piece == block, giveUpOldest() else { break }
      }
    }
    let memory = BlockMemory(count: size)
    besideBytes += memory.count
    return memory
  }

  /// Memory that will be taken soon and was never touched, if somebody is to touch it now.
  func unpopulated() -> DiskBytes? { arena.unpopulated() }

  private func giveUpOldest() -> Bool {
    guard firstKept < kept.count else { return false }
    let chunk = kept[firstKept]
    firstKept += 1
    if firstKept > 64, firstKept * 2 > kept.count {
      kept.removeFirst(firstKept)
      firstKept = 0
    }
    chunk.giveUp()
    return true
  }

  /// Takes back what the disk has let go.
  private func reclaim() {
    guard !held.isEmpty else { return }
    for index in held.indices.reversed() where isKnownUniquelyReferenced(&held[index]) {
      arena.giveBack(held.remove(at: index))
    }
  }

  /// Ends what holds this and its chunks together.
  func close() {
    while giveUpOldest() {}
    kept = []
    firstKept = 0
  }

  // MARK: For chunks

  fileprivate func moved(_ chunk: TailChunk, from old: TailChunk.State, to new: TailChunk.State) {
    if old == .leaving { leavingBytes -= chunk.capacity }
    if old == .kept { keptBytes -= chunk.capacity }
    if new == .leaving { leavingBytes += chunk.capacity }
    if new == .kept {
      keptBytes += chunk.capacity
      kept.append(chunk)
    }
  }

  /// A chunk needs its memory no more.
  fileprivate func giveBack(_ memory: consuming BlockMemory) {
    if !memory.isPart {
      besideBytes -= memory.count
    } else if isKnownUniquelyReferenced(&memory) {
      arena.giveBack(memory)
    } else {
      held.append(memory)
    }
  }
}

/// A run of a segment's bytes in memory.
///
/// (1) Bytes that were given to a write never change: a chunk of which a write was given a part of
///     a block, or what was cut off, is finished, and the next one begins with a copy of that
///     block's part. One that no write was given of what was cut off goes on: nobody but it has
///     what is left of that block.
/// (2) Its memory goes only when the file has all its bytes and no write is outstanding. So a
///     reader who holds a chunk, and not its memory, finds the bytes in either (`LogSlice`), and
///     pins nothing.
final class TailChunk: MemoryRun {
  enum State {
    case filling, leaving, kept, gone
  }

  let capacity: Int
  private(set) var end: Int64
  /// Nothing is added any more.
  private(set) var isFinished = false
  /// The file has the bytes before.
  private(set) var written: Int64
  /// Writes that are under way or wait. They may be of more than what is left after a cut.
  private var outstanding = 0
  /// Writes were given what is before.
  private var given: Int64
  private(set) var state = State.filling
  private weak var tail: SegmentTail?
  private let pool: TailMemory

  /// `start` is a block's beginning.
  init(start: Int64, size: Int, pool: TailMemory, tail: SegmentTail) {
    self.pool = pool
    self.tail = tail
    let memory = pool.take(size)
    capacity = memory.count
    end = start
    written = start
    given = start
    super.init(start: start, memory: memory)
  }

  deinit { letGo() }

  var room: Int { capacity - Int(end - start) }
  /// Its bytes are neither in memory nor in the file: the disk did not take them.
  override var isLost: Bool { memory == nil && written < end }

  /// Copies from the beginning of `bytes` what there is room for. Returns how much that was.
  func add(_ bytes: UnsafeRawBufferPointer) -> Int {
    require(!isFinished, "a finished chunk is not added to")
    guard let memory else { fatalError("a chunk is added to while it has memory") }
    let count = min(bytes.count, room)
    let first = Int(end - start)
    unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[first..<first + count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    end += Int64(count)
    if room == 0 { isFinished = true }
    return count
  }

  /// Takes nothing more.
  func finish() {
    isFinished = true
    keepIfWritten()
  }

  /// Fills the rest of the last block with zeros.
  func pad(block: Int) {
    let used = Int(end - start)
    let padded = (used + block - 1) / block * block
    guard let memory, padded > used else { return }
    unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[used..<padded])
      .initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// Takes away what is at and after `position`.
  func cut(to position: Int64) {
    end = position
    isFinished = position < given
    keepIfWritten()
  }

  /// What is at and after `position`, a block's beginning, was copied to the next one. A write was
  /// given it: whoever holds this finds it in the file when the memory has gone.
  func cede(from position: Int64) {
    require(isFinished && given > position, "a block is ceded that no write was given")
    end = position
    keepIfWritten()
  }

  /// Its first `bytes` are on the way to the file, or there; with that all, if `all`.
  func leaves(_ bytes: Int, all: Bool) {
    outstanding += 1
    given = max(given, start + Int64(bytes))
    if all, state == .filling { move(to: .leaving) }
  }

  func noteWritten(to position: Int64) {
    written = max(written, position)
    outstanding -= 1
    keepIfWritten()
  }

  private func keepIfWritten() {
    guard isFinished, written >= end, outstanding == 0, state == .filling || state == .leaving
    else { return }
    if end == start { letGo() } else { move(to: .kept) }
  }

  /// What is kept makes room.
  func giveUp() {
    guard state == .kept else { return }
    tail?.remove(self)
    letGo()
  }

  /// The disk will not take its bytes, or nobody will ask for them.
  func lose() {
    if state == .filling || state == .leaving { letGo() }
  }

  /// Its segment is gone: what is not in the file is nowhere.
  func disown() {
    if state == .filling { letGo() }
  }

  private func letGo() {
    guard state != .gone else { return }
    move(to: .gone)
    if let memory = memory.take() { pool.giveBack(memory) }
  }

  private func move(to new: State) {
    pool.moved(self, from: state, to: new)
    state = new
  }
}
