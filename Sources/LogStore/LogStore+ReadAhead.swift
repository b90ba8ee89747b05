package import Bytes
internal import Platform
package import Records

/// Names a read into memory that is under way.
package struct ReadAheadID: Hashable, Comparable, Sendable {
  let rawValue: UInt64

  package static func < (a: ReadAheadID, b: ReadAheadID) -> Bool { a.rawValue < b.rawValue }
}

/// Reading what is not in memory, without the owner's thread waiting for the disk: somebody who
/// reads a backlog would hold up everybody who appends.
extension LogStore {
  /// Blocks worth reading beyond what is asked for, for who goes through a log.
  package static let blocksAhead = 3

  /// Begins to read what `slice(of:from:bytesMax:)` would look at into memory, at most `blocksMax`
  /// blocks of it, and up to `ahead` behind it for who comes for more. Nil if nothing is to be
  /// waited for, also where the slice would fail; otherwise the reads to wait for, which
  /// `.readAhead` tells the end of. It may be that more is to be read then.
  package func readAhead(
    of log: LogID, from offset: Offset, bytesMax: Int, blocksMax: Int, ahead: Int = blocksAhead
  ) throws(LogError) -> [ReadAheadID]? {
    let slot = try slot(of: log)
    let (start, limit) = withLog(slot) { ($0.logStart, $0.visible) }
    guard offset >= start, offset < limit.end else { return nil }
    let index = withLog(slot) { $0.segmentIndex(for: offset) }
    let (base, size) = withLog(slot) { ($0.segments[index].base, $0.segments[index].size) }
    let end = base == limit.segment ? limit.position : size
    let position: Int64
    if let place = withLog(slot, { $0.recentPlace(endingAt: offset) }), place.segment == base {
      position = place.position
    } else if let entry = try? withIndex(
      slot, index, { IndexLookup.position(ofOffset: offset - base, in: $0) })
    {
      position = entry
    } else {
      // For the slice to report.
      return nil
    }
    // Room for the largest batch there can be; and who asks for little looks at more on the way.
    let most = options.journal.groupBytesMax
    let scanned = BatchScan.chunkBytes + min(most, logs[slot].options.indexIntervalBytes)
    let bytes = Int64(min(max(bytesMax, scanned), most))
    let range = position..<min(end, position + bytes)
    return readAhead(range, end: end, slot, index, blocksMax, ahead: ahead)
  }

  /// As the other, for `find` of that timestamp, or of the largest there is if it is nil.
  package func readAhead(
    of log: LogID, forFinding timestamp: Timestamp?, blocksMax: Int
  ) throws(LogError) -> [ReadAheadID]? {
    let slot = try slot(of: log)
    let limit = withLog(slot) { $0.visible }
    let found = withLog(slot) { log -> (index: Int, target: Timestamp)? in
      let largest = log.segments.lazy.filter { $0.base < limit.end }.map(\.maxTimestamp).max()
      guard let target = timestamp ?? largest else { return nil }
      return log.segments.firstIndex { $0.base < limit.end && $0.maxTimestamp >= target }
        .map { ($0, target) }
    }
    guard let (index, target) = found,
      let position = try? withIndex(
        slot, index, { IndexLookup.position(ofTimestamp: target.rawValue, in: $0) })
    else { return nil }
    let (base, size) = withLog(slot) { ($0.segments[index].base, $0.segments[index].size) }
    let end = base == limit.segment ? limit.position : size
    // The index leads to within a few batches of it.
    let range = position..<max(position, min(end, position + VerifiedRegions.bytes))
    return readAhead(range, end: end, slot, index, blocksMax, ahead: 0)
  }

  func readAhead(
    _ range: Range<Int64>, end: Int64, _ slot: Int, _ index: Int, _ blocksMax: Int, ahead: Int
  ) -> [ReadAheadID]? {
    var range = range
    // What is verified is verified by whole regions and one further than is asked for, and from the
    // batch on that reaches into the first to the end of the one that begins in the last.
    let regions = VerifiedRegions.bytes
    let looked = range.lowerBound..<min(end, range.upperBound + regions)
    if withLog(slot, { $0.segments[index].verified.firstUnverified(in: looked) }) != nil {
      range =
        max(0, (range.lowerBound / regions - 1) * regions)..<min(end, looked.upperBound + regions)
    }
    let (waits, isMissing) = read(range, slot, index, blocksMax)
    if !isMissing {
      // Who finds all he asks for goes through the log; it keeps the disk busy.
      let ahead = waits.isEmpty ? ahead : min(1, ahead)
      let block = blocks.blockBytes
      let next = (range.upperBound + block - 1) / block * block
      _ = read(next..<max(next, min(end, next + Int64(ahead) * block)), slot, index, ahead)
    }
    guard isMissing || !waits.isEmpty else { return nil }
    return waits
  }

