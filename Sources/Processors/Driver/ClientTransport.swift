package import Client
internal import Platform
internal import Records

/// The log behind a client: one consumer of the source, and one positioned producer.
///
/// Processors share the topic of dead letters, and may not write there for long: to find one's last
/// position in it could mean to read all that others wrote. So a batch that has dead letters is
/// committed with the offsets at which their partitions ended before it (`OutboxRecord.floor`); its
/// dead letters can only be behind those, and are all that is looked for.
package final class ClientTransport: RecordTransport {
  private static let deliveryMilliseconds: Int64 = 30_000
  /// Kafka's default for a batch is 1,048,588 bytes.
  private static let deadLetterBytesMax = 900_000

  private struct Delivery: Sendable {
    var open = 0
    var failure: ClientError?
  }

  private let makeClient: () throws(ClientError) -> Client
  private var client: Client?
  private var consumer: Consumer?
  private var producer: PositionedProducer?
  private var processor = ""
  private var sourceTopic = ""
  private var deadLetterTopic = ""
  private var partitionCounts: [String: Int32] = [:]
  /// Those of dead letters, unless they go to a topic of this processor's own.
  private var sharedPartitions: [TopicPartition] = []
  /// What is read: each partition's next offset, nil for its beginning.
  private var positions: [Int32: Int64?] = [:]
  private var isReassigned = false
  private let delivery = Condition(Delivery())

  package init(_ makeClient: @escaping () throws(ClientError) -> Client) {
    self.makeClient = makeClient
  }

  package func open(
    processor: String, sourceTopic: String, resultTopics: [String], deadLetterTopic: String
  ) throws(TransportError) -> Int64 {
    close()
    self.processor = processor
    self.sourceTopic = sourceTopic
    self.deadLetterTopic = deadLetterTopic
    return try translated { () throws(ClientError) in
      let client = try makeClient()
      self.client = client
      var options = Producer.Options()
      options.lingerMilliseconds = 0
      options.deliveryTimeoutMilliseconds = Self.deliveryMilliseconds
      options.transactionalID = processor
      let producer = try PositionedProducer.openBlocking(client, options)
      self.producer = producer
      let outputs = try producer.openBlocking(resultTopics.map { NewTopic($0) })
      if !resultTopics.contains(deadLetterTopic) {
        sharedPartitions = try producer.openSharedBlocking([NewTopic(deadLetterTopic)])
      }
      for partition in outputs.map(\.partition) + sharedPartitions {
        partitionCounts[partition.topic, default: 0] += 1
      }
      var reading = Consumer.Options()
      reading.groupID = processor
      reading.commitsAutomatically = false
      reading.autoOffsetReset = .none
      reading.pollRecordsMax = ProcessorLoop.batchRecordsMax
      consumer = try Consumer(client, reading)
      return outputs.compactMap(\.last).map { Int64(clamping: $0.major) }.max() ?? 0
    }
  }

  private func translated<T>(
    _ body: () throws(ClientError) -> T
  ) throws(TransportError) -> T {
    do throws(ClientError) {
      return try body()
    } catch {
      throw Self.transportError(error, processor)
    }
  }

  private static func transportError(_ error: ClientError, _ processor: String) -> TransportError {
    switch error.code {
    case .fenced:
      return .fenced(
        "Another instance of the processor '\(processor)' has taken over its topics; stop one of "
          + "them, or give this one another name, tables and result topic.")
    case .noOffset:
      return .failed(
        "What '\(processor)' has to read next is not in its source any more (\(error)); its "
          + "results would miss it. Capture the source anew, or remove the processor's rows to "
          + "begin anew.")
    case .invalidArgument, .unsupportedVersion: return .failed("\(error).")
    default: return .unavailable("The log cannot be reached: \(error).")
    }
  }

  private func opened<T>(_ value: T?) -> T {
    guard let value else { preconditionFailure("a transport is opened before it is used") }
    return value
  }

  package func close() {
    client?.close()
    client = nil
    consumer = nil
    producer = nil
    partitionCounts = [:]
    sharedPartitions = []
    positions = [:]
    // Whatever was on its way when the client was closed has been completed as failed, or will be.
    delivery.wait(until: { $0.open == 0 }, milliseconds: 1000) { $0 = Delivery() }
  }

  // MARK: Reading

  package func sourcePartitions() throws(TransportError) -> Int32? {
    let client = opened(client)
    let topic = sourceTopic
    return try translated { () throws(ClientError) in
      let found = try client.wait { client.describeTopics([topic], $0) }
      switch found[topic] {
      case .success(let description)?: return Int32(description.partitions.count)
      // Not there yet.
      case .failure(let error)? where error.isRetriable: return nil
      case .failure(let error)?: throw error
      case nil: return nil
      }
    }
  }

  package func sourceEnds(partitions: Int32) throws(TransportError) -> [Int32: Int64] {
    let client = opened(client)
    let wanted = (0..<partitions).map { TopicPartition(sourceTopic, $0) }
    let ends = try translated { () throws(ClientError) in try client.endsBlocking(of: wanted) }
    return Dictionary(uniqueKeysWithValues: ends.map { ($0.key.partition, $0.value) })
  }

  package func read(partition: Int32, from offset: Int64?) throws(TransportError) {
    positions[partition] = .some(offset)
    isReassigned = true
  }

  package func poll(milliseconds: Int64) throws(TransportError) -> [InputRecord] {
    let consumer = opened(consumer)
    if isReassigned {
      isReassigned = false
      // All of them, because an assignment replaces the one before.
      var places: [TopicPartition: Consumer.Target] = [:]
      for (partition, offset) in positions {
        places[TopicPartition(sourceTopic, partition)] = offset.map { .offset($0) } ?? .beginning
      }
      consumer.assign(places)
    }
    let records = try translated { () throws(ClientError) in
      try consumer.pollBlocking(timeoutMilliseconds: milliseconds)
    }
    return records.map { record in
      positions[record.partition] = .some(record.offset + 1)
      return InputRecord(
        partition: record.partition, offset: record.offset, timestamp: record.timestamp,
        key: record.key, value: record.value)
    }
  }

  package func report(_ progress: [SourceProgress]) {
    var offsets: [TopicPartition: Int64] = [:]
    for part in progress { offsets[TopicPartition(sourceTopic, part.partition)] = part.nextOffset }
    consumer?.commit(offsets) { _ in }
  }

  // MARK: Writing

  package func place(_ records: inout [OutboxRecord]) throws(TransportError) {
    for index in records.indices {
      let record = records[index]
      let count = partitionCounts[record.topic] ?? 1
      records[index].partition = record.key.map { Murmur2.partition(of: $0, count: count) } ?? 0
    }
    guard let topic = sharedPartitions.first?.topic,
      records.contains(where: { $0.topic == topic })
    else { return }
    let client = opened(client)
    let partitions = sharedPartitions
    let ends = try translated { () throws(ClientError) in try client.endsBlocking(of: partitions) }
    for index in records.indices where records[index].topic == topic {
      let partition = TopicPartition(topic, records[index].partition ?? 0)
      records[index].floor = ends[partition] ?? 0
    }
  }

  package func resume(_ records: [OutboxRecord], sequence: Int64) throws(TransportError) {
    var known: [TopicPartition: PositionedProducer.Known] = [:]
    let shared = Set(sharedPartitions)
    for (index, record) in records.enumerated() {
      let partition = TopicPartition(record.topic, record.partition ?? 0)
      guard shared.contains(partition) else { continue }
      let floor = min(known[partition]?.from ?? Int64.max, record.floor ?? 0)
      known[partition] = .init(from: floor, last: Self.position(sequence, index))
    }
    if !known.isEmpty {
      let producer = opened(producer)
      try translated { [known] () throws(ClientError) in try producer.findBlocking(known) }
    }
    try produce(records, sequence: sequence)
  }

  private static func position(_ sequence: Int64, _ index: Int) -> Position {
    Position(UInt64(clamping: sequence), UInt64(index))
  }

  package func produce(
    _ records: [OutboxRecord], sequence: Int64
  ) throws(TransportError) {
    guard !records.isEmpty else { return }
    let shared = sharedPartitions.first?.topic
    let positioned = records.enumerated().map { index, record in
      var new = ProducerRecord(
        topic: record.topic, partition: record.partition, key: record.key, value: record.value,
        headers: record.headers.map { RecordHeader(key: $0.name, value: $0.value[...]) },
        timestamp: record.timestamp)
      if record.topic == shared { fit(&new) }
      return (record: new, position: Self.position(sequence, index))
    }
    let producer = opened(producer)
    try send({ producer.enqueue(positioned, $0) }, { producer.whenRoom($0) })
  }

  /// A dead letter that with its headers may be more than the topic takes would hold up everything:
  /// it goes without its bytes. Its headers say where they are.
  private func fit(_ letter: inout ProducerRecord) {
    letter.headers.append(
      RecordHeader(key: "martlet.processor", value: Array(processor.utf8)[...]))
    func omit(_ field: WritableKeyPath<ProducerRecord, [UInt8]?>, _ name: String) {
      letter[keyPath: field] = nil
      letter.headers.append(
        RecordHeader(key: "martlet.\(name).omitted", value: Array("true".utf8)[...]))
    }
    let bytesMax = Self.deadLetterBytesMax
    if (letter.key?.count ?? 0) + (letter.value?.count ?? 0) > bytesMax { omit(\.value, "value") }
    if (letter.key?.count ?? 0) > bytesMax { omit(\.key, "key") }
  }

  private func send(
    _ enqueue: (@escaping @Sendable (ClientError?) -> Void) -> Bool,
    _ whenRoom: (@escaping @Sendable () -> Void) -> Void
  ) throws(TransportError) {
    delivery.withLock { $0.open += 1 }
    while true {
      let isTaken = enqueue { [delivery] error in
        delivery.withLock { delivery in
          delivery.open -= 1
          delivery.failure = delivery.failure ?? error
        }
        delivery.broadcast()
      }
      if isTaken { return }
      let hasRoom = Condition(false)
      whenRoom {
        hasRoom.withLock { $0 = true }
        hasRoom.broadcast()
      }
      hasRoom.wait(until: { $0 }, milliseconds: Self.deliveryMilliseconds) { _ in }
    }
  }

  package func finishProducing() throws(TransportError) {
    let failure = delivery.wait(until: { $0.open == 0 }) { $0.failure }
    if let failure { throw Self.transportError(failure, processor) }
  }
}
