internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// A produce request on its way: its batches are appended one partition after another, and it is
/// answered when the last of them is durable.
final class ProduceOperation {
  let request: Request
  let body: ProduceRequest
  var response = ProduceResponse()
  /// The next partition to be appended.
  var topic = 0
  var partition = 0
  /// Appended, not durable yet.
  var outstanding = 0
  /// Milliseconds; after it, what is not durable is answered as timed out.
  let deadline: Int64
  var isAnswered = false

  init(request: Request, body: ProduceRequest, now: Int64) {
    self.request = request
    self.body = body
    deadline = now + Int64(max(0, body.timeoutMs))
    response.responses = body.topicData.map { data in
      var topic = ProduceResponse.Topic()
      topic.name = data.name
      topic.topicId = data.topicId
      topic.partitionResponses = data.partitionData.map { part in
        var partition = ProduceResponse.Partition()
        partition.index = part.index
        partition.baseOffset = -1
        return partition
      }
      return topic
    }
  }
}

/// A batch that was appended and is not durable yet.
struct AppendInFlight {
  enum Owner {
    case produce(ProduceOperation, topic: Int, partition: Int)
    /// Records of the metadata log or of the group coordinator.
    case records(RecordsAppend)
  }

  /// Durable when the log is durable up to here.
  var position: LogPosition
  var owner: Owner
  /// When it was appended, in nanoseconds of the driver's clock.
  var since: UInt64 = 0

  init(position: LogPosition, owner: Owner) {
    self.position = position
    self.owner = owner
  }
}

/// Produce requests in the order in which they came, of which the first may be stuck because the
/// journal has no room. None overtakes another: a producer counts on its batches' order.
///
/// Bounded by the server's bound on unanswered requests.
struct ProduceQueue {
  var stuck: [ProduceOperation] = []
  /// All that are not answered, to find those that time out, and some that are; oldest first. Nil
  /// before `first`.
  private var all: [ProduceOperation?] = []
  private var first = 0

  var open: [ProduceOperation] { all[first...].compactMap { $0 } }

  mutating func add(_ operation: ProduceOperation) { all.append(operation) }

  /// Lets go of the oldest that are answered: one after another as they are, because to free the
  /// requests of a tenth of a second together takes a millisecond, in which nothing else happens.
  mutating func letGo() {
    while first < all.count, all[first]?.isAnswered ?? true {
      all[first] = nil
      first += 1
    }
    guard first > 64, first * 2 > all.count else { return }
    all.removeFirst(first)
    first = 0
  }

  /// Lets go of all that are answered.
  mutating func letGoOfAll() {
    all.removeAll { $0?.isAnswered ?? true }
    first = 0
  }
}

extension Node {
  func produce(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(ProduceRequest.self)
    guard body.topicData.allSatisfy({ $0.partitionData.allSatisfy { $0.records != nil } }) else {
      // No client does; Kafka fails on it and closes as well.
      answer(request, .close("its Produce request has a partition without records"))
      return
    }
    let operation = ProduceOperation(request: request, body: body, now: now)
    guard (-1...1).contains(body.acks) else {
      operation.fail(all: .invalidRequiredAcks)
      finish(operation)
      return
    }
    if body.transactionalId != nil {
      operation.fail(all: .transactionalIdAuthorizationFailed)
      finish(operation)
      return
    }
    guard produces.stuck.isEmpty, advance(operation) else {
      produces.stuck.append(operation)
      return
    }
    settle(operation)
  }

  /// Goes on with what was stuck.
  func advanceProduces() {
    advanceHeld()
    while let first = produces.stuck.first, advance(first) {
      produces.stuck.removeFirst()
      settle(first)
    }
  }

  /// Appends the operation's next batches. False if the journal has no room for one.
  private func advance(_ operation: ProduceOperation) -> Bool {
    while operation.topic < operation.body.topicData.count {
      let topic = operation.body.topicData[operation.topic]
      while operation.partition < topic.partitionData.count {
        guard tryToAppend(operation) else { return false }
        operation.partition += 1
      }
      operation.partition = 0
      operation.topic += 1
    }
    return true
  }

