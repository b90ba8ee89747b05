/// How a store uses its disk. What is not given is what a server wants.
public struct LogStoreOptions: Sendable {
  /// The journal all logs share.
  public var journal = JournalOptions()
  /// Syncs under way at once during a checkpoint: together they cost little more than one.
  public var checkpointSyncsMax = 32
  /// The newest records, in memory on their way to the segments' files and after it.
  public var tails = TailOptions()
  /// Old records in memory.
  public var reads = ReadOptions()
  /// Files of closed segments kept open for readers.
  public var openFilesMax = 512
  /// Below this much free space the store takes no more records, so that a checkpoint and the
  /// journal still find room.
  public var freeSpaceMin: Int64 = 128 << 20
  /// Size of the file whose deletion makes room for a checkpoint on a full disk.
  public var reserveBytes: Int64 = 8 << 20
  /// Segments are closed before they grow over this, whatever a log says: for simulations.
  package var segmentBytesMax = Int64.max
  /// None but in tests of simulations.
  package var planted: PlantedStoreMistakes = []

  /// A server's options.
  public init() {}
}

/// How much of the newest records is in memory, and when they are written to their files.
public struct TailOptions: Sendable {
  /// Memory of all logs' tails at most, written or not: readers that are not further behind are
  /// served from it. Appends wait when all of it is full of what is not written.
  public var bytesMax = 64 << 20
  /// A log's memory comes in pieces of a block at first and of this size if it grows fast.
  public var chunkBytesMax = 256 << 10
  /// What of one log is written to its file at once.
  public var writeBytes: Int64 = 1 << 20

  /// A server's options.
  public init() {}
}

/// How readers that are behind what is in memory read.
public struct ReadOptions: Sendable {
  /// Memory at most that old records are read into; shared by all readers.
  public var bytesMax = 64 << 20
  /// Read at once, at multiples of it; itself a multiple of the disk's blocks.
  public var blockBytes = 1 << 20

  /// A server's options.
  public init() {}
}

/// How the journal uses its files.
public struct JournalOptions: Sendable {
  /// Size of a journal file.
  public var fileBytes: Int64 = 64 << 20
  /// Files at most; what is to be replayed after a crash is bounded by them.
  public var filesMax = 4
  /// What one flush writes at most; the largest record batch is a little smaller.
  public var groupBytesMax = 8 << 20
  /// Alignment of groups, at least the disk's logical block.
  public var blockBytes = 4096
  /// Groups that may be full and waiting for the flush before them.
  public var groupsWaitingMax = 2
  /// Memories for groups, `groupBytesMax` each: the one that is filled, those that wait, the one
  /// that is written, and one that the disk has just written and not let go yet.
  public var memoriesMax = 5

  /// A server's options.
  public init() {}
}

/// How one log is kept: Kafka's topic configuration as far as the log needs it.
public struct LogOptions: Equatable, Sendable {
  /// A segment is closed before it grows over this (segment.bytes).
  public var segmentBytes: Int64 = 1 << 30
  /// A segment is closed at the latest this long after its first record arrived (segment.ms).
  public var segmentMilliseconds: Int64 = 7 * 24 * 3_600_000
  /// Records this much older than now may be deleted (retention.ms); nil keeps them for ever.
  public var retentionMilliseconds: Int64? = 7 * 24 * 3_600_000
  /// The oldest segments may be deleted while the log is larger than this (retention.bytes).
  public var retentionBytes: Int64?
  /// Bytes between two entries of the index (index.interval.bytes).
  public var indexIntervalBytes = 4096

  /// Kafka's defaults.
  public init() {}
}
