internal import Bytes
internal import Platform

/// What is to be done with one log's files. A log's work is done in order, one piece at a time.
enum FileWork {
  case makeDirectory
  case create(SegmentFiles)
  /// Opens the file, which is there, for writing.
  case open(SegmentFiles)
  case createIndex(SegmentFiles)
  /// Whole blocks of a tail.
  case write(SegmentFiles, position: Int64, [SegmentTail.Part])
  case writeIndex(SegmentFiles, position: Int64, DiskBytes)
  case truncate(SegmentFiles, size: Int64)
  /// Removes a segment's files, whichever of the two there are.
  case delete(Offset, hasIndex: Bool)
  /// Takes the log's directory away, to be removed with whatever is in it, or kept in quarantine.
  case removeDirectory(isKept: Bool)
  /// The checkpoint of this number may sync the log's files now.
  case barrier(UInt64)
}

/// The work of one log that waits, oldest first, and what is under way.
///
/// Bounded: every piece belongs to a frame whose memory is bounded by the journal, to a chunk whose
/// memory is bounded for all tails, or to a segment.
struct FileWorkQueue {
  struct Item {
    var work: FileWork
    /// The group that must be durable before: the write-ahead rule for what destroys.
    var gate: UInt64
  }

  private var items: [Item] = []
  private var first = 0
  /// What is being done now.
  var underWay: FileWork?
  /// It failed for want of space and waits for some.
  var waitsForSpace = false
  /// Segments whose files are being removed, which holds up nothing but what needs their names.
  var removing: [Offset] = []

  var isEmpty: Bool { first == items.count && underWay == nil }
  var next: Item? { first < items.count ? items[first] : nil }

  /// Whether what is next makes a file whose name another has that is being removed.
  var waitsForRemovals: Bool {
    guard case .create(let files)? = next?.work else { return false }
    return removing.contains(files.base)
  }

  mutating func add(_ work: FileWork, gate: UInt64 = 0) {
    items.append(Item(work: work, gate: gate))
  }

  /// The next piece of work; writes that follow one another in a file become one.
  mutating func take(bytesMax: Int = 4 << 20, partsMax: Int = 512) -> FileWork? {
    guard first < items.count else { return nil }
    let item = items[first]
    first += 1
    var work = item.work
    if case .write(let files, let position, var parts) = work {
      var bytes = parts.reduce(0) { $0 + $1.range.count }
      while first < items.count, bytes < bytesMax, parts.count < partsMax,
        case .write(let next, position + Int64(bytes), let more) = items[first].work,
        next === files
      {
        parts += more
        bytes += more.reduce(0) { $0 + $1.range.count }
        first += 1
      }
      work = .write(files, position: position, parts)
    }
    if first > 32, first * 2 > items.count {
      items.removeFirst(first)
      first = 0
    }
    if first == items.count {
      items.removeAll(keepingCapacity: items.count < 1024)
      first = 0
    }
    return work
  }

  /// Takes the removals that may be done before the work ahead of them: of a file that no such work
  /// makes, or of everything.
  mutating func takeRemovals(durableThrough: UInt64) -> [FileWork] {
    let waiting = Array(items[first...])
    let last = waiting.first {
      if case .removeDirectory = $0.work { $0.gate <= durableThrough } else { false }
    }
    if let last {
      removeAll()
      return [last.work]
    }
    var made: [Offset] = []
    if case .create(let files)? = underWay { made.append(files.base) }
    var removals: [FileWork] = []
    var kept: [Item] = []
    for item in waiting {
      if case .create(let files) = item.work { made.append(files.base) }
      if case .delete(let base, _) = item.work, item.gate <= durableThrough, !made.contains(base) {
        removals.append(item.work)
      } else {
        kept.append(item)
      }
    }
    items = kept
    first = 0
    return removals
  }

  /// Forgets everything that waits but the removal of all.
  mutating func removeAllButRemoval() {
    items = items[first...].filter { if case .removeDirectory = $0.work { true } else { false } }
    first = 0
  }

  /// Forgets everything that waits.
  mutating func removeAll() {
    items = []
    first = 0
  }
}