  /// Appends the operation's next batch. False if the journal has no room for it.
  func tryToAppend(_ operation: ProduceOperation, wasHeld: Bool = false) -> Bool {
    let topic = operation.body.topicData[operation.topic]
    do throws(LogError) {
      try append(topic.partitionData[operation.partition], topic.name, operation, wasHeld: wasHeld)
    } catch .busy {
      return false
    } catch .tooLarge(let bytes, let bytesMax) {
      operation.fail(
        .messageTooLarge,
        "the record batch is \(bytes) bytes, over the \(bytesMax) that this node's journal "
          + "takes; send smaller batches, or start the node with a larger message.max.bytes")
    } catch {
      operation.fail(errorCode(for: error), "\(error)")
    }
    return true
  }

  private func append(
    _ part: ProduceRequest.Partition, _ topicName: String, _ operation: ProduceOperation,
    wasHeld: Bool
  ) throws(LogError) {
    let partition: Partition
    switch access(topicName, part.index) {
    case .here(let found): partition = found
    case .elsewhere: return failElsewhere(topicName, part.index, operation)
    case .unknown: return operation.fail(.unknownTopicOrPartition)
    }
    guard let topic = topics[topicName], let replica = replicas[partition.log] else { return }
    guard !topic.isInternal || operation.request.clientId == "__admin_client" else {
      operation.fail(.invalidTopicException, "Clients may not write to the topic \(topicName).")
      return
    }
    let batch: ProducedBatch
    do throws(ProduceRejection) {
      batch = try ProducedBatch.validate(
        part.records ?? [], topic.config.produceRules(version: operation.request.version),
        now: Timestamp(wallNow), &decompressor, &compressor)
    } catch {
      reject(part, partition, error, operation)
      return
    }
    guard batch.header.baseOffset.rawValue == 0 else {
      tellStart(of: partition, operation)
      operation.fail(
        .invalidRecord,
        "A batch begins at offset 0, not at \(batch.header.baseOffset.rawValue): the log gives "
          + "offsets.")
      return
    }
    // Transactions are not served: a batch of one has nobody to commit it (Kafka answers the same
    // to one whose request names no transactional id).
    guard !batch.header.attributes.isTransactional else {
      operation.fail(.transactionalIdAuthorizationFailed)
      return
    }
    if let least = replicasBeyondMajority(replica), operation.body.acks == -1 {
      guard inSync(replica).count >= least else { return operation.fail(.notEnoughReplicas) }
    }
    if !wasHeld, mustHold(batch.header, replica) { return hold(operation, replica.log) }
    if batch.header.hasProducer, try !accepts(batch, partition, operation, wasHeld: wasHeld) {
      return
    }
    // Behind what its group has ordered and the journal has no room for.
    guard !replica.isStuck else { throw .busy }
    let appended = try store.append(
      partition.log, batch.bytes, epoch: partition.epoch, patch: batch.timestampPatch)
    metrics.appended(topicName, batch.header.recordsCount, batch.bytes.count)
    operation.set {
      $0.baseOffset = appended.first.rawValue
      $0.logAppendTimeMs = batch.logAppendTime.rawValue
    }
    if !plants(.acknowledgeAppended) { wait(operation, partition.log, appended.position) }
    step(replica, .appended(appended.position))
  }

  /// Says who leads the partition, if it is known (KIP-951).
  func failElsewhere(_ topic: String, _ index: Int32, _ operation: ProduceOperation) {
    operation.fail(.notLeaderOrFollower)
    guard operation.request.version >= 10, let id = topics[topic]?.id,
      let known = leader(of: GroupID(topic: id, index: index)), let node = broker(known.leader)
    else { return }
    operation.set { $0.currentLeader.set(known) }
    operation.response.nodeEndpoints.add(node)
  }

