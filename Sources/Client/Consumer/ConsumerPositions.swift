internal import Bytes
internal import KafkaWire
internal import Records

/// Where a consumer is in its partitions, and what it has read ahead. No clock, no socket.
///
/// For each partition three offsets, none before the one above it:
///
/// - `processed`: below it, polls returned everything, and another poll has begun since;
/// - `position`: below it, polls returned everything; the next record to be returned;
/// - `fetchOffset`: below it, everything was fetched.
///
/// (1) A record is returned once, in order, unless the consumer seeks.
/// (2) What was fetched before a seek or a new assignment is dropped, also if it arrives later:
///     each begins a `turn`, whose number no other has.
/// (3) Control batches, records below the position and, with read committed, records of aborted
///     transactions are never returned; offsets move past them.
struct ConsumerPositions: ~Copyable {
  /// Where a partition's position comes from, while it has none.
  enum Pending: Equatable {
    /// The group's committed offset, or else the reset policy.
    case committed
    case target(Consumer.Target)
    case policy
  }

  struct Partition {
    var pending: Pending? = .committed
    /// The offset is being asked for.
    var isAsking = false
    var processed: Int64?
    var position: Int64?
    var fetchOffset: Int64 = -1
    /// Of the last batch that was fetched.
    var lastEpoch: Int32 = -1
    var isPaused = false
    var isFetching = false
    /// There was nothing more when it was last fetched.
    var isAtEnd = false
    var retryAt: Int64 = .min
    fileprivate(set) var turn = 0
    var highWatermark: Int64 = -1
    /// Batches that were not decoded yet, the oldest first, and what was decoded of them.
    fileprivate var chunks: [Chunk] = []
    fileprivate(set) var bufferedBytes = 0
    fileprivate var ready: ArraySlice<ConsumerRecord> = []
    /// Where the position goes when `ready` is used up.
    fileprivate var readyEnd: Int64 = -1
  }

  fileprivate struct Chunk {
    var batches: RecordBatches
    let size: Int
    /// Aborted transactions that touch it, by first offset; those that are under way.
    var aborted: ArraySlice<FetchResponse.AbortedTransaction>
    var open: Set<Int64> = []
  }

  private let settings: Consumer.Options
  private(set) var partitions: [TopicPartition: Partition] = [:]
  /// Who is served first by the next poll; each that was served goes to the end.
  private(set) var order: [TopicPartition] = []
  private(set) var bufferedBytes = 0
  private var decompressor = Decompressor()
  private var lastTurn = 0

  init(_ settings: Consumer.Options) { self.settings = settings }

  subscript(partition: TopicPartition) -> Partition? { partitions[partition] }

  /// Changes a partition that is still assigned.
  mutating func update(_ partition: TopicPartition, _ change: (inout Partition) -> Void) {
    guard var state = partitions.removeValue(forKey: partition) else { return }
    change(&state)
    partitions[partition] = state
  }

  // MARK: Assignment

  mutating func add(_ added: [TopicPartition], _ pending: Pending) {
    for partition in added where partitions[partition] == nil {
      var state = Partition()
      state.pending = pending
      state.turn = freshTurn()
      partitions[partition] = state
      order.append(partition)
    }
  }

  mutating func remove(_ removed: [TopicPartition]) {
    for partition in removed {
      guard let state = partitions.removeValue(forKey: partition) else { continue }
      bufferedBytes -= state.bufferedBytes
    }
    order.removeAll { partitions[$0] == nil }
  }

  mutating func removeAll() { remove(order) }

  mutating func seek(_ partition: TopicPartition, _ target: Consumer.Target) {
    guard partitions[partition] != nil else { return }
    clear(partition)
    if case .offset(let offset) = target {
      place(partition, at: offset)
    } else {
      update(partition) {
        $0.pending = .target(target)
        $0.isAsking = false
        $0.position = nil
      }
    }
  }

