internal import CLinux
internal import Glibc

/// A directory of the real file system.
///
/// Submitted operations are done by a pool of threads: one that only does durable writes (the
/// journal's), so that an acknowledgement never waits behind a segment's; many that only sync,
/// since syncs that wait together share one commit of the file system's own journal (measured with
/// 32 logs: 64 files in 10 to 25 ms, against 120 to 220 ms four at a time); one for what removes,
/// because removals hold one another up, and each for tens of milliseconds when the file system is
/// busy; and some for the rest.
/// Completions are collected until the owner, told by `wake`, comes for them.
package final class FileDisk: Disk {
  /// The directory that paths are relative to, open for as long as the disk is.
  private let root: Int32
  private let completions: CompletionQueue
  private let durableWrites: WorkQueue
  private let syncs: WorkQueue
  private let writes: WorkQueue
  private let removals: WorkQueue
  private let rest: WorkQueue

  /// Syncs that wait together at most.
  package static let syncsMax = 32

  /// Writes of segments under way together at most.
  package static let writesMax = 2

  /// Opens or makes `directory` (its parent must exist). `wake` is called from any thread when
  /// completions begin to wait.
  package init(
    directory: String, poolThreads: Int = 16, wake: @escaping @Sendable () -> Void = {}
  ) throws(DiskError) {
    if unsafe mkdir(directory, 0o755) != 0, errno != EEXIST {
      throw .failed("making directory \(directory)", errno: errno)
    }
    let root = unsafe martlet_open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard root >= 0 else { throw .failed("opening directory \(directory)", errno: errno) }
    self.root = root
    completions = CompletionQueue(wake: wake)
    durableWrites = WorkQueue(root: root, completions: completions, threads: 1, "martlet-journal")
    syncs = WorkQueue(
      root: root, completions: completions, threads: Self.syncsMax, "martlet-sync")
    writes = WorkQueue(
      root: root, completions: completions, threads: Self.writesMax, "martlet-write")
    removals = WorkQueue(root: root, completions: completions, threads: 1, "martlet-remove")
    rest = WorkQueue(root: root, completions: completions, threads: poolThreads, "martlet-disk")
  }

  deinit {
    durableWrites.finish()
    syncs.finish()
    writes.finish()
    removals.finish()
    rest.finish()
    close(root)
  }

  /// Takes the lock that says this process owns the directory; held until the disk is gone.
  /// False if another process has it.
  package func lockDirectory() -> Bool {
    flock(root, LOCK_EX | LOCK_NB) == 0
  }

  package func perform(_ operation: DiskOperation) throws(DiskError) -> DiskResult {
    if case .close = operation {
      // The last close of a deleted file frees its blocks and pages, which takes its time.
      removals.add(operation, nil)
      return .done
    }
    return try FileSystemCall(root: root).perform(operation)
  }

  package func performAll(_ operations: [DiskOperation]) throws(DiskError) {
    for (number, operation) in operations.enumerated() {
      submit(operation, DiskToken(UInt64(number)))
    }
    var first: DiskError?
    var left = operations.count
    while left > 0 {
      let completions = waitForCompletions()
      left -= completions.count
      for completion in completions {
        if case .failure(let error) = completion.result { first = first ?? error }
      }
    }
    if let first { throw first }
  }

  package func submit(_ operation: DiskOperation, _ token: DiskToken) {
    switch operation {
    case .write(_, _, _, durable: true): durableWrites.add(operation, token)
    case .write: writes.add(operation, token)
    case .sync: syncs.add(operation, token)
    case .delete, .removeDirectory, .removeTree: removals.add(operation, token)
    default: rest.add(operation, token)
    }
  }

  /// What has completed since the last call, in the order of completion.
  package func takeCompletions() -> [DiskCompletion] {
    completions.take()
  }

  /// Blocks until something has completed, then as `takeCompletions`.
  package func waitForCompletions() -> [DiskCompletion] {
    completions.wait()
  }

  /// How long durable writes took, from the moment a thread began them.
  package var durableWriteLatency: LatencyHistogram { durableWrites.latency }

  /// The system's descriptor of an open file, for sendfile.
  package func descriptor(of file: FileID) -> Int32 { file.rawValue }
}

/// Completions on their way from the pool to the owner.
private final class CompletionQueue: Sendable {
  private let state = Condition<[DiskCompletion]>([])
  private let wake: @Sendable () -> Void

  init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

  func add(_ completion: DiskCompletion) {
    let first = state.withLock { waiting in
      waiting.append(completion)
      return waiting.count == 1
    }
    guard first else { return }
    state.signal()
    wake()
  }

  func take() -> [DiskCompletion] {
    state.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }

  func wait() -> [DiskCompletion] {
    state.wait(until: { !$0.isEmpty }) { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}

/// Operations on their way from the owner to a thread that does them.
///
/// Its length is bounded by its only user: a log has at most one operation on each of its segments
/// and a store at most a few on its journal under way; a recovery, a sync of each file it touched.
private final class WorkQueue: Sendable {
  private struct State {
    var waiting: [(DiskOperation, DiskToken?)] = []
    var next = 0
    var finished = false

    mutating func take() -> (DiskOperation, DiskToken?)? {
      guard next < waiting.count else { return nil }
      defer {
        next += 1
        if next == waiting.count {
          waiting.removeAll(keepingCapacity: true)
          next = 0
        }
      }
      return waiting[next]
    }
  }

  private let state: Condition<State>
  private let ended = Condition<Int>(0)
  private let threads: Int
  private let latencies = Condition(LatencyHistogram())

  init(root: Int32, completions: CompletionQueue, threads: Int, _ name: String) {
    let state = Condition(State())
    self.state = state
    self.threads = threads
    let (ended, latencies) = (ended, latencies)
    for _ in 0..<threads {
      Thread.start(name) {
        Thread.preferPromptness()
        let system = FileSystemCall(root: root)
        while true {
          let work = state.wait(until: { $0.next < $0.waiting.count || $0.finished }) { $0.take() }
          guard let (operation, token) = work else { break }
          let began = MonotonicClock.nanoseconds()
          let result: Result<DiskResult, DiskError>
          do throws(DiskError) {
            result = .success(try system.perform(operation))
          } catch {
            result = .failure(error)
          }
          latencies.withLock { $0.add(Int64((MonotonicClock.nanoseconds() - began) / 1000)) }
          if let token { completions.add(DiskCompletion(token, result)) }
        }
        ended.withLock { $0 += 1 }
        ended.signal()
      }
    }
  }

  var latency: LatencyHistogram { latencies.withLock { $0 } }

  /// Without a token, nobody is told what became of it.
  func add(_ operation: DiskOperation, _ token: DiskToken?) {
    state.withLock { $0.waiting.append((operation, token)) }
    state.signal()
  }

  /// Lets the threads do what waits, and waits for them to end.
  func finish() {
    state.withLock { $0.finished = true }
    state.broadcast()
    let threads = threads
    ended.wait(until: { $0 == threads }) { _ in }
  }
}
