import Bytes
import Foundation
import Glibc
import LogStore
import Platform
import Records
import Testing

/// On a real file system, with threads.
@Suite struct `On a real disk` {
  private static func withDirectory<R>(_ body: (String) async throws -> R) async throws -> R {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "martlet-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
  }

  private static var smallJournal: LogStoreOptions {
    var options = LogStoreOptions()
    options.journal.fileBytes = 256 << 10
    options.journal.groupBytesMax = 16 << 10
    options.freeSpaceMin = 0
    options.reserveBytes = 4096
    return options
  }

  @Test func `appends for which the journal has no room wait for it`() async throws {
    try await Self.withDirectory { path in
      let store = try await EventStore.open(path, options: Self.smallJournal)
      let log = try await store.log("a")
      let value = [UInt8](repeating: 7, count: 8000)
      // Many times what the journal can hold, and all at once.
      let offsets = try await withThrowingTaskGroup(of: Int64.self) { group in
        for _ in 0..<300 { group.addTask { try await log.append([Event(value: value)]) } }
        var offsets: [Int64] = []
        for try await offset in group { offsets.append(offset) }
        return offsets
      }
      #expect(offsets.sorted() == Array(0..<300))
      await store.close()
      let again = try await EventStore.open(path, options: Self.smallJournal)
      #expect(try await again.log("a").offsets() == 0..<300)
      await again.close()
    }
  }

  @Test func `appends that wait when the store is closed are all answered`() async throws {
    try await Self.withDirectory { path in
      let store = try await EventStore.open(path, options: Self.smallJournal)
      let log = try await store.log("a")
      let value = [UInt8](repeating: 7, count: 8000)
      let acknowledged = await withTaskGroup(of: Int64?.self) { group in
        for _ in 0..<300 { group.addTask { try? await log.append([Event(value: value)]) } }
        group.addTask {
          await store.close()
          return nil
        }
        var offsets: [Int64] = []
        for await offset in group { if let offset { offsets.append(offset) } }
        return offsets
      }
      let again = try await EventStore.open(path, options: Self.smallJournal)
      let found = try await again.log("a").offsets()
      for offset in acknowledged { #expect(found.contains(offset)) }
      await again.close()
    }
  }

  @Test func `what is not in the page cache is read by another thread first`() async throws {
    try await Self.withDirectory { path in
      let first = try await EventStore.open(path)
      let log = try await first.log("a")
      for _ in 0..<64 {
        try await log.append([Event(value: [UInt8](repeating: 7, count: 64 << 10))])
      }
      await first.close()
      try Self.dropCaches(path)

      let wakes = Condition(0)
      let disk = try FileDisk(directory: path) {
        wakes.withLock { $0 += 1 }
        wakes.signal()
      }
      let store = try LogStore.open(disk, newID: 1, now: 1)
      let id = try #require(store.log(named: "a"))
      try store.commit(id, through: store.bounds(of: id).end)
      try Self.dropCaches(path)
      let read = try #require(try store.readAhead(of: id, from: .zero, bytesMax: 1 << 20))
      // The same read serves everybody who wants it.
      #expect(try store.readAhead(of: id, from: .zero, bytesMax: 1 << 20) == read)
      #expect(store.readsAheadBegun == 1)
      var events: [LogStoreEvent] = []
      while !events.contains(.readAhead(read)) {
        for completion in disk.waitForCompletions() { store.complete(completion) }
        events += store.takeEvents()
      }
      #expect(try store.readAhead(of: id, from: .zero, bytesMax: 1 << 20) == nil)
      #expect(try store.slice(of: id, from: .zero, bytesMax: 1 << 20)?.count == 1 << 20)
    }
  }

  /// Makes the kernel forget what it has in memory of the files; they must be written out.
  private static func dropCaches(_ path: String) throws {
    let files = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    for name in files where name.hasSuffix(".log") {
      let file = Glibc.open("\(path)/\(name)", O_RDONLY)
      guard file >= 0 else { continue }
      #expect(fdatasync(file) == 0)
      #expect(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0)
      close(file)
    }
  }
}
