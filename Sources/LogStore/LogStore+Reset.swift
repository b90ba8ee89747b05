package import Bytes
internal import Platform

/// Beginning anew where a leader's log starts: for a follower that is behind that.
extension LogStore {
  /// What a log knows of its producers, for a follower that is reset.
  package struct ProducerSnapshot: Equatable, Sendable {
    package var bytes: [UInt8]
    /// Batches that end at or below are in it.
    package var through: Offset
    /// Producers for which there was no room: those whose last batch is oldest. A batch that one of
    /// them sends again after a failover is not known for a duplicate.
    package var leftOut: Int
  }

  /// What the log knows of its producers at its high watermark; of more than half a group of the
  /// journal holds, those that wrote last.
  package func producerSnapshot(of log: LogID) throws(LogError) -> ProducerSnapshot {
    let slot = try slot(of: log)
    let bytesMax = options.journal.groupBytesMax / 2
    let (encoded, through) = withLog(slot) {
      ($0.producers.encoded(bytesMax: bytesMax), max($0.highWatermark, $0.producers.foldedThrough))
    }
    return ProducerSnapshot(bytes: encoded.bytes, through: through, leftOut: encoded.leftOut)
  }

  /// Throws all records of the log away: it goes on at `position`, of which everything before is
  /// committed and `history` is the history. `producers` is another log's snapshot, and has
  /// batches that end at or below `producersThrough` in it. Its files go when that is durable. The
  /// vote stays.
  package func reset(
    _ log: LogID, to position: LogPosition, history: EpochHistory, producers: ArraySlice<UInt8>,
    producersThrough: Offset
  ) throws(LogError) -> LogPosition {
    let slot = try appendable(log, evenIfFull: true)
    let reset = try LogReset(
      position, history, producers, producersThrough, bytesMax: appendBytesMax)
    let group = try add(.reset, log, position.epoch, payload: reset.encoded())
    let work = withLog(slot) { $0.reset(to: reset) }
    readers.forget(log)
    return finish(slot, log, group, work)
  }
}

/// What a reset brings. As a frame's payload:
///
///     i64 offset   i64 producers through   u32 epochs, for each i32 epoch and i64 start
///     producer table
struct LogReset {
  var position: LogPosition
  var history: EpochHistory
  var producers: ProducerStates

  /// Throws if these are not what a log can begin with. Producers for which there is no room in
  /// `bytesMax` are left out, those whose last batch is oldest.
  init(
    _ position: LogPosition, _ history: EpochHistory, _ producers: ArraySlice<UInt8>,
    _ through: Offset, bytesMax: Int
  ) throws(LogError) {
    var history = history
    history.truncate(to: position)
    let end = LogPosition(epoch: history.latest, offset: position.offset)
    guard position.offset >= .zero, position.offset < Offset(.max - Int64(Int32.max)),
      end.epoch == position.epoch
    else { throw .invalidBatch("a log cannot begin at \(position) after \(history.entries)") }
    history.trim(to: position.offset)
    self.position = position
    self.history = history
    let bytesLeft = bytesMax - 20 - 12 * history.entries.count
    let least = ProducerStates.emptyBytesMax
    guard bytesLeft >= least else {
      throw .tooLarge(bytes: bytesMax + least - bytesLeft, bytesMax: bytesMax)
    }
    do throws(ByteError) {
      var reader = ByteReader(producers)
      self.producers = try ProducerStates(from: &reader, through: through)
      if producers.count > bytesLeft {
        let kept = self.producers.encoded(bytesMax: bytesLeft).bytes
        reader = ByteReader(kept)
        self.producers = try ProducerStates(from: &reader, through: through)
      }
    } catch {
      throw .invalidBatch("the producers that a log is to begin with cannot be read: \(error)")
    }
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.put(position.offset.rawValue)
    bytes.put(producers.foldedThrough.rawValue)
    bytes.put(history)
    return bytes + producers.encoded().bytes
  }

  init?(decoding payload: ArraySlice<UInt8>, epoch: LeaderEpoch) {
    var reader = ByteReader(payload)
    guard let offset = try? reader.int64(), let through = try? reader.int64(),
      let history = try? reader.epochHistory(),
      let producers = try? ProducerStates(from: &reader, through: Offset(through))
    else { return nil }
    position = LogPosition(epoch: epoch, offset: Offset(offset))
    self.history = history
    self.producers = producers
  }
}
