import Platform
import Processors
import Testing

@Suite struct `Cached state` {
  @Test func `the bytes are bounded and the oldest uses go first`() {
    var cache = StateCache(bytesMax: 10_000)
    for number in 0..<1000 {
      cache.set("key-\(number)", "value")
      // Used all the time, so it stays.
      #expect(cache.value("key-0") == .some("value"))
      #expect(cache.bytes <= 10_000)
    }
    #expect(cache.value("key-1") == nil)
    #expect(cache.value("key-999") == .some("value"))
    #expect(cache.count > 20)
    cache.set("key-0", nil)
    #expect(cache.value("key-0") == .some(nil))
  }

  @Test func `it agrees with a dictionary that forgets nothing`() {
    var random = SeededRandom(3)
    var cache = StateCache(bytesMax: 5000)
    var truth: [String: String?] = [:]
    var hits = 0
    for _ in 0..<20_000 {
      let key = "k\(Int.random(in: 0..<60, using: &random))"
      if Bool.random(using: &random) {
        let value = Bool.random(using: &random) ? "\(random.next())" : nil
        cache.set(key, value)
        truth[key] = .some(value)
      } else if let value = cache.value(key) {
        hits += 1
        #expect(truth[key] == .some(value))
      }
    }
    #expect(hits > 1000)
    // A value larger than the cache is not kept, and nothing else either.
    cache.set("big", String(repeating: "x", count: 6000))
    #expect(cache.count == 0)
    #expect(cache.bytes == 0)
  }
}

@Suite struct `Driving a processor` {
  @Test func `partitions that are added later are read from their beginning`() throws {
    let topics = MemoryTopics([], partitions: 1)
    let directory = try TemporaryDirectory()
    let path = directory.path + "/results.db"
    let runner = ProcessorRunner(
      name: "revenue", task: Revenue.task(), sink: { SQLiteSink(path: path) },
      transport: { MemoryTransport(topics) })
    runner.start()
    defer { runner.stop() }
    #expect(runner.wait(milliseconds: 20_000) { $0.phase == .running })
    var script = EventScript()
    script.partition = 1
    let order = script.order("c", 1, "5", "completed", seconds: 0)
    topics.contents.withLock { $0.source.append([order]) }
    #expect(runner.wait(milliseconds: 20_000) { $0.counts.processed == 1 })
    let status = runner.status
    #expect(
      status.progress == [
        SourceProgress(
          partition: 1, nextOffset: 1, streamTime: EventTime(microseconds: EventScript.base))
      ])
    #expect(status.newestWindow?.sum.text() == "5")
    #expect(status.latency.count == 1)
    #expect(status.highlights.count == 1)
  }

  @Test func `a source that is not there yet is waited for`() throws {
    let topics = MemoryTopics([], partitions: 0)
    let directory = try TemporaryDirectory()
    let path = directory.path + "/results.db"
    let runner = ProcessorRunner(
      name: "stock", task: LowStock.task(), sink: { SQLiteSink(path: path) },
      transport: { MemoryTransport(topics) })
    runner.start()
    defer { runner.stop() }
    #expect(
      runner.wait(milliseconds: 20_000) {
        $0.phase == .waiting("There is no topic 'products' yet.")
      })
    var script = EventScript()
    let product = script.product("c", 1, stock: 0, threshold: 5)
    topics.contents.withLock { $0.source.append([product]) }
    #expect(runner.wait(milliseconds: 20_000) { $0.counts.processed == 1 })
  }
}
