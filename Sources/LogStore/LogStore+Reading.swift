package import Bytes
internal import Platform
package import Records

/// A record found by its timestamp.
package struct TimestampedOffset: Equatable, Sendable {
  package var offset: Offset
  package var timestamp: Timestamp
  package var epoch: LeaderEpoch
}

/// Where a log begins and ends.
package struct LogBounds: Equatable, Sendable {
  package var start: Offset
  /// Readers may be shown what is below: committed, and durable.
  package var readable: Offset
  package var highWatermark: Offset
  package var end: Offset
  package var epoch: LeaderEpoch
  package var durable: LogPosition
  package var sizeBytes: Int64
  package var segments: Int
  /// Damage has taken records from its end on that may have been acknowledged.
  package var isCutShort: Bool
}

extension LogStore {
  package func bounds(of log: LogID) throws(LogError) -> LogBounds {
    let slot = try slot(of: log)
    return withLog(slot) { log in
      LogBounds(
        start: log.logStart, readable: log.visible.end, highWatermark: log.highWatermark,
        end: log.end, epoch: log.epochs.latest, durable: log.durable,
        sizeBytes: log.segments.reduce(0) { $0 + $1.size }, segments: log.segments.count,
        isCutShort: log.isCutShort)
    }
  }

  package func name(of log: LogID) throws(LogError) -> String { logs[try slot(of: log)].name }

  package func options(of log: LogID) throws(LogError) -> LogOptions {
    logs[try slot(of: log)].options
  }

  /// The end of the batch that the offset is inside of, if that is above the high watermark; the
  /// offset otherwise.
  package func endOfBatch(of log: LogID, around offset: Offset) throws(LogError) -> Offset {
    logs[try slot(of: log)].endOfBatch(around: offset)
  }

  package func vote(of log: LogID) throws(LogError) -> Vote { logs[try slot(of: log)].vote }

  /// Why the log takes no more records, if it does not.
  package func failure(of log: LogID) throws(LogError) -> String? {
    logs[try slot(of: log)].failure
  }

  package func epochs(of log: LogID) throws(LogError) -> EpochHistory {
    logs[try slot(of: log)].epochs
  }

  /// The readable batches from the one with `offset` in it on, up to `bytesMax`; the first one
  /// whole even if it is larger, if `wholeFirst`. Nil if there is nothing at `offset` yet, or the
  /// first does not fit. At the end of a segment there may be more in the next one. Of what an
  /// earlier process wrote it is as much at most as `readAhead` reads: what was not checked yet is
  /// checked on the owner's thread.
  package func slice(
    of log: LogID, from offset: Offset, bytesMax: Int, wholeFirst: Bool = true
  ) throws(LogError) -> LogSlice? {
    let slot = try slot(of: log)
    let (start, end, limit) = withLog(slot) { ($0.logStart, $0.end, $0.visible) }
    guard offset >= start, offset <= end else { throw .outOfRange }
    guard offset < limit.end else { return nil }
    let index = withLog(slot) { $0.segmentIndex(for: offset) }
    let (base, size) = withLog(slot) { ($0.segments[index].base, $0.segments[index].size) }
    let limitPosition = base == limit.segment ? limit.position : size
    let isOld = withLog(slot) { $0.segments[index].verified.trustedFrom > 0 }
    let asked = bytesMax
    let bytesMax = isOld ? min(asked, options.journal.groupBytesMax) : asked
    do throws(DiskError) {
      let source = source(slot, index)
      let found = try position(of: offset, slot, index, source, limitPosition, bytesMax)
      guard let position = found else {
        throw DiskError.failed("finding offset \(offset.rawValue) in its segment", errno: 0)
      }
      let available = Int(limitPosition - position)
      var count = min(bytesMax, available)
      if count < available, let first = try source.header(at: position), count < first.batchSize {
        // Most clients fail on a part of a batch where there is no whole one before it.
        guard wholeFirst else { return nil }
        count = min(first.batchSize, available)
      }
      guard count > 0 else { return nil }
      var hasMore = count < min(asked, available) || count == available && base != limit.segment
      var pieces = try source.pieces(position..<position + Int64(count))
      if let cut = pieces.firstIndex(where: \.isInFile), cut > 0 {
        // What is not in memory is for the next read to bring, once there is a whole batch.
        let inMemory = pieces[..<cut].reduce(0) { $0 + $1.count }
        let first = try source.header(at: position)?.batchSize ?? count
        if first <= inMemory {
          pieces.removeSubrange(cut...)
          hasMore = true
        }
      }
      return LogSlice(pieces, hasMore: hasMore)
    } catch {
      if let failure = logs[slot].failure { throw .logFailed(failure) }
      throw .disk("\(error)")
    }
  }

