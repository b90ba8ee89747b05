public import Records

/// A record as it was read. Key, value and headers share the memory of what was fetched.
public struct ConsumerRecord: Sendable, Hashable {
  /// Who gave the record its timestamp.
  public enum TimestampType: Sendable, Hashable {
    /// The producer.
    case createTime
    /// The broker, when it took the record.
    case logAppendTime
  }

  /// The topic's name.
  public var topic: String
  /// The partition's number.
  public var partition: Int32
  /// The record's place in the partition.
  public var offset: Int64
  /// The leadership in which it was written; nil where the broker does not say.
  public var leaderEpoch: Int32?
  /// Milliseconds since 1970.
  public var timestamp: Int64
  /// Who gave the timestamp.
  public var timestampType: TimestampType
  /// Nil is a null key.
  public var key: ArraySlice<UInt8>?
  /// Nil is a null value, a tombstone on a compacted topic.
  public var value: ArraySlice<UInt8>?
  /// In the order they were written.
  public var headers: [RecordHeader]

  /// The record's partition.
  public var topicPartition: TopicPartition { TopicPartition(topic, partition) }
}

/// What a group's rebalance did to a consumer.
public enum RebalanceEvent: Hashable, Sendable {
  /// These are to be given up; their offsets can be committed still.
  case revoked([TopicPartition])
  /// These are others' already: the group went on without this consumer.
  case lost([TopicPartition])
  /// These are new.
  case assigned([TopicPartition])
}

extension Consumer {
  /// Where to begin where there is no committed offset, or one that is gone.
  public enum OffsetReset: Hashable, Sendable {
    /// At the first record there is.
    case earliest
    /// Behind the last.
    case latest
    /// Nowhere: polling fails.
    case none
  }

  /// Which records of transactions are read.
  public enum Isolation: Int8, Sendable {
    /// All.
    case readUncommitted = 0
    /// Those of transactions that were committed, and none beyond the first open one.
    case readCommitted = 1
  }

  /// A place to seek to.
  public enum Target: Hashable, Sendable {
    /// That record, or the next there is.
    case offset(Int64)
    /// The first record there is.
    case beginning
    /// Behind the last record.
    case end
    /// The first record with that timestamp or a later one, in milliseconds since 1970; the end if
    /// there is none.
    case time(Int64)
  }

  /// How a consumer works. Times are in milliseconds.
  public struct Options: Sendable {
    /// The group; nil for a consumer that is assigned partitions by hand and commits nothing.
    public var groupID: String?
    /// A name that outlives the process: a restart within the session timeout moves no partitions.
    public var groupInstanceID: String?
    /// Where to begin where nothing is committed.
    public var autoOffsetReset = OffsetReset.latest
    /// How long a member may be silent before its partitions go to others.
    public var sessionTimeoutMilliseconds: Int64 = 45_000
    /// How often a member says that it is alive.
    public var heartbeatMilliseconds: Int64 = 3000
    /// How long the application may take between two polls before it loses its partitions.
    public var maxPollIntervalMilliseconds: Int64 = 300_000
    /// The broker waits for so many bytes before it answers.
    public var fetchBytesMin: Int32 = 1
    /// The broker answers with no more than that, one batch excepted.
    public var fetchBytesMax: Int32 = 50 << 20
    /// The broker waits no longer than that.
    public var fetchWaitMilliseconds: Int32 = 500
    /// The same, of one partition.
    public var partitionFetchBytesMax: Int32 = 1 << 20
    /// Nothing more is fetched while so many bytes wait to be polled.
    public var prefetchBytesMax = 64 << 20
    /// A poll returns no more records than that.
    public var pollRecordsMax = 2000
    /// In order of preference. Both: the group changes over when no member is left that has only
    /// range. Cooperative rebalancing begins when every consumer has only the second.
    public var assignors: [Assignor] = [.range, .cooperativeSticky]
    /// Which records of transactions are read.
    public var isolation = Isolation.readUncommitted
    /// Whether what was polled is committed by itself, with a later poll and at the end.
    public var commitsAutomatically = true
    /// How often that is.
    public var autoCommitMilliseconds: Int64 = 5000
    /// Whether CRCs of batches are checked.
    public var checksCRC = true

    /// Options with their defaults.
    public init() {}
  }
}
