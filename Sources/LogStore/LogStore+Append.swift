package import Bytes
internal import Platform
package import Records

/// Everything that adds a frame to the journal.
extension LogStore {
  /// What an append did.
  package struct Appended: Equatable, Sendable {
    package var first: Offset
    package var last: Offset
    /// The log's end. Durable when an event names it or a later position of the same epoch.
    package var position: LogPosition
  }

  /// Makes a log. It is there at once, and for good when it is durable. `vote` is what it begins
  /// with; if one of that name was set aside with a later one, that.
  package func createLog(
    named name: String, options: LogOptions = LogOptions(), vote: Vote = Vote()
  ) throws(LogError) -> LogID {
    try checkTakesRecords()
    guard byName[name] == nil else { throw .nameTaken(name) }
    let id = LogID(nextLogID)
    let floor = votesSetAside[name] ?? Vote()
    var log = Log(id: id, name: name)
    log.options = bounded(options)
    log.vote = vote.epoch > floor.epoch ? vote : floor
    let group = try add(.create, id, log.vote.epoch, payload: log.encodedCreation())
    nextLogID += 1
    votesSetAside[name] = nil
    let slot = insert(log)
    group.effects.append(.work(slot: slot, id, .makeDirectory, destroys: false))
    group.effects.append(
      .position(slot: slot, id, log.position, log.endPlace, truncations: log.truncations))
    return id
  }

  /// Removes a log. No append or read finds it from now on; its files go when that is durable.
  package func deleteLog(_ id: LogID) throws(LogError) {
    try checkUsable()
    let slot = try slot(of: id)
    let group = try add(.delete, id, .none, payload: [])
    forget(slot)
    group.effects.append(.work(slot: slot, id, .removeDirectory(isKept: false), destroys: true))
    group.effects.append(.deleted(slot: slot, id))
  }

  /// Fails a log that was made in place of one that damage has taken; for good at the next
  /// checkpoint.
  package func failAsCutShort(_ log: LogID, _ why: String) throws(LogError) {
    let slot = try slot(of: log)
    withLog(slot) {
      $0.isDirty = $0.isDirty || !$0.isCutShort
      $0.isCutShort = true
    }
    failLog(slot, why)
  }

  package func configure(_ log: LogID, _ options: LogOptions) throws(LogError) {
    try checkUsable()
    let slot = try slot(of: log)
    let options = bounded(options)
    guard logs[slot].options != options else { return }
    _ = try add(.configure, log, .none, payload: options.encoded(name: logs[slot].name))
    withLog(slot) {
      $0.options = options
      $0.isDirty = true
    }
  }

  private func bounded(_ log: LogOptions) -> LogOptions {
    var log = log
    log.segmentBytes = min(log.segmentBytes, options.segmentBytesMax)
    return log
  }

  /// Appends batches as their leader: they get the next offsets and `epoch`, whatever they had.
  /// They must be valid (see `ProducedBatch`); `patch` sets the timestamps of a single batch.
  ///
  /// `makesSpace`: taken though the disk is full, because something goes by it. The journal has the
  /// bytes, and the log's file gets them when there is space.
  package func append(
    _ log: LogID, _ batches: ArraySlice<UInt8>, epoch: LeaderEpoch,
    patch: RecordBatchHeader.TimestampPatch? = nil, makesSpace: Bool = false
  ) throws(LogError) -> Appended {
    let slot = try appendable(log, evenIfFull: makesSpace)
    var headers = try headers(of: batches)
    guard let first = headers.first else { throw .invalidBatch("there is no batch") }
    require(patch == nil || headers.count == 1, "one patch for \(headers.count) batches")
    var next = withLog(slot) { $0.end }
    let latest = withLog(slot) { $0.epochs.latest }
    guard epoch >= latest else {
      throw .invalidBatch("its epoch \(epoch.rawValue) is below the log's \(latest.rawValue)")
    }
    for index in headers.indices {
      headers[index].baseOffset = next
      headers[index].partitionLeaderEpoch = epoch
      if let patch {
        headers[index].attributes.timestampType = patch.type
        headers[index].maxTimestamp = patch.maxTimestamp
      }
      next = headers[index].nextOffset
    }
    unsafe try addBatches(slot, log, headers, batches) { payload in
      var position = 0
      for header in headers {
        let batch = unsafe UnsafeMutableRawBufferPointer(
          rebasing: payload[position..<position + header.batchSize])
        guard let base = batch.baseAddress else { return }
        unsafe RecordBatchHeader.patch(
          base, baseOffset: header.baseOffset, leaderEpoch: header.partitionLeaderEpoch)
        if let patch { unsafe RecordBatchHeader.patch(batch, patch) }
        position += header.batchSize
      }
    }
    return Appended(
      first: headers.first?.baseOffset ?? first.baseOffset, last: next - 1,
      position: LogPosition(epoch: epoch, offset: next))
  }

