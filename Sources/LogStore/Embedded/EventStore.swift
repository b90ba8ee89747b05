internal import Bytes
internal import Platform
internal import Records

/// A store of logs in a directory, for a program that wants no server: open it, append, read, tail.
///
///     let store = try await EventStore.open("events")
///     let orders = try await store.log("orders")
///     let offset = try await orders.append([Event(value: Array("hello".utf8))])
///     for try await event in orders.events(from: 0) { … }
///     await store.close()
///
/// An append returns when its events are on the disk: they survive a crash of the program, of the
/// system, and of the power. One process opens a directory at a time.
public final class EventStore: Sendable {
  private let thread: StoreThread

  private init(_ thread: StoreThread) { self.thread = thread }

  /// Opens the store in `directory`, or makes one; the directory's parent must exist. Recovers what
  /// a crash left, which takes no longer for a larger store.
  public static func open(
    _ directory: String, options: LogStoreOptions = LogStoreOptions()
  ) async throws(LogError) -> EventStore {
    EventStore(try await StoreThread.open(directory, options))
  }

  /// Writes a checkpoint, so that the next opening has nothing to replay, and closes the files.
  public func close() async { await thread.close() }

  /// The log of this name, made if it is not there.
  public func log(
    _ name: String, options: LogOptions = LogOptions()
  ) async throws(LogError) -> EventLog {
    let id = try await thread.call { (owner, answer: @escaping (Result<LogID, LogError>) -> Void) in
      if let id = owner.store.log(named: name) { return answer(.success(id)) }
      do throws(LogError) {
        let id = try owner.store.createLog(named: name, options: options)
        owner.whenDurable(id, .zero) { result in answer(result.map { id }) }
      } catch {
        answer(.failure(error))
      }
    }
    return EventLog(id: id, name: name, thread: thread)
  }

  /// The names of all logs, oldest first.
  public func logNames() async throws(LogError) -> [String] {
    try await thread.call { owner, answer in
      answer(.success(owner.store.logIDs.compactMap { try? owner.store.name(of: $0) }))
    }
  }

  /// Removes a log and its events for good.
  public func delete(_ log: EventLog) async throws(LogError) {
    try await thread.call { owner, answer in
      answer(Result { () throws(LogError) in try owner.store.deleteLog(log.id) })
    }
  }
}

/// One log of an embedded store.
public struct EventLog: Sendable {
  /// Names the log in its store, for ever.
  public let id: LogID
  /// The name it was made with.
  public let name: String
  let thread: StoreThread

  /// Appends events, all or none, one after another. Returns the offset of the first, when all are
  /// on the disk.
  @discardableResult
  public func append(_ events: [Event]) async throws(LogError) -> Int64 {
    guard !events.isEmpty else { throw .invalidBatch("there is no event to append") }
    var builder = RecordBatchBuilder(bytesMax: Int(Int32.max) / 2)
    let now = WallClock.milliseconds()
    do throws(RecordError) {
      for event in events {
        try builder.append(
          key: event.key.map { $0[...] }, value: event.value.map { $0[...] },
          headers: event.headers.map {
            RecordHeader(key: $0.name, value: $0.value.map { $0[...] })
          },
          timestamp: Timestamp(event.timestamp ?? now))
      }
    } catch {
      throw .invalidBatch("\(error)")
    }
    let batch = builder.buildUncompressed()
    let id = id
    return try await thread.call { owner, answer in
      EventLog.append(batch, to: id, owner, answer)
    }
  }

  private static func append(
    _ batch: [UInt8], to id: LogID, _ owner: StoreOwner,
    _ answer: @escaping (Result<Int64, LogError>) -> Void
  ) {
    do throws(LogError) {
      let epoch = max(LeaderEpoch(0), try owner.store.bounds(of: id).epoch)
      let appended = try owner.store.append(id, batch[...], epoch: epoch)
      owner.whenDurable(id, appended.position.offset) { result in
        answer(result.map { appended.first.rawValue })
      }
    } catch .busy {
      owner.whenRoom { error in
        if let error { return answer(.failure(error)) }
        append(batch, to: id, owner, answer)
      }
    } catch {
      answer(.failure(error))
    }
  }

