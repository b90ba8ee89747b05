internal import Bytes
internal import Platform
internal import Records

/// The thread that owns an embedded store: it takes what callers ask for, does the turns of the
/// wheel, and resumes who waits for something to become durable or readable.
final class StoreThread: Sendable {
  typealias Request = @Sendable (StoreOwner) -> Void

  private struct Inbox {
    var requests: [Request] = []
    var hasCompletions = false
    var isClosing = false
    var hasEnded = false
  }

  /// Requests that may wait; whoever comes later is told that the store is busy.
  static let requestsMax = 65_536

  private let inbox = Condition(Inbox())

  /// Opens the store on its own thread and serves it there until `close`.
  static func open(
    _ directory: String, _ options: LogStoreOptions
  ) async throws(LogError) -> StoreThread {
    let thread = StoreThread()
    let result = await withCheckedContinuation {
      (opened: CheckedContinuation<Result<Void, LogError>, Never>) in
      Thread.start("martlet-store") {
        thread.run(directory, options, opened)
        // Only now is the directory another's to open: nothing of the store is left.
        thread.inbox.withLock { $0.hasEnded = true }
        thread.inbox.broadcast()
      }
    }
    try result.get()
    return thread
  }

  /// False if too much waits already, or the store is closing.
  func ask(_ request: @escaping Request) -> Bool {
    let taken = inbox.withLock { inbox in
      guard inbox.requests.count < Self.requestsMax, !inbox.isClosing else { return false }
      inbox.requests.append(request)
      return true
    }
    if taken { inbox.signal() }
    return taken
  }

  /// Ends the thread after a last checkpoint; returns when its files are closed.
  func close() async {
    await withCheckedContinuation { (closed: CheckedContinuation<Void, Never>) in
      Thread.start("martlet-close") { [inbox] in
        inbox.withLock { $0.isClosing = true }
        inbox.broadcast()
        inbox.wait(until: { $0.hasEnded }) { _ in }
        closed.resume()
      }
    }
  }

  private func run(
    _ directory: String, _ options: LogStoreOptions,
    _ opened: CheckedContinuation<Result<Void, LogError>, Never>
  ) {
    let owner: StoreOwner
    do throws(LogError) {
      owner = try StoreOwner(directory, options) { [inbox] in
        inbox.withLock { $0.hasCompletions = true }
        inbox.broadcast()
      }
    } catch {
      opened.resume(returning: .failure(error))
      return
    }
    opened.resume(returning: .success(()))
    var closing = false
    while !closing || !owner.isQuiet {
      let (requests, close) = inbox.wait(
        until: { !$0.requests.isEmpty || $0.hasCompletions || ($0.isClosing && !closing) },
        milliseconds: 100
      ) { inbox in
        defer {
          inbox.requests = []
          inbox.hasCompletions = false
        }
        return (inbox.requests, inbox.isClosing)
      }
      for request in requests { request(owner) }
      owner.turn()
      if close, !closing {
        closing = true
        owner.stop()
      }
    }
    owner.end()
  }
}

/// The store and who waits for it. Lives on the store's thread only.
final class StoreOwner {
  let store: LogStore
  private let disk: FileDisk
  private var lastTick: Int64 = 0
  /// Who waits for a log's records below an offset to be durable, in order of offset.
  private var appends: [LogID: [(end: Offset, resume: (Result<Void, LogError>) -> Void)]] = [:]
  /// Who waits for a log to become readable beyond an offset.
  private var readers: [LogID: [(beyond: Offset, resume: () -> Void)]] = [:]
  /// Appends that were refused as busy, to be tried again.
  private var refused: [(LogError?) -> Void] = []

  init(
    _ directory: String, _ options: LogStoreOptions, wake: @escaping @Sendable () -> Void
  ) throws(LogError) {
    do throws(DiskError) {
      disk = try FileDisk(directory: directory, wake: wake)
    } catch {
      throw .disk("\(error)")
    }
    guard disk.lockDirectory() else {
      throw .disk("another process has \(directory) open; stop it first")
    }
    store = try LogStore.open(
      disk, options: options, newID: UInt64.random(in: 1 ... .max), now: WallClock.milliseconds())
    for log in store.logIDs {
      let bounds = try store.bounds(of: log)
      try store.commit(log, through: bounds.end)
    }
  }

  var isQuiet: Bool { store.isQuiet || store.failureText != nil }

  func turn() {
    for completion in disk.takeCompletions() { store.complete(completion) }
    let now = WallClock.milliseconds()
    if now - lastTick >= 100 || now < lastTick {
      lastTick = now
      store.tick(now: now)
      try? store.enforceRetention(of: store.logIDs, now: now)
    }
    store.flush(now: now)
    for event in store.takeEvents() { take(event) }
  }

  func stop() {
    store.startCheckpoint()
    turn()
  }

  /// Nobody is left waiting.
  func end() {
    let error = LogError.storeFailed(store.failureText ?? "it was closed")
    for log in appends.keys.sorted() { resumeAppends(log, .failure(error)) }
    for log in readers.keys.sorted() { resumeReaders(log, all: true) }
    retryRefused(error)
  }

  func whenDurable(
    _ log: LogID, _ end: Offset, _ resume: @escaping (Result<Void, LogError>) -> Void
  ) {
    appends[log, default: []].append((end, resume))
  }

  func whenReadable(_ log: LogID, beyond offset: Offset, _ resume: @escaping () -> Void) {
    let readable = (try? store.bounds(of: log).readable) ?? Offset(.max)
    if readable > offset || store.failureText != nil {
      resume()
    } else {
      readers[log, default: []].append((offset, resume))
    }
  }

  /// `retry` is called when there is room, or with the reason why there will be none.
  func whenRoom(_ retry: @escaping (LogError?) -> Void) { refused.append(retry) }

  private func retryRefused(_ error: LogError?) {
    let waiting = refused
    refused = []
    for retry in waiting { retry(error) }
  }

  private func take(_ event: LogStoreEvent) {
    switch event {
    case .durable(let log, let position):
      // A store of one: what is on its disk is committed.
      try? store.commit(log, through: position.offset)
      resumeAppends(log, .success(()), through: position.offset)
    case .readable(let log, _): resumeReaders(log)
    case .deleted(let log):
      resumeReaders(log, all: true)
    case .room, .full(true): retryRefused(nil)
    case .logFailed(let log, let why): resumeAppends(log, .failure(.logFailed(why)))
    case .storeFailed(let why):
      for log in appends.keys.sorted() { resumeAppends(log, .failure(.storeFailed(why))) }
      for log in readers.keys.sorted() { resumeReaders(log, all: true) }
      retryRefused(.storeFailed(why))
    case .full(false), .checkpointed, .readAhead, .voted: break
    }
  }

  private func resumeAppends(
    _ log: LogID, _ result: Result<Void, LogError>, through offset: Offset = Offset(.max)
  ) {
    guard let waiting = appends[log] else { return }
    let done = waiting.prefix { $0.end <= offset }
    appends[log] = done.count == waiting.count ? nil : Array(waiting.dropFirst(done.count))
    for append in done { append.resume(result) }
  }

  private func resumeReaders(_ log: LogID, all: Bool = false) {
    guard let waiting = readers[log] else { return }
    let readable = all ? Offset(.max) : (try? store.bounds(of: log).readable) ?? Offset(.max)
    let left = waiting.filter { $0.beyond >= readable }
    readers[log] = left.isEmpty ? nil : left
    for reader in waiting where reader.beyond < readable { reader.resume() }
  }
}
