internal import Bytes

/// A whole batch: its header as a value and its bytes as they are stored and sent.
///
/// The header has been read; the CRC and the records are checked when asked for, because a broker
/// serves far more batches than it looks into.
package struct RecordBatch: Sendable {
  package let header: RecordBatchHeader
  /// Exactly the batch, header included.
  package let bytes: ArraySlice<UInt8>

  init(_ header: RecordBatchHeader, _ bytes: ArraySlice<UInt8>) {
    precondition(bytes.count == header.batchSize, "a batch is as long as its header says")
    self.header = header
    self.bytes = bytes
  }

  /// The one batch that `bytes` are.
  package init(_ bytes: ArraySlice<UInt8>) throws(RecordError) {
    let header = try RecordBatchHeader(bytes)
    guard header.batchSize <= bytes.count else {
      throw .truncatedBatch(size: bytes.count, needed: header.batchSize)
    }
    guard header.batchSize == bytes.count else {
      throw .bytesAfterBatch(at: header.batchSize, count: bytes.count - header.batchSize)
    }
    self.init(header, bytes)
  }

  /// The one batch that `bytes` are.
  package init(_ bytes: [UInt8]) throws(RecordError) {
    try self.init(bytes[...])
  }

  /// Throws unless the bytes that the CRC covers are those it was computed over.
  package func checkCRC() throws(RecordError) {
    let covered = bytes[(bytes.startIndex + RecordFormat.crcCoverageStart)...]
    let computed = CRC32C.of(covered)
    guard computed == header.crc else {
      throw .crcMismatch(stored: header.crc, computed: computed)
    }
  }

  /// The record section as it is stored, which may be compressed.
  package var storedRecords: ArraySlice<UInt8> {
    bytes[(bytes.startIndex + RecordBatchHeader.size)...]
  }

  /// The records' own bytes: a slice of the batch, or what was compressed in it.
  package func recordSection(
    _ decompressor: inout Decompressor, bytesMax: Int = Decompressor.bytesMaxDefault
  ) throws(RecordError) -> ArraySlice<UInt8> {
    let codec = try header.attributes.codec
    guard codec != .uncompressed, !storedRecords.isEmpty else { return storedRecords }
    return try decompressor.decompress(storedRecords, codec, bytesMax: bytesMax)[...]
  }

  /// Calls `visit` with each record's fields and the section they lie in, without building or
  /// counting anything. Checks every record on the way, and after the last that nothing follows.
  package func forEachRecord(
    _ decompressor: inout Decompressor, bytesMax: Int = Decompressor.bytesMaxDefault,
    _ visit: (_ record: RecordFields, _ section: RawSpan) throws(RecordError) -> RecordVisit
  ) throws(RecordError) {
    unsafe try withRecordSection(&decompressor, bytesMax: bytesMax) {
      (section) throws(RecordError) in
      let span = unsafe RawSpan(_unsafeBytes: section)
      var cursor = unsafe try header.cursor(section)
      while unsafe cursor.index < header.recordsCount {
        let record = unsafe try cursor.next()
        guard case .next = try visit(record, span) else { return }
      }
      unsafe try cursor.expectEnd()
    }
  }

  /// A count is believed only so far; beyond, the array grows with the records that are there.
  private static let recordsReservedMax = 1024

  /// Every record, for whoever wants them as values. The hot paths use `forEachRecord`: a record of
  /// seven bytes takes about a hundred as a value.
  package func records(
    _ decompressor: inout Decompressor, bytesMax: Int = Decompressor.bytesMaxDefault
  ) throws(RecordError) -> [Record] {
    let section = try recordSection(&decompressor, bytesMax: bytesMax)
    return unsafe try section.withRawBytes { (raw) throws(RecordError) in
      var cursor = unsafe try header.cursor(raw)
      var records: [Record] = []
      records.reserveCapacity(min(Int(header.recordsCount), Self.recordsReservedMax))
      while unsafe cursor.index < header.recordsCount {
        let fields = unsafe try cursor.next()
        unsafe try records.append(header.record(fields, in: section, raw))
      }
      unsafe try cursor.expectEnd()
      return records
    }
  }

  /// The record section for as long as `body` runs: in place, or in the decompressor's memory.
  func withRecordSection<Result>(
    _ decompressor: inout Decompressor, bytesMax: Int,
    _ body: (UnsafeRawBufferPointer) throws(RecordError) -> Result
  ) throws(RecordError) -> Result {
    let codec = try header.attributes.codec
    guard codec != .uncompressed, !storedRecords.isEmpty else {
      return unsafe try storedRecords.withRawBytes { (raw) throws(RecordError) in
        unsafe try body(raw)
      }
    }
    return unsafe try decompressor.withDecompressed(
      storedRecords, codec, bytesMax: bytesMax, body)
  }
}

extension RecordBatchHeader {
  func cursor(_ section: UnsafeRawBufferPointer) throws(RecordError) -> RecordCursor {
    guard recordsCount >= 0 else { throw .negativeRecordsCount(recordsCount) }
    return unsafe RecordCursor(section, lastOffsetDelta: lastOffsetDelta)
  }

  fileprivate func record(
    _ fields: RecordFields, in section: ArraySlice<UInt8>, _ raw: UnsafeRawBufferPointer
  ) throws(RecordError) -> Record {
    func slice(_ range: Range<Int>) -> ArraySlice<UInt8> {
      let start = section.startIndex
      return section[start + range.lowerBound..<start + range.upperBound]
    }
    var headers: [RecordHeader] = []
    if fields.headersCount > 0 {
      unsafe try RecordCursor.forEachHeader(raw, fields) { key, value in
        headers.append(RecordHeader(keyBytes: slice(key), value: value.map(slice)))
      }
    }
    return Record(
      offset: offset(of: fields), timestamp: timestamp(of: fields), key: fields.key.map(slice),
      value: fields.value.map(slice), headers: headers)
  }
}