  /// Answers for records that cannot be appended. As in Kafka: what is no batch at all is the
  /// request's fault and gets no log start, a batch that does not hold what it should does.
  private func reject(
    _ part: ProduceRequest.Partition, _ partition: Partition, _ rejection: ProduceRejection,
    _ operation: ProduceOperation
  ) {
    let records = part.records ?? []
    var scan = RecordBatches(records)
    let magic =
      records.count > Self.magicPosition
      ? records[records.startIndex + Self.magicPosition] : 2
    if magic > 2 {
      operation.fail(.corruptMessage, "There is no record batch of version \(magic).")
      return
    }
    guard let header = try? scan.nextHeader() else {
      operation.fail(rejection)
      if rejection.reason == .corruptMessage {
        operation.fail(.invalidRecord, "The records are not a whole record batch.")
      }
      return
    }
    operation.fail(rejection)
    let isOnly = header.batchSize == records.count
    // A codec that the request's version may not carry is the request's fault as well.
    let isRequests =
      rejection.reason == .unsupportedCompressionType
      && (try? header.attributes.codec) != nil
    let unstarted: [ProduceRejection.Reason] = [
      .corruptMessage, .messageTooLarge, .recordListTooLarge,
    ]
    if isOnly, !isRequests, !unstarted.contains(rejection.reason) {
      tellStart(of: partition, operation)
    }
  }

  /// Where the version of a record batch is in it.
  private static let magicPosition = 16

  private func tellStart(of partition: Partition, _ operation: ProduceOperation) {
    guard let bounds = try? store.bounds(of: partition.log) else { return }
    operation.set { $0.logStartOffset = bounds.start.rawValue }
  }

  /// Judges a batch of an idempotent producer. False if it is not to be appended: the operation
  /// knows why, or waits for the original to be durable.
  private func accepts(
    _ batch: ProducedBatch, _ partition: Partition, _ operation: ProduceOperation, wasHeld: Bool
  ) throws(LogError) -> Bool {
    if let fenced = fencedEpochs[batch.header.producerID],
      batch.header.producerEpoch < fenced
    {
      tellStart(of: partition, operation)
      operation.fail(
        .invalidProducerEpoch, "A producer with the newer epoch \(fenced.rawValue) is at work.")
      return false
    }
    switch try store.judge(partition.log, batch.header) {
    case .new:
      return true
    case .duplicate(let original, let committed):
      operation.set {
        $0.baseOffset = original.firstOffset.rawValue
        $0.logAppendTimeMs =
          original.timestamp >= 0 ? original.timestamp : batch.header.maxTimestamp.rawValue
      }
      if plants(.forgetDuplicates) { return true }
      let replica = replicas[partition.log]
      let isEnough = committed && replica.flatMap(replicasBeyondMajority) == nil
      if !isEnough, !plants(.acknowledgeDuplicatesEarly) {
        // The batch's own end says when it is durable; its epoch is that of this leader.
        wait(
          operation, partition.log,
          LogPosition(epoch: partition.epoch, offset: original.lastOffset + 1))
        if committed, let replica { settle(appendsOf: replica) }
      }
      return false
    case .outOfOrder where wasHeld:
      // It came while this node was being elected, and what its producer had sent before it was
      // refused. Told that it is out of order, librdkafka raises its epoch, and writes once more
      // what it has no answer for.
      operation.fail(.notLeaderOrFollower)
      return false
    case .outOfOrder(let expected):
      tellStart(of: partition, operation)
      let wanted = expected.map { "\($0)" } ?? "none"
      operation.fail(
        .outOfOrderSequenceNumber,
        "The batch begins with sequence \(batch.header.baseSequence), expected was \(wanted).")
      return false
    case .fenced(let epoch):
      tellStart(of: partition, operation)
      operation.fail(
        .invalidProducerEpoch, "A producer with the newer epoch \(epoch.rawValue) has written.")
      return false
    }
  }

  private func wait(_ operation: ProduceOperation, _ log: LogID, _ position: LogPosition) {
    operation.outstanding += 1
    var append = AppendInFlight(
      position: position,
      owner: .produce(operation, topic: operation.topic, partition: operation.partition))
    append.since = nanoseconds?() ?? 0
    if append.since > 0 { replicas[log]?.undurable.appended(position, at: append.since) }
    appends[log, default: []].append(append)
  }

  /// All batches are appended: answers now or when they are durable.
  private func settle(_ operation: ProduceOperation) {
    if operation.outstanding == 0 || operation.body.acks == 0 {
      finish(operation)
    } else {
      produces.add(operation)
    }
  }

