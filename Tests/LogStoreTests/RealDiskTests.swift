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

  @Test func `what is not in memory is read by another thread first`() async throws {
    try await Self.withDirectory { path in
      let first = try await EventStore.open(path)
      let log = try await first.log("a")
      for number in UInt8(0)..<64 {
        try await log.append([Event(value: [UInt8](repeating: number, count: 64 << 10))])
      }
      await first.close()
      let wakes = Condition(0)
      let disk = try FileDisk(directory: path) {
        wakes.withLock { $0 += 1 }
        wakes.signal()
      }
      let store = try LogStore.open(disk, newID: 1, now: 1)
      let id = try #require(store.log(named: "a"))
      let end = try store.bounds(of: id).end
      try store.commit(id, through: end)
      func readAhead(from offset: Offset) throws -> [ReadAheadID]? {
        try store.readAhead(of: id, from: offset, bytesMax: 1 << 20, blocksMax: 16)
      }
      func wait(for reads: [ReadAheadID]) {
        var open = Set(reads)
        while !open.isEmpty {
          for completion in disk.waitForCompletions() { store.complete(completion) }
          for case .readAhead(let read) in store.takeEvents() { open.remove(read) }
        }
      }
      let reads = try #require(try readAhead(from: .zero))
      // The same reads serve everybody who wants them.
      let begun = store.readsAheadBegun
      #expect(try readAhead(from: .zero) == reads)
      #expect(store.readsAheadBegun == begun)
      wait(for: reads)
      #expect(try readAhead(from: .zero) == nil)
      // All of it, as it was written.
      var offset = Offset.zero
      var values: [UInt8] = []
      while offset < end {
        if let reads = try readAhead(from: offset) { wait(for: reads) }
        let slice = try #require(try store.slice(of: id, from: offset, bytesMax: 1 << 20))
        #expect(slice.pieces.allSatisfy { !$0.isInFile })
        var batches = RecordBatches(try store.bytes(of: slice)[...])
        while let batch = try batches.next() {
          try batch.checkCRC()
          var decompressor = Decompressor()
          let section = try batch.recordSection(&decompressor)
          try batch.forEachRecord(&decompressor) { record, _ in
            if let value = record.value {
              values.append(section[section.startIndex + value.lowerBound])
            }
            return .next
          }
          offset = batch.header.nextOffset
        }
      }
      #expect(values.elementsEqual(0..<64))
    }
  }
}
