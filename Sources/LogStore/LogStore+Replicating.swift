package import Bytes
internal import Platform
internal import Records

/// What a leader's followers are sent: the start of an epoch, which has no width, or record batches
/// of one epoch.
package struct ReplicaEntry: Equatable, Sendable {
  package var epoch: LeaderEpoch
  /// Where the log ends with it.
  package var end: Offset
  /// Whole batches; none for the start of an epoch.
  package var bytes: ArraySlice<UInt8>
}

/// What follows a position in a log.
package enum ReplicaEntries: Equatable, Sendable {
  /// In order. Nothing follows if there are none.
  case entries([ReplicaEntry])
  /// It is being read from the disk: ask again when `.readAhead` has named one of these.
  case waiting([ReadAheadID])
}

/// Reading for followers: up to the log's end, also what is neither durable nor committed.
extension LogStore {
  /// Who asks for the same again so often is given it, though the owner's thread waits for the
  /// disk: the memory that it was read into has gone to others each time.
  static let entryRoundsMax = 4
  /// Remembered of those who wait, the oldest left out.
  static let entryWaitsMax = 256

  /// Who waits for what follows this offset, and how often was told to.
  struct EntryWait {
    var log: LogID
    var offset: Offset
    var rounds: Int
  }

  /// What follows `after` in the log: at most `bytesMax` bytes of batches, but one whole batch at
  /// least, and the starts of epochs in their places. Batches are of one segment, so there may be
  /// more although there was room. Throws `.noSuchPrefix` if the log does not have what `after`
  /// names, or not any more.
  package func entries(
    of log: LogID, after: LogPosition, bytesMax: Int
  ) throws(LogError) -> ReplicaEntries {
    let slot = try slot(of: log)
    try checkPrefix(slot, after)
    let starts = withLog(slot) { log in
      let entries = log.epochs.entries
      let known = entries.lastIndex { $0.epoch <= after.epoch }.map { $0 + 1 } ?? 0
      return entries[known...]
    }
    guard after.offset < withLog(slot, { $0.end }) else {
      return .entries(
        starts.map { ReplicaEntry(epoch: $0.epoch, end: $0.start, bytes: []) })
    }
    do throws(DiskError) {
      let found = try batches(slot, after.offset, bytesMax)
      guard case .bytes(let bytes) = found else {
        if case .waiting(let reads) = found { return .waiting(reads) }
        throw DiskError.notFound("the end of a batch at offset \(after.offset.rawValue)")
      }
      forgetWait(log, after.offset)
      guard let entries = entries(slot, bytes, after, starts) else {
        failLog(slot, "its batches are not those of its epochs; restore it from a replica")
        throw .failed("reading batches", errno: 5)
      }
      return .entries(entries)
    } catch {
      if let failure = logs[slot].failure { throw .logFailed(failure) }
      if case .notFound = error { throw .noSuchPrefix }
      throw .disk("\(error)")
    }
  }

  private func checkPrefix(_ slot: Int, _ position: LogPosition) throws(LogError) {
    let (failure, has) = withLog(slot) { log in
      (
        log.failure,
        position.offset >= log.logStart && log.epochs.contains(position, end: log.position)
      )
    }
    if let failure { throw .logFailed(failure) }
    guard has else { throw .noSuchPrefix }
  }

  /// Cuts batches into entries. Nil if they are not what the log says that it has there.
  private func entries(
    _ slot: Int, _ bytes: [UInt8], _ after: LogPosition, _ starts: ArraySlice<EpochHistory.Entry>
  ) -> [ReplicaEntry]? {
    var entries: [ReplicaEntry] = []
    var starts = starts
    var (epoch, offset) = (after.epoch, after.offset)
    var (runStart, position) = (0, 0)
    func endRun() {
      guard runStart < position else { return }
      entries.append(ReplicaEntry(epoch: epoch, end: offset, bytes: bytes[runStart..<position]))
      runStart = position
    }
    while true {
      while let start = starts.first, start.start <= offset {
        endRun()
        epoch = start.epoch
        entries.append(ReplicaEntry(epoch: epoch, end: offset, bytes: []))
        starts.removeFirst()
      }
      guard let header = try? RecordBatchHeader(bytes[position...]),
        header.batchSize <= bytes.count - position
      else { break }
      // A log may start inside of its first batch.
      let follows = header.baseOffset == offset || offset == after.offset
      guard follows, header.nextOffset > offset, header.partitionLeaderEpoch == epoch,
        starts.first.map({ header.nextOffset <= $0.start }) ?? true
      else { return nil }
      position += header.batchSize
      offset = header.nextOffset
    }
    endRun()
    return position > 0 ? entries : nil
  }
}

