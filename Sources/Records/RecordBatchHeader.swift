package import Bytes

/// The 61 bytes in front of a batch's records, as a value. Layout: see `RecordFormat`.
///
/// Parsing checks what is needed to find the batch's end and nothing else: a header from the wire
/// may still say anything about its records.
package struct RecordBatchHeader: Hashable, Sendable {
  package var baseOffset: Offset
  /// Bytes after the length field: the batch's size less 12.
  package var batchLength: Int32
  package var partitionLeaderEpoch: LeaderEpoch
  package var crc: UInt32
  package var attributes: BatchAttributes
  package var lastOffsetDelta: Int32
  package var baseTimestamp: Timestamp
  package var maxTimestamp: Timestamp
  package var producerID: ProducerID
  package var producerEpoch: ProducerEpoch
  package var baseSequence: Int32
  package var recordsCount: Int32

  package static let size = RecordFormat.headerSize
  package static let noSequence: Int32 = -1

  /// The header at the start of `bytes`, which need not hold the records too.
  package init(_ bytes: ArraySlice<UInt8>) throws(RecordError) {
    self = unsafe try bytes.withRawBytes { (raw) throws(RecordError) in
      unsafe try RecordBatchHeader(raw)
    }
  }

  /// The header at the start of `bytes`, which need not hold the records too.
  package init(_ bytes: UnsafeRawBufferPointer) throws(RecordError) {
    typealias Field = RecordFormat.Field
    // The magic first: what is in the place of the other fields depends on it.
    guard bytes.count > Field.magic else {
      throw .truncatedBatch(size: bytes.count, needed: Self.size)
    }
    let magic: Int8 = unsafe bytes.field(Field.magic)
    guard magic == RecordFormat.magic else {
      throw magic == 0 || magic == 1 ? .legacyFormat(magic: magic) : .unknownMagic(magic)
    }
    batchLength = unsafe bytes.field(Field.batchLength)
    guard batchLength >= Int32(Self.size - RecordFormat.lengthOverhead) else {
      throw .batchLengthTooSmall(batchLength)
    }
    guard bytes.count >= Self.size else {
      throw .truncatedBatch(size: bytes.count, needed: Self.size)
    }
    baseOffset = Offset(unsafe bytes.field(Field.baseOffset))
    partitionLeaderEpoch = LeaderEpoch(unsafe bytes.field(Field.partitionLeaderEpoch))
    crc = unsafe bytes.field(Field.crc)
    attributes = BatchAttributes(rawValue: unsafe bytes.field(Field.attributes))
    lastOffsetDelta = unsafe bytes.field(Field.lastOffsetDelta)
    baseTimestamp = Timestamp(unsafe bytes.field(Field.baseTimestamp))
    maxTimestamp = Timestamp(unsafe bytes.field(Field.maxTimestamp))
    producerID = ProducerID(unsafe bytes.field(Field.producerID))
    producerEpoch = ProducerEpoch(unsafe bytes.field(Field.producerEpoch))
    baseSequence = unsafe bytes.field(Field.baseSequence)
    recordsCount = unsafe bytes.field(Field.recordsCount)
  }

  package init(
    baseOffset: Offset, batchLength: Int32, partitionLeaderEpoch: LeaderEpoch, crc: UInt32,
    attributes: BatchAttributes, lastOffsetDelta: Int32, baseTimestamp: Timestamp,
    maxTimestamp: Timestamp, producerID: ProducerID, producerEpoch: ProducerEpoch,
    baseSequence: Int32, recordsCount: Int32
  ) {
    self.baseOffset = baseOffset
    self.batchLength = batchLength
    self.partitionLeaderEpoch = partitionLeaderEpoch
    self.crc = crc
    self.attributes = attributes
    self.lastOffsetDelta = lastOffsetDelta
    self.baseTimestamp = baseTimestamp
    self.maxTimestamp = maxTimestamp
    self.producerID = producerID
    self.producerEpoch = producerEpoch
    self.baseSequence = baseSequence
    self.recordsCount = recordsCount
  }

  /// The whole batch, header included.
  package var batchSize: Int { RecordFormat.lengthOverhead + Int(batchLength) }

  /// The last offset that the batch covers, whether or not compaction left a record there.
  package var lastOffset: Offset { Offset(baseOffset.rawValue &+ Int64(lastOffsetDelta)) }

  /// Where a reader goes on after this batch.
  package var nextOffset: Offset { Offset(lastOffset.rawValue &+ 1) }

  package var hasProducer: Bool { producerID > .none }

  /// The sequence of the batch's last record. After 2147483647 comes 0.
  package var lastSequence: Int32 {
    guard baseSequence != Self.noSequence else { return Self.noSequence }
    return RecordBatchHeader.sequence(baseSequence, advancedBy: lastOffsetDelta)
  }

  /// `sequence` moved on by `count` (not negative), with the wrap that Kafka gives sequences.
  package static func sequence(_ sequence: Int32, advancedBy count: Int32) -> Int32 {
    Int32(truncatingIfNeeded: (Int64(sequence) + Int64(count)) & Int64(Int32.max))
  }

  /// The 61 bytes, `crc` as it stands.
  package func write(to memory: UnsafeMutableRawBufferPointer) {
    precondition(memory.count >= Self.size, "a header of 61 bytes into \(memory.count)")
    var writer = unsafe ByteWriter(UnsafeMutableRawBufferPointer(rebasing: memory[..<Self.size]))
    unsafe writer.integer(baseOffset.rawValue)
    unsafe writer.integer(batchLength)
    unsafe writer.integer(partitionLeaderEpoch.rawValue)
    unsafe writer.integer(RecordFormat.magic)
    unsafe writer.integer(crc)
    unsafe writer.integer(attributes.rawValue)
    unsafe writer.integer(lastOffsetDelta)
    unsafe writer.integer(baseTimestamp.rawValue)
    unsafe writer.integer(maxTimestamp.rawValue)
    unsafe writer.integer(producerID.rawValue)
    unsafe writer.integer(producerEpoch.rawValue)
    unsafe writer.integer(baseSequence)
    unsafe writer.integer(recordsCount)
    precondition(unsafe writer.position == Self.size, "the header's fields are 61 bytes")
  }
}

extension UnsafeRawBufferPointer {
  /// A big-endian field. The caller has checked that it lies inside.
  fileprivate func field<T: FixedWidthInteger & BitwiseCopyable>(_ position: Int) -> T {
    T(bigEndian: unsafe loadUnaligned(fromByteOffset: position, as: T.self))
  }
}
