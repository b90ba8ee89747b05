internal import Bytes
internal import Platform
internal import Records

/// What frames do to a log. Each returns the work on files that follows, in order; the second part
/// of a piece says whether it destroys something and so must wait until its frame is durable.
extension Log {
  typealias Work = [(FileWork, destroys: Bool)]

  /// Whether a batch of `bytes` ending with `lastOffset` begins a new segment.
  func rolls(for bytes: Int, lastOffset: Offset, now: Int64) -> Bool {
    guard let active = segments.last, active.size > 0 else { return false }
    if let first = active.firstAppended, now - first >= options.segmentMilliseconds { return true }
    return !active.hasRoom(
      for: bytes, lastOffset: lastOffset, segmentBytes: options.segmentBytes)
  }

  /// Adds batches of `bytes` bytes together. They go to the end of the last segment, wherever its
  /// bytes are kept.
  mutating func append(_ headers: [RecordBatchHeader], bytes: Int, now: Int64) -> Work {
    guard let first = headers.first, let last = headers.last else { return [] }
    var work = first.baseOffset < end ? beginBefore(first.baseOffset) : []
    if rolls(for: bytes, lastOffset: last.lastOffset, now: now) {
      segments[segments.count - 1].isClosed = true
      segments.append(Segment(base: end))
    }
    let active = segments.count - 1
    let base = segments[active].base
    let files = segments[active].files ?? SegmentFiles(log: id, base: base)
    segments[active].files = files
    if !segments[active].hasFile {
      segments[active].hasFile = true
      hasNewNames = true
      files.opensData = true
      work.append((.create(files), false))
    }
    for header in headers {
      require(
        isFollowed(by: header), "a batch begins at \(header.baseOffset), its log ends at \(end)")
      epochs.begin(header.partitionLeaderEpoch, at: header.baseOffset)
      segments[active].add(header, interval: options.indexIntervalBytes, now: now)
      end = header.nextOffset
      note(Place(end: end, segment: base, position: segments[active].size))
      noteProducer(of: header, now: now)
    }
    isDirty = true
    return work
  }

  /// Whether the batch may be the next one. The first of a log that was reset to inside of it
  /// begins before the log does.
  func isFollowed(by header: RecordBatchHeader) -> Bool {
    if header.baseOffset == end { return true }
    return logStart == end && segments.count == 1 && segments[0].size == 0
      && header.baseOffset < end && header.nextOffset > end
      && header.partitionLeaderEpoch == epochs.latest
  }

  /// The log, which has no records, gets a first batch that begins before it does.
  private mutating func beginBefore(_ base: Offset) -> Work {
    let old = segments[0]
    guard base < old.base else { return [] }
    segments = [Segment(base: base)]
    beginAgain(at: Place(end: end, segment: base, position: 0))
    return old.hasFile ? [(.delete(old.base, hasIndex: old.hasIndexFile), true)] : []
  }

  /// What a batch says about its producer.
  mutating func noteProducer(of header: RecordBatchHeader, now: Int64) {
    guard header.hasProducer, header.baseSequence >= 0, !header.attributes.isControl else { return }
    producers.append(
      header.producerID, header.producerEpoch,
      ProducerStates.Batch(
        firstSequence: header.baseSequence, lastSequence: header.lastSequence,
        firstOffset: header.baseOffset, lastOffset: header.lastOffset,
        timestamp: header.attributes.timestampType == .logAppendTime
          ? header.maxTimestamp.rawValue : -1),
      now: now)
  }

  mutating func beginEpoch(_ epoch: LeaderEpoch) -> Work {
    epochs.begin(epoch, at: end)
    isDirty = true
    return []
  }

  /// Removes everything after `target`, whose offset is the end of a batch.
  mutating func truncate(to target: LogPosition) -> Work {
    epochs.truncate(to: target)
    isDirty = true
    resolveDoubts(outside: .zero..<max(.zero, target.offset))
    guard target.offset < end else {
      noteTruncated(to: endPlace)
      return []
    }
    guard let place = truncationPlace(target.offset) else {
      fatalError("truncating to \(target.offset), where no uncommitted batch ends")
    }
    var work: Work = []
    // A segment that begins at the target stays, empty: the one before it may be durable and its
    // index no longer in memory.
    while let last = segments.last, last.base > target.offset {
      if last.hasFile { work.append((.delete(last.base, hasIndex: last.hasIndexFile), true)) }
      segments.removeLast()
    }
    let active = segments.count - 1
    segments[active].isClosed = false
    segments[active].truncate(to: place.position)
    if segments[active].hasFile, let files = segments[active].files {
      work.append((.truncate(files, size: place.position), true))
    }
    dropPlaces(after: target.offset)
    producers.truncate(to: target.offset)
    end = target.offset
    noteTruncated(to: place)
    return work
  }

  /// As `truncate`, when replaying a journal whose later frames have removed the files that hold
  /// the target: the log goes on in a new segment, and what is missing before is in doubt.
  mutating func truncateInDoubt(to target: LogPosition) {
    epochs.truncate(to: target)
    resolveDoubts(outside: .zero..<target.offset)
    segments.removeAll { $0.base >= target.offset }
    if !segments.isEmpty { segments[segments.count - 1].isClosed = true }
    segments.append(Segment(base: target.offset))
    dropPlaces(after: target.offset)
    producers.truncate(to: target.offset)
    end = target.offset
  }

  /// Throws all records away.
  mutating func reset(to reset: LogReset) -> Work {
    let offset = reset.position.offset
    var work: Work = []
    for segment in segments where segment.hasFile {
      work.append((.delete(segment.base, hasIndex: segment.hasIndexFile), true))
    }
    segments = [Segment(base: offset)]
    epochs = reset.history
    producers = reset.producers
    doubts = []
    logStart = offset
    end = offset
    beginAgain(at: Place(end: offset, segment: offset, position: 0))
    isDirty = true
    return work
  }

  /// Forgets the records below `offset`; segments that hold only such go.
  mutating func advanceStart(to offset: Offset) -> Work {
    guard offset > logStart else { return [] }
    logStart = offset
    resolveDoubts(outside: offset..<Offset(.max))
    epochs.trim(to: offset)
    isDirty = true
    var work: Work = []
    while segments.count > 1, segments[1].base <= offset {
      let first = segments.removeFirst()
      if first.hasFile { work.append((.delete(first.base, hasIndex: first.hasIndexFile), true)) }
    }
    return work
  }
}