  /// Appends batches that a leader has given their offsets and epochs, exactly as they are. The
  /// first one of a log that was reset may begin before the log does.
  package func replicate(
    _ log: LogID, _ batches: ArraySlice<UInt8>, evenIfFull: Bool = false
  ) throws(LogError) -> LogPosition {
    let slot = try appendable(log, evenIfFull: evenIfFull)
    var headers = try headers(of: batches)
    if options.planted.contains(.followersForgetProducers) {
      for index in headers.indices { headers[index].producerID = .none }
    }
    var position = withLog(slot) { $0.position }
    for (index, header) in headers.enumerated() {
      let follows =
        index == 0
        ? withLog(slot) { $0.isFollowed(by: header) } : header.baseOffset == position.offset
      guard follows else {
        throw .invalidBatch(
          "it begins at offset \(header.baseOffset.rawValue), the log ends at "
            + "\(position.offset.rawValue)")
      }
      guard header.partitionLeaderEpoch >= position.epoch else {
        throw .invalidBatch("its epoch is below the log's \(position.epoch.rawValue)")
      }
      position = LogPosition(epoch: header.partitionLeaderEpoch, offset: header.nextOffset)
    }
    unsafe try addBatches(slot, log, headers, batches) { _ in }
    return position
  }

  /// Begins an epoch at the log's end: an entry without width (Raft's no-op).
  package func beginEpoch(_ log: LogID, _ epoch: LeaderEpoch) throws(LogError) -> LogPosition {
    let slot = try appendable(log, evenIfFull: true)
    let (latest, end) = withLog(slot) { ($0.epochs.latest, $0.end) }
    guard epoch > latest else {
      throw .invalidBatch("epoch \(epoch.rawValue) does not follow \(latest.rawValue)")
    }
    let group = try add(.epochStart, log, epoch, payload: end.rawValue)
    let work = withLog(slot) { $0.beginEpoch(epoch) }
    return finish(slot, log, group, work)
  }

  /// Removes what is after `position`, all of it uncommitted.
  package func truncate(_ log: LogID, to position: LogPosition) throws(LogError) -> LogPosition {
    let slot = try appendable(log, evenIfFull: true)
    let (ends, mark) = withLog(slot) {
      ($0.truncationPlace(position.offset) != nil, $0.highWatermark)
    }
    guard position.offset >= mark, ends else { throw .outOfRange }
    let group = try add(.truncate, log, position.epoch, payload: position.offset.rawValue)
    let work = withLog(slot) { $0.truncate(to: position) }
    return finish(slot, log, group, work)
  }

  /// Makes a vote durable; it may be answered when `.voted` says so.
  package func recordVote(_ log: LogID, _ vote: Vote) throws(LogError) {
    try checkUsable()
    let slot = try slot(of: log)
    let group = try add(.vote, log, vote.epoch, payload: Int64(vote.candidate))
    withLog(slot) {
      $0.vote = vote
      $0.isDirty = true
    }
    group.effects.append(.vote(slot: slot, log, vote))
  }

  /// Forgets the records below `offset`, which must be committed.
  package func advanceStart(_ log: LogID, to offset: Offset) throws(LogError) {
    try checkUsable()
    let slot = try slot(of: log)
    let (start, mark) = withLog(slot) { ($0.logStart, $0.highWatermark) }
    guard offset <= mark else { throw .outOfRange }
    guard offset > start else { return }
    let group = try add(.logStart, log, .none, payload: offset.rawValue)
    let work = withLog(slot) { $0.advanceStart(to: offset) }
    readers.forget(log, below: offset)
    _ = finish(slot, log, group, work)
  }

  /// Tells the log that everything below `offset` is committed: consumers may see it.
  package func commit(_ log: LogID, through offset: Offset) throws(LogError) {
    let slot = try slot(of: log)
    var isEnd = true
    let visible = withLog(slot) { log in
      let before = log.visible.end
      isEnd = log.commit(through: offset)
      return log.visible.end > before ? log.visible.end : nil
    }
    guard isEnd else { throw .outOfRange }
    if let visible { emit(.readable(log, visible)) }
  }

  /// How a batch of an idempotent producer relates to what the log has.
  package func judge(
    _ log: LogID, _ header: RecordBatchHeader
  ) throws(LogError) -> ProducerStates.Verdict {
    let slot = try slot(of: log)
    return withLog(slot) {
      $0.producers.judge(
        header.producerID, header.producerEpoch, first: header.baseSequence,
        last: header.lastSequence)
    }
  }
}