// MARK: - Finding and copying

extension LogStore {
  private enum Batches {
    case bytes([UInt8])
    case waiting([ReadAheadID])
    /// No batch ends at the offset.
    case none
  }

  /// The batches from `offset` on that are in one segment, checked if an earlier process wrote
  /// them. The last may be cut short.
  private func batches(
    _ slot: Int, _ offset: Offset, _ bytesMax: Int
  ) throws(DiskError) -> Batches {
    let (index, known) = withLog(slot) { $0.batchPlace(at: offset) }
    let size = logs[slot].segments[index].size
    let source = source(slot, index)
    var position = known
    let bytesMax = max(min(bytesMax, options.journal.groupBytesMax), RecordBatchHeader.size)
    var wanted = bytesMax
    if known == nil {
      let base = logs[slot].segments[index].base
      position = try withIndex(slot, index) {
        IndexLookup.position(ofOffset: offset - base, in: $0)
      }
      wanted += logs[slot].options.indexIntervalBytes + BatchScan.chunkBytes
    }
    guard var position else { return .none }
    var range = position..<min(size, position + Int64(wanted))
    if known == nil {
      if let waits = waits(slot, index, offset, range, source) { return .waiting(waits) }
      try verify(slot, index, range, source)
      guard let found = try scan(slot, from: position, to: offset, size, source)
      else { return .none }
      position = found
      range = position..<min(size, position + Int64(bytesMax))
    }
    if let waits = waits(slot, index, offset, range, source) { return .waiting(waits) }
    try verify(slot, index, range, source)
    let bytes = try source.copied(range)
    guard let first = try? RecordBatchHeader(bytes[...]), first.batchSize > bytes.count else {
      return .bytes(bytes)
    }
    range = position..<min(size, position + Int64(first.batchSize))
    if let waits = waits(slot, index, offset, range, source) { return .waiting(waits) }
    try verify(slot, index, range, source)
    return .bytes(try source.copied(range))
  }

  /// The position of the batch that begins at `offset`, or has it in it if the log starts there.
  private func scan(
    _ slot: Int, from position: Int64, to offset: Offset, _ size: Int64, _ source: SegmentSource
  ) throws(DiskError) -> Int64? {
    var scan = BatchScan(source)
    var position = position
    while let header = try scan.header(at: position, limit: size) {
      if header.nextOffset > offset {
        return header.baseOffset == offset || offset == logs[slot].logStart ? position : nil
      }
      position += Int64(header.batchSize)
    }
    return nil
  }

  /// Begins to read what is not in memory. Nil if there is nothing to wait for, or who waits was
  /// told to often enough.
  private func waits(
    _ slot: Int, _ index: Int, _ offset: Offset, _ range: Range<Int64>, _ source: SegmentSource
  ) -> [ReadAheadID]? {
    let segment = logs[slot].segments[index]
    if (try? source.inFile(range).isEmpty) ?? true,
      segment.verified.firstUnverified(in: range) == nil
    {
      return nil
    }
    let log = logs[slot].id
    let known = entryWaits.firstIndex { $0.log == log && $0.offset == offset }
    guard known.map({ entryWaits[$0].rounds < Self.entryRoundsMax }) ?? true else { return nil }
    let blocksMax = range.count / Int(blocks.blockBytes) + 4
    let reads = readAhead(
      range, end: segment.size, slot, index, blocksMax, ahead: Self.blocksAhead)
    guard let reads, !reads.isEmpty else { return nil }
    if let known {
      entryWaits[known].rounds += 1
    } else {
      if entryWaits.count == Self.entryWaitsMax { entryWaits.removeFirst() }
      entryWaits.append(EntryWait(log: log, offset: offset, rounds: 1))
    }
    return reads
  }

  private func forgetWait(_ log: LogID, _ offset: Offset) {
    guard !entryWaits.isEmpty else { return }
    entryWaits.removeAll { $0.log == log && $0.offset == offset }
  }
}

extension Log {
  /// The segment that has the batch which begins at `offset`, and the position there if it is one
  /// of the newest, not committed, or the first.
  fileprivate func batchPlace(at offset: Offset) -> (index: Int, position: Int64?) {
    let index = segmentIndex(for: offset)
    let base = segments[index].base
    if base == offset { return (index, 0) }
    if let place = place(endingAt: offset) ?? recentPlace(endingAt: offset), place.segment == base {
      return (index, place.position)
    }
    return (index, nil)
  }
}
