internal import Client
internal import Platform
internal import Records

/// The topics of one connector, through a client.
///
/// Opening fences whoever wrote under the connector's name before; only then is read what is there.
final class LogWriter: PositionedLog, Sendable {
  private static let bufferBytesMax = 8 << 20
  /// A broker that is away is waited for: giving a record up would end the attempt for nothing.
  private static let deliveryMilliseconds: Int64 = 24 * 3600 * 1000

  private let client: Client
  private let producer: PositionedProducer
  private let connector: String
  private let positionTopic: String
  private let outputs: [PositionedProducer.Output]
  /// Of each topic that is open, how its keys are divided; nil until that is said.
  private let opened: Condition<[String: PartitionCounts?]>
  private let config: CaptureConfig
  /// The connector's position as it was found, or as it was written last.
  private let current: Condition<PositionRecord?>

  init(_ client: Client, _ config: CaptureConfig, topics: [String]) throws {
    self.client = client
    self.config = config
    opened = Condition(Dictionary(uniqueKeysWithValues: topics.map { ($0, nil) }))
    connector = config.name
    positionTopic = config.positionTopic
    do {
      var options = Producer.Options()
      options.transactionalID = "martlet-capture-\(config.name)"
      options.lingerMilliseconds = 0
      options.bufferBytesMax = Self.bufferBytesMax
      options.deliveryTimeoutMilliseconds = Self.deliveryMilliseconds
      producer = try PositionedProducer.openBlocking(client, options)
      outputs = try producer.openBlocking(topics.map { Self.newTopic($0, config) })
      let positions = ConnectorPositions(client, config.positionTopic)
      try positions.create()
      current = Condition(try positions.read(config.name))
    } catch let error as ClientError {
      throw LogWriteError(error)
    }
  }

  private static func newTopic(_ name: String, _ config: CaptureConfig) -> NewTopic {
    NewTopic(
      name, partitions: config.partitions, replicationFactor: config.replicationFactor,
      configs: Dictionary(config.topicSettings.map { ($0.name, $0.value) }) { $1 })
  }

  var record: PositionRecord? { current.withLock { $0 } }

  /// The largest major of a position in any partition.
  var writtenThrough: UInt64 { outputs.compactMap { $0.last?.major }.max() ?? 0 }

  /// The topics that were known at the beginning.
  var found: [FoundTopic] { Self.topics(outputs) }

  private static func topics(_ outputs: [PositionedProducer.Output]) -> [FoundTopic] {
    let byTopic = Dictionary(grouping: outputs, by: \.partition.topic)
    return byTopic.keys.sorted().map { name in
      let outputs = byTopic[name] ?? []
      return FoundTopic(
        name: name, partitions: Int32(outputs.count),
        written: outputs.compactMap { $0.last?.major }.max())
    }
  }

  /// Makes ready to write to a topic that was not known at the beginning, of a table that was made
  /// since. Blocks.
  func open(_ topic: String) throws(LogWriteError) -> FoundTopic? {
    guard opened.withLock({ $0[topic] }) == nil else { return nil }
    let found: [PositionedProducer.Output]
    do {
      found = try producer.openBlocking([Self.newTopic(topic, config)])
    } catch {
      throw LogWriteError(error)
    }
    opened.withLock { _ = $0.updateValue(nil, forKey: topic) }
    return Self.topics(found).first
  }

  func divide(_ topic: String, by counts: PartitionCounts) {
    opened.withLock { _ = $0.updateValue(counts, forKey: topic) }
  }

  // MARK: Writing

  func enqueue(
    _ records: [PositionedRecord], _ done: @escaping @Sendable (LogWriteError?) -> Void
  ) -> Bool {
    let counts = opened.withLock { $0 }
    let list = records.map { record in
      let headers = record.event.headers.map {
        RecordHeader(key: $0.name, value: $0.value)
      }
      let produced = ProducerRecord(
        topic: record.topic, partition: Self.partition(of: record, counts), key: record.event.key,
        value: record.event.value, headers: headers)
      return (record: produced, position: Position(record.position.major, record.position.minor))
    }
    return producer.enqueue(list) { done($0.map { LogWriteError($0) }) }
  }

  func prepare(_ topic: String) throws(LogWriteError) {
    do {
      _ = try producer.openBlocking([Self.newTopic(topic, config)])
    } catch {
      throw LogWriteError(error)
    }
  }

  func append(_ event: EncodedEvent, to topic: String) {
    let record = ProducerRecord(topic: topic, key: event.key, value: event.value)
    _ = producer.producer.enqueue([record], acknowledged: { _ in })
  }

  /// Without a key there is no order but the table's own: one partition keeps it.
  private static func partition(
    of record: PositionedRecord, _ counts: [String: PartitionCounts?]
  ) -> Int32 {
    guard let key = record.event.key else { return 0 }
    guard let counts = counts[record.topic] ?? nil else {
      preconditionFailure("'\(record.topic)' is written to before it is known how to divide it")
    }
    let count = counts.count(at: record.position.major)
    return count == 1 ? 0 : Murmur2.partition(of: key, count: count)
  }

  func whenRoom(_ call: @escaping @Sendable () -> Void) { producer.whenRoom(call) }

  func write(_ record: PositionRecord, _ done: @escaping @Sendable (LogWriteError?) -> Void) {
    let current = current
    let produced = ProducerRecord(
      topic: positionTopic, partition: 0, key: Array(connector.utf8),
      value: Array(record.json.utf8))
    offer(produced) { error in
      if error == nil { current.withLock { $0 = record } }
      done(error.map { LogWriteError($0) })
    }
  }

  /// Removes the connector's position.
  func forgetBlocking() throws(LogWriteError) {
    let record = ProducerRecord(
      topic: positionTopic, partition: 0, key: Array(connector.utf8), value: nil)
    do {
      try client.wait { (done: @escaping @Sendable (Result<Void, ClientError>) -> Void) in
        offer(record) { done($0.map { .failure($0) } ?? .success(())) }
      }
    } catch {
      throw LogWriteError(error)
    }
  }

  private func offer(
    _ record: ProducerRecord, _ done: @escaping @Sendable (ClientError?) -> Void
  ) {
    let isTaken = producer.producer.enqueue([record], acknowledged: done)
    if !isTaken { producer.whenRoom { self.offer(record, done) } }
  }

  // MARK: Reading

  /// Every record of the topics that has a position, each partition from its beginning until `take`
  /// says that it has seen enough of it.
  func readFromBeginning(
    _ take: (_ position: CapturePosition, _ key: ArraySlice<UInt8>?) -> Bool
  ) throws {
    do {
      for output in outputs {
        try client.readBlocking(output.partition, output.start..<output.end) { record in
          guard let position = Position(record.headers, of: producer.owner) else { return true }
          return take(CapturePosition(major: position.major, minor: position.minor), record.key)
        }
      }
    } catch let error as ClientError {
      throw LogWriteError(error)
    }
  }
}

extension LogWriteError {
  init(_ error: ClientError) {
    self.init(
      "The log does not take it: \(error.message).", isFenced: error.code == .fenced,
      isRetriable: error.isRetriable || error.code == .closed,
      oversized: error.oversized.map {
        Oversized(topic: $0.partition.topic, key: $0.key, size: $0.size)
      })
  }
}
