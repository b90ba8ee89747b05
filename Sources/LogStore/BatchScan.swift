internal import Bytes
internal import Platform
internal import Records

/// Walks the batch headers of a segment from a given batch on, reading ahead in chunks.
struct BatchScan {
  /// Read at once: from a header on, also where the next ones are not looked at.
  static let chunkBytes = 64 << 10

  private let source: SegmentSource
  private var chunk: [UInt8] = []
  private var chunkPosition: Int64 = 0

  init(_ source: SegmentSource) { self.source = source }

  /// The header of the batch at `position`; nil if no whole batch ends at or below `limit`.
  mutating func header(
    at position: Int64, limit: Int64
  ) throws(DiskError) -> RecordBatchHeader? {
    guard position + Int64(RecordBatchHeader.size) <= limit else { return nil }
    let inChunk = position - chunkPosition
    if inChunk < 0 || inChunk + Int64(RecordBatchHeader.size) > chunk.count {
      chunk = try source.read(position, Int(min(Int64(Self.chunkBytes), limit - position)))
      chunkPosition = position
    }
    guard let header = try? RecordBatchHeader(chunk[Int(position - chunkPosition)...]),
      header.lastOffsetDelta >= 0, position + Int64(header.batchSize) <= limit
    else { return nil }
    return header
  }

  /// The whole batch at `position`, whose header was just read.
  func batch(at position: Int64, _ header: RecordBatchHeader) throws(DiskError) -> RecordBatch? {
    let bytes = try source.read(position, header.batchSize)
    return try? RecordBatch(bytes)
  }
}

extension Segment {
  /// The same segment with its index made anew: as far as there are whole batches.
  static func rebuilt(
    _ segment: Segment, _ source: SegmentSource, interval: Int
  ) throws(DiskError) -> Segment {
    var made = Segment(base: segment.base)
    var scan = BatchScan(source)
    let appended = segment.firstAppended ?? 0
    while let header = try scan.header(at: made.size, limit: segment.size) {
      made.add(header, interval: interval, now: appended)
    }
    var result = segment
    result.index = made.index
    result.indexWritten = 0
    result.indexCRC = CRC32C()
    result.files?.index = nil
    result.hasIndexFile = false
    return result
  }
}
