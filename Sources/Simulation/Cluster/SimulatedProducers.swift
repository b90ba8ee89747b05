internal import Broker
internal import Bytes
internal import Checks
internal import KafkaWire
internal import Records

/// A batch of records on its way.
final class SimulatedBatch {
  let operation: UInt64
  let sequence: Int32
  let records: [HistoryRecord]
  let bytes: [UInt8]
  var isSent = false

  init(_ operation: UInt64, _ sequence: Int32, _ records: [HistoryRecord], _ bytes: [UInt8]) {
    self.operation = operation
    self.sequence = sequence
    self.records = records
    self.bytes = bytes
  }
}

extension SimulatedCluster {
  func makeBatch(_ producer: RecordBatchBuilder.Producer) -> SimulatedBatch {
    var builder = RecordBatchBuilder(producer: producer)
    var records: [HistoryRecord] = []
    for _ in 0...random.below(options.recordsMax) {
      nextValue += 1
      var value: [UInt8] = []
      for shift in stride(from: 56, through: 0, by: -8) {
        value.append(UInt8(truncatingIfNeeded: nextValue >> UInt64(shift)))
      }
      if options.paddingMax > 0 {
        value += [UInt8](
          repeating: UInt8(truncatingIfNeeded: nextValue), count: random.below(options.paddingMax))
      }
      records.append(HistoryRecord(value: nextValue, crc: CRC32C.of(value[...])))
      let time = SimulatedNode.wallBegins + now / 1_000_000
      try? builder.append(key: nil, value: value[...], timestamp: Timestamp(time))
    }
    nextRequest += 1
    return SimulatedBatch(
      nextRequest, producer.baseSequence, records, builder.buildUncompressed())
  }

  func produceRequest(_ batch: SimulatedBatch, _ partition: Int32) -> ProduceRequest {
    ProduceRequest.with { request in
      request.acks = -1
      request.timeoutMs = 1500
      request.topicData = [
        .with { data in
          data.name = Self.topic
          data.partitionData = [
            .with {
              $0.index = partition
              $0.records = batch.bytes[...]
            }
          ]
        }
      ]
    }
  }
}

extension SimulatedClient {
  /// Of who acknowledges a batch, at that moment.
  func inspection(_ batch: SimulatedBatch) -> (ProduceResponse, SimulatedNode) -> Void {
    { [cluster] response, member in
      guard let part = response.responses.first?.partitionResponses.first,
        part.errorCode == .none, part.baseOffset >= 0
      else { return }
      let end = part.baseOffset + Int64(batch.records.count)
      cluster.acknowledges(part.index, part.baseOffset..<end, member)
    }
  }
}

/// A producer that numbers its batches, and sends them again until they are acknowledged.
final class IdempotentProducer: SimulatedClient {
  final class Stream {
    let partition: Int32
    var next: Int32 = 0
    var batches: [SimulatedBatch] = []
    var outstanding = 0
    /// Who has what is under way.
    var leader: Int32 = 0
    /// All that is not acknowledged is to be sent again, once nothing is under way.
    var isToRepeat = true
    var isRepeating = false

    init(_ partition: Int32) { self.partition = partition }
  }

  private var id: (id: ProducerID, epoch: ProducerEpoch)?
  private var streams: [Stream] = []

  override func begin() {
    streams = (0..<cluster.options.partitions).map { Stream($0) }
    askForID()
  }

  override var isDone: Bool { streams.allSatisfy(\.batches.isEmpty) }

  override var text: String {
    "producer \(process): "
      + streams.map {
        "partition \($0.partition) has \($0.batches.count) batches, \($0.outstanding) under way,"
          + " first \($0.batches.first.map { "\($0.sequence)" } ?? "-")"
      }.joined(separator: "; ")
  }

  private func askForID() {
    let request = InitProducerIdRequest.with { $0.transactionalId = nil }
    call(anyNode(), request, version: 4, timeout: 5000) { [unowned self] response in
      guard let response, response.errorCode == .none else {
        if !cluster.isEnding {
          cluster.after(cluster.around(cluster.milliseconds(50))) { [unowned self] in askForID() }
        }
        return
      }
      let given = (
        id: ProducerID(response.producerId), epoch: ProducerEpoch(response.producerEpoch)
      )
      id = given
      cluster.observe(process, .producerIDGiven(given.id, given.epoch, isBump: false))
      for stream in streams { produce(stream) }
    }
  }

  private func produce(_ stream: Stream) {
    guard !cluster.isEnding, let id else { return }
    if stream.batches.count < cluster.options.batchesInFlight {
      let batch = cluster.makeBatch(
        RecordBatchBuilder.Producer(id: id.id, epoch: id.epoch, baseSequence: stream.next))
      stream.next += Int32(batch.records.count)
      stream.batches.append(batch)
      cluster.observe(
        process,
        .produceInvoked(
          operation: batch.operation, partition: stream.partition,
          producer: HistoryProducer(id: id.id, epoch: id.epoch, sequence: batch.sequence),
          records: batch.records))
      proceed(stream)
    }
    let pause = cluster.milliseconds(cluster.options.producePause)
    cluster.after(1000 + cluster.around(pause)) { [unowned self] in produce(stream) }
  }

