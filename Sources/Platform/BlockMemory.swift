internal import CLinux
internal import Glibc

/// Page-aligned memory of a fixed size that several owners share, for direct I/O.
///
/// Pages that were never touched cost nothing. The bytes are written by one owner until the memory
/// is given to a disk operation, and only read from then until that operation has completed: that
/// rule, not a lock, is what makes sharing it between threads sound.
@safe
package final class BlockMemory: @unchecked Sendable {
  package let count: Int
  /// Where it begins in the memory that it is a part of.
  package let offset: Int
  private let whole: BlockMemory?
  package var isPart: Bool { whole != nil }
  private let base: UnsafeMutableRawPointer

  /// `count` bytes, zero, rounded up to whole pages.
  package init(count: Int) {
    precondition(count > 0, "memory has a size")
    let pages = (count + 4095) & ~4095
    let base = unsafe mmap(
      nil, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let base = unsafe base, unsafe base != MAP_FAILED else {
      fatalError("no memory left for a buffer of \(count) bytes: \(errorText(errno))")
    }
    if pages >= Self.hugePageBytes { unsafe madvise(base, pages, MADV_HUGEPAGE) }
    unsafe self.base = unsafe base
    self.count = pages
    offset = 0
    whole = nil
  }

  /// A part of other memory, which is there for as long as its parts are.
  package init(part range: Range<Int>, of whole: BlockMemory) {
    precondition(range.lowerBound >= 0 && range.upperBound <= whole.count, "a part is inside")
    unsafe base = unsafe whole.base + range.lowerBound
    count = range.count
    offset = range.lowerBound
    self.whole = whole
  }

  /// Has the system find and clear pages that were never touched, as the first one to touch them
  /// would wait for: milliseconds for a huge one. Never changes a byte.
  func populate(_ range: Range<Int>) {
    let first = range.lowerBound & ~4095
    // What cannot be done now is done by who touches it.
    _ = unsafe martlet_populate(base + first, range.upperBound - first)
  }

  /// Large memory is asked for in huge pages: direct I/O looks up every page of what it moves.
  package static let hugePageBytes = 2 << 20

  deinit {
    if whole == nil { unsafe munmap(base, count) }
  }

  /// The whole memory. Only its present writer may write.
  package var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
  }
}
