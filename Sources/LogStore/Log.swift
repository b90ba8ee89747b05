internal import Bytes
internal import Platform
internal import Records

/// One log: a sequence of record batches, and what must be known of it to append, read and recover.
///
/// A value that changes as frames are added to the journal, and that says which work on files
/// follows from each change (`FileWork`); who does the work, and when, is the store's matter. The
/// same changes are made when the journal is replayed.
///
///     logStart ≤ highWatermark ≤ end          durable: what the journal has on disk
///
/// (1) `highWatermark` never falls but by a reset. Nothing below it is ever truncated.
/// (2) A reader is shown what is below both `highWatermark` and `readable`: committed, and durable
///     here. Whether it is in the segments' files yet does not matter.
/// (3) `durable` is on the disk and in the log: it falls at once when what it names is truncated.
struct Log {
  /// The end of a batch, and where in the log's files it is.
  struct Place: Equatable {
    var end: Offset
    var segment: Offset
    var position: Int64
  }

  let id: LogID
  let name: String
  var options = LogOptions()
  /// Oldest first; only the last one grows.
  var segments: [Segment]
  var epochs = EpochHistory()
  var producers = ProducerStates()
  var vote = Vote()
  var logStart = Offset.zero
  var end = Offset.zero
  var durable = LogPosition(epoch: .none, offset: .zero)

  private(set) var highWatermark = Offset.zero
  /// Where the record at the high watermark begins.
  private(set) var committed: Place
  /// Everything before it is durable. While recovering: what has been found.
  private(set) var readable: Place
  /// Counts truncations: what becomes durable of frames before one may be gone.
  private(set) var truncations = 0
  /// Ends of the batches above the high watermark.
  private var places: [Place] = []
  private var firstPlace = 0
  /// Ends of the newest batches, for readers at the tail, who ask for the next one.
  private var recent: [Place] = []
  private static let recentMax = 64

  /// Changed since the last checkpoint.
  var isDirty = true
  /// Committed since the last checkpoint.
  var hasNewMark = false
  /// Files of it were made since the last checkpoint: their names are to be synced at the next one.
  var hasNewNames = true
  /// Its record in the last checkpoint.
  var record: [UInt8] = []
  /// Why it takes no more appends, if it does not.
  var failure: String?
  /// It failed because of damage: records that were acknowledged may have been behind its end.
  var isCutShort = false
  /// It failed while records of it were only in the journal.
  var pinsJournal = false
  var work = FileWorkQueue()
  /// It is in the store's list of those that may have something to write.
  var hasWaitingTail = false
  /// While recovering: its files may differ from those that the checkpoint synced.
  var hasVolatileFiles = false
  /// While recovering: records that the checkpoint claims and the files do not have. If a
  /// truncation or a new log start took them away, the journal says so too, and the doubt is
  /// resolved.
  var doubts: [Range<Offset>] = []

  init(id: LogID, name: String, base: Offset = .zero) {
    self.id = id
    self.name = name
    segments = [Segment(base: base)]
    logStart = base
    end = base
    highWatermark = base
    committed = Place(end: base, segment: base, position: 0)
    readable = committed
  }

  /// What a leader or a candidate of another epoch is compared with.
  var position: LogPosition { LogPosition(epoch: epochs.latest, offset: end) }

  /// Records above the high watermark, for a frame to say.
  var uncommitted: UInt32? {
    end - highWatermark < Int64(UInt32.max) ? UInt32(end - highWatermark) : nil
  }

  /// What it has voted, or the epoch of its records if that is later.
  var voteFloor: Vote {
    epochs.latest > vote.epoch ? Vote(epoch: epochs.latest, candidate: -1) : vote
  }

  /// The log's end, as a place.
  var endPlace: Place {
    let last = segments[segments.count - 1]
    return Place(end: end, segment: last.base, position: last.size)
  }

  /// What readers may be shown: everything before it is committed and durable.
  var visible: Place { readable.end < committed.end ? readable : committed }

  /// Everything up to `place` is durable, which was the log's end after so many truncations. False
  /// if a truncation since has taken it back, or may have: its own frame says what is left.
  mutating func noteDurable(
    _ position: LogPosition, _ place: Place, truncations: Int
  ) -> Bool {
    guard truncations == self.truncations else { return false }
    durable = position
    readable = place
    return true
  }

  /// While recovering: this is there.
  mutating func found(_ place: Place) { readable = place }

  /// What was to become durable may be gone: also the start of an epoch, which has no place.
  mutating func noteTruncated(to place: Place) {
    truncations += 1
    durable = min(durable, position)
    if readable.end > place.end { readable = place }
  }

