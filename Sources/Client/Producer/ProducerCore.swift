internal import Bytes
package import KafkaWire
internal import Records

/// What a producer decides: which record goes into which batch, which batch is sent when, and what
/// an answer means for it and for those behind it. It has no clock, thread or socket.
///
/// (1) Records of one partition are appended in the order in which they were added, whatever fails
///     and however often. With idempotence five batches of a partition may be on their way, without
///     it one.
/// (2) With idempotence no record is appended twice. A batch whose fate is unknown is sent again
///     with the same number; if its time is over, it and every numbered batch behind it fail, and
///     the sequence begins anew in a new epoch.
/// (3) A batch that was rejected fails alone; those behind it move up in the sequence.
/// (4) A producer that was shut out by another stops for good. One that fences (it has a
///     transactional id) stops with its first failure: what comes after a record that is missing
///     must not be written, because whoever resumes goes by the last one that is there.
package final class ProducerCore {
  package struct Settings {
    package var options: Producer.Options
    package init(options: Producer.Options) { self.options = options }

    package var inFlightMax: Int { options.isIdempotent ? 5 : 1 }
  }

  /// What became of a batch that was sent.
  package enum Outcome {
    case appended(baseOffset: Int64, logAppendTime: Int64)
    /// The broker's word on it.
    case refused(ErrorCode, logStartOffset: Int64, message: String?)
    /// No answer: it may have been appended.
    case unknown(ClientError)
  }

  private final class Topic {
    let name: String
    var queues: [PartitionQueue] = []
    var available: [Int32] = []
    var sticky = StickyPartitioner()
    /// Records that came before the topic's partitions were known.
    var pending: [(record: ProducerRecord, delivery: Delivery, index: Int, at: Int64)] = []

    init(_ name: String) { self.name = name }
  }

  /// Others lead some ten milliseconds after a leader died.
  package static let retryBackoffMilliseconds: Int64 = 5
  package static let retryBackoffMaxMilliseconds: Int64 = 1000

  private let settings: Settings
  private var options: Producer.Options { settings.options }
  private var generator: SeededGenerator
  private var compressor = Compressor()
  private var decompressor = Decompressor()
  private var topics: [String: Topic] = [:]
  private var lastTopic: Topic?
  /// Partitions with anything in them, in the order in which they got it.
  private var active: [PartitionQueue] = []
  private var identity: ProducerIdentity?
  package private(set) var fatalError: ClientError?

  // What the driver takes.
  package private(set) var finished: [Delivery] = []
  /// Bytes of records that are done.
  package private(set) var freedBytes = 0
  /// Topics that were first seen.
  package private(set) var newTopics: [String] = []
  /// An answer showed that what is known of the cluster is wrong.
  package private(set) var needsMetadata = false
  /// Send what there is without waiting for more.
  package var isFlushing = false

  package init(_ settings: Settings, seed: UInt64) {
    self.settings = settings
    generator = SeededGenerator(seed: seed)
  }

  package func setIdentity(_ identity: ProducerIdentity) { self.identity = identity }

  package func takeFinished() -> [Delivery] {
    defer { finished = [] }
    return finished
  }

  package func takeFreedBytes() -> Int {
    defer { freedBytes = 0 }
    return freedBytes
  }

  package func takeNewTopics() -> [String] {
    defer { newTopics = [] }
    return newTopics
  }

  package func takeNeedsMetadata() -> Bool {
    defer { needsMetadata = false }
    return needsMetadata
  }

  package var isIdle: Bool { active.isEmpty && topics.values.allSatisfy { $0.pending.isEmpty } }

  // MARK: Records

  /// Takes records; `wallClock` is the time of those that have none, in milliseconds since 1970.
  package func add(_ records: [ProducerRecord], _ delivery: Delivery, now: Int64, wallClock: Int64)
  {
    for index in records.indices {
      add(records[index], delivery, index, now, wallClock)
    }
  }

  private func add(
    _ record: ProducerRecord, _ delivery: Delivery, _ index: Int, _ now: Int64, _ wallClock: Int64
  ) {
    if let fatalError { return fail(delivery, 1, record.bufferedSize, fatalError) }
    let topic = topic(record.topic)
    guard !topic.queues.isEmpty, topic.pending.isEmpty else {
      var record = record
      record.timestamp = record.timestamp ?? wallClock
      topic.pending.append((record, delivery, index, now))
      return
    }
    place(record, topic, delivery, index, now, wallClock)
  }

  private func topic(_ name: String) -> Topic {
    if let lastTopic, lastTopic.name == name { return lastTopic }
    if let topic = topics[name] {
      lastTopic = topic
      return topic
    }
    let topic = Topic(name)
    topics[name] = topic
    newTopics.append(name)
    lastTopic = topic
    return topic
  }

  private func place(
    _ record: ProducerRecord, _ topic: Topic, _ delivery: Delivery, _ index: Int, _ now: Int64,
    _ wallClock: Int64
  ) {
    let count = Int32(topic.queues.count)
    let partition: Int32
    if let named = record.partition {
      guard named >= 0, named < count else {
        let why = "\(topic.name) has partitions 0 to \(count - 1), not \(named)"
        return fail(delivery, 1, record.bufferedSize, ClientError(.invalidArgument, why))
      }
      partition = named
    } else if let key = record.key {
      partition = Murmur2.partition(of: key, count: count)
    } else {
      partition = topic.sticky.partition(
        size: record.bufferedSize, stickyBytes: options.batchBytesMax, available: topic.available,
        &generator)
    }
    let queue = topic.queues[Int(partition)]
    let timestamp = record.timestamp ?? wallClock
    if let open = queue.open {
      if open.append(record, timestamp: timestamp, delivery, index: index) { return }
      queue.closeOpen()
    }
    // What counts for a record in the buffer is never less than it takes in a batch of its own, but
    // for the batch's header; only a record that needs it makes a batch larger.
    let alone = record.bufferedSize + 256
    let batch = ProducerBatch(
      queue.partition, now: now, codec: options.compression.codec,
      level: options.compressionLevel, bytesMax: max(options.batchBytesMax, alone))
    guard batch.append(record, timestamp: timestamp, delivery, index: index) else {
      let why = "a record of \(record.bufferedSize) bytes for \(queue.partition) is too large"
      return fail(delivery, 1, record.bufferedSize, ClientError(.invalidArgument, why))
    }
    queue.open = batch
    if !queue.isActive {
      queue.isActive = true
      active.append(queue)
    }
  }

  // MARK: Metadata

  /// Says how many partitions a topic has, and which of them have leaders.
  package func know(_ name: String, partitionCount: Int, available: [Int32], now: Int64) {
    guard let topic = topics[name], partitionCount > 0 else { return }
    for number in topic.queues.count..<max(partitionCount, topic.queues.count) {
      topic.queues.append(PartitionQueue(TopicPartition(name, Int32(number))))
    }
    topic.available =
      available.isEmpty ? topic.queues.indices.map { Int32($0) } : available
    let pending = topic.pending
    topic.pending = []
    for entry in pending {
      place(entry.record, topic, entry.delivery, entry.index, entry.at, 0)
    }
  }

  /// The records that wait for a topic fail: it will not come.
  package func refuse(_ name: String, _ error: ClientError) {
    guard let topic = topics[name] else { return }
    let pending = topic.pending
    topic.pending = []
    for entry in pending { fail(entry.delivery, 1, entry.record.bufferedSize, error) }
  }

  // MARK: Sending

  /// The batches of one produce request to one broker, or nil when there is nothing to send now.
  /// Call again until then.
  package func takeRequest(
    _ now: Int64, leader: (TopicPartition) -> Int32?
  ) -> (node: Int32, batches: [ProducerBatch])? {
    guard fatalError == nil, !options.isIdempotent || identity != nil else { return nil }
    var node: Int32?
    var batches: [ProducerBatch] = []
    var size = 0
    for queue in active {
      closeIfDue(queue, now)
      guard let batch = queue.nextToSend(now, inFlightMax: settings.inFlightMax) else { continue }
      if batch.sequence == nil, let identity, queue.mustFinish(before: identity) { continue }
      guard let leader = leader(queue.partition) else {
        needsMetadata = true
        continue
      }
      if let node, node != leader { continue }
      if !batch.isSealed { batch.seal(&compressor) }
      if !batches.isEmpty, size + batch.size > options.requestBytesMax { break }
      node = leader
      size += batch.size
      queue.send(batch, options.isIdempotent ? identity : nil)
      batches.append(batch)
    }
    guard let node else { return nil }
    return (node, batches)
  }

  private func closeIfDue(_ queue: PartitionQueue, _ now: Int64) {
    guard let open = queue.open, queue.waiting.isEmpty,
      queue.inFlight.count < settings.inFlightMax
    else { return }
    if isFlushing || now - open.createdAt >= options.lingerMilliseconds { queue.closeOpen() }
  }

  /// When there is something to do next: a batch that has lingered, a retry, a deadline.
  package func nextDue(_ now: Int64) -> Int64 {
    var due = Int64.max
    for queue in active {
      let first = queue.inFlight.first ?? queue.waiting.first ?? queue.open
      if let first { due = min(due, first.createdAt + options.deliveryTimeoutMilliseconds) }
      if queue.inFlight.count >= settings.inFlightMax { continue }
      if !queue.waiting.isEmpty {
        due = min(due, max(queue.retryAt, now + 1))
      } else if let open = queue.open {
        due = min(due, max(now + 1, open.createdAt + options.lingerMilliseconds))
      }
    }
    for topic in topics.values {
      // Not in order, but the least of them all the same.
      if let first = topic.pending.first {
        due = min(due, first.at + options.deliveryTimeoutMilliseconds)
      }
    }
    return due
  }

  // MARK: Outcomes

  /// Says what became of a batch that `takeRequest` returned; `sending` is what its `sendings` was
  /// then. An answer to an earlier sending than the last means nothing any more.
  package func answered(_ batch: ProducerBatch, sending: Int, _ outcome: Outcome, now: Int64) {
    guard !batch.isDone, batch.sendings == sending, let queue = queue(of: batch) else { return }
    switch outcome {
    case .appended(let baseOffset, let logAppendTime):
      succeed(batch, queue, baseOffset, logAppendTime)
    case .unknown(let error):
      needsMetadata = true
      if error.isRetriable || error.code == .corruptData {
        again(batch, queue, now)
      } else {
        reject(batch, queue, error)
      }
    case .refused(let code, let logStartOffset, let message):
      refused(batch, queue, code, logStartOffset, message, now)
    }
    deactivateIfEmpty(queue)
  }

  private func refused(
    _ batch: ProducerBatch, _ queue: PartitionQueue, _ code: ErrorCode, _ logStartOffset: Int64,
    _ message: String?, _ now: Int64
  ) {
    let error = ClientError(code, "writing to \(batch.partition)", message)
    switch code {
    case .duplicateSequenceNumber:
      succeed(batch, queue, -1, -1)
    case .producerFenced, .invalidProducerEpoch:
      stop(error)
    case .outOfOrderSequenceNumber, .unknownProducerId:
      guard batch.sequence != nil else { return reject(batch, queue, error) }
      // Behind one that is not done, or sent with a number it has no more: its turn will come.
      if queue.hasBefore(batch) || batch.sentSequence != batch.sequence {
        return again(batch, queue, now)
      }
      restart(batch, queue, error, now)
    case .messageTooLarge:
      let halves = batch.halves(
        codec: options.compression.codec, level: options.compressionLevel, &decompressor)
      guard let (first, second) = halves else {
        var error = error
        error.oversized = batch.oversized(&decompressor)
        return reject(batch, queue, error)
      }
      batch.isDone = true
      queue.replace(batch, by: first, second)
    case .notLeaderOrFollower, .leaderNotAvailable, .unknownTopicOrPartition, .replicaNotAvailable,
      .fencedLeaderEpoch, .unknownLeaderEpoch, .kafkaStorageError:
      needsMetadata = true
      again(batch, queue, now)
    default:
      if code.isRetriable { again(batch, queue, now) } else { reject(batch, queue, error) }
    }
  }

  private func succeed(
    _ batch: ProducerBatch, _ queue: PartitionQueue, _ baseOffset: Int64, _ logAppendTime: Int64
  ) {
    batch.isDone = true
    queue.remove(batch)
    freedBytes += batch.bufferedSize
    if baseOffset >= 0 { queue.lastOffset = baseOffset + Int64(batch.count) - 1 }
    var position = 0
    for run in batch.runs {
      for index in 0..<run.count {
        let place = position + index
        run.delivery.place(run.firstIndex + index) {
          RecordMetadata(
            topic: batch.partition.topic, partition: batch.partition.partition,
            offset: baseOffset < 0 ? -1 : baseOffset + Int64(place),
            timestamp: logAppendTime >= 0 ? logAppendTime : batch.timestamps[place])
        }
      }
      position += run.count
      if run.delivery.acknowledge(run.count) { finished.append(run.delivery) }
    }
  }

  private func again(_ batch: ProducerBatch, _ queue: PartitionQueue, _ now: Int64) {
    queue.giveBack(batch)
    let backoff = min(
      Self.retryBackoffMaxMilliseconds,
      Self.retryBackoffMilliseconds << Int64(min(max(0, batch.attempts - 1), 8)))
    queue.retryAt = max(queue.retryAt, now + backoff)
  }

  /// It was not appended and never will be.
  private func reject(_ batch: ProducerBatch, _ queue: PartitionQueue, _ error: ClientError) {
    queue.closeGap(of: batch)
    drop(batch, queue, error)
  }

  /// The broker lost the sequence: it has a gap, or knows nothing of the producer. What was
  /// numbered is numbered anew in the next epoch, in the same order; the broker has just said that
  /// it has none of it.
  private func restart(
    _ batch: ProducerBatch, _ queue: PartitionQueue, _ error: ClientError, _ now: Int64
  ) {
    // Whoever fences must not go on over a gap: a record that was acknowledged may be lost.
    guard options.transactionalID == nil else { return stop(error) }
    for other in queue.inFlight { queue.giveBack(other) }
    queue.restart()
    raiseEpoch()
    queue.retryAt = now + Self.retryBackoffMilliseconds
  }

  private func raiseEpoch() {
    guard let now = identity else { return }
    guard now.epoch.rawValue < .max - 1 else {
      // Epochs are used up: the driver gets another id.
      identity = nil
      return
    }
    identity = ProducerIdentity(id: now.id, epoch: ProducerEpoch(now.epoch.rawValue + 1))
  }

  /// Whether the driver has to get a producer id.
  package var needsIdentity: Bool { options.isIdempotent && identity == nil && fatalError == nil }

  // MARK: Failing

  /// Fails what has taken too long.
  package func expire(_ now: Int64) {
    let limit = now - options.deliveryTimeoutMilliseconds
    for queue in active {
      while let batch = queue.all.first, batch.createdAt <= limit, fatalError == nil {
        expire(batch, queue)
      }
    }
    active.removeAll { queue in
      if queue.isEmpty { queue.isActive = false }
      return queue.isEmpty
    }
    for name in topics.keys.sorted() {
      guard let topic = topics[name] else { continue }
      while let first = topic.pending.first, first.at <= limit {
        topic.pending.removeFirst()
        let error = ClientError(.timedOut, "\(topic.name) was not found in time")
        fail(first.delivery, 1, first.record.bufferedSize, error)
      }
    }
  }

  private func expire(_ batch: ProducerBatch, _ queue: PartitionQueue) {
    let error = ClientError(
      .timedOut, "\(batch.count) records for \(batch.partition) were not acknowledged in time")
    guard batch.sequence != nil else { return drop(batch, queue, error) }
    // Whether the broker has it is not known, and what is behind it cannot be appended without it.
    guard options.transactionalID == nil else { return stop(error) }
    for numbered in queue.numbered() { drop(numbered, queue, error) }
    queue.restart()
    raiseEpoch()
  }

  /// Nothing more is sent; everything fails.
  package func stop(_ error: ClientError) {
    guard fatalError == nil else { return }
    fatalError = error
    for queue in active {
      for batch in queue.all { drop(batch, queue, error) }
      queue.isActive = false
    }
    active = []
    for name in topics.keys.sorted() { refuse(name, error) }
  }

  private func drop(_ batch: ProducerBatch, _ queue: PartitionQueue, _ error: ClientError) {
    if options.transactionalID != nil, fatalError == nil { stop(error) }
    guard !batch.isDone else { return }
    batch.isDone = true
    queue.remove(batch)
    freedBytes += batch.bufferedSize
    for run in batch.runs where run.delivery.fail(run.count, error) {
      finished.append(run.delivery)
    }
  }

  private func fail(_ delivery: Delivery, _ count: Int, _ size: Int, _ error: ClientError) {
    if options.transactionalID != nil, fatalError == nil { stop(error) }
    freedBytes += size
    if delivery.fail(count, error) { finished.append(delivery) }
  }

  private func queue(of batch: ProducerBatch) -> PartitionQueue? {
    let topic = topic(batch.partition.topic)
    let index = Int(batch.partition.partition)
    return topic.queues.indices.contains(index) ? topic.queues[index] : nil
  }

  private func deactivateIfEmpty(_ queue: PartitionQueue) {
    guard queue.isEmpty, queue.isActive else { return }
    queue.isActive = false
    active.removeAll { $0 === queue }
  }
}
