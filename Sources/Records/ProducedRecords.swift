/// The pass over a produced batch's records: what only looking at each of them can tell.
struct ProducedRecords {
  private let header: RecordBatchHeader
  private let rules: ProduceRules
  private let now: Timestamp
  /// Ends of the range that a producer's timestamp may lie in.
  private let earliest: Timestamp
  private let latest: Timestamp

  private var maxTimestamp = Timestamp.none
  private var maxTimestampOffsetDelta: Int32 = 0
  private(set) var faultsCount = 0
  private var hasInvalidTimestamp = false
  private var faults: [ProduceRejection.RecordFault] = []

  init(_ header: RecordBatchHeader, _ rules: ProduceRules, now: Timestamp) {
    self.header = header
    self.rules = rules
    self.now = now
    precondition(rules.timestampBeforeMaxMilliseconds >= 0, "a topic's setting is not negative")
    precondition(rules.timestampAfterMaxMilliseconds >= 0, "a topic's setting is not negative")
    earliest = now.adding(milliseconds: -rules.timestampBeforeMaxMilliseconds)
    latest = now.adding(milliseconds: rules.timestampAfterMaxMilliseconds)
  }

  mutating func check(_ section: UnsafeRawBufferPointer) throws(RecordError) {
    var cursor = unsafe try header.cursor(section)
    var expected: Int32 = 0
    while unsafe cursor.index < header.recordsCount {
      let record = unsafe try cursor.next()
      // As the record will be read once the batch is stored: a producer's append-time bit, which
      // would give all of them one time, does not stay on a CreateTime topic.
      let timestamp = Timestamp(header.baseTimestamp.rawValue &+ record.timestampDelta)
      if timestamp > maxTimestamp {
        maxTimestamp = timestamp
        maxTimestampOffsetDelta = expected
      }
      if !isFaultless(record, timestamp, expected) { note(record, timestamp, expected) }
      expected &+= 1
    }
    unsafe try cursor.expectEnd()
  }

  @inline(__always)
  private func isFaultless(
    _ record: RecordFields, _ timestamp: Timestamp, _ expected: Int32
  ) -> Bool {
    guard record.offsetDelta == expected else { return false }
    guard record.hasKey || !rules.isCompacted else { return false }
    if rules.timestampType == .createTime && timestamp != .none {
      return timestamp >= earliest && timestamp <= latest
    }
    return header.attributes.timestampType == .createTime
  }

  /// Says what is wrong with a record that is not faultless.
  @inline(never)
  private mutating func note(_ record: RecordFields, _ timestamp: Timestamp, _ expected: Int32) {
    faultsCount += 1
    let message: String
    if record.offsetDelta != expected {
      message = """
        its offset delta is \(record.offsetDelta) and must be \(expected); number the records of a \
        batch from 0 on
        """
    } else if !record.hasKey && rules.isCompacted {
      message = "the topic is compacted and takes no record without a key; give it one"
    } else if rules.timestampType == .createTime && timestamp != .none {
      hasInvalidTimestamp = true
      message = """
        its timestamp \(timestamp.rawValue) is outside \(earliest.rawValue)...\(latest.rawValue), \
        which the topic's message.timestamp.before.max.ms and after.max.ms allow; check the clock
        """
    } else {
      hasInvalidTimestamp = true
      message = "a producer may not set the timestamp type LogAppendTime; clear attribute bit 3"
    }
    guard faults.count < ProduceRejection.recordFaultsMax else { return }
    faults.append(.init(index: expected, message: message))
  }

  /// Any faulty record fails its whole batch, and one bad timestamp names the failure.
  func throwFaults() throws(ProduceRejection) {
    guard let first = faults.first else { return }
    throw ProduceRejection(
      hasInvalidTimestamp ? .invalidTimestamp : .invalidRecord,
      """
      \(faultsCount) of the batch's \(header.recordsCount) records are refused, the first of them \
      record \(first.index): \(first.message)
      """, recordFaults: faults)
  }

  /// The batch as it is to be stored, `recompressed` being the records in `codec` after room for
  /// the header, or nil where the producer's bytes serve.
  func result(
    _ batch: RecordBatch, _ codec: Codec, _ recompressed: [UInt8]?
  ) throws(ProduceRejection) -> ProducedBatch {
    let patch = RecordBatchHeader.TimestampPatch(
      type: rules.timestampType,
      maxTimestamp: rules.timestampType == .logAppendTime ? now : maxTimestamp)
    let isAsProduced =
      header.attributes.timestampType == patch.type && header.maxTimestamp == patch.maxTimestamp
    var stored = header
    stored.attributes = stored.attributes.with(codec)
    stored.attributes.timestampType = patch.type
    stored.maxTimestamp = patch.maxTimestamp
    // One time for all of them: the first is as good as any.
    let offsetDelta = rules.timestampType == .logAppendTime ? 0 : maxTimestampOffsetDelta
    guard let recompressed else {
      return ProducedBatch(
        header: stored, bytes: batch.bytes, timestampPatch: isAsProduced ? nil : patch,
        maxTimestampOffsetDelta: offsetDelta)
    }
    try ProducedBatch.checkSize(recompressed.count, rules)
    let bytes = stored.sealed(recompressed)
    do {
      return ProducedBatch(
        header: try RecordBatchHeader(bytes[...]), bytes: bytes[...], timestampPatch: nil,
        maxTimestampOffsetDelta: offsetDelta)
    } catch {
      preconditionFailure("a header just written cannot be read: \(error)")
    }
  }
}