  /// Raises the high watermark to `offset`. False if no batch ends there.
  mutating func commit(through offset: Offset) -> Bool {
    guard offset > highWatermark else { return true }
    var next = firstPlace
    while next < places.count, places[next].end <= offset { next += 1 }
    let reached = next > firstPlace ? places[next - 1] : committed
    guard reached.end == offset else { return false }
    committed = reached
    firstPlace = next
    highWatermark = offset
    hasNewMark = true
    producers.commit(through: offset)
    if firstPlace > 256, firstPlace * 2 > places.count {
      places.removeFirst(firstPlace)
      firstPlace = 0
    }
    return true
  }

  /// The log ends where the first doubt begins; a doubt about what is committed is left to whoever
  /// reads it.
  mutating func endAtFirstDoubt() {
    guard let first = doubts.map(\.lowerBound).filter({ $0 >= highWatermark }).min() else { return }
    dropPlaces(after: first)
    end = places.count > firstPlace ? places[places.count - 1].end : committed.end
    producers.truncate(to: end)
    if end < logStart {
      end = logStart
      startAt(Place(end: end, segment: segments[segmentIndex(for: end)].base, position: 0))
    }
  }

  mutating func resolveDoubts(outside kept: Range<Offset>) {
    doubts = doubts.map { $0.clamped(to: kept) }.filter { !$0.isEmpty }
  }

  /// The place of the end of a batch at or above the high watermark; nil if no batch ends there.
  func place(endingAt offset: Offset) -> Place? {
    if offset == committed.end { return committed }
    var low = firstPlace
    var high = places.count
    while low < high {
      let middle = (low + high) / 2
      if places[middle].end < offset { low = middle + 1 } else { high = middle }
    }
    return low < places.count && places[low].end == offset ? places[low] : nil
  }

  func endOfBatch(around offset: Offset) -> Offset {
    guard offset > highWatermark, offset < end, place(endingAt: offset) == nil else {
      return offset
    }
    return places[firstPlace...].first { $0.end > offset }?.end ?? offset
  }

  /// The place from which the log goes on if it is truncated to `offset`.
  func truncationPlace(_ offset: Offset) -> Place? {
    if segments.contains(where: { $0.base == offset }) {
      return Place(end: offset, segment: offset, position: 0)
    }
    return place(endingAt: offset)
  }

  /// Sets the high watermark of a log that was just recovered; batches from there on are `add`ed
  /// again.
  mutating func startAt(_ place: Place) {
    highWatermark = place.end
    committed = place
    readable = place
    places = []
    firstPlace = 0
  }

  /// There are no records, and nothing that was to become durable counts.
  mutating func beginAgain(at place: Place) {
    truncations += 1
    durable = LogPosition(epoch: .none, offset: .zero)
    startAt(place)
    recent = []
  }

  /// The index in `segments` of the one with `offset` in it, or the last one before.
  func segmentIndex(for offset: Offset) -> Int {
    var low = 0
    var high = segments.count
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].base <= offset { low = middle + 1 } else { high = middle }
    }
    return max(0, low - 1)
  }

  mutating func note(_ place: Place) {
    places.append(place)
    if recent.count == 2 * Self.recentMax { recent.removeFirst(Self.recentMax) }
    recent.append(place)
  }

  /// Where the batch that begins at `offset` is, if it is one of the newest and not the first of
  /// its segment.
  func recentPlace(endingAt offset: Offset) -> Place? { recent.last { $0.end == offset } }

  /// Raises the high watermark to the first end of a batch at or above `offset`, as far as it is
  /// known: not beyond that, because what follows may not be committed.
  mutating func commit(atLeast offset: Offset) {
    guard offset > highWatermark else { return }
    if segments.contains(where: { $0.base == offset }) {
      // The file with the batch before may be gone.
      while firstPlace < places.count, places[firstPlace].end <= offset { firstPlace += 1 }
      committed = Place(end: offset, segment: offset, position: 0)
      highWatermark = offset
      producers.commit(through: offset)
      return
    }
    // A later start took the file with that batch: what is known behind it may not be committed.
    guard !doubts.contains(where: { $0.contains(offset - 1) }) else { return }
    for place in places[firstPlace...] where place.end >= offset {
      _ = commit(through: place.end)
      return
    }
  }

  mutating func dropPlaces(after offset: Offset) {
    while places.count > firstPlace, let last = places.last, last.end > offset {
      places.removeLast()
    }
    while let last = recent.last, last.end > offset { recent.removeLast() }
  }
}