  /// The answer to what was pending.
  mutating func place(_ partition: TopicPartition, at offset: Int64) {
    clear(partition)
    update(partition) {
      $0.pending = nil
      $0.isAsking = false
      $0.position = offset
      $0.processed = offset
      $0.fetchOffset = offset
      $0.lastEpoch = -1
    }
  }

  private mutating func clear(_ partition: TopicPartition) {
    guard var state = partitions.removeValue(forKey: partition) else { return }
    bufferedBytes -= state.bufferedBytes
    state.chunks = []
    state.bufferedBytes = 0
    state.ready = []
    state.turn = freshTurn()
    state.isFetching = false
    state.isAtEnd = false
    partitions[partition] = state
  }

  private mutating func freshTurn() -> Int {
    lastTurn += 1
    return lastTurn
  }

  /// A poll begins: what earlier ones returned has been processed.
  mutating func processed() {
    for partition in order {
      if let position = partitions[partition]?.position,
        partitions[partition]?.processed != position
      {
        update(partition) { $0.processed = position }
      }
    }
  }

  // MARK: Fetching

  /// The partitions that may be fetched now, in the order of the polls.
  func fetchable(_ now: Int64) -> [TopicPartition] {
    guard bufferedBytes < settings.prefetchBytesMax else { return [] }
    return order.filter { partition in
      guard let state = partitions[partition] else { return false }
      return state.pending == nil && state.position != nil && !state.isPaused && !state.isFetching
        && state.retryAt <= now && state.bufferedBytes < Int(settings.partitionFetchBytesMax)
    }
  }

  /// Takes what was fetched, unless it is of an earlier turn.
  mutating func fetched(
    _ partition: TopicPartition, turn: Int, _ answer: FetchResponse.Partition
  ) throws(ClientError) {
    guard var state = partitions[partition], state.turn == turn else { return }
    state.highWatermark = answer.highWatermark
    // One may be left out of an answer that is full, and has more for the next.
    let end = readableEnd(answer)
    state.isAtEnd = state.fetchOffset >= end
    defer { partitions[partition] = state }
    guard case .bytes(let bytes)? = answer.records, !bytes.isEmpty else { return }
    var walk = RecordBatches(bytes)
    var next = state.fetchOffset
    do throws(RecordError) {
      while let header = try walk.nextHeader() {
        next = max(next, header.nextOffset.rawValue)
        state.lastEpoch = header.partitionLeaderEpoch.rawValue
      }
    } catch {
      throw ClientError(
        .corruptData, "the records of \(partition) from \(state.fetchOffset) are damaged: \(error)")
    }
    guard next > state.fetchOffset else { return }
    state.fetchOffset = next
    state.isAtEnd = next >= end
    let aborted = (answer.abortedTransactions ?? []).sorted { $0.firstOffset < $1.firstOffset }
    state.chunks.append(
      Chunk(batches: RecordBatches(bytes), size: bytes.count, aborted: aborted[...]))
    state.bufferedBytes += bytes.count
    bufferedBytes += bytes.count
  }

  /// Where readers of this isolation end. The last stable offset is -1 in old versions.
  private func readableEnd(_ answer: FetchResponse.Partition) -> Int64 {
    let isCommitted = settings.isolation == .readCommitted && answer.lastStableOffset >= 0
    return isCommitted ? answer.lastStableOffset : answer.highWatermark
  }

  // MARK: Polling

  /// Whether a poll would return something.
  var hasRecords: Bool {
    order.contains { partition in
      guard let state = partitions[partition], !state.isPaused else { return false }
      return !state.ready.isEmpty || !state.chunks.isEmpty
    }
  }

  /// The next records of all partitions, not more than asked for; then `position` counts them as
  /// returned. A batch that cannot be read fails the poll, each time, until somebody seeks past it.
  mutating func take(_ countMax: Int) throws(ClientError) -> [ConsumerRecord] {
    var records: [ConsumerRecord] = []
    for partition in order where records.count < countMax {
      guard var state = partitions.removeValue(forKey: partition) else { continue }
      if state.isPaused {
        partitions[partition] = state
        continue
      }
      let before = records.count
      do throws(ClientError) {
        try take(&state, partition, countMax, into: &records)
      } catch {
        partitions[partition] = state
        // What was found before it is returned first.
        if records.isEmpty { throw error }
        break
      }
      partitions[partition] = state
      if records.count > before {
        order.removeAll { $0 == partition }
        order.append(partition)
      }
    }
    return records
  }

