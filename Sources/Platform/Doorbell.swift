internal import CLinux
internal import Glibc

/// A descriptor by which one thread wakes another's loop: readable from `ring` until `answer`. For
/// who shares a loop whose turn is somebody else's.
package final class Doorbell: Sendable {
  package let descriptor: Int32

  package init() throws(DiskError) {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    guard descriptor >= 0 else { throw .failed("making an eventfd", errno: errno) }
  }

  deinit { close(descriptor) }

  package func ring() {
    var one: UInt64 = 1
    // Fails only when the counter is full, and then the loop wakes anyway.
    unsafe _ = write(descriptor, &one, 8)
  }

  package func answer() {
    var count: UInt64 = 0
    unsafe _ = read(descriptor, &count, 8)
  }
}
