internal import CLinux
internal import Glibc

/// What a descriptor is ready for.
package struct Readiness: OptionSet, Sendable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let readable = Readiness(rawValue: 1)
  package static let writable = Readiness(rawValue: 2)
  /// The other side is gone, or the descriptor is broken.
  package static let hangUp = Readiness(rawValue: 4)
}

/// Is told when a descriptor is ready. Called on the loop's thread only.
package protocol ReadinessHandler: AnyObject {
  func ready(_ readiness: Readiness)
}

/// One thread's wait for everything: descriptors (epoll), messages from other threads (an eventfd),
/// and time. After each wait it runs the handlers that are ready, then `turn`, then `afterTurn`.
///
/// (1) Everything but `post` and `wake` is called on the loop's own thread.
/// (2) A descriptor is level-triggered: a handler that does not read all is called again.
/// (3) A handler that is removed is not called any more, also not for readiness already reported.
package final class EventLoop {
  private static let eventsMax = 256

  private let epoll: Int32
  private let mailbox: Mailbox
  private var handlers: [Int32: Registration] = [:]
  private var stopping = false
  /// Called at the end of each turn; answers how long the next wait may be, in milliseconds.
  package var turn: () -> Int64 = { 1000 }
  /// Called behind each `turn`: what it left to be sent is sent here, all at once.
  package var afterTurn: [() -> Void] = []

  private struct Registration {
    let handler: any ReadinessHandler
    var interest: Readiness
  }

  package init() throws(DiskError) {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw .failed("making an epoll descriptor", errno: errno) }
    mailbox = try Mailbox()
    watch(mailbox.descriptor, EPOLL_CTL_ADD, [.readable])
  }

  deinit { close(epoll) }

  /// For other threads: wakes the loop, or runs something on it.
  package var poster: Mailbox { mailbox }

  package func add(_ descriptor: Int32, _ interest: Readiness, _ handler: any ReadinessHandler) {
    handlers[descriptor] = Registration(handler: handler, interest: interest)
    watch(descriptor, EPOLL_CTL_ADD, interest)
  }

  package func change(_ descriptor: Int32, _ interest: Readiness) {
    guard let now = handlers[descriptor]?.interest, now != interest else { return }
    handlers[descriptor]?.interest = interest
    watch(descriptor, EPOLL_CTL_MOD, interest)
  }

  package func remove(_ descriptor: Int32) {
    guard handlers.removeValue(forKey: descriptor) != nil else { return }
    watch(descriptor, EPOLL_CTL_DEL, [])
  }

  /// Makes `run` return after this turn.
  package func stop() { stopping = true }

  package func run() {
    Thread.preferPromptness()
    var events = unsafe [epoll_event](repeating: epoll_event(), count: Self.eventsMax)
    var waitMilliseconds = takeTurn()
    while !stopping {
      let limit = Int32(clamping: max(0, waitMilliseconds))
      let count = unsafe epoll_wait(epoll, &events, Int32(Self.eventsMax), limit)
      guard count >= 0 || errno == EINTR else {
        fatalError("waiting for events failed: \(errorText(errno))")
      }
      for index in 0..<Int(max(0, count)) {
        let event = unsafe events[index]
        let descriptor = unsafe event.data.fd
        if descriptor == mailbox.descriptor {
          mailbox.empty()
        } else if let registration = handlers[descriptor] {
          registration.handler.ready(Readiness(epoll: unsafe event.events))
        }
      }
      for message in mailbox.take() { message() }
      waitMilliseconds = takeTurn()
    }
  }

  private func takeTurn() -> Int64 {
    let wait = turn()
    for finish in afterTurn { finish() }
    return wait
  }

  private func watch(_ descriptor: Int32, _ operation: Int32, _ interest: Readiness) {
    var event = unsafe epoll_event()
    unsafe event.events =
      (interest.contains(.readable) ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0)
      | (interest.contains(.writable) ? EPOLLOUT.rawValue : 0)
    unsafe event.data.fd = descriptor
    let result = unsafe epoll_ctl(epoll, operation, descriptor, &event)
    guard result == 0 else {
      fatalError("watching descriptor \(descriptor) failed: \(errorText(errno))")
    }
  }
}

extension Readiness {
  fileprivate init(epoll events: UInt32) {
    self = []
    if events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 { insert(.readable) }
    if events & EPOLLOUT.rawValue != 0 { insert(.writable) }
    if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { insert(.hangUp) }
  }
}

/// Messages for a loop from other threads.
package final class Mailbox: Sendable {
  let descriptor: Int32
  private let messages = Condition<[@Sendable () -> Void]>([])

  init() throws(DiskError) {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    guard descriptor >= 0 else { throw .failed("making an eventfd", errno: errno) }
  }

  deinit { close(descriptor) }

  /// Makes the loop turn.
  package func wake() {
    var one: UInt64 = 1
    // Fails only when the counter is full, and then the loop wakes anyway.
    unsafe _ = write(descriptor, &one, 8)
  }

  /// Runs `message` on the loop's thread.
  package func post(_ message: @escaping @Sendable () -> Void) {
    messages.withLock { $0.append(message) }
    wake()
  }

  func empty() {
    var count: UInt64 = 0
    unsafe _ = read(descriptor, &count, 8)
  }

  func take() -> [@Sendable () -> Void] {
    messages.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
