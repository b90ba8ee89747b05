internal import Bytes
internal import Platform

/// What was appended on its way through memory to the segments' files.
///
/// Whole blocks are written when a log has `writeBytes` of them. The rest is written when a
/// checkpoint claims it, when its segment is closed, or when memory is short, that of the log which
/// has waited longest first. All of it is work in the log's queue (`FileWorkQueue`), behind the
/// truncations before it.
extension LogStore {
  /// Sees that the log's tail can take `bytes` more; `isNew` if they begin a segment. Returns what
  /// of the block that they go to was only in the file.
  func makeRoomInTail(
    _ slot: Int, for bytes: Int, isNew: Bool
  ) throws(LogError) -> [UInt8] {
    let active = logs[slot].segments.count - 1
    let segment = logs[slot].segments[active]
    let tail = isNew ? nil : segment.tail
    let end = isNew ? 0 : segment.size
    let now = tail ?? SegmentTail(tails, end: end)
    let needed = now.memoryNeeded(for: bytes)
    if needed > 0, !tails.hasRoom(for: needed) {
      relieveTails(all: true)
      throw refuse()
    }
    guard let missing = now.missing else { return [] }
    do throws(DiskError) {
      let read = try source(slot, active).read(
        missing.lowerBound, Int(missing.upperBound - missing.lowerBound))
      guard read.count == Int(missing.upperBound - missing.lowerBound) else {
        throw DiskError.failed("reading the end of \(segment.dataPath(logs[slot].id))", errno: 5)
      }
      return read
    } catch {
      failLog(slot, "\(error); restore it from a backup or a replica")
      throw .logFailed("\(error)")
    }
  }

  /// Adds what was just appended to the log.
  func addToTail(_ slot: Int, _ bytes: DiskBytes, missing: [UInt8]) {
    let active = logs[slot].segments.count - 1
    let tail: SegmentTail
    if let there = logs[slot].segments[active].tail {
      tail = there
    } else {
      tail = SegmentTail(tails, end: logs[slot].segments[active].size - Int64(bytes.range.count))
      withLog(slot) { $0.segments[active].tail = tail }
    }
    unsafe tail.append(
      UnsafeRawBufferPointer(rebasing: bytes.memory.bytes[bytes.range]), missing: missing)
    if let next = tails.unpopulated() { submit(.populate(next), .memory) }
    if tail.waitingBytes >= options.tails.writeBytes { writeTail(slot, all: false) }
    if !logs[slot].hasWaitingTail {
      withLog(slot) { $0.hasWaitingTail = true }
      waitingTails.append((slot, logs[slot].id))
    }
    if tails.isPressed { relieveTails(all: false) }
  }

  /// Writes what is left of the open segment, which is about to be closed, and gives its file the
  /// exact size.
  func closeTail(_ slot: Int) {
    writeTail(slot, all: true)
    guard let last = logs[slot].segments.last, let files = last.files, last.tail != nil
    else { return }
    queue(.truncate(files, size: last.size), slot)
  }

  /// Hands the open segment's tail to its file: whole blocks, or `all`.
  func writeTail(_ slot: Int, all: Bool) {
    guard !logs[slot].pinsJournal, let segment = logs[slot].segments.last, let tail = segment.tail,
      let files = segment.files, let (position, parts) = tail.takeWrite(all: all)
    else { return }
    if !files.opensData {
      files.opensData = true
      queue(.open(files), slot)
    }
    queue(.write(files, position: position, parts), slot)
  }

  /// Writes tails out, the one that has waited longest first, until memory is not short; or `all`.
  private func relieveTails(all: Bool) {
    while firstWaiting < waitingTails.count, all || tails.isPressed {
      let (slot, log) = waitingTails[firstWaiting]
      firstWaiting += 1
      guard logs[slot].id == log else { continue }
      withLog(slot) { $0.hasWaitingTail = false }
      writeTail(slot, all: true)
      run(slot)
    }
    if firstWaiting == waitingTails.count || firstWaiting > 1024 {
      waitingTails.removeFirst(firstWaiting)
      firstWaiting = 0
    }
  }

  /// A checkpoint writes them all.
  func forgetWaitingTails() {
    for (slot, log) in waitingTails[firstWaiting...] where logs[slot].id == log {
      withLog(slot) { $0.hasWaitingTail = false }
    }
    waitingTails = []
    firstWaiting = 0
  }
}