  /// The offsets there are: from the oldest event that is kept up to, not including, the next one.
  public func offsets() async throws(LogError) -> Range<Int64> {
    let id = id
    return try await thread.call { owner, answer in
      answer(
        Result { () throws(LogError) in
          let bounds = try owner.store.bounds(of: id)
          return bounds.start.rawValue..<max(bounds.readable.rawValue, bounds.start.rawValue)
        })
    }
  }

  /// Up to about `bytesMax` bytes of events from `offset` on; empty if there is none yet.
  public func read(
    from offset: Int64, bytesMax: Int = 1 << 20
  ) async throws(LogError) -> [StoredEvent] {
    let id = id
    let bytes = try await thread.call { owner, answer in
      answer(
        Result { () throws(LogError) in
          guard
            let slice = try owner.store.slice(of: id, from: Offset(offset), bytesMax: bytesMax)
          else { return [UInt8]() }
          return try owner.store.bytes(of: slice)
        })
    }
    return try EventLog.events(in: bytes, from: offset)
  }

  /// The first event at or after a time (milliseconds since 1970); nil if there is none.
  public func offset(atOrAfter timestamp: Int64) async throws(LogError) -> Int64? {
    let id = id
    return try await thread.call { owner, answer in
      answer(
        Result { () throws(LogError) in
          try owner.store.find(Timestamp(timestamp), in: id)?.offset.rawValue
        })
    }
  }

  /// All events from `offset` on, those that are there and those to come, until the task is
  /// cancelled or the store is closed.
  public func events(from offset: Int64) -> EventTail { EventTail(log: self, offset: offset) }

  /// Returns when there is an event at `offset`.
  func waitForEvent(at offset: Int64) async throws(LogError) {
    let id = id
    let _: Bool = try await thread.call { owner, answer in
      owner.whenReadable(id, beyond: Offset(offset)) { answer(.success(true)) }
    }
  }

  private static func events(
    in bytes: [UInt8], from offset: Int64
  ) throws(LogError) -> [StoredEvent] {
    var events: [StoredEvent] = []
    var batches = RecordBatches(bytes[...])
    var decompressor = Decompressor()
    do throws(RecordError) {
      while let batch = try batches.next() {
        try batch.checkCRC()
        guard !batch.header.attributes.isControl else { continue }
        for record in try batch.records(&decompressor) where record.offset.rawValue >= offset {
          let event = Event(
            key: record.key.map { Array($0) }, value: record.value.map { Array($0) },
            headers: record.headers.map { ($0.key, $0.value.map { Array($0) }) },
            timestamp: record.timestamp.rawValue)
          events.append(StoredEvent(offset: record.offset.rawValue, event: event))
        }
      }
    } catch {
      throw .invalidBatch("\(error)")
    }
    return events
  }
}

/// The events of a log, as they come.
public struct EventTail: AsyncSequence, Sendable {
  /// One event at a time.
  public typealias Element = StoredEvent

  let log: EventLog
  let offset: Int64

  /// Starts reading.
  public func makeAsyncIterator() -> Iterator { Iterator(log: log, next: offset) }

  /// Reads on in batches.
  public struct Iterator: AsyncIteratorProtocol {
    let log: EventLog
    var next: Int64
    var read: [StoredEvent] = []
    var position = 0

    init(log: EventLog, next: Int64) {
      self.log = log
      self.next = next
    }

    /// The next event, when it is there; nil when the task was cancelled.
    public mutating func next() async throws -> StoredEvent? {
      while position == read.count {
        if Task.isCancelled { return nil }
        read = try await log.read(from: next)
        position = 0
        if read.isEmpty { try await log.waitForEvent(at: next) }
      }
      defer { position += 1 }
      next = read[position].offset + 1
      return read[position]
    }
  }
}

extension StoreThread {
  /// Runs `body` on the store's thread and returns what it answers, then or later.
  func call<R: Sendable>(
    _ body: @escaping @Sendable (StoreOwner, @escaping (Result<R, LogError>) -> Void) -> Void
  ) async throws(LogError) -> R {
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<R, LogError>, Never>) in
      let taken = ask { owner in
        body(owner) { continuation.resume(returning: $0) }
      }
      if !taken { continuation.resume(returning: .failure(.busy)) }
    }
    return try result.get()
  }
}
