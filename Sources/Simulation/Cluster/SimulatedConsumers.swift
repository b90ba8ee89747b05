internal import Broker
internal import Bytes
internal import Checks
internal import KafkaWire
internal import Records

extension SimulatedCluster {
  func fetchRequest(_ partition: Int32, from offset: Int64, epoch: Int32, wait: Int32)
    -> FetchRequest
  {
    FetchRequest.with { request in
      request.maxWaitMs = wait
      request.minBytes = 1
      request.maxBytes = 1 << 20
      request.topics = [
        .with { topic in
          topic.topic = Self.topic
          topic.partitions = [
            .with {
              $0.partition = partition
              $0.fetchOffset = offset
              $0.currentLeaderEpoch = epoch
              $0.partitionMaxBytes = 64 << 10
            }
          ]
        }
      ]
    }
  }

  /// The batches' records, and the offset after them; nil if they cannot be read.
  func seen(_ bytes: ArraySlice<UInt8>, from offset: Int64) -> (batches: [SeenBatch], next: Int64)?
  {
    var found: [SeenBatch] = []
    var next = offset
    var batches = RecordBatches(bytes)
    var decompressor = Decompressor()
    do {
      while let batch = try batches.next() {
        try batch.checkCRC()
        next = batch.header.nextOffset.rawValue
        if batch.header.attributes.isControl { continue }
        var records: [SeenRecord] = []
        for record in try batch.records(&decompressor) where record.offset.rawValue >= offset {
          let value = record.value ?? []
          records.append(
            SeenRecord(
              record.offset, value: value.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
              crc: CRC32C.of(value), epoch: batch.header.partitionLeaderEpoch))
        }
        let header = batch.header
        // A log may begin in the middle of it.
        let left = records.first.map { $0.offset.rawValue - header.baseOffset.rawValue } ?? 0
        let sequence = header.baseSequence < 0 ? -1 : header.baseSequence + Int32(left)
        found.append(
          SeenBatch(
            producer: HistoryProducer(
              id: header.producerID, epoch: header.producerEpoch, sequence: sequence),
            records: records))
      }
    } catch {
      violated("records cannot be read: \(error)")
      return nil
    }
    return (found, next)
  }
}

struct SeenBatch {
  var producer: HistoryProducer
  var records: [SeenRecord]
}

/// Reads to the end, and what comes.
final class SimulatedConsumer: SimulatedClient {
  private var positions: [Int64] = []
  /// Where logs began in the epochs that were seen last.
  private var starts: [Int32: (epoch: Int32, start: Int64)] = [:]

  override func begin() {
    positions = Array(repeating: 0, count: Int(cluster.options.partitions))
    for partition in 0..<cluster.options.partitions {
      cluster.observe(process, .positioned(partition: partition, .zero))
      poll(partition)
    }
  }

  private func pollLater(_ partition: Int32) {
    cluster.after(1000 + cluster.around(cluster.milliseconds(50))) { [unowned self] in
      poll(partition)
    }
  }

  private func poll(_ partition: Int32) {
    guard !cluster.isEnding else { return }
    guard let leader = leaders[partition] else {
      return findLeaders { [unowned self] in pollLater(partition) }
    }
    let position = positions[Int(partition)]
    let request = cluster.fetchRequest(partition, from: position, epoch: leader.epoch, wait: 300)
    call(leader.node, request, version: 11) { [unowned self] response in
      guard let part = response?.responses.first?.partitions.first, part.errorCode == .none else {
        let part = response?.responses.first?.partitions.first
        if part?.errorCode == .offsetOutOfRange { return reset(partition, leader.node) }
        return findLeaders { [unowned self] in pollLater(partition) }
      }
      take(part, partition, epoch: leader.epoch)
      pollLater(partition)
    }
  }

  /// What it wanted is not there any more: it goes on where the log begins.
  private func reset(_ partition: Int32, _ leader: Int32) {
    let position = positions[Int(partition)]
    guard position < cluster.highestStart(of: partition) else {
      return cluster.violated(
        "consumer \(process) is out of range at \(position) of partition \(partition)")
    }
    askForOffset(-2, of: partition, at: leader) { [unowned self] start in
      if let start, start > positions[Int(partition)] {
        positions[Int(partition)] = start
        cluster.observe(process, .positioned(partition: partition, Offset(start)))
      }
      findLeaders { [unowned self] in pollLater(partition) }
    }
  }

