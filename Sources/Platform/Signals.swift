internal import CLinux
internal import Glibc

/// Signals as something to wait for, instead of something that interrupts.
package final class Signals: ReadinessHandler {
  package static let terminate = SIGTERM
  package static let interrupt = SIGINT
  /// The terminal is gone.
  package static let hangUp = SIGHUP

  private let descriptor: Int32
  private let received: (Int32) -> Void

  /// Keeps these signals from interrupting any thread that is started afterwards, and ignores
  /// SIGPIPE: a client that is gone is an error of its connection. Call it first in `main`.
  package static func block(_ signals: [Int32]) {
    var set = mask(signals)
    _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Calls `received` on the loop's thread for each of the signals, which must be blocked.
  package init(
    _ signals: [Int32], on loop: EventLoop, _ received: @escaping (Int32) -> Void
  ) throws(DiskError) {
    var set = Self.mask(signals)
    descriptor = unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
    guard descriptor >= 0 else { throw .failed("watching for signals", errno: errno) }
    self.received = received
    loop.add(descriptor, [.readable], self)
  }

  deinit { close(descriptor) }

  package func ready(_ readiness: Readiness) {
    var info = signalfd_siginfo()
    while unsafe read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size) > 0 {
      received(Int32(info.ssi_signo))
    }
  }

  /// Blocks until one of the signals comes, which must be blocked, or the time is over; whether one
  /// came.
  package static func wait(for signals: [Int32], milliseconds: Int64) -> Bool {
    var set = mask(signals)
    var limit = timespec(
      tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
    return unsafe sigtimedwait(&set, nil, &limit) > 0
  }

  private static func mask(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    return set
  }
}

/// Limits of the process.
package enum ProcessLimits {
  /// How many files and sockets the process may have open.
  package static var openFiles: Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return 1024
    }
    return Int(clamping: limit.rlim_cur)
  }

  /// Raises the number of open files to what the system allows.
  package static func raiseOpenFiles() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