  private func proceed(_ stream: Stream) {
    if stream.isToRepeat {
      guard stream.outstanding == 0, !stream.isRepeating else { return }
      stream.isRepeating = true
      cluster.after(cluster.around(cluster.milliseconds(20))) { [unowned self] in
        findLeaders { [unowned self] in
          stream.isRepeating = false
          guard leaders[stream.partition] != nil else { return proceed(stream) }
          stream.isToRepeat = false
          for batch in stream.batches { batch.isSent = false }
          proceed(stream)
        }
      }
      return
    }
    guard let leader = leaders[stream.partition]?.node else { return }
    // What is under way elsewhere is waited for, as clients do: its order would be lost.
    guard stream.outstanding == 0 || stream.leader == leader else { return }
    stream.leader = leader
    for batch in stream.batches where !batch.isSent {
      guard stream.outstanding < cluster.options.batchesInFlight else { return }
      batch.isSent = true
      stream.outstanding += 1
      cluster.say(
        "producer \(process) sends \(batch.sequence) of partition \(stream.partition) to node"
          + " \(leader)")
      call(
        leader, cluster.produceRequest(batch, stream.partition), version: 9,
        inspect: inspection(batch)
      ) { [unowned self] response in
        stream.outstanding -= 1
        answered(response?.responses.first?.partitionResponses.first, batch, stream)
        proceed(stream)
      }
    }
  }

  private func answered(
    _ part: ProduceResponse.Partition?, _ batch: SimulatedBatch, _ stream: Stream
  ) {
    cluster.say(
      "producer \(process): \(batch.sequence) of partition \(stream.partition) is"
        + " \(part.map { "\($0.errorCode) at \($0.baseOffset)" } ?? "not answered")")
    guard let part else {
      stream.isToRepeat = true
      return
    }
    guard let place = stream.batches.firstIndex(where: { $0 === batch }) else { return }
    switch part.errorCode {
    case .none where part.baseOffset < 0:
      cluster.violated(
        "producer \(process) is not told where \(batch.sequence) of partition"
          + " \(stream.partition) is")
    case .none:
      stream.batches.remove(at: place)
      cluster.observe(
        process,
        .produceAnswered(
          operation: batch.operation, .ok(Offset(part.baseOffset), .none, node: -1)))
    case .outOfOrderSequenceNumber where place == 0:
      cluster.violated(
        "producer \(process) is told that \(batch.sequence) in partition \(stream.partition) is"
          + " out of order, though all before it was acknowledged: \(part.errorMessage ?? "")")
    case .outOfOrderSequenceNumber, .notLeaderOrFollower, .leaderNotAvailable, .requestTimedOut,
      .unknownTopicOrPartition, .kafkaStorageError, .notEnoughReplicas,
      .notEnoughReplicasAfterAppend, .networkException:
      stream.isToRepeat = true
    default:
      cluster.violated(
        "producer \(process) is answered \(part.errorCode): \(part.errorMessage ?? "")")
    }
  }
}

/// A producer that sends a batch once and does not know what became of it if nobody says.
final class PlainProducer: SimulatedClient {
  private var isBusy = false

  override func begin() { produce() }
  override var isDone: Bool { !isBusy }

  private func produce() {
    guard !cluster.isEnding else { return }
    cluster.after(1000 + cluster.around(cluster.milliseconds(cluster.options.producePause))) {
      [unowned self] in
      guard !cluster.isEnding else { return }
      let partition = Int32(cluster.random.below(Int(cluster.options.partitions)))
      guard let leader = leaders[partition]?.node else {
        return findLeaders { [unowned self] in produce() }
      }
      send(partition, to: leader)
    }
  }

  private func send(_ partition: Int32, to leader: Int32) {
    let batch = cluster.makeBatch(.none)
    isBusy = true
    cluster.observe(
      process,
      .produceInvoked(
        operation: batch.operation, partition: partition, producer: nil, records: batch.records))
    call(
      leader, cluster.produceRequest(batch, partition), version: 9, inspect: inspection(batch)
    ) { [unowned self] response in
      isBusy = false
      let part = response?.responses.first?.partitionResponses.first
      guard let part, part.errorCode == .none else {
        cluster.observe(process, .produceAnswered(operation: batch.operation, .unknown))
        return findLeaders { [unowned self] in produce() }
      }
      cluster.observe(
        process,
        .produceAnswered(
          operation: batch.operation, .ok(Offset(part.baseOffset), .none, node: -1)))
      askForEnd(partition)
    }
  }

  /// After an acknowledgement the end is above it, whoever is asked.
  private func askForEnd(_ partition: Int32) {
    guard cluster.random.oneIn(3) else { return produce() }
    let node = cluster.random.oneIn(2) ? anyNode() : leaders[partition]?.node ?? anyNode()
    cluster.nextRequest += 1
    let operation = cluster.nextRequest
    cluster.observe(process, .endInvoked(operation: operation, partition: partition))
    askForOffset(-1, of: partition, at: node) { [unowned self] offset in
      cluster.say(
        "node \(node) says partition \(partition) ends at \(offset.map { "\($0)" } ?? "nothing")")
      cluster.observe(process, .endAnswered(operation: operation, offset.map { Offset($0) }))
      produce()
    }
  }
}
