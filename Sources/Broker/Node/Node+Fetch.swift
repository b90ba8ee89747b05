internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// A fetch that waits for records, or for its time to be over.
final class FetchOperation {
  /// In the order in which they came.
  let number: UInt64
  let request: Request
  let body: FetchRequest
  let context: FetchSessions.Context
  let partitions: [FetchedPartition]
  let deadline: Int64
  /// Bytes that it may be given, but for a first batch that is larger.
  let bytesMax: Int
  /// It is not to wait any longer, whatever its deadline.
  var isExpired = false
  var isAnswered = false
  /// In the queue of those to be looked at in this turn.
  var isDue = false
  /// What it waits for, while it is parked.
  fileprivate var logs: [LogID] = []
  fileprivate var deadlineTicket: DeadlineQueue<UInt64>.Ticket?
  /// Bytes that are being read into memory for it: it is not over before they are there.
  fileprivate var reads: Set<ReadAheadID> = []
  /// How often it has waited for reads. Memory may have gone to others before its turn came: the
  /// last time it takes what there is, in memory or not.
  fileprivate var readRounds = 0
  fileprivate static let readRoundsMax = 4

  init(
    number: UInt64, request: Request, body: FetchRequest, context: FetchSessions.Context,
    partitions: [FetchedPartition], bytesMax: Int, now: Int64
  ) {
    self.number = number
    self.request = request
    self.body = body
    self.context = context
    self.partitions = partitions
    deadline = now + Int64(max(0, body.maxWaitMs))
    self.bytesMax = min(Int(max(0, body.maxBytes)), bytesMax)
  }
}

/// Fetches that wait, by log and by time. Bounded by the connections' bound on open requests: what
/// is answered, or whose connection is gone, leaves at once. A client that always finds records
/// before its time is over would otherwise leave one behind with every fetch.
struct FetchQueue {
  private var waiting: [LogID: [UInt64: FetchOperation]] = [:]
  /// All that wait, by number.
  private var parked: [UInt64: FetchOperation] = [:]
  /// By number.
  private var deadlines = DeadlineQueue<UInt64>()
  /// Who waits for bytes to be read into memory.
  private var readers: [ReadAheadID: [FetchOperation]] = [:]
  /// Something they wait for has happened.
  var due: [FetchOperation] = []

  /// All that wait, in the order in which they came.
  var open: [FetchOperation] { parked.values.sorted { $0.number < $1.number } }
  var nextDeadline: Int64? { deadlines.next }

  /// One whose time is over.
  mutating func popExpired(now: Int64) -> FetchOperation? {
    deadlines.popDue(now: now).flatMap { parked[$0] }
  }

  mutating func wake(_ log: LogID) {
    guard let operations = waiting.removeValue(forKey: log) else { return }
    for operation in operations.values.sorted(by: { $0.number < $1.number }) { note(operation) }
  }

  /// Bytes are in memory, or cannot be read.
  mutating func wake(_ read: ReadAheadID) {
    for operation in readers.removeValue(forKey: read) ?? [] {
      guard operation.reads.remove(read) != nil, operation.reads.isEmpty, !operation.isAnswered
      else { continue }
      operation.readRounds += 1
      note(operation)
    }
  }

  private mutating func note(_ operation: FetchOperation) {
    guard !operation.isDue else { return }
    operation.isDue = true
    due.append(operation)
  }

  /// Waits for reads, however long they take.
  mutating func park(_ operation: FetchOperation, on reads: Set<ReadAheadID>) {
    remove(operation)
    parked[operation.number] = operation
    operation.reads = reads
    for read in reads.sorted() { readers[read, default: []].append(operation) }
  }

  mutating func park(_ operation: FetchOperation, on logs: [LogID]) {
    remove(operation)
    parked[operation.number] = operation
    operation.logs = logs
    deadlines.schedule(&operation.deadlineTicket, at: operation.deadline, for: operation.number)
    for log in logs { waiting[log, default: [:]][operation.number] = operation }
  }

