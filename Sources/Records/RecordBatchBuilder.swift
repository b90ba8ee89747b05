package import Bytes

/// Builds one batch, record by record, then all of it at once: the size is known before a byte of
/// the result is written.
///
/// (1) `size` never exceeds `bytesMax`: a record that would make it do so is refused.
/// (2) What is built never exceeds `bytesMax` either: where a codec would make the batch larger
///     than that, the records are stored uncompressed.
package struct RecordBatchBuilder: Sendable {
  /// Who produces the batch, and where in their sequence it stands (KIP-98).
  package struct Producer: Hashable, Sendable {
    package var id: ProducerID
    package var epoch: ProducerEpoch
    /// -1 for markers and for what a coordinator writes.
    package var baseSequence: Int32

    package init(id: ProducerID, epoch: ProducerEpoch, baseSequence: Int32) {
      self.id = id
      self.epoch = epoch
      self.baseSequence = baseSequence
    }

    package static let none = Producer(id: .none, epoch: .none, baseSequence: -1)
  }

  /// Kafka's default for `max.message.bytes`: one mebibyte and the 12 bytes of overhead.
  package static let bytesMaxDefault = 1_048_588

  private var header: RecordBatchHeader
  private let codec: Codec
  private let level: Int?
  /// Largest size of the whole batch, header included.
  package let bytesMax: Int
  /// Its first `sectionSize` bytes are the records so far.
  private var section: [UInt8] = []
  private var sectionSize = 0

  /// - Parameters:
  ///   - level: the codec's default when nil.
  ///   - attributes: transactional and control; the codec's and the timestamps' bits are set here.
  ///   - logAppendTime: when given, the timestamp of every record.
  ///   - deleteHorizon: when given, takes the place of the base timestamp (compaction only).
  package init(
    baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .none, codec: Codec = .uncompressed,
    level: Int? = nil, producer: Producer = .none, attributes: BatchAttributes = [],
    logAppendTime: Timestamp? = nil, deleteHorizon: Timestamp? = nil,
    bytesMax: Int = RecordBatchBuilder.bytesMaxDefault
  ) {
    precondition(bytesMax >= RecordBatchHeader.size, "\(bytesMax) bytes cannot hold a header")
    precondition(bytesMax <= Int(Int32.max), "a batch's length has 32 bits, not \(bytesMax)")
    var attributes = attributes.with(codec)
    if logAppendTime != nil { attributes.insert(.logAppendTime) }
    if deleteHorizon != nil { attributes.insert(.deleteHorizon) }
    header = RecordBatchHeader(
      baseOffset: baseOffset, batchLength: 0, partitionLeaderEpoch: leaderEpoch, crc: 0,
      attributes: attributes, lastOffsetDelta: -1, baseTimestamp: deleteHorizon ?? .none,
      maxTimestamp: logAppendTime ?? .none, producerID: producer.id,
      producerEpoch: producer.epoch, baseSequence: producer.baseSequence, recordsCount: 0)
    self.codec = codec
    self.level = level
    self.bytesMax = bytesMax
  }

  package var recordsCount: Int { Int(header.recordsCount) }
  package var isEmpty: Bool { header.recordsCount == 0 }

  /// The batch's size so far, uncompressed.
  package var size: Int { RecordBatchHeader.size + sectionSize }

  /// Whether `append` would take this record.
  package func wouldFit(
    key: ArraySlice<UInt8>?, value: ArraySlice<UInt8>?, headers: [RecordHeader] = [],
    timestamp: Timestamp
  ) -> Bool {
    let layout = Layout(self, key, value, headers, timestamp, offsetDelta: nil)
    return layout.total <= bytesMax - size
  }

  /// Appends a record, by default at the offset after the last one's. Compaction, which leaves
  /// gaps, names the offset's distance from the base itself; it must grow.
  package mutating func append(
    key: ArraySlice<UInt8>?, value: ArraySlice<UInt8>?, headers: [RecordHeader] = [],
    timestamp: Timestamp, offsetDelta: Int32? = nil
  ) throws(RecordError) {
    let layout = Layout(self, key, value, headers, timestamp, offsetDelta: offsetDelta)
    precondition(layout.offsetDelta > header.lastOffsetDelta, "offsets grow within a batch")
    guard layout.total <= bytesMax - size else {
      throw .batchFull(size: size + layout.total, bytesMax: bytesMax)
    }
    if isEmpty && !header.attributes.hasDeleteHorizon { header.baseTimestamp = timestamp }
    if header.attributes.timestampType == .createTime {
      header.maxTimestamp = max(header.maxTimestamp, timestamp)
    }
    header.lastOffsetDelta = layout.offsetDelta
    header.recordsCount += 1
    write(layout, key, value, headers)
  }

  /// The batch's bytes. Compaction says where the batch ended before it removed records.
  package func build(_ compressor: inout Compressor, lastOffsetDelta: Int32? = nil) -> [UInt8] {
    guard codec != .uncompressed else { return buildUncompressed(lastOffsetDelta: lastOffsetDelta) }
    let batch = unsafe section.withUnsafeBytes { records in
      unsafe compressor.compress(
        UnsafeRawBufferPointer(rebasing: records[..<sectionSize]), codec, level: level,
        room: RecordBatchHeader.size)
    }
    guard batch.count <= bytesMax else {
      return buildUncompressed(lastOffsetDelta: lastOffsetDelta)
    }
    return header(lastOffsetDelta, codec).sealed(batch)
  }

  /// The batch's bytes with its records as they are, whatever codec was asked for.
  package func buildUncompressed(lastOffsetDelta: Int32? = nil) -> [UInt8] {
    var batch = [UInt8](repeating: 0, count: RecordBatchHeader.size)
    batch.reserveCapacity(size)
    batch.append(contentsOf: section[..<sectionSize])
    return header(lastOffsetDelta, .uncompressed).sealed(batch)
  }

  private func header(_ lastOffsetDelta: Int32?, _ codec: Codec) -> RecordBatchHeader {
    precondition(!isEmpty, "a batch without records is made by RecordBatchHeader.emptyBatch")
    var header = header
    header.attributes = header.attributes.with(codec)
    if let lastOffsetDelta {
      precondition(lastOffsetDelta >= header.lastOffsetDelta, "a batch ends after its records")
      header.lastOffsetDelta = lastOffsetDelta
    }
    return header
  }

  private mutating func write(
    _ layout: Layout, _ key: ArraySlice<UInt8>?, _ value: ArraySlice<UInt8>?,
    _ headers: [RecordHeader]
  ) {
    let end = sectionSize + layout.total
    if end > section.count {
      // Doubling, because appending byte by byte costs more than all the rest of it.
      let capacity = min(max(end, 2 * section.count, 4096), bytesMax - RecordBatchHeader.size)
      section.append(contentsOf: repeatElement(0, count: capacity - section.count))
    }
    unsafe section.withUnsafeMutableBytes { memory in
      var writer = unsafe ByteWriter(
        UnsafeMutableRawBufferPointer(rebasing: memory[sectionSize..<end]))
      unsafe writer.varint(Int32(layout.length))
      unsafe writer.integer(Int8(0))
      unsafe writer.varlong(layout.timestampDelta)
      unsafe writer.varint(layout.offsetDelta)
      unsafe writer.nullable(key)
      unsafe writer.nullable(value)
      unsafe writer.varint(Int32(headers.count))
      for header in headers {
        unsafe writer.nullable(header.keyBytes)
        unsafe writer.nullable(header.value)
      }
      precondition(unsafe writer.position == layout.total, "a record is as long as computed")
    }
    sectionSize = end
  }

  /// A record's sizes, computed before it is written.
  private struct Layout {
    let timestampDelta: Int64
    let offsetDelta: Int32
    /// What the length field says.
    var length: Int
    /// The length field too.
    var total: Int { Varint.sizeLong(Int64(length)) + length }

    init(
      _ builder: borrowing RecordBatchBuilder, _ key: ArraySlice<UInt8>?,
      _ value: ArraySlice<UInt8>?, _ headers: [RecordHeader], _ timestamp: Timestamp,
      offsetDelta: Int32?
    ) {
      let header = builder.header
      let keepsBase = !builder.isEmpty || header.attributes.hasDeleteHorizon
      let base = keepsBase ? header.baseTimestamp : timestamp
      // Wraps as the reader's sum does.
      timestampDelta = timestamp.rawValue &- base.rawValue
      self.offsetDelta = offsetDelta ?? header.lastOffsetDelta + 1
      length = 1 + Varint.sizeLong(timestampDelta) + Varint.size(self.offsetDelta)
      length += Layout.size(key) + Layout.size(value) + Varint.sizeLong(Int64(headers.count))
      for header in headers {
        length += Layout.size(header.keyBytes) + Layout.size(header.value)
      }
    }

    private static func size(_ bytes: ArraySlice<UInt8>?) -> Int {
      guard let bytes else { return 1 }
      return Varint.sizeLong(Int64(bytes.count)) + bytes.count
    }
  }
}

extension RecordBatchHeader {
  /// What compaction leaves of a batch none of whose records survive, where the producer's state
  /// still needs it: the header alone, covering the same offsets and sequences.
  package func emptyBatch() -> [UInt8] {
    var header = self
    header.recordsCount = 0
    header.baseTimestamp = .none
    header.attributes = attributes.with(.uncompressed)
    header.attributes.remove(.deleteHorizon)
    return header.sealed([UInt8](repeating: 0, count: Self.size))
  }

  /// `batch` with this header in its first 61 bytes, the length and the CRC made true.
  func sealed(_ batch: consuming [UInt8]) -> [UInt8] {
    var header = self
    header.batchLength = Int32(batch.count - RecordFormat.lengthOverhead)
    unsafe batch.withUnsafeMutableBytes { memory in
      unsafe header.write(to: memory)
      unsafe RecordBatchHeader.sealCRC(memory)
    }
    return batch
  }
}

extension ByteWriter {
  /// A varint length, -1 for nil, and the bytes.
  fileprivate mutating func nullable(_ bytes: ArraySlice<UInt8>?) {
    guard let bytes else {
      unsafe varint(-1)
      return
    }
    unsafe varint(Int32(bytes.count))
    unsafe self.bytes(bytes)
  }
}