  private func take(_ part: FetchResponse.Partition, _ partition: Int32, epoch: Int32) {
    let start = part.logStartOffset
    if let known = starts[partition], known.epoch == epoch, start < known.start {
      cluster.violated(
        "consumer \(process) is told that partition \(partition) begins at \(start), and began at"
          + " \(known.start) in the same epoch \(epoch)")
    }
    starts[partition] = (epoch, start)
    if start > part.highWatermark {
      cluster.violated(
        "partition \(partition) begins at \(start), above its high watermark"
          + " \(part.highWatermark)")
    }
    if case .bytes(let bytes)? = part.records, !bytes.isEmpty {
      let position = positions[Int(partition)]
      guard let (batches, next) = cluster.seen(bytes, from: position) else { return }
      cluster.observe(
        process,
        .polled(
          partition: partition, records: batches.flatMap(\.records),
          highWatermark: Offset(part.highWatermark)))
      positions[Int(partition)] = next
    }
    cluster.observe(
      process,
      .watermarks(
        partition: partition,
        Watermarks(
          epoch: LeaderEpoch(epoch), high: Offset(part.highWatermark),
          // Another leader may not know yet what was deleted.
          start: Offset(cluster.options.trims ? -1 : start))))
  }
}

/// Reads everything once, for the last check.
final class FinalReader: SimulatedClient {
  private var open: Set<Int32> = []
  override var isDone: Bool { open.isEmpty }

  override func begin() {
    open = Set(0..<cluster.options.partitions)
    for partition in 0..<cluster.options.partitions { read(partition) }
  }

  private func again(_ partition: Int32) {
    findLeaders { [unowned self] in
      cluster.after(cluster.milliseconds(10)) { [unowned self] in read(partition) }
    }
  }

  private func read(_ partition: Int32) {
    guard let leader = leaders[partition]?.node else { return again(partition) }
    askForOffset(-2, of: partition, at: leader) { [unowned self] start in
      guard let start else { return again(partition) }
      read(partition, leader, start: start, from: start, [])
    }
  }

  private func read(
    _ partition: Int32, _ leader: Int32, start: Int64, from offset: Int64, _ before: [SeenBatch]
  ) {
    let request = cluster.fetchRequest(partition, from: offset, epoch: -1, wait: 0)
    call(leader, request, version: 11) { [unowned self] response in
      // Also if the log begins elsewhere by now.
      guard let part = response?.responses.first?.partitions.first, part.errorCode == .none else {
        return again(partition)
      }
      guard case .bytes(let bytes)? = part.records, !bytes.isEmpty else {
        guard offset >= part.highWatermark else { return again(partition) }
        return end(partition, start..<offset, before)
      }
      guard let (batches, next) = cluster.seen(bytes, from: offset) else { return }
      read(partition, leader, start: start, from: next, before + batches)
    }
  }

  private func end(_ partition: Int32, _ range: Range<Int64>, _ batches: [SeenBatch]) {
    for batch in batches {
      cluster.observe(
        process,
        .finalRead(
          reader: 0, partition: partition, producer: batch.producer, records: batch.records))
    }
    cluster.observe(
      process,
      .finalRange(
        reader: 0, partition: partition, start: Offset(range.lowerBound),
        end: Offset(range.upperBound)))
    open.remove(partition)
  }
}

/// Commits offsets of a group and asks for them.
final class GroupClient: UnhurriedClient {
  private var name: String { "group-\(process)" }
  private var coordinator: Int32?
  private var next: Int64 = 0

  override func act() {
    guard let coordinator else {
      let request = FindCoordinatorRequest.with { $0.key = name }
      return call(anyNode(), request, version: 3) { [unowned self] response in
        if let response, response.errorCode == .none { self.coordinator = response.nodeId }
        later()
      }
    }
    let partition = Int32(cluster.random.below(Int(cluster.options.partitions)))
    if cluster.random.oneIn(2) {
      commit(partition, coordinator)
    } else {
      // Not only who is known to coordinate.
      fetch(partition, cluster.random.oneIn(4) ? anyNode() : coordinator)
    }
  }

  private func commit(_ partition: Int32, _ node: Int32) {
    next += 1
    cluster.nextRequest += 1
    let operation = cluster.nextRequest
    let offset = next
    let request = OffsetCommitRequest.with { request in
      request.groupId = name
      request.topics = [
        .with { topic in
          topic.name = SimulatedCluster.topic
          topic.partitions = [
            .with {
              $0.partitionIndex = partition
              $0.committedOffset = offset
            }
          ]
        }
      ]
    }
    cluster.observe(
      process,
      .commitInvoked(
        operation: operation, group: process, generation: -1, partition: partition, Offset(offset)))
    call(node, request, version: 7) { [unowned self] response in
      let code = response?.topics.first?.partitions.first?.errorCode
      cluster.say(
        "group \(process) commits \(offset) of partition \(partition) at node \(node):"
          + " \(code.map { "\($0)" } ?? "no answer")"
      )
      cluster.observe(
        process, .commitAnswered(operation: operation, code == ErrorCode.none ? .ok : .unknown))
      if code != ErrorCode.none { coordinator = nil }
      later()
    }
  }

