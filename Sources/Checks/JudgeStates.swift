internal import Bytes

/// What is known of a value.
struct ValueState {
  enum Status: UInt8 { case unwritten, open, acknowledged, failed, unknown }

  /// Where it was acknowledged to be, or else seen first; -1 if it was not.
  var offset: Int64 = -1
  /// When it was begun, everything up to this offset was known to be there.
  var floor: Int64 = -1
  var sequence: Int32 = -1
  var crc: UInt32 = 0
  var partition: Int32 = -1
  /// Index in `Judge.streams`; -1 for a producer that is not idempotent.
  var stream: Int32 = -1
  var invoked: UInt32 = 0
  var answered: UInt32 = 0
  var seen: UInt32 = 0
  var status = Status.unwritten
}

/// What was found at an offset first.
struct OffsetState {
  /// `value` of an offset that nobody has looked at.
  static let unseen = UInt64.max

  var value = OffsetState.unseen
  var crc: UInt32 = 0
  var epoch: Int32 = -1
  var event: UInt32 = 0
  /// Bit 0: the final read of a client found just this; bit n: that of the n-th node did.
  var readers: UInt32 = 0
}

final class PartitionState {
  let number: Int32
  var isCompacted = false
  var trims = false
  var offsets = PagedTable(empty: OffsetState())
  /// The largest offset that is known to be committed: acknowledged, polled, or below an end that
  /// was told.
  var known: Int64 = -1
  var knownEvent: UInt32 = 0
  var acknowledgedMax: Int64 = -1
  var acknowledgedEvent: UInt32 = 0
  var leaders: [Int32: (node: Int32, event: UInt32)] = [:]
  /// By producer id: who was acknowledged.
  var fences: [Int64: FenceState] = [:]
  /// By reader (a node) and producer id: the batch before, in the order of its file.
  var headers: [HeaderKey: HeaderState] = [:]
  var ranges: [Int32: FinalRange] = [:]
  var hashes: [HashKey: (node: Int32, hash: UInt64, event: UInt32)] = [:]
  /// The first that the client's final read was given, and what follows the last.
  var finalFirst: Int64?
  var finalNext: Int64?
  /// Nodes that have a bit in `OffsetState.readers`; the client has the first.
  var readers: [Int32] = [0]

  init(_ number: Int32) { self.number = number }

  func know(_ offset: Int64, _ event: UInt32) {
    guard offset > known else { return }
    known = offset
    knownEvent = event
  }

  func bit(of reader: Int32) -> UInt32? {
    let index: Int
    if let known = readers.firstIndex(of: reader) {
      index = known
    } else {
      index = readers.count
      readers.append(reader)
    }
    return index < 32 ? 1 << UInt32(index) : nil
  }
}

struct FinalRange {
  var start: Int64
  var end: Int64
  var event: UInt32
}

/// A producer at one partition, in one epoch: what must be in order.
struct StreamKey: Hashable {
  var process: Int32
  var id: Int64
  var epoch: Int16
  var partition: Int32
}

struct StreamState {
  let key: StreamKey
  var isSaid: Bool { key.id >= 0 }
  /// Of the records begun, for a producer that does not say its sequences.
  var begun: Int32 = 0
  // The highest that was acknowledged.
  var sequence: Int32 = -1
  var offset: Int64 = -1
  var event: UInt32 = 0
  // The one before in the order of offsets, when all is there.
  var finalSequence: Int32 = -1
  var finalOffset: Int64 = -1
}

struct FenceState {
  var epoch: Int16
  /// The first acknowledgement in this epoch.
  var event: UInt32
  /// The lowest that was acknowledged in this epoch, and the highest in those before.
  var lowest: Int64
  var highestBefore: Int64 = -1
}

struct HeaderKey: Hashable {
  var reader: Int32
  var id: Int64
}

struct HeaderState {
  var epoch: Int16
  var next: Int32
  var offset: Int64
  var event: UInt32
}

struct HashKey: Hashable, Comparable {
  var start: Int64
  var end: Int64

  static func < (a: HashKey, b: HashKey) -> Bool { (a.start, a.end) < (b.start, b.end) }
}

struct OperationKey: Hashable {
  var process: Int32
  var operation: UInt64
}

/// What was begun and has no answer yet.
enum Operation {
  case produce(partition: Int32, producer: HistoryProducer?, records: [HistoryRecord], UInt32)
  case end(partition: Int32, floor: Int64)
  case commit(GroupKey, index: UInt64)
  case offsetFetch(GroupKey, UInt32)
}

/// One process at one partition.
struct ViewKey: Hashable {
  var process: Int32
  var partition: Int32
}

/// Where a reader goes on; -1 if it is not known.
struct ReaderState {
  var next: Int64
  var event: UInt32
}

/// What a process was told last.
struct ViewState {
  var watermarks: Watermarks
  var event: UInt32
}

struct OwnerKey: Hashable {
  var group: Int32
  var generation: Int32
  var partition: Int32
}

struct Owner {
  var process: Int32
  var event: UInt32
}

struct TableKey: Hashable, Comparable {
  var name: String
  var position: UInt64

  static func < (a: TableKey, b: TableKey) -> Bool { (a.name, a.position) < (b.name, b.position) }
}

struct TableState {
  var rows: UInt64
  var hash: UInt64
  var isSource: Bool
  var event: UInt32
  var isCompared = false
}