  /// The bytes of a slice.
  package func bytes(of slice: LogSlice) throws(LogError) -> [UInt8] {
    do throws(DiskError) {
      return try slice.bytes(disk)
    } catch {
      throw .disk("\(error)")
    }
  }

  /// The first readable record at or after `timestamp`; nil if there is none.
  package func find(
    _ timestamp: Timestamp, in log: LogID
  ) throws(LogError) -> TimestampedOffset? {
    try find(log, reaching: { _ in timestamp }) { $0 >= timestamp }
  }

  /// The first readable record with the largest timestamp of all; nil if there is none.
  package func findLargestTimestamp(in log: LogID) throws(LogError) -> TimestampedOffset? {
    let slot = try slot(of: log)
    let limit = withLog(slot) { $0.visible }
    let largest = withLog(slot) { log in
      log.segments.filter { $0.base < limit.end }.map(\.maxTimestamp).max()
    }
    guard let largest, largest.rawValue >= 0 else { return nil }
    if let found = try find(log, reaching: { _ in largest }, where: { $0 >= largest }) {
      return found
    }
    // The largest was not readable yet, or was truncated: look at everything that is.
    return try findLargestByScan(slot, limit)
  }

  private func findLargestByScan(
    _ slot: Int, _ limit: Log.Place
  ) throws(LogError) -> TimestampedOffset? {
    var best: Timestamp?
    do throws(DiskError) {
      for index in logs[slot].segments.indices where logs[slot].segments[index].base < limit.end {
        let segment = logs[slot].segments[index]
        let end = segment.base == limit.segment ? limit.position : segment.size
        var scan = BatchScan(source(slot, index))
        var position: Int64 = 0
        while let header = try scan.header(at: position, limit: end) {
          best = max(best ?? header.maxTimestamp, header.maxTimestamp)
          position += Int64(header.batchSize)
        }
      }
    } catch {
      throw .disk("\(error)")
    }
    guard let best else { return nil }
    return try find(logs[slot].id, reaching: { _ in best }) { $0 >= best }
  }

  private func find(
    _ log: LogID, reaching: (Segment) -> Timestamp, where matches: (Timestamp) -> Bool
  ) throws(LogError) -> TimestampedOffset? {
    let slot = try slot(of: log)
    let (start, limit) = withLog(slot) { ($0.logStart, $0.visible) }
    do throws(DiskError) {
      for index in logs[slot].segments.indices {
        let segment = logs[slot].segments[index]
        guard segment.base < limit.end, segment.maxTimestamp >= reaching(segment) else { continue }
        let end = segment.base == limit.segment ? limit.position : segment.size
        let source = source(slot, index)
        var scan = BatchScan(source)
        var position = try withIndex(slot, index) { table in
          IndexLookup.position(ofTimestamp: reaching(segment).rawValue, in: table)
        }
        // As far as it looks and no further: the segment may be a gigabyte that nobody reads.
        func verify(_ bytes: Int64) throws(DiskError) {
          try self.verify(slot, index, position..<min(end, position + bytes), source)
        }
        while position < end {
          try verify(VerifiedRegions.bytes)
          guard let header = try scan.header(at: position, limit: end) else { break }
          if matches(header.maxTimestamp), header.lastOffset >= start {
            try verify(Int64(header.batchSize))
            if let batch = try scan.batch(at: position, header),
              let found = Self.first(in: batch, from: start, where: matches)
            {
              return found
            }
          }
          position += Int64(header.batchSize)
        }
      }
    } catch {
      throw .disk("\(error)")
    }
    return nil
  }

  private static func first(
    in batch: RecordBatch, from start: Offset, where matches: (Timestamp) -> Bool
  ) -> TimestampedOffset? {
    var decompressor = Decompressor()
    var found: TimestampedOffset?
    let header = batch.header
    try? batch.forEachRecord(&decompressor) { record, _ in
      let timestamp = header.timestamp(of: record)
      guard matches(timestamp), header.offset(of: record) >= start else { return .next }
      found = TimestampedOffset(
        offset: header.offset(of: record), timestamp: timestamp,
        epoch: header.partitionLeaderEpoch)
      return .stop
    }
    return found
  }
}

// MARK: - Looking up

