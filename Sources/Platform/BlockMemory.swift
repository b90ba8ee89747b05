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
    unsafe self.base = unsafe base
    self.count = pages
  }

  deinit {
    unsafe munmap(base, count)
  }

  /// The whole memory. Only its present writer may write.
  package var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  /// Gives the pages after `count` bytes back to the system; they read as zero again.
  package func trim(to count: Int) {
    let kept = (count + 4095) & ~4095
    guard kept < self.count else { return }
    unsafe madvise(base + kept, self.count - kept, MADV_DONTNEED)
  }
}