extension LogStore {
  private func checkTakesRecords() throws(LogError) {
    try checkUsable()
    if isFull { throw .diskFull }
  }

  func appendable(_ log: LogID, evenIfFull: Bool = false) throws(LogError) -> Int {
    if evenIfFull { try checkUsable() } else { try checkTakesRecords() }
    let slot = try slot(of: log)
    if let failure = withLog(slot, { $0.failure }) { throw .logFailed(failure) }
    return slot
  }

  /// The headers of batches that stand one after another and fill `bytes`.
  private func headers(of bytes: ArraySlice<UInt8>) throws(LogError) -> [RecordBatchHeader] {
    guard bytes.count <= appendBytesMax else {
      throw .tooLarge(bytes: bytes.count, bytesMax: appendBytesMax)
    }
    var headers: [RecordBatchHeader] = []
    var batches = RecordBatches(bytes)
    do throws(RecordError) {
      while let header = try batches.nextHeader() {
        guard header.lastOffsetDelta >= 0, header.baseOffset.rawValue >= 0,
          header.baseOffset.rawValue < Int64.max - Int64(Int32.max)
        else { throw RecordError.truncatedBatch(size: 0, needed: 0) }
        headers.append(header)
      }
    } catch {
      throw .invalidBatch("\(error)")
    }
    guard batches.truncatedSize == 0 else {
      throw .invalidBatch("the last batch is cut short by \(batches.truncatedSize) bytes")
    }
    return headers
  }

  private func addBatches(
    _ slot: Int, _ log: LogID, _ headers: [RecordBatchHeader], _ batches: ArraySlice<UInt8>,
    patch: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(LogError) {
    guard let last = headers.last else { return }
    let (count, now) = (batches.count, now)
    let rolls = withLog(slot) { $0.rolls(for: count, lastOffset: last.lastOffset, now: now) }
    let missing = try makeRoomInTail(slot, for: count, isNew: rolls)
    let bytes: DiskBytes
    do throws(Journal.Refusal) {
      bytes = unsafe try journal.add(
        .append, log: log, epoch: last.partitionLeaderEpoch,
        uncommitted: withLog(slot) { $0.uncommitted }, payloadBytes: count
      ) { payload in
        unsafe batches.withUnsafeBytes { unsafe payload.copyMemory(from: $0) }
        unsafe patch(payload)
      }
    } catch {
      throw refuse(error)
    }
    guard let group = journal.open else { fatalError("a frame goes to the open group") }
    if rolls { closeTail(slot) }
    let work = withLog(slot) { $0.append(headers, bytes: count, now: now) }
    _ = finish(slot, log, group, work)
    addToTail(slot, bytes, missing: missing)
  }

  func finish(_ slot: Int, _ log: LogID, _ group: JournalGroup, _ work: Log.Work)
    -> LogPosition
  {
    for (piece, destroys) in work {
      group.effects.append(.work(slot: slot, log, piece, destroys: destroys))
    }
    let (position, place, truncations) = withLog(slot) {
      ($0.position, $0.endPlace, $0.truncations)
    }
    group.effects.append(.position(slot: slot, log, position, place, truncations: truncations))
    return position
  }

  func add(
    _ kind: FrameKind, _ log: LogID, _ epoch: LeaderEpoch, payload: Int64
  ) throws(LogError) -> JournalGroup {
    let bytes = unsafe ByteWriter.array(8) { unsafe $0.integer(payload) }
    return try add(kind, log, epoch, payload: bytes)
  }

  func add(
    _ kind: FrameKind, _ log: LogID, _ epoch: LeaderEpoch, payload: [UInt8]
  ) throws(LogError) -> JournalGroup {
    do throws(Journal.Refusal) {
      let uncommitted = slots[log].flatMap { logs[$0].uncommitted }
      _ = unsafe try journal.add(
        kind, log: log, epoch: epoch, uncommitted: uncommitted, payloadBytes: payload.count
      ) { memory in
        unsafe payload.withUnsafeBytes { unsafe memory.copyMemory(from: $0) }
      }
    } catch {
      throw refuse(error)
    }
    guard let group = journal.open else { fatalError("a frame goes to the open group") }
    return group
  }

  func insert(_ log: Log) -> Int {
    let slot = freeSlots.popLast() ?? logs.count
    if slot < logs.count { logs[slot] = log } else { logs.append(log) }
    slots[log.id] = slot
    byName[log.name] = log.id
    return slot
  }

  /// The log is not found any more; its slot stays until its files are gone.
  func forget(_ slot: Int) {
    let log = logs[slot]
    slots[log.id] = nil
    byName[log.name] = nil
    readers.forget(log.id)
  }
}