  /// Begins to read what of the range is not in memory. Returns what to wait for, and whether there
  /// was something that was not begun.
  private func read(
    _ range: Range<Int64>, _ slot: Int, _ index: Int, _ blocksMax: Int
  ) -> (waits: [ReadAheadID], isMissing: Bool) {
    let source = source(slot, index)
    guard !range.isEmpty, let runs = try? source.inFile(range), !runs.isEmpty
    else { return ([], false) }
    let reads = logs[slot].segments[index].reads ?? SegmentReads(blocks)
    withLog(slot) { $0.segments[index].reads = reads }
    let size = logs[slot].segments[index].size
    return read(runs, into: reads, blocksMax, slot, index) { position, run in
      let block = blocks.blockBytes
      let first = position / block * block
      let part = first..<min(first + block, size)
      let runs = try? source.inFile(part)
      return runs?.first { $0.contains(position) } ?? run.clamped(to: part)
    }
  }

  /// As above: what is in the file only, or is to be read from there. `valid` says what counts of
  /// the block around a position in a run: what is in the file without a gap.
  func read(
    _ runs: [Range<Int64>], into reads: SegmentReads, _ blocksMax: Int, _ slot: Int, _ index: Int,
    valid: (Int64, Range<Int64>) -> Range<Int64>
  ) -> (waits: [ReadAheadID], isMissing: Bool) {
    let blockBytes = blocks.blockBytes
    var waits: [ReadAheadID] = []
    var begun = 0
    for run in runs {
      var position = run.lowerBound
      while position < run.upperBound {
        if let block = reads.block(at: position) {
          if !block.isThere, waits.last != block.id { waits.append(block.id) }
          position = block.valid.upperBound
          continue
        }
        guard begun < blocksMax else { return (waits, true) }
        let blockEnd = (position / blockBytes + 1) * blockBytes
        switch begin(reads, valid(position, run), slot, index) {
        case .begun(let id):
          begun += 1
          waits.append(id)
          position = reads.block(at: position)?.valid.upperBound ?? blockEnd
        case .noMemory:
          // There is some when one of the reads that have it all is done.
          if let oldest = readsUnderWay.first, !waits.contains(oldest) { waits.append(oldest) }
          return (waits, true)
        case .noFile:
          // For the slice to report.
          return (waits, false)
        }
      }
    }
    return (waits, false)
  }

  private enum Beginning {
    case begun(ReadAheadID)
    /// All memory is being read into.
    case noMemory
    /// It cannot be opened.
    case noFile
  }

  /// Reads the block with `valid` in it, of which nothing else counts.
  private func begin(
    _ reads: SegmentReads, _ valid: Range<Int64>, _ slot: Int, _ index: Int
  ) -> Beginning {
    guard let file = try? directFile(slot, index) else { return .noFile }
    let id = ReadAheadID(rawValue: lastReadAhead + 1)
    guard let made = reads.begin(valid, id), let memory = made.memory else { return .noMemory }
    lastReadAhead += 1
    // Others are the scrub's own.
    if logs[slot].segments[index].reads === reads { readsAheadBegun += 1 }
    readsUnderWay.append(id)
    submit(
      .load(file.id, position: made.start, DiskBytes(memory, 0..<Int(blocks.blockBytes))),
      .readAhead(made, file))
    return .begun(id)
  }

  func readAheadDone(_ block: ReadBlock, _ result: Result<DiskResult, DiskError>) {
    readsUnderWay.removeAll { $0 == block.id }
    // What cannot be read is left for the slice to find out.
    if case .success(.count(let bytes)) = result {
      blocks.ended(block, Int(bytes))
    } else {
      blocks.ended(block, nil)
    }
    emit(.readAhead(block.id))
  }
}
