import Bytes
import LogStore
import Platform
import Simulation
import Testing

/// Memory in pieces of a few sizes.
@Suite struct `Pieces of memory` {
  @Test func `are split when they are needed smaller, and joined when they are free together`() {
    var arena = MemoryArena(bytes: 1 << 20, smallest: 4096, largest: 300_000)
    #expect(arena.sizes == [4096, 16384, 65536, 262_144])
    #expect(arena.bytes == 1 << 20)
    func take(_ size: Int, _ count: Int = 1) -> [BlockMemory] {
      (0..<count).compactMap { _ in arena.take(size) }
    }
    let small = take(4096)
    #expect(arena.freeBytes == arena.bytes - 4096)
    let large = take(262_144, 4)
    #expect(large.count == 3)
    let rest = take(4096, 64)
    #expect(rest.count == 63)
    #expect(arena.freeBytes == 0)
    for piece in rest { arena.giveBack(piece) }
    #expect(take(262_144).isEmpty)
    for piece in small { arena.giveBack(piece) }
    #expect(take(262_144).count == 1)
  }

  @Test(arguments: 1...5)
  func `never lie over one another, whatever is taken and given back`(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    var arena = MemoryArena(bytes: 1 << 20, smallest: 512, largest: 32768)
    var taken: [BlockMemory] = []
    var owners = [Int?](repeating: nil, count: arena.bytes / 512)
    for number in 0..<20_000 {
      if random.below(5) < 2 || number > 15_000, !taken.isEmpty {
        let piece = taken.remove(at: random.below(taken.count))
        for unit in piece.offset / 512..<(piece.offset + piece.count) / 512 { owners[unit] = nil }
        arena.giveBack(piece)
      } else if let piece = arena.take(arena.sizes[random.below(arena.sizes.count)]) {
        #expect(piece.offset % piece.count == 0)
        for unit in piece.offset / 512..<(piece.offset + piece.count) / 512 {
          try #require(owners[unit] == nil)
          owners[unit] = number
        }
        taken.append(piece)
      }
      try #require(arena.freeBytes == owners.count { $0 == nil } * 512)
    }
    for piece in taken { arena.giveBack(piece) }
    // All of it is whole again.
    #expect((0..<33).count { _ in arena.take(32768) != nil } == 32)
    #expect(arena.freeBytes == 0)
  }

  @Test func `are of pages that somebody is asked to touch before, each page once`() throws {
    let page = BlockMemory.hugePageBytes
    var arena = MemoryArena(bytes: 8 * page, smallest: 4096, largest: 1 << 18)
    #expect(arena.unpopulated() == nil)
    var touched = 0..<page
    var taken = 0
    while let piece = arena.take(1 << 18) {
      taken = max(taken, piece.offset + piece.count)
      if let next = arena.unpopulated() {
        #expect(next.range.lowerBound == touched.upperBound)
        touched = touched.lowerBound..<next.range.upperBound
      }
      // The page after the one that pieces come from is ready, and not all of the memory is.
      #expect(touched.upperBound >= min(8 * page, taken + page))
      #expect(touched.upperBound <= taken + 3 * page)
      #expect(arena.unpopulated() == nil)
    }
    #expect(touched.upperBound == 8 * page)
  }
}
