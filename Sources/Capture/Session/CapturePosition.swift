/// Where a record that capture wrote stands: strictly increasing within each output partition, so
/// that after a crash the last record of a partition says what is already there.
///
///     of a change       major  LSN of its transaction's commit
///                       minor  ordinal of the change in its transaction (61 bits), sub-record (3)
///     of a snapshot row major  the base: all changes up to it precede the snapshot
///                       minor  1 (1 bit), generation (10), counter (41), table (12)
///
///     of a message that is in    major  the LSN behind it: at most that of the next commit
///     no transaction             minor  0
///     of a transaction's BEGIN   major  LSN of its commit
///                                minor  1: its changes and its END have ordinals from 1 on
///
/// (1) The ordinal counts every change that Postgres sends, also of tables nobody wants, so that
///     another list of tables does not shift it. The sub-record tells the records of one change
///     apart: a changed key makes a delete, a tombstone and a create.
/// (2) A snapshot's rows come before every change that is streamed behind it, and after every
///     change streamed before it, whatever generation they are of: streaming begins at the slot's
///     LSN, which is larger than the base, also when a later generation saw a later state.
/// (3) A row's table rides along, because topics may be routed together and keys alone would not
///     tell their tables apart when a snapshot is resumed.
package struct CapturePosition: Hashable, Comparable, Sendable {
  package static let generationsMax: UInt16 = 1 << 10 - 1
  package static let tablesMax = 1 << 12
  static let rowsMax: UInt64 = 1 << 41
  static let subRecordsMax: UInt64 = 1 << 3

  package var major: UInt64
  package var minor: UInt64

  package init(major: UInt64, minor: UInt64) {
    self.major = major
    self.minor = minor
  }

  package static func < (a: Self, b: Self) -> Bool { (a.major, a.minor) < (b.major, b.minor) }

  /// Of a logical message outside of a transaction: before whatever commits behind it.
  package static func message(at lsn: LSN) -> Self { Self(major: lsn.rawValue, minor: 0) }

  /// Of what precedes a transaction's changes.
  package static func begin(commit: LSN) -> Self { Self(major: commit.rawValue, minor: 1) }

  /// Of a change in a stream; ordinals begin at 1.
  package static func change(commit: LSN, ordinal: UInt64, subRecord: Int) -> Self {
    precondition(subRecord >= 0 && subRecord < subRecordsMax, "a change makes few records")
    precondition(ordinal < 1 << 60, "a transaction has too many changes")
    return Self(major: commit.rawValue, minor: ordinal << 3 | UInt64(subRecord))
  }

  /// Of a row of a snapshot.
  package static func row(base: UInt64, generation: UInt16, counter: UInt64, table: UInt16) -> Self
  {
    precondition(generation <= generationsMax, "a snapshot has too many generations")
    precondition(counter < rowsMax, "a snapshot has too many rows")
    precondition(table < tablesMax, "a snapshot has too many tables")
    let minor = 1 << 63 | UInt64(generation) << 53 | counter << 12 | UInt64(table)
    return Self(major: base, minor: minor)
  }

  /// What a snapshot's row says about itself; nil for a change.
  package var snapshotRow: (generation: UInt16, table: UInt16)? {
    guard minor >> 63 == 1 else { return nil }
    return (UInt16(minor >> 53 & 0x3ff), UInt16(minor & 0xfff))
  }
}