  func produced(_ operation: ProduceOperation, _ topic: Int, _ partition: Int, _ error: ErrorCode?)
  {
    operation.outstanding -= 1
    if let error {
      operation.response.responses[topic].partitionResponses[partition].errorCode = error
      operation.response.responses[topic].partitionResponses[partition].baseOffset = -1
    }
    let isAppended = operation.topic == operation.body.topicData.count
    if operation.outstanding == 0, isAppended { finish(operation) }
  }

  /// Answers what is over its time. What was appended stays so; what was not never will be.
  func timeOutProduces() {
    produces.letGoOfAll()
    let isStuck = !produces.stuck.isEmpty
    for operation in produces.stuck where operation.deadline < now {
      operation.giveUp(.requestTimedOut)
      produces.add(operation)
    }
    produces.stuck.removeAll { $0.deadline < now }
    // Whoever was behind the first of them has waited for nothing else, perhaps.
    if isStuck { advanceProduces() }
    timeOutHeld()
    for operation in produces.open where operation.deadline < now {
      for log in appends.keys.sorted() {
        let committed = replicas[log]?.raft.committed.offset ?? .zero
        for append in appends[log] ?? [] {
          guard case .produce(let owner, let topic, let partition) = append.owner,
            owner === operation
          else { continue }
          // A majority has it, and `min.insync.replicas` is more than that.
          operation.response.responses[topic].partitionResponses[partition].errorCode =
            append.position.offset <= committed ? .notEnoughReplicasAfterAppend : .requestTimedOut
        }
      }
      finish(operation)
    }
    forgetAnswered()
  }

  /// What nobody waits for any more is not kept until a replica comes back, which may be never.
  private func forgetAnswered() {
    for log in appends.keys.sorted() {
      guard let replica = replicas[log], replicasBeyondMajority(replica) != nil else { continue }
      appends[log]?.removeAll { append in
        guard case .produce(let operation, _, _) = append.owner else { return false }
        return operation.isAnswered
      }
      if appends[log]?.isEmpty == true { appends[log] = nil }
    }
  }

  func finish(_ operation: ProduceOperation) {
    guard !operation.isAnswered else { return }
    operation.isAnswered = true
    for topic in operation.response.responses.indices {
      let name = operation.response.responses[topic].name
      for index in operation.response.responses[topic].partitionResponses.indices {
        let part = operation.response.responses[topic].partitionResponses[index]
        guard part.errorCode == .none, let partition = topics[name]?.partition(part.index),
          let bounds = try? store.bounds(of: partition.log)
        else { continue }
        operation.response.responses[topic].partitionResponses[index].logStartOffset =
          bounds.start.rawValue
      }
    }
    if operation.body.acks == 0 {
      let failed = operation.response.responses.contains {
        $0.partitionResponses.contains { $0.errorCode != .none }
      }
      // There is no response to say so in: Kafka closes the connection.
      answer(
        operation.request,
        failed ? .close("a produce request with acks=0 failed") : .nothing)
    } else {
      reply(operation.request, operation.response)
    }
    produces.letGo()
  }
}

extension ProduceOperation {
  /// Changes the answer for the partition that is being appended.
  func set(_ change: (inout ProduceResponse.Partition) -> Void) {
    change(&response.responses[topic].partitionResponses[partition])
  }

  func fail(_ code: ErrorCode, _ message: String? = nil) {
    set {
      $0.errorCode = code
      $0.errorMessage = message
    }
  }

  func fail(_ rejection: ProduceRejection) {
    set { part in
      part.errorCode = ErrorCode(rawValue: rejection.reason.rawValue)
      part.errorMessage = rejection.message
      part.recordErrors = rejection.recordFaults.map { fault in
        var error = ProduceResponse.RecordError()
        error.batchIndex = fault.index
        error.batchIndexErrorMessage = fault.message
        return error
      }
    }
  }

  /// The partitions that are not appended yet never will be.
  func giveUp(_ code: ErrorCode) {
    while topic < response.responses.count {
      for index in partition..<response.responses[topic].partitionResponses.count {
        response.responses[topic].partitionResponses[index].errorCode = code
      }
      partition = 0
      topic += 1
    }
  }

  func fail(all code: ErrorCode) {
    for topic in response.responses.indices {
      for partition in response.responses[topic].partitionResponses.indices {
        response.responses[topic].partitionResponses[partition].errorCode = code
      }
    }
  }
}
