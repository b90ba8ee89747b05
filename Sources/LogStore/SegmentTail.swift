internal import Bytes
internal import Platform

/// The newest bytes of a segment, in memory on their way to its file, and after it for a while.
///
///     0 ──────────── file ────────────┬──────── chunks ────────┬────────┐
///                      (given up) ────┘          queued: on the way     end
///
/// Files are written by direct I/O, in whole blocks: with a second copy in the page cache, most of
/// what an append costs would be that copy. The last block, which is not full, stays here. It is
/// written, with zeros behind, only when the file must have it; what comes after goes to a chunk of
/// its own, which begins with the same block and is written over it later. So below what was synced
/// no byte changes.
final class SegmentTail {
  private let pool: TailMemory
  /// Bytes that belong to the segment.
  private(set) var end: Int64
  /// Bytes before this are in the file or on the way there.
  private(set) var queued: Int64
  /// By position, without gaps between, those that were given up left out. All but the last end at
  /// a block's end.
  private var chunks: [TailChunk] = []
  /// How large the next chunk should be.
  private var wish: Int

  /// A part of a chunk, whole blocks.
  struct Part {
    let chunk: TailChunk
    let range: Range<Int>
  }

  /// What is read from where.
  enum Piece {
    case memory(TailChunk)
    case file
  }

  /// The tail of a segment whose file has `end` bytes.
  init(_ pool: TailMemory, end: Int64) {
    self.pool = pool
    self.end = end
    queued = end
    wish = pool.block
  }

  deinit { for chunk in chunks { chunk.disown() } }

  private func blockStart(_ position: Int64) -> Int64 {
    position / Int64(pool.block) * Int64(pool.block)
  }

  /// Bytes before this are in the file, and no write that waits or is under way has any of them.
  var written: Int64 {
    guard let first = chunks.first(where: { $0.written < $0.end }) else { return end }
    return first.written
  }

  /// Bytes in whole blocks that are not on the way to the file.
  var waitingBytes: Int64 { blockStart(end) - blockStart(queued) }
}

// MARK: - Appending

extension SegmentTail {
  /// Memory that an append of so many bytes takes.
  func memoryNeeded(for bytes: Int) -> Int {
    var left = bytes
    if let last = growing {
      left -= min(left, last.room)
    } else {
      left += Int(end - blockStart(end))
    }
    var needed = 0
    var wish = wish
    while left > 0 {
      let size = pool.size(for: left, wish: wish)
      needed += size
      left -= size
      wish = size * 4
    }
    return needed
  }

  /// Of the block that the next bytes go to, the part that must be read from the file before.
  var missing: Range<Int64>? {
    let first = blockStart(end)
    guard growing == nil, first < end, lastWithEnd == nil else { return nil }
    return first..<end
  }

  /// Adds bytes; `missing` is what was read from the file, if anything was to be.
  func append(_ bytes: UnsafeRawBufferPointer, missing: [UInt8]) {
    if growing == nil, bytes.count > 0 { begin(with: missing, bytes.count) }
    var rest = unsafe bytes
    while rest.count > 0 {
      let chunk = growing ?? add(start: end, for: rest.count)
      let count = unsafe chunk.add(rest)
      end += Int64(count)
      unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// The last chunk, if there is room in it.
  private var growing: TailChunk? {
    guard let last = chunks.last, last.end == end, !last.isFinished else { return nil }
    return last
  }

  /// The last chunk, if it has the block that the segment ends in.
  private var lastWithEnd: TailChunk? {
    guard let last = chunks.last, last.end == end, last.start <= blockStart(end),
      last.memory != nil
    else { return nil }
    return last
  }

  /// A new chunk that begins with the part of a block that there is.
  private func begin(with missing: [UInt8], _ bytes: Int) {
    let first = blockStart(end)
    let old = lastWithEnd
    // A copy: the new chunk may take the memory of what is kept.
    var beginning = missing
    if let old, let memory = old.memory {
      beginning = unsafe Array(memory.bytes[Int(first - old.start)..<Int(end - old.start)])
    }
    require(beginning.count == Int(end - first), "a block has no beginning")
    let chunk = TailChunk(
      start: first, size: pool.size(for: beginning.count + bytes, wish: wish), pool: pool,
      tail: self)
    _ = unsafe beginning.withUnsafeBytes { unsafe chunk.add($0) }
    // What begins in both is read from the new one.
    if let old, !beginning.isEmpty, chunks.last === old {
      old.cede(from: first)
      if old.start == first { chunks.removeLast() }
    }
    chunks.append(chunk)
    wish = chunk.capacity * 4
  }

  private func add(start: Int64, for bytes: Int) -> TailChunk {
    let chunk = TailChunk(
      start: start, size: pool.size(for: bytes, wish: wish), pool: pool, tail: self)
    chunks.append(chunk)
    wish = chunk.capacity * 4
    return chunk
  }
}

// MARK: - Writing, cutting, giving up

extension SegmentTail {
  /// What is to be written now, from a block's beginning on, and counts as on the way from now on:
  /// whole blocks, or `all`, and then the last one is filled with zeros.
  func takeWrite(all: Bool) -> (position: Int64, parts: [Part])? {
    let to = all ? end : blockStart(end)
    guard to > queued else { return nil }
    if all { finishLast() }
    let from = blockStart(queued)
    var parts: [Part] = []
    for chunk in chunks where chunk.end > from && chunk.start < to {
      let first = Int(max(chunk.start, from) - chunk.start)
      let last = Int(min(chunk.end, to) - chunk.start)
      let padded = (last + pool.block - 1) / pool.block * pool.block
      if padded > last { chunk.pad(block: pool.block) }
      parts.append(Part(chunk: chunk, range: first..<padded))
      chunk.leaves(padded, all: chunk.isFinished && chunk.end <= to)
    }
    queued = to
    return (from, parts)
  }

  private func finishLast() {
    guard let last = growing else { return }
    // A log that gets little from one checkpoint to the next needs little.
    wish = last.room * 4 > last.capacity * 3 ? last.capacity / 4 : last.capacity
    last.finish()
  }

  /// Takes away what is at or after `position`. What is on the way to the file goes there all the
  /// same: it has its own chunks.
  func truncate(to position: Int64) {
    guard position < end else { return }
    while let last = chunks.last, last.start >= position { chunks.removeLast() }
    if let last = chunks.last, last.end > position { last.cut(to: position) }
    end = position
    queued = min(queued, position)
  }

  /// A chunk was given up.
  func remove(_ chunk: TailChunk) { chunks.removeAll { $0 === chunk } }

  /// The disk did not take what was written: what it does not have is lost until the journal is
  /// replayed.
  func lose() { for chunk in chunks { chunk.lose() } }
}

// MARK: - Reading

extension SegmentTail {
  /// Where the bytes from `position` on are, and up to which position, at most `limit`.
  func piece(at position: Int64, limit: Int64) throws(DiskError) -> (piece: Piece, end: Int64) {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].start <= position { low = middle + 1 } else { high = middle }
    }
    if low > 0, chunks[low - 1].end > position {
      let chunk = chunks[low - 1]
      guard !chunk.isLost else { throw .failed("reading what the disk did not take", errno: 5) }
      if chunk.memory != nil { return (.memory(chunk), min(chunk.end, limit)) }
    }
    return (.file, low < chunks.count ? min(chunks[low].start, limit) : limit)
  }
}