  mutating func remove(_ operation: FetchOperation) {
    guard parked.removeValue(forKey: operation.number) != nil else { return }
    deadlines.cancel(&operation.deadlineTicket)
    for read in operation.reads.sorted() { readers[read]?.removeAll { $0 === operation } }
    operation.reads = []
    for log in operation.logs {
      waiting[log]?[operation.number] = nil
      if waiting[log]?.isEmpty == true { waiting[log] = nil }
    }
  }
}

/// Reads that one fetch waits for, so that a client with many partitions leaves memory to others.
private let readsMax = 24

/// What a fetch found.
private struct FetchResult {
  var response = FetchResponse()
  var slices: [LogSlice] = []
  var partitions: [(FetchedPartition, hadRecords: Bool)] = []
  var bytes = 0
  /// Not to be held back: an error, or a place where logs diverge.
  var isUrgent = false
  /// Reads that were begun because bytes are not in memory.
  var reads: Set<ReadAheadID> = []
}

extension Node {
  func fetch(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(FetchRequest.self)
    // Only replicas may name themselves, and they come over another port.
    let replica = request.version >= 15 ? body.replicaState.replicaId : body.replicaId
    guard replica < 0 else {
      reply(request, FetchResponse.with { $0.errorCode = .invalidRequest })
      return
    }
    let freshID = Int32.random(in: 1 ... .max, using: &random)
    switch sessions.open(body, freshID: freshID, now: now) {
    case .failure(let error):
      reply(request, FetchResponse.with { $0.errorCode = error.code })
    case .success((let context, let partitions)):
      let operation = FetchOperation(
        number: freshNumber(), request: request, body: body, context: context,
        partitions: partitions, bytesMax: options.fetchBytesMax, now: now)
      tryToAnswer(operation)
    }
  }

  /// Looks at the fetches for which something has happened, and at those whose time is over.
  func advanceFetches() {
    let due = fetches.due
    fetches.due = []
    for operation in due where !operation.isAnswered {
      operation.isDue = false
      tryToAnswer(operation)
    }
  }

  func timeOutFetches() {
    while let operation = fetches.popExpired(now: now) { tryToAnswer(operation) }
  }

  /// Answers all that wait, with what there is.
  func expireFetches() {
    for operation in fetches.open {
      operation.isExpired = true
      tryToAnswer(operation)
    }
  }

  private func tryToAnswer(_ operation: FetchOperation) {
    let result = collect(operation)
    // More than it may be given cannot be waited for.
    let bytesMin = min(Int(operation.body.minBytes), operation.bytesMax)
    let isEnough = result.bytes >= bytesMin && result.bytes > 0
    if !result.reads.isEmpty, !isEnough, !result.isUrgent, !operation.isExpired {
      metrics.coldFetches += 1
      fetches.park(operation, on: result.reads)
      return
    }
    guard
      isEnough || result.isUrgent || operation.deadline <= now || operation.isExpired
        || operation.body.minBytes <= 0 || operation.partitions.isEmpty
    else {
      park(operation)
      return
    }
    operation.isAnswered = true
    fetches.remove(operation)
    if case .incremental(let id) = operation.context { sessions.answered(id, result.partitions) }
    if case .full(let id) = operation.context { sessions.answered(id, result.partitions) }
    metrics.fetched(result.bytes)
    reply(operation.request, result.response, result.slices)
  }

  private func park(_ operation: FetchOperation) {
    let version = operation.request.version
    fetches.park(operation, on: operation.partitions.compactMap { find($0.key, version)?.log })
  }

