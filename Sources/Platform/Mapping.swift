internal import CLinux
internal import Glibc

/// The bytes of a file that will not change: mapped read-only from a real disk, copied from a
/// virtual one.
///
/// Every page has been read when a mapping is made (MADV_POPULATE_READ), so that a broken disk is
/// an errno at that moment; a page evicted later and unreadable then would be a SIGBUS, which is
/// why only what can be derived again is ever mapped.
@safe
package final class Mapping: @unchecked Sendable {
  package let count: Int
  private let base: UnsafeMutableRawPointer?
  private let copy: [UInt8]

  /// Takes over a mapping made by mmap.
  init(base: UnsafeMutableRawPointer, count: Int) {
    unsafe self.base = unsafe base
    self.count = count
    copy = []
  }

  package init(copying bytes: [UInt8]) {
    unsafe base = nil
    count = bytes.count
    copy = bytes
  }

  deinit {
    if let base = unsafe base { unsafe munmap(base, count) }
  }

  package func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    if let base = unsafe base {
      return unsafe body(UnsafeRawBufferPointer(start: base, count: count))
    }
    return unsafe copy.withUnsafeBytes { unsafe body($0) }
  }
}

/// The system's own words for an errno.
package func errorText(_ errno: Int32) -> String {
  unsafe String(cString: strerror(errno)) + " (errno \(errno))"
}
