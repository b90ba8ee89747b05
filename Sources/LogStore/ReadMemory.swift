internal import Bytes
internal import Platform

/// A run of a segment's bytes in memory, as readers hold it: the object and not the memory, which
/// may go to others at any time. The file has the bytes then.
class MemoryRun {
  /// Where in the segment the memory begins.
  final let start: Int64
  /// Taken away by whoever counts it.
  final var memory: BlockMemory?

  init(start: Int64, memory: BlockMemory) {
    self.start = start
    self.memory = memory
  }

  /// Its bytes are neither in memory nor in the file: the disk did not take them.
  var isLost: Bool { false }
}

/// The memory that old records are read into, for all logs.
///
///     reading ──▶ there ──▶ (given up)
///
/// (1) It is read past the page cache and used again without being handed back, for the same reason
///     that tails are (`TailMemory`): filling pages that the kernel has just found costs more than
///     reading the disk, and twice that when they are sent from there.
/// (2) All together is at most `bytesMax`. The oldest makes room; what is being read does not.
final class ReadMemory {
  /// Read at once, at a multiple of it.
  let blockBytes: Int64
  private let blocksMax: Int
  /// Made for the first reader.
  private var whole: BlockMemory?
  private var free: [BlockMemory] = []
  /// Given up while the disk still had it.
  private var held: [BlockMemory] = []
  /// Oldest first.
  private var blocks: [ReadBlock] = []
  private var allocated = 0

  init(options: LogStoreOptions) {
    blockBytes = Int64(max(options.journal.blockBytes, options.reads.blockBytes))
    blocksMax = max(1, options.reads.bytesMax / Int(blockBytes))
  }

  /// Bytes of all, used or not.
  var bytes: Int { allocated * Int(blockBytes) }

  /// A block that is being read; nil if all memory is being read into.
  func begin(_ valid: Range<Int64>, _ id: ReadAheadID, _ owner: SegmentReads) -> ReadBlock? {
    guard let memory = take() else { return nil }
    let start = valid.lowerBound / blockBytes * blockBytes
    let block = ReadBlock(start, valid: valid, id: id, memory: memory, owner: owner)
    blocks.append(block)
    return block
  }

  private func take() -> BlockMemory? {
    if let memory = free.popLast() { return memory }
    for index in held.indices.reversed() where isKnownUniquelyReferenced(&held[index]) {
      return held.remove(at: index)
    }
    if allocated < blocksMax {
      let size = Int(blockBytes)
      let whole = whole ?? BlockMemory(count: blocksMax * size)
      self.whole = whole
      allocated += 1
      return BlockMemory(part: (allocated - 1) * size..<allocated * size, of: whole)
    }
    // What is being read is younger than what is there, but for a few that the disk delays.
    guard let index = blocks.firstIndex(where: \.isThere) else { return nil }
    giveUp(blocks.remove(at: index))
    return take()
  }

  /// Nobody is to find the block any more. One that is being read goes when it has been.
  func giveUp(_ block: ReadBlock) {
    block.owner?.remove(block)
    block.owner = nil
    guard block.isThere, var memory = block.memory.take() else { return }
    if isKnownUniquelyReferenced(&memory) { free.append(memory) } else { held.append(memory) }
  }

  /// A read is over: the file had so many bytes, or nil if it failed.
  func ended(_ block: ReadBlock, _ bytes: Int?) {
    block.isThere = true
    block.valid = block.valid.clamped(to: block.start..<block.start + Int64(bytes ?? 0))
    if block.owner == nil || block.valid.isEmpty { forget(block) }
  }

  /// Takes the block out of what makes room, and gives it up.
  func forget(_ block: ReadBlock) {
    if let index = blocks.firstIndex(where: { $0 === block }) { blocks.remove(at: index) }
    giveUp(block)
  }
}

/// A part of a segment that is read as a whole.
final class ReadBlock: MemoryRun {
  /// What of it is the segment's, in the file when the read began.
  fileprivate(set) var valid: Range<Int64>
  /// The read that brings it.
  let id: ReadAheadID
  fileprivate(set) var isThere = false
  fileprivate weak var owner: SegmentReads?

  fileprivate init(
    _ start: Int64, valid: Range<Int64>, id: ReadAheadID, memory: BlockMemory,
    owner: SegmentReads
  ) {
    self.valid = valid
    self.id = id
    self.owner = owner
    super.init(start: start, memory: memory)
  }
}

/// What of one segment was read, and is being read. A segment that is cut gets a new one.
final class SegmentReads {
  private let pool: ReadMemory
  /// In no order, not more than there is memory for.
  private var blocks: [ReadBlock] = []

  init(_ pool: ReadMemory) { self.pool = pool }

  var blockBytes: Int64 { pool.blockBytes }

  deinit { for block in blocks { pool.forget(block) } }

  /// The block that has the byte, or will have.
  func block(at position: Int64) -> ReadBlock? {
    blocks.first { $0.valid.contains(position) }
  }

  /// Begins to read `valid`, which is in the file; nil if there is no memory.
  func begin(_ valid: Range<Int64>, _ id: ReadAheadID) -> ReadBlock? {
    // An older one had less of the block when it was read.
    let start = valid.lowerBound / blockBytes * blockBytes
    if let old = blocks.first(where: { $0.start == start }) { pool.forget(old) }
    let block = pool.begin(valid, id, self)
    if let block { blocks.append(block) }
    return block
  }

  fileprivate func remove(_ block: ReadBlock) { blocks.removeAll { $0 === block } }
}