  /// Takes back what `take` returned and nobody received.
  mutating func giveBack(_ records: [ConsumerRecord]) {
    var byPartition: [TopicPartition: [ConsumerRecord]] = [:]
    for record in records { byPartition[record.topicPartition, default: []].append(record) }
    for partition in order {
      guard let returned = byPartition[partition], let first = returned.first else { continue }
      update(partition) {
        $0.ready = (returned + $0.ready)[...]
        $0.position = first.offset
      }
    }
  }

  private mutating func take(
    _ state: inout Partition, _ partition: TopicPartition, _ countMax: Int,
    into records: inout [ConsumerRecord]
  ) throws(ClientError) {
    while records.count < countMax {
      if !state.ready.isEmpty {
        let taken = state.ready.prefix(countMax - records.count)
        state.ready = state.ready.dropFirst(taken.count)
        records.append(contentsOf: taken)
        state.position = state.ready.first?.offset ?? state.readyEnd
        continue
      }
      guard !state.chunks.isEmpty else { return }
      try decode(&state, partition)
    }
  }

  /// Decodes the next batch into `ready`.
  private mutating func decode(
    _ state: inout Partition, _ partition: TopicPartition
  ) throws(ClientError) {
    let position = state.position ?? 0
    do throws(RecordError) {
      var walk = state.chunks[0].batches
      guard let batch = try walk.next() else {
        bufferedBytes -= state.chunks[0].size
        state.bufferedBytes -= state.chunks[0].size
        state.chunks.removeFirst()
        return
      }
      let end = batch.header.nextOffset.rawValue
      if end > position, try isWanted(batch, &state.chunks[0]) {
        if settings.checksCRC { try batch.checkCRC() }
        state.ready = try records(of: batch, partition, from: position)[...]
      }
      // Only now: a batch that cannot be read is not passed over.
      state.chunks[0].batches = walk
      state.readyEnd = max(position, end)
      if state.ready.isEmpty { state.position = state.readyEnd }
    } catch {
      let why = "the records of \(partition) at \(position) cannot be read: \(error)"
      throw ClientError(.corruptData, why)
    }
  }

  /// Whether a batch's records are for the application.
  private mutating func isWanted(
    _ batch: RecordBatch, _ chunk: inout Chunk
  ) throws(RecordError) -> Bool {
    let header = batch.header
    guard settings.isolation == .readCommitted else { return !header.attributes.isControl }
    while let next = chunk.aborted.first, next.firstOffset <= header.lastOffset.rawValue {
      chunk.open.insert(next.producerId)
      chunk.aborted = chunk.aborted.dropFirst()
    }
    let producer = header.producerID.rawValue
    if header.attributes.isControl {
      if case .abort? = try batch.controlRecord(&decompressor) { chunk.open.remove(producer) }
      return false
    }
    return !(header.attributes.isTransactional && chunk.open.contains(producer))
  }

  private mutating func records(
    of batch: RecordBatch, _ partition: TopicPartition, from position: Int64
  ) throws(RecordError) -> [ConsumerRecord] {
    let header = batch.header
    let epoch = header.partitionLeaderEpoch.rawValue
    let type: ConsumerRecord.TimestampType =
      header.attributes.timestampType == .createTime ? .createTime : .logAppendTime
    return try batch.records(&decompressor).compactMap { record in
      guard record.offset.rawValue >= position else { return nil }
      return ConsumerRecord(
        topic: partition.topic, partition: partition.partition, offset: record.offset.rawValue,
        leaderEpoch: epoch < 0 ? nil : epoch, timestamp: record.timestamp.rawValue,
        timestampType: type, key: record.key, value: record.value, headers: record.headers)
    }
  }
}
