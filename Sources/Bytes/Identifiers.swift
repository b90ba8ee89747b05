/// A record's place in its log, counted from zero; also Raft's index. Not a position in a file.
package struct Offset: RawRepresentable, Hashable, Comparable, Sendable {
  package var rawValue: Int64

  @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable package init(_ rawValue: Int64) { self.rawValue = rawValue }

  package static let zero = Offset(0)

  @inlinable
  package static func < (a: Offset, b: Offset) -> Bool { a.rawValue < b.rawValue }
  @inlinable
  package static func + (offset: Offset, count: Int64) -> Offset {
    Offset(offset.rawValue + count)
  }
  @inlinable
  package static func - (offset: Offset, count: Int64) -> Offset {
    Offset(offset.rawValue - count)
  }
  /// Records between two offsets.
  @inlinable
  package static func - (a: Offset, b: Offset) -> Int64 { a.rawValue - b.rawValue }
}

/// The number of a leadership over one partition, counted up from zero; also Raft's term.
package struct LeaderEpoch: RawRepresentable, Hashable, Comparable, Sendable {
  package var rawValue: Int32

  @inlinable package init(rawValue: Int32) { self.rawValue = rawValue }
  @inlinable package init(_ rawValue: Int32) { self.rawValue = rawValue }

  /// No leader has been seen yet.
  package static let none = LeaderEpoch(-1)

  @inlinable
  package static func < (a: LeaderEpoch, b: LeaderEpoch) -> Bool { a.rawValue < b.rawValue }
}

/// A position in a log: everything below `offset`, the last of it written in `epoch`. Names exactly
/// one prefix, because an epoch has one leader (Raft's log matching property).
package struct LogPosition: Hashable, Comparable, Sendable {
  package var epoch: LeaderEpoch
  package var offset: Offset

  @inlinable
  package init(epoch: LeaderEpoch, offset: Offset) {
    self.epoch = epoch
    self.offset = offset
  }

  /// Epoch first, then offset: Raft's "at least as up to date".
  @inlinable
  package static func < (a: LogPosition, b: LogPosition) -> Bool {
    (a.epoch, a.offset) < (b.epoch, b.offset)
  }
}

/// A producer's identity, handed out by InitProducerId (KIP-98) and never reused.
package struct ProducerID: RawRepresentable, Hashable, Comparable, Sendable {
  package var rawValue: Int64

  @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable package init(_ rawValue: Int64) { self.rawValue = rawValue }

  package static let none = ProducerID(-1)

  @inlinable
  package static func < (a: ProducerID, b: ProducerID) -> Bool { a.rawValue < b.rawValue }
}

/// Fences the earlier incarnations of a producer (KIP-98).
package struct ProducerEpoch: RawRepresentable, Hashable, Comparable, Sendable {
  package var rawValue: Int16

  @inlinable package init(rawValue: Int16) { self.rawValue = rawValue }
  @inlinable package init(_ rawValue: Int16) { self.rawValue = rawValue }

  package static let none = ProducerEpoch(-1)

  @inlinable
  package static func < (a: ProducerEpoch, b: ProducerEpoch) -> Bool { a.rawValue < b.rawValue }
}
