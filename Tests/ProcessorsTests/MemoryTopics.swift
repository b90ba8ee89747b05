import Platform
import Processors

/// Topics in memory that outlive the processors that use them, with the promises of the real ones:
/// positions, and that only the newest instance writes.
final class MemoryTopics: Sendable {
  struct Written: Hashable, Sendable {
    var sequence: Int64
    var index: Int
    var record: OutboxRecord
  }

  struct Contents: Sendable {
    var source: [[InputRecord]]
    var written: [String: [Int32: [Written]]] = [:]
    var epoch = 0
    /// Counts down with everything that is done; at zero whoever does it crashes.
    var fuse = Int.max
  }

  let contents: Condition<Contents>

  init(_ records: [InputRecord], partitions: Int32) {
    let source = (0..<partitions).map { partition in
      records.filter { $0.partition == partition }
    }
    contents = Condition(Contents(source: source))
  }

  /// Whether the fuse has burnt.
  func burns() -> Bool {
    contents.withLock { contents in
      contents.fuse -= 1
      return contents.fuse < 0
    }
  }

  func written(_ topic: String) -> [[Written]] {
    contents.withLock { contents in
      (contents.written[topic] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    }
  }
}

final class MemoryTransport: RecordTransport {
  static let partitions: UInt64 = 3
  private let topics: MemoryTopics
  private var epoch = 0
  private var positions: [Int32: Int] = [:]
  private var resultTopics: Set<String> = []
  /// Where this instance's positions begin in topics of others: what is before is not looked at.
  private var floors: [String: [Int32: Int64]] = [:]
  private var unfinished: [(OutboxRecord, Int64, Int)] = []
  /// How many records a poll gives at most.
  private let pollMax: Int

  init(_ topics: MemoryTopics, pollMax: Int = 100) {
    self.topics = topics
    self.pollMax = pollMax
  }

  private func crash() throws(TransportError) {
    if topics.burns() { throw .failed("crashed") }
  }

  func open(
    processor: String, sourceTopic: String, resultTopics: [String], deadLetterTopic: String
  ) throws(TransportError) -> Int64 {
    try crash()
    self.resultTopics = Set(resultTopics)
    floors = [:]
    unfinished = []
    positions = [:]
    return topics.contents.withLock { contents in
      contents.epoch += 1
      epoch = contents.epoch
      return resultTopics.compactMap { contents.written[$0] }.flatMap(\.values)
        .compactMap(\.last?.sequence).max() ?? 0
    }
  }

  func sourcePartitions() throws(TransportError) -> Int32? {
    let count = topics.contents.withLock { $0.source.count }
    return count == 0 ? nil : Int32(count)
  }

  func sourceEnds(partitions: Int32) throws(TransportError) -> [Int32: Int64] {
    topics.contents.withLock { contents in
      Dictionary(
        uniqueKeysWithValues: contents.source.enumerated().map { (Int32($0), Int64($1.count)) })
    }
  }

  func read(partition: Int32, from offset: Int64?) throws(TransportError) {
    positions[partition] = Int(offset ?? 0)
  }

  func poll(milliseconds: Int64) throws(TransportError) -> [InputRecord] {
    try crash()
    var records: [InputRecord] = []
    topics.contents.withLock { contents in
      for partition in positions.keys.sorted() {
        let start = positions[partition] ?? 0
        let all = contents.source[Int(partition)]
        let some = all[min(start, all.count)...].prefix(pollMax - records.count)
        positions[partition] = start + some.count
        records += some
      }
    }
    return records
  }

  func place(_ records: inout [OutboxRecord]) throws(TransportError) {
    for index in records.indices {
      let record = records[index]
      let hash = (record.key ?? []).reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) }
      let partition = Int32(hash % Self.partitions)
      records[index].partition = partition
      guard !resultTopics.contains(record.topic) else { continue }
      let end = topics.contents.withLock { $0.written[record.topic]?[partition]?.count ?? 0 }
      records[index].floor = Int64(end)
    }
  }

  func resume(_ records: [OutboxRecord], sequence: Int64) throws(TransportError) {
    for record in records where !resultTopics.contains(record.topic) {
      let partition = record.partition ?? -1
      let floor = floors[record.topic]?[partition] ?? Int64.max
      floors[record.topic, default: [:]][partition] = min(floor, record.floor ?? 0)
    }
    try produce(records, sequence: sequence)
  }

  func produce(_ records: [OutboxRecord], sequence: Int64) throws(TransportError) {
    unfinished += records.enumerated().map { ($1, sequence, $0) }
  }

  /// The worst moment: nothing is written before somebody waits for it.
  func finishProducing() throws(TransportError) {
    for (record, sequence, index) in unfinished {
      try crash()
      let isFenced = topics.contents.withLock { contents in
        guard contents.epoch == epoch else { return true }
        if isThere(record, sequence, index, contents) { return false }
        contents.written[record.topic, default: [:]][record.partition ?? -1, default: []]
          .append(.init(sequence: sequence, index: index, record: record))
        return false
      }
      if isFenced { throw .fenced("another instance runs") }
    }
    unfinished = []
  }

  private func isThere(
    _ record: OutboxRecord, _ sequence: Int64, _ index: Int, _ contents: MemoryTopics.Contents
  ) -> Bool {
    let partition = record.partition ?? -1
    var written = (contents.written[record.topic]?[partition] ?? [])[...]
    if !resultTopics.contains(record.topic) {
      guard let floor = floors[record.topic]?[partition] else { return false }
      written = written.dropFirst(Int(floor))
    }
    return written.last.map { (sequence, index) <= ($0.sequence, $0.index) } ?? false
  }

  func report(_ progress: [SourceProgress]) {}
  func close() {}
}

/// A sink whose process dies before or after a commit.
final class FragileSink: Sink {
  private let sink: any Sink
  private let topics: MemoryTopics

  init(_ sink: any Sink, _ topics: MemoryTopics) {
    self.sink = sink
    self.topics = topics
  }

  private func crash() throws(SinkError) {
    if topics.burns() { throw .failed("crashed") }
  }

  func open(
    processor: String, sourceTopic: String, tables: [TableDescription]
  ) throws(SinkError) -> StoredProgress {
    try crash()
    return try sink.open(processor: processor, sourceTopic: sourceTopic, tables: tables)
  }

  func load(_ keys: [String]) throws(SinkError) -> [String?] {
    try crash()
    return try sink.load(keys)
  }

  func rows(after key: String, limit: Int) throws(SinkError) -> [StoredState] {
    try crash()
    return try sink.rows(after: key, limit: limit)
  }

  func commit(_ batch: SinkBatch) throws(SinkError) {
    try crash()
    try sink.commit(batch)
    try crash()
  }

  func close() { sink.close() }
}
