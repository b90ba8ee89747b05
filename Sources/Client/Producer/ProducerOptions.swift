public import Records

/// A record to be written.
public struct ProducerRecord: Sendable {
  /// The topic's name.
  public var topic: String
  /// The partition; nil leaves it to the partitioner: by the key's murmur2 as in Java, or without a
  /// key one partition after another, batch by batch.
  public var partition: Int32?
  /// Any bytes; nil is a null key.
  public var key: [UInt8]?
  /// Any bytes; nil is a null value, a tombstone on a compacted topic.
  public var value: [UInt8]?
  /// Names and values that travel with the record.
  public var headers: [RecordHeader]
  /// Milliseconds since 1970; nil is the time at which the producer takes the record.
  public var timestamp: Int64?

  /// A record for a topic.
  public init(
    topic: String, partition: Int32? = nil, key: [UInt8]? = nil, value: [UInt8]?,
    headers: [RecordHeader] = [], timestamp: Int64? = nil
  ) {
    self.topic = topic
    self.partition = partition
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
  }

  /// What the record counts for against `bufferBytesMax`.
  package var bufferedSize: Int {
    var size = 64 + (key?.count ?? 0) + (value?.count ?? 0)
    for header in headers { size += 16 + header.keyBytes.count + (header.value?.count ?? 0) }
    return size
  }
}

/// Where a record was put.
public struct RecordMetadata: Hashable, Sendable {
  /// The topic's name.
  public var topic: String
  /// The partition's number.
  public var partition: Int32
  /// The record's offset; -1 where the broker did not say (acks = 0).
  public var offset: Int64
  /// Milliseconds since 1970: the record's own time, or the broker's where the topic says so.
  public var timestamp: Int64
}

extension Producer {
  /// When an append counts as done.
  public enum Acknowledgement: Int16, Sendable {
    /// The broker says nothing; a record may be lost without notice.
    case none = 0
    /// The leader has it.
    case leader = 1
    /// All replicas in sync have it.
    case all = -1
  }

  /// How batches are compressed.
  public enum Compression: UInt8, Sendable, CaseIterable {
    /// Not at all.
    case none = 0
    /// RFC 1952.
    case gzip = 1
    /// Google's snappy, framed as Java does.
    case snappy = 2
    /// LZ4 frames.
    case lz4 = 3
    /// RFC 8878.
    case zstd = 4

    package var codec: Codec { Codec(rawValue: rawValue) ?? .uncompressed }

    /// As in `compression.type`: none, gzip, snappy, lz4, zstd.
    public init?(name: String) {
      guard let found = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
      self = found
    }
  }

  /// How a producer works. Times are in milliseconds.
  public struct Options: Sendable {
    /// When an append counts as done.
    public var acknowledgement = Acknowledgement.all
    /// How long a batch that is not full waits for more records.
    public var lingerMilliseconds: Int64 = 5
    /// A batch's size before compression; a larger record has a batch of its own.
    public var batchBytesMax = 128 << 10
    /// Bytes of records that are enqueued and not done; beyond, `enqueue` takes no more.
    public var bufferBytesMax = 64 << 20
    /// The batches of one produce request, together; a larger batch has a request of its own.
    public var requestBytesMax = 4 << 20
    /// How batches are compressed.
    public var compression = Compression.none
    /// The codec's level; nil for its default.
    public var compressionLevel: Int?
    /// Whether the broker drops what it has already. Without it a retry may repeat records.
    public var isIdempotent = true
    /// How long a record may take, retries included, before it fails as timed out.
    public var deliveryTimeoutMilliseconds: Int64 = 120_000
    /// Whether a topic that is not there is made by being written to, if the broker does that.
    public var createsTopics = true
    /// Fencing: a producer with the same name that opens later shuts this one out, everywhere.
    /// Batches are idempotent, not part of transactions.
    public var transactionalID: String?

    /// Options with their defaults.
    public init() {}
  }
}