  private func fetch(_ partition: Int32, _ node: Int32) {
    cluster.nextRequest += 1
    let operation = cluster.nextRequest
    let request = OffsetFetchRequest.with { request in
      request.groupId = name
      request.topics = [
        .with { topic in
          topic.name = SimulatedCluster.topic
          topic.partitionIndexes = [partition]
        }
      ]
    }
    cluster.observe(
      process, .offsetFetchInvoked(operation: operation, group: process, partition: partition))
    call(node, request, version: 7) { [unowned self] response in
      let part = response?.topics.first?.partitions.first
      let isRight = response?.errorCode == ErrorCode.none && part?.errorCode == ErrorCode.none
      cluster.say(
        "group \(process) is told \(part?.committedOffset ?? -9) of partition \(partition) by node"
          + " \(node), \(isRight)"
      )
      cluster.observe(
        process,
        .offsetFetchAnswered(
          operation: operation, isRight ? part.map { Offset($0.committedOffset) } : nil))
      if !isRight { coordinator = nil }
      later()
    }
  }
}

/// Makes the topic; then others, which it deletes again.
final class TopicClient: SimulatedClient {
  private static let idle = "idle"
  private var count = 0
  private(set) var hasMade = false
  override var isDone: Bool { hasMade }

  override func begin() { create(SimulatedCluster.topic, cluster.options.partitions) }

  private func create(_ name: String, _ partitions: Int32) {
    let request = CreateTopicsRequest.with { [cluster] request in
      request.timeoutMs = 2000
      request.topics = [
        .with { topic in
          topic.name = name
          topic.numPartitions = partitions
          topic.replicationFactor = Int16(min(3, cluster.options.nodes))
          topic.configs = [
            .with {
              $0.name = "segment.bytes"
              $0.value = "\(1 << 20)"
            },
            .with {
              $0.name = "retention.ms"
              $0.value = "-1"
            },
            .with {
              $0.name = "retention.bytes"
              $0.value = "\(cluster.options.retentionBytes ?? -1)"
            },
          ]
        }
      ]
    }
    let node = anyNode()
    let life = cluster[node].life
    call(node, request, version: 5) { [unowned self] response in
      let code = response?.topics.first?.errorCode
      cluster.say(
        "topic \(name): \(code.map { "\($0)" } ?? "no answer")"
          + " \(response?.topics.first?.errorMessage ?? "")"
      )
      let isThere = code == ErrorCode.none || code == ErrorCode.topicAlreadyExists
      if isThere {
        hasMade = true
        if code == ErrorCode.none { look(name, node, life) }
      }
      cluster.after(cluster.around(cluster.milliseconds(isThere ? 1000 : 50))) { [unowned self] in
        isThere ? deleted(name) : create(name, partitions)
      }
    }
  }

  /// Who has said that it is made knows it.
  private func look(_ name: String, _ node: Int32, _ life: Int) {
    let request = MetadataRequest.with { request in
      request.allowAutoTopicCreation = false
      request.topics = [.with { $0.name = name }]
    }
    call(node, request, version: 9, timeout: 1000) { [unowned self] response in
      guard cluster[node].life == life, name == SimulatedCluster.topic else { return }
      guard response?.topics.first?.errorCode == .unknownTopicOrPartition else { return }
      cluster.violated("node \(node) says that topic \(name) is made, and does not know it")
    }
  }

  private func deleted(_ name: String) {
    if name == SimulatedCluster.topic, cluster.options.idlePartitions > 0 {
      return create(Self.idle, cluster.options.idlePartitions)
    }
    guard cluster.options.changesTopics, !cluster.isEnding else { return }
    guard name != SimulatedCluster.topic, name != Self.idle else { return another() }
    let request = DeleteTopicsRequest.with {
      $0.topicNames = [name]
      $0.timeoutMs = 2000
    }
    call(anyNode(), request, version: 4) { [unowned self] response in
      cluster.say(
        "topic \(name) is deleted:"
          + " \(response?.responses.first.map { "\($0.errorCode)" } ?? "no answer")"
      )
      cluster.after(cluster.around(cluster.milliseconds(500))) { [unowned self] in another() }
    }
  }

  private func another() {
    count += 1
    create("passing-\(count)", 1 + Int32(cluster.random.below(3)))
  }
}
