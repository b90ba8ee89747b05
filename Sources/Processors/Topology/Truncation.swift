/// TRUNCATE of the source's table: all of its rows are gone, in all partitions, and one record in
/// one partition says so.
///
/// What orders it among the rows of other partitions is the LSN (the event's `source.lsn`): it
/// locks the table against everybody else, so what other transactions did to the table is either
/// all before it or all behind it in the WAL. A row's state has the LSN of the event that it is
/// from.
///
/// (1) From the record on, an event whose LSN is lower is about a row that is gone.
/// (2) Rows whose state is from before are taken back by a sweep over the state, a batch at a time;
///     no other record is processed until that is done. How far it is, is stored with each batch.
/// (3) What is taken back is not late: it changes windows that are over as well.
package struct Truncation: StateText {
  /// Events with a lower LSN count no more; 0: nothing was truncated.
  package var through: UInt64 = 0
  /// The sweep that is not done.
  package var sweep: Sweep?

  package struct Sweep: Hashable, Sendable {
    var partition: Int32
    var offset: Int64
    var timestamp: Int64
    var time: EventTime
    /// The key of state that it has come to.
    package var after = ""
  }

  package static let none = Truncation()
  package static let stateKey = "truncation"

  init() {}

  mutating func add(_ lsn: UInt64, _ cause: Cause) {
    through = max(through, lsn)
    sweep = Sweep(
      partition: cause.partition, offset: cause.offset, timestamp: cause.timestamp,
      time: cause.time)
  }

  package var stateText: String {
    guard let sweep else { return "\(through)" }
    return "\(through) \(sweep.partition) \(sweep.offset) \(sweep.timestamp) "
      + "\(sweep.time.microseconds) \(sweep.after)"
  }

  package init?(stateText: String) {
    let parts = stateText.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
    guard let through = UInt64(parts[0]) else { return nil }
    self.through = through
    guard parts.count > 1 else { return }
    guard parts.count == 6, let partition = Int32(parts[1]), let offset = Int64(parts[2]),
      let timestamp = Int64(parts[3]),
      let time = Int64(parts[4]).flatMap(EventTime.init(microseconds:))
    else { return nil }
    sweep = Sweep(
      partition: partition, offset: offset, timestamp: timestamp, time: time,
      after: String(parts[5]))
  }
}

/// A row's state with the LSN of the event that it is from, `@<lsn> <state>`; without where that is
/// not known.
enum RowState {
  static let prefix = "row/"

  static func encode(_ lsn: UInt64, _ text: String) -> String {
    lsn == 0 && !text.hasPrefix("@") ? text : "@\(lsn) \(text)"
  }

  /// Nil if it is not what `encode` writes.
  static func decode(_ stored: String) -> (lsn: UInt64, text: String)? {
    guard stored.hasPrefix("@") else { return (0, stored) }
    guard let space = stored.firstIndex(of: " "),
      let lsn = UInt64(stored[stored.index(after: stored.startIndex)..<space])
    else { return nil }
    return (lsn, String(stored[stored.index(after: space)...]))
  }
}

/// An entry of the stored state.
package struct StoredState: Hashable, Sendable {
  package var key: String
  package var value: String

  package init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}
