internal import CLinux
internal import Glibc

/// A value behind a mutex, and a condition variable to wait for it to change.
///
/// The only place where threads meet; everything else is owned by one of them.
@safe
package final class Condition<Value>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  /// Read and written with `mutex` held only.
  private var value: Value

  /// With `inheritsPriority`, who holds the lock has the precedence of who waits for it: a realtime
  /// thread must not wait until an ordinary one gets its turn.
  package init(_ value: sending Value, inheritsPriority: Bool = false) {
    self.value = value
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    var mutexAttributes = pthread_mutexattr_t()
    unsafe pthread_mutexattr_init(&mutexAttributes)
    if inheritsPriority {
      unsafe pthread_mutexattr_setprotocol(&mutexAttributes, Int32(PTHREAD_PRIO_INHERIT))
    }
    unsafe pthread_mutex_init(mutex, &mutexAttributes)
    unsafe pthread_mutexattr_destroy(&mutexAttributes)
    // Deadlines must not move when someone sets the wall clock.
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  package func withLock<R>(_ body: (inout Value) -> R) -> R {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return body(&value)
  }

  /// Blocks until `isReady`, then runs `body`, both with the lock held.
  @discardableResult
  package func wait<R>(until isReady: (Value) -> Bool, _ body: (inout Value) -> R) -> R {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while !isReady(value) { unsafe pthread_cond_wait(condition, mutex) }
    return body(&value)
  }

  /// As `wait`, but not longer than that; `body` runs in either case.
  package func wait<R>(
    until isReady: (Value) -> Bool, milliseconds: Int64, _ body: (inout Value) -> R
  ) -> R {
    var deadline = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
    let nanoseconds = deadline.tv_nsec + Int(milliseconds % 1000) * 1_000_000
    deadline.tv_sec += Int(milliseconds / 1000) + nanoseconds / 1_000_000_000
    deadline.tv_nsec = nanoseconds % 1_000_000_000
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while !isReady(value) {
      if unsafe pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { break }
    }
    return body(&value)
  }

  package func signal() { unsafe pthread_cond_signal(condition) }
  package func broadcast() { unsafe pthread_cond_broadcast(condition) }
}

/// A thread of our own, for work that blocks.
package enum Thread {
  private final class Body: Sendable {
    let name: String
    let run: @Sendable () -> Void

    init(_ name: String, _ run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// Starts a thread that ends when `run` returns. The name (15 bytes at most) shows in `top -H`.
  package static func start(_ name: String, _ run: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let body = unsafe Unmanaged.passRetained(Body(name, run)).toOpaque()
    let failure = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        unsafe martlet_name_thread(body.name)
        body.run()
        return nil
      }, body)
    guard failure == 0 else { fatalError("cannot start a thread: \(errorText(failure))") }
    pthread_detach(thread)
  }

  /// Lets the calling thread, which is woken for little at a time, run sooner after that, in slices
  /// of 0.2 ms instead of the kernel's 1 to 3: where clients keep the cores busy, they would wait
  /// for it (EEVDF takes the earliest deadline, and a short slice's is early). It gets no more of
  /// the processor by it.
  package static func preferPromptness() { martlet_schedule_slice(200_000) }
}