extension LogStore {
  /// The position of the batch with `offset` in it, in its segment.
  private func position(
    of offset: Offset, _ slot: Int, _ index: Int, _ source: SegmentSource, _ limit: Int64,
    _ bytesMax: Int
  ) throws(DiskError) -> Int64? {
    let base = logs[slot].segments[index].base
    func verify(from start: Int64) throws(DiskError) {
      let end = start + Int64(bytesMax) + VerifiedRegions.bytes
      try self.verify(slot, index, start..<min(limit, end), source)
    }
    if offset == base {
      try verify(from: 0)
      return 0
    }
    if let place = withLog(slot, { $0.recentPlace(endingAt: offset) }), place.segment == base {
      try verify(from: place.position)
      return place.position
    }
    var position = try withIndex(slot, index) { table in
      IndexLookup.position(ofOffset: offset - base, in: table)
    }
    // From the entry on: a damaged header in between could lead past the batch.
    try verify(from: position)
    var scan = BatchScan(source)
    while let header = try scan.header(at: position, limit: limit) {
      if header.lastOffset >= offset { return position }
      position += Int64(header.batchSize)
    }
    return nil
  }

  /// The bytes of a segment, from where they are.
  func source(_ slot: Int, _ index: Int) -> SegmentSource {
    source(slot, index, logs[slot].segments[index])
  }

  /// The bytes of a segment's file, and what of it was read: what else is in memory says nothing of
  /// the file.
  func fileSource(_ slot: Int, _ index: Int, _ reads: SegmentReads) -> SegmentSource {
    var segment = logs[slot].segments[index]
    segment.tail = nil
    segment.reads = reads
    return source(slot, index, segment)
  }

  private func source(_ slot: Int, _ index: Int, _ segment: Segment) -> SegmentSource {
    if let files = segment.files {
      return SegmentSource(disk, segment, files) { [disk] () throws(DiskError) in
        try files.forReading(disk)
      }
    }
    // Open for as long as a slice is held, also when the segment is removed meanwhile.
    let files = SegmentFiles(log: logs[slot].id, base: segment.base)
    files.reading = (try? reader(slot, index))?.file
    return SegmentSource(disk, segment, files) { [self] () throws(DiskError) in
      try reader(slot, index).file
    }
  }

  /// A segment's file, open for reading past the page cache.
  func directFile(_ slot: Int, _ index: Int) throws(DiskError) -> OpenFile {
    if let files = logs[slot].segments[index].files { return try files.forReadingDirect(disk) }
    let key = ReaderCache.Key(log: logs[slot].id, base: logs[slot].segments[index].base)
    if let open = try reader(slot, index).direct { return open }
    let path = logs[slot].segments[index].dataPath(key.log)
    let file = OpenFile(try disk.openFile(path, .existing, direct: true), disk)
    readers.setDirect(key, file)
    return file
  }

  /// Opens a closed segment that is not open, and its index.
  private func reader(_ slot: Int, _ index: Int) throws(DiskError) -> ReaderCache.Reader {
    let segment = logs[slot].segments[index]
    let key = ReaderCache.Key(log: logs[slot].id, base: segment.base)
    if let found = readers.find(key) { return found }
    let file = OpenFile(try disk.openFile(segment.dataPath(key.log), .existing), disk)
    var mapped: MappedIndex?
    if segment.hasIndexFile, let id = try? disk.openFile(segment.indexPath(key.log), .existing) {
      let open = OpenFile(id, disk)
      let count = segment.indexWritten
      if let mapping = try? disk.map(open.id, count: count * SegmentIndex.Entry.size) {
        mapped = MappedIndex(mapping, count: count, crc: segment.indexCRC.value)
      }
    }
    if mapped == nil, segment.index.count == 0 {
      // Missing or damaged: made again from the segment and kept in memory.
      let interval = logs[slot].options.indexIntervalBytes
      let rebuilt = try Segment.rebuilt(
        segment, SegmentSource(file, disk), interval: interval)
      withLog(slot) { $0.segments[index].index = rebuilt.index }
    }
    readers.add(key, file, mapped)
    guard let reader = readers.find(key) else { fatalError("a reader was just added") }
    return reader
  }

  func withIndex<R>(
    _ slot: Int, _ index: Int, _ body: (any IndexTable) -> R
  ) throws(DiskError) -> R {
    let segment = logs[slot].segments[index]
    if segment.index.count > 0 || segment.files != nil { return body(segment.index) }
    let reader = try reader(slot, index)
    if let mapped = reader.index { return body(mapped) }
    return body(logs[slot].segments[index].index)
  }
}
