internal import CLinux
internal import Glibc

/// Time, for drivers. Cores are told what time it is.
package enum WallClock {
  /// Nanoseconds since 1970, which may jump when someone sets the clock.
  package static func nanoseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  package static func milliseconds() -> Int64 { nanoseconds() / 1_000_000 }
}

/// Time that only goes forward, since some moment.
package enum MonotonicClock {
  package static func nanoseconds() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  package static func milliseconds() -> Int64 { Int64(nanoseconds() / 1_000_000) }
}
