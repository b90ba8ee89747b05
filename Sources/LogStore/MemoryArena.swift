internal import Bytes
package import Platform

/// Pieces of one mapping, of few sizes, each four times the one below: a buddy system of four
/// (Knuth, The Art of Computer Programming 2.5). Pieces that are free together become one again, so
/// that memory goes from size to size without going back to the system.
package struct MemoryArena {
  /// Smallest first.
  package let sizes: [Int]
  private let whole: BlockMemory
  /// By size: the pieces that are free, those left out that were joined since.
  private var stacks: [[Int]]
  private var isFree: [[Bool]]
  /// By size and by the piece above: how many of its four are free.
  private var freeBuddies: [[Int]]
  package private(set) var freeBytes: Int
  /// How far from the beginning pieces were taken, and how far somebody was asked to touch pages.
  private var takenBytes = 0
  private var populatedBytes = 0

  /// Pieces of `smallest` bytes up to `largest`, which is rounded down to a size there is, of
  /// `bytes` altogether, rounded down as well.
  package init(bytes: Int, smallest: Int, largest: Int) {
    var sizes = [smallest]
    while let size = sizes.last, size * 4 <= min(largest, bytes) { sizes.append(size * 4) }
    self.sizes = sizes
    let top = sizes.count - 1
    let count = max(1, bytes / sizes[top])
    freeBytes = count * sizes[top]
    whole = BlockMemory(count: freeBytes)
    let total = freeBytes
    isFree = sizes.map { [Bool](repeating: false, count: total / $0) }
    freeBuddies = sizes.map { [Int](repeating: 0, count: total / $0 / 4 + 1) }
    stacks = sizes.map { _ in [] }
    isFree[top] = [Bool](repeating: true, count: count)
    // The first ones are taken first, and again.
    stacks[top] = (0..<count).reversed()
  }

  package var bytes: Int { whole.count }

  /// A piece of that size, with anything in it; nil if none is free, nor one to split.
  package mutating func take(_ size: Int) -> BlockMemory? {
    guard let level = sizes.firstIndex(of: size), let index = takeIndex(level) else { return nil }
    freeBytes -= size
    takenBytes = max(takenBytes, (index + 1) * size)
    return BlockMemory(part: index * size..<(index + 1) * size, of: whole)
  }

  /// Takes back what nobody holds any more.
  package mutating func giveBack(_ piece: BlockMemory) {
    guard let level = sizes.firstIndex(of: piece.count) else {
      fatalError("pieces are of fixed sizes, not of \(piece.count) bytes")
    }
    freeBytes += piece.count
    giveBack(level, piece.offset / piece.count)
  }

  /// The next part that should be touched before it is taken, once: two huge pages ahead of what
  /// was taken. Nil if there is none.
  package mutating func unpopulated() -> DiskBytes? {
    let page = BlockMemory.hugePageBytes
    let wanted = min(whole.count, takenBytes / page * page + 3 * page)
    guard takenBytes > 0, wanted > populatedBytes else { return nil }
    // The page that pieces are being taken from is touched by who fills them.
    let first = max(populatedBytes, (takenBytes + page - 1) / page * page)
    populatedBytes = wanted
    return first < wanted ? DiskBytes(whole, first..<wanted) : nil
  }

  private mutating func takeIndex(_ level: Int) -> Int? {
    while let index = stacks[level].popLast() {
      guard isFree[level][index] else { continue }
      isFree[level][index] = false
      freeBuddies[level][index / 4] -= 1
      return index
    }
    guard level + 1 < sizes.count, let above = takeIndex(level + 1) else { return nil }
    for index in (above * 4 + 1..<above * 4 + 4).reversed() { free(level, index) }
    return above * 4
  }

  private mutating func giveBack(_ level: Int, _ index: Int) {
    free(level, index)
    guard level + 1 < sizes.count, freeBuddies[level][index / 4] == 4 else { return }
    for buddy in index / 4 * 4..<index / 4 * 4 + 4 { isFree[level][buddy] = false }
    freeBuddies[level][index / 4] = 0
    giveBack(level + 1, index / 4)
  }

  private mutating func free(_ level: Int, _ index: Int) {
    require(!isFree[level][index], "a piece is given back twice")
    isFree[level][index] = true
    freeBuddies[level][index / 4] += 1
    // What was joined is still in its stack, and is skipped; not for ever.
    if stacks[level].count > isFree[level].count {
      let flags = isFree[level]
      stacks[level].removeAll { !flags[$0] }
    }
    stacks[level].append(index)
  }
}
