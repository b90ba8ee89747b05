package import Bytes

/// What the log changes in a batch while it copies it. Each works on the batch's first bytes in
/// place; whoever owns the memory has parsed the header and knows that the batch is whole.
extension RecordBatchHeader {
  /// The timestamps that a batch is stored with, where they differ from those it came with.
  package struct TimestampPatch: Hashable, Sendable {
    package var type: TimestampType
    package var maxTimestamp: Timestamp

    package init(type: TimestampType, maxTimestamp: Timestamp) {
      self.type = type
      self.maxTimestamp = maxTimestamp
    }
  }

  /// Gives a batch its place in the log. Both fields lie outside the CRC, which stays valid.
  package static func patch(
    _ batch: UnsafeMutableRawPointer, baseOffset: Offset, leaderEpoch: LeaderEpoch
  ) {
    unsafe batch.setField(RecordFormat.Field.baseOffset, baseOffset.rawValue)
    unsafe batch.setField(RecordFormat.Field.partitionLeaderEpoch, leaderEpoch.rawValue)
  }

  /// Makes `timestamp` the append time of the whole batch: attribute bit, maximum and a new CRC.
  /// The base timestamp and the records' deltas stay as they are.
  package static func patchLogAppendTime(
    _ batch: UnsafeMutableRawBufferPointer, _ timestamp: Timestamp
  ) {
    unsafe patch(batch, TimestampPatch(type: .logAppendTime, maxTimestamp: timestamp))
  }

  /// Sets the timestamp type and the maximum, and computes the CRC anew. `batch` is exactly one.
  package static func patch(_ batch: UnsafeMutableRawBufferPointer, _ patch: TimestampPatch) {
    precondition(batch.count >= size, "a batch of \(batch.count) bytes has no whole header")
    guard let base = batch.baseAddress else { return }
    let bits = unsafe base.loadUnaligned(
      fromByteOffset: RecordFormat.Field.attributes, as: UInt16.self)
    var attributes = BatchAttributes(rawValue: UInt16(bigEndian: bits))
    attributes.timestampType = patch.type
    unsafe base.setField(RecordFormat.Field.attributes, attributes.rawValue)
    unsafe base.setField(RecordFormat.Field.maxTimestamp, patch.maxTimestamp.rawValue)
    unsafe sealCRC(batch)
  }

  /// Gives a batch its place in its producer's sequence, and computes the CRC anew: a producer
  /// numbers a batch when it sends it, long after its records were written.
  package static func patch(
    _ batch: UnsafeMutableRawBufferPointer, producer: RecordBatchBuilder.Producer
  ) {
    precondition(batch.count >= size, "a batch of \(batch.count) bytes has no whole header")
    guard let base = batch.baseAddress else { return }
    unsafe base.setField(RecordFormat.Field.producerID, producer.id.rawValue)
    unsafe base.setField(RecordFormat.Field.producerEpoch, producer.epoch.rawValue)
    unsafe base.setField(RecordFormat.Field.baseSequence, producer.baseSequence)
    unsafe sealCRC(batch)
  }

  /// Computes the CRC over a batch that is otherwise complete, and stores it.
  package static func sealCRC(_ batch: UnsafeMutableRawBufferPointer) {
    precondition(batch.count >= size, "a batch of \(batch.count) bytes has no whole header")
    guard let base = batch.baseAddress else { return }
    let covered = unsafe UnsafeRawBufferPointer(
      rebasing: UnsafeRawBufferPointer(batch)[RecordFormat.crcCoverageStart...])
    unsafe base.setField(RecordFormat.Field.crc, CRC32C.of(covered))
  }
}

extension UnsafeMutableRawPointer {
  /// Stores a big-endian field.
  fileprivate func setField<T: FixedWidthInteger & BitwiseCopyable>(_ position: Int, _ value: T) {
    unsafe storeBytes(of: value.bigEndian, toByteOffset: position, as: T.self)
  }
}