  private func collect(_ operation: FetchOperation) -> FetchResult {
    var result = FetchResult()
    var budget = operation.bytesMax
    var topics: [FetchResponse.Topic] = []
    // By topic, as the answer has them: what a session asks for may go from one topic to another
    // and back, and the holes of the answer are filled in its order.
    var slices: [[LogSlice]] = []
    var slots: [FetchTopic: Int] = [:]
    for fetched in operation.partitions {
      let answer = read(fetched, operation, budget, isFirst: result.bytes == 0, &result)
      var after = fetched
      let bytes = answer.records?.count ?? 0
      let changed =
        bytes > 0 || answer.errorCode != .none || answer.divergingEpoch.endOffset >= 0
        || after.highWatermark != answer.highWatermark || after.logStart != answer.logStartOffset
      after.highWatermark = answer.highWatermark
      after.logStart = answer.logStartOffset
      // An error is said again until it is over.
      if answer.errorCode != .none { after.highWatermark = nil }
      result.partitions.append((after, bytes > 0))
      budget = max(0, budget - bytes)
      if case .incremental = operation.context, !changed { continue }
      defer { result.slices = [] }
      let key = FetchTopic(name: fetched.key.topic, id: fetched.key.topicID)
      if let slot = slots[key] {
        topics[slot].partitions.append(answer)
        slices[slot] += result.slices
      } else {
        slots[key] = topics.count
        slices.append(result.slices)
        var topic = FetchResponse.Topic()
        topic.topic = key.name
        topic.topicId = key.id
        topic.partitions = [answer]
        topics.append(topic)
      }
    }
    result.response.responses = topics
    result.slices = slices.flatMap { $0 }
    switch operation.context {
    case .sessionless: break
    case .full(let id), .incremental(let id): result.response.sessionId = id
    }
    return result
  }

  private struct FetchTopic: Hashable {
    var name: String
    var id: UUID16
  }

  private func find(_ key: FetchKey, _ version: Int16) -> Partition? {
    topics[name(of: key, version)]?.partition(key.partition)
  }

  /// Empty if the topic is not known.
  private func name(of key: FetchKey, _ version: Int16) -> String {
    version >= 13 ? topicNames[key.topicID] ?? "" : key.topic
  }

  /// Says who leads the partition, if it is known (KIP-951).
  private func tellLeader(
    _ key: FetchKey, _ version: Int16, _ answer: inout FetchResponse.Partition,
    _ result: inout FetchResult
  ) {
    guard version >= 12, let id = topics[name(of: key, version)]?.id,
      let known = leader(of: GroupID(topic: id, index: key.partition)),
      let node = broker(known.leader)
    else { return }
    answer.currentLeader.set(known)
    if version >= 16 { result.response.nodeEndpoints.add(node) }
  }

