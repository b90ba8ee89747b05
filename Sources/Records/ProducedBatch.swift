internal import Bytes

/// A batch from a producer that has passed every check that needs no state but the topic's
/// settings, and what is to be changed in it before it is stored. Duplicates and sequence gaps are
/// the log's to find: they depend on what came before.
///
/// The checks are Kafka's (ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords,
/// LogValidator), with the CRC before anything that it covers, so that damage is always reported as
/// damage, which a producer answers by sending again. Stricter than Kafka, because consumers and
/// compaction rely on it:
///
/// (1) Offset deltas are 0, 1, 2, ... in every batch, not only in those that are compressed anew.
/// (2) The bytes are one batch and nothing else; Kafka drops the beginning of a second.
/// (3) A transactional batch names a producer, and only compaction sets a delete horizon.
package struct ProducedBatch: Sendable {
  /// As the batch is stored, `timestampPatch` applied. Base offset and leader epoch are still the
  /// producer's; the CRC is that of `bytes`, and becomes another by the patch.
  package let header: RecordBatchHeader
  /// The producer's own bytes, or new ones where the topic's codec is another.
  package let bytes: ArraySlice<UInt8>
  /// To be applied to the copy of `bytes` that is stored; nil when they are right as they are.
  package let timestampPatch: RecordBatchHeader.TimestampPatch?
  /// Offset delta of the first record that has the largest timestamp.
  package let maxTimestampOffsetDelta: Int32

  /// What the produce response says of the append time: -1 where producers set timestamps.
  package var logAppendTime: Timestamp {
    header.attributes.timestampType == .logAppendTime ? header.maxTimestamp : .none
  }

  /// Checks the records of one partition in a produce request.
  package static func validate(
    _ bytes: ArraySlice<UInt8>, _ rules: ProduceRules, now: Timestamp,
    _ decompressor: inout Decompressor, _ compressor: inout Compressor
  ) throws(ProduceRejection) -> ProducedBatch {
    let batch = try onlyBatch(bytes)
    try checkSize(batch.bytes.count, rules)
    do { try batch.checkCRC() } catch { throw ProduceRejection(error) }
    let codec = try codec(of: batch, rules)
    try checkHeader(batch.header)

    let target: Codec
    let level: Int?
    switch rules.compression {
    case .asProduced: (target, level) = (codec, nil)
    case .codec(let wanted, let wantedLevel): (target, level) = (wanted, wantedLevel)
    }
    var walk = ProducedRecords(batch.header, rules, now: now)
    var recompressed: [UInt8]?
    do {
      let bytesMax = rules.decompressedBytesMax
      unsafe try batch.withRecordSection(&decompressor, bytesMax: bytesMax) {
        (section) throws(RecordError) in
        unsafe try walk.check(section)
        // Faulty records are refused below, whatever their codec.
        guard target != codec && walk.faultsCount == 0 else { return }
        recompressed = unsafe compressor.compress(
          section, target, level: level, room: RecordBatchHeader.size)
      }
    } catch {
      throw ProduceRejection(error)
    }
    try walk.throwFaults()
    return try walk.result(batch, target, recompressed)
  }

  init(
    header: RecordBatchHeader, bytes: ArraySlice<UInt8>,
    timestampPatch: RecordBatchHeader.TimestampPatch?, maxTimestampOffsetDelta: Int32
  ) {
    self.header = header
    self.bytes = bytes
    self.timestampPatch = timestampPatch
    self.maxTimestampOffsetDelta = maxTimestampOffsetDelta
  }

  private static func onlyBatch(
    _ bytes: ArraySlice<UInt8>
  ) throws(ProduceRejection) -> RecordBatch {
    guard !bytes.isEmpty else {
      throw ProduceRejection(
        .invalidRecord, "no records came for the partition; send exactly one record batch")
    }
    do { return try RecordBatch(bytes) } catch { throw ProduceRejection(error) }
  }

  private static func codec(
    of batch: RecordBatch, _ rules: ProduceRules
  ) throws(ProduceRejection) -> Codec {
    let zstdVersionMin = 7
    let codec: Codec
    do { codec = try batch.header.attributes.codec } catch { throw ProduceRejection(error) }
    guard codec != .zstd || rules.produceVersion >= zstdVersionMin else {
      throw ProduceRejection(
        .unsupportedCompressionType,
        "Produce v\(rules.produceVersion) cannot carry zstd; use v7 or later, or another codec")
    }
    return codec
  }

  static func checkSize(_ size: Int, _ rules: ProduceRules) throws(ProduceRejection) {
    guard size <= rules.batchBytesMax else {
      throw ProduceRejection(
        .messageTooLarge,
        """
        the record batch is \(size) bytes, over the topic's max.message.bytes of \
        \(rules.batchBytesMax); send smaller batches or raise the setting
        """)
    }
    guard size <= rules.segmentBytesMax else {
      throw ProduceRejection(
        .recordListTooLarge,
        """
        the record batch is \(size) bytes, over the topic's segment.bytes of \
        \(rules.segmentBytesMax); send smaller batches or raise the setting
        """)
    }
  }

  /// The checks of LogValidator.validateBatch, and (3).
  private static func checkHeader(_ header: RecordBatchHeader) throws(ProduceRejection) {
    func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(ProduceRejection) {
      guard condition else { throw ProduceRejection(.invalidRecord, message()) }
    }
    try require(
      header.lastOffsetDelta >= 0,
      "last offset delta \(header.lastOffsetDelta) is negative; check the client")
    try require(
      header.recordsCount > 0,
      "records count \(header.recordsCount) is not positive; send at least one record")
    try require(
      Int64(header.recordsCount) == Int64(header.lastOffsetDelta) + 1,
      """
      records count \(header.recordsCount) does not match last offset delta \
      \(header.lastOffsetDelta); check the client
      """)
    try require(
      !header.attributes.isControl, "clients may not write control records; send data records")
    try require(
      !header.attributes.hasDeleteHorizon,
      "clients may not set a delete horizon, which is compaction's; clear attribute bit 6")
    try require(
      !header.hasProducer || header.baseSequence >= 0,
      """
      base sequence \(header.baseSequence) of producer \(header.producerID.rawValue) is negative; \
      an idempotent producer counts from 0
      """)
    try require(
      !header.hasProducer || header.producerEpoch.rawValue >= 0,
      """
      epoch \(header.producerEpoch.rawValue) of producer \(header.producerID.rawValue) is \
      negative; use the one that InitProducerId gave
      """)
    try require(
      !header.attributes.isTransactional || header.hasProducer,
      "a transactional batch names no producer; call InitProducerId first")
  }
}