  private func read(
    _ fetched: FetchedPartition, _ operation: FetchOperation, _ budget: Int, isFirst: Bool,
    _ result: inout FetchResult
  ) -> FetchResponse.Partition {
    var answer = FetchResponse.Partition()
    answer.partitionIndex = fetched.key.partition
    answer.abortedTransactions = operation.body.isolationLevel == 1 ? [] : nil
    answer.highWatermark = -1
    func failed(_ code: ErrorCode) -> FetchResponse.Partition {
      answer.errorCode = code
      // As in Kafka, an error comes without bounds: who gets them with one might go on from there.
      answer.highWatermark = -1
      answer.lastStableOffset = -1
      answer.logStartOffset = -1
      result.isUrgent = true
      return answer
    }
    let version = operation.request.version
    let partition: Partition
    switch access(name(of: fetched.key, version), fetched.key.partition) {
    case .here(let found): partition = found
    case .elsewhere:
      tellLeader(fetched.key, version, &answer, &result)
      return failed(.notLeaderOrFollower)
    case .unknown:
      answer.abortedTransactions = []
      return failed(version >= 13 ? .unknownTopicId : .unknownTopicOrPartition)
    }
    guard partition.isReady || plants(.serveBeforeReady) else {
      // Elected a moment ago: it waits until all that is committed is known to be.
      let wasUrgent = result.isUrgent
      defer { result.isUrgent = wasUrgent }
      return failed(.offsetNotAvailable)
    }
    guard let bounds = try? store.bounds(of: partition.log) else {
      return failed(.kafkaStorageError)
    }
    let asked = fetched.request
    if asked.currentLeaderEpoch >= 0, asked.currentLeaderEpoch != partition.epoch.rawValue {
      let isOld = asked.currentLeaderEpoch < partition.epoch.rawValue
      return failed(isOld ? .fencedLeaderEpoch : .unknownLeaderEpoch)
    }
    if bounds.isCutShort, Offset(asked.fetchOffset) >= bounds.readable {
      // Neither an end nor out of range: who was told that would go on without what is missing.
      return failed(.kafkaStorageError)
    }
    answer.highWatermark = bounds.highWatermark.rawValue
    answer.lastStableOffset = bounds.highWatermark.rawValue
    answer.logStartOffset = bounds.start.rawValue
    if asked.lastFetchedEpoch >= 0,
      let diverging = divergence(partition, asked, bounds)
    {
      answer.divergingEpoch = diverging
      result.isUrgent = true
      return answer
    }
    let bytesMax = min(budget, Int(max(0, asked.partitionMaxBytes)))
    do throws(LogError) {
      // What one answer has from memory is not to make room for the rest of it.
      let readsLeft = max(0, readsMax - result.reads.count - result.bytes >> 20)
      let mayWait = operation.readRounds < FetchOperation.readRoundsMax
      func readAhead(_ bytes: Int) throws(LogError) -> [ReadAheadID]? {
        try store.readAhead(
          of: partition.log, from: Offset(asked.fetchOffset), bytesMax: bytes,
          blocksMax: readsLeft,
          ahead: min(LogStore.blocksAhead, readsMax / max(1, operation.partitions.count)))
      }
      if mayWait, isFirst || budget > 0, let reads = try readAhead(bytesMax) {
        result.reads.formUnion(reads)
        return answer
      }
      let slice = try store.slice(
        of: partition.log, from: Offset(asked.fetchOffset), bytesMax: bytesMax, wholeFirst: isFirst)
      // A batch that is larger than what was asked for.
      if mayWait, let slice, slice.count > bytesMax, slice.pieces.contains(where: \.isInFile),
        let reads = try readAhead(slice.count)
      {
        result.reads.formUnion(reads)
        return answer
      }
      guard let slice, isFirst || budget > 0 else { return answer }
      if version < 10, try containsZstd(slice) {
        return failed(.unsupportedCompressionType)
      }
      // What follows in the next segment is there already (as in Kafka's DelayedFetch).
      if slice.hasMore { result.isUrgent = true }
      answer.records = .external(size: slice.count)
      result.slices.append(slice)
      result.bytes += slice.count
      return answer
    } catch {
      tellUnreadable(partition.log, error)
      return failed(errorCode(for: error))
    }
  }

  /// Versions before 10 cannot be given zstd (KIP-110).
  private func containsZstd(_ slice: LogSlice) throws(LogError) -> Bool {
    var batches = RecordBatches(try store.bytes(of: slice)[...])
    while let header = try? batches.nextHeader() {
      if (try? header.attributes.codec) == .zstd { return true }
    }
    return false
  }

  /// Where the log that the client has read parts from this one (KIP-595's truncation by fetch).
  private func divergence(
    _ partition: Partition, _ asked: FetchRequest.Partition, _ bounds: LogBounds
  ) -> FetchResponse.EpochEndOffset? {
    let epoch = LeaderEpoch(asked.lastFetchedEpoch)
    guard let epochs = try? store.epochs(of: partition.log),
      let end = epochs.end(of: epoch, logEnd: bounds.end),
      end.epoch < epoch || end.offset < Offset(asked.fetchOffset)
    else { return nil }
    var diverging = FetchResponse.EpochEndOffset()
    diverging.epoch = end.epoch.rawValue
    diverging.endOffset = end.offset.rawValue
    return diverging
  }
}
