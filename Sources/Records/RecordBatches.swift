/// Walks a run of batches, one after another, as a segment and a fetch response hold them.
///
/// A fetch is cut at a number of bytes, not at a batch, so the last one may be torn off. That is no
/// error: the walk ends before it and `truncatedSize` says how many bytes were left over. Nothing
/// but the headers is read.
package struct RecordBatches: Sendable {
  private let bytes: ArraySlice<UInt8>
  /// Where the next batch starts, counted from the first byte of the run.
  package private(set) var position = 0
  /// After the end: bytes of a last batch that is not whole. Zero before.
  package private(set) var truncatedSize = 0

  package init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
  }

  /// The next whole batch; nil after the last. After a throw the walk cannot go on: where the next
  /// batch starts is not known.
  package mutating func next() throws(RecordError) -> RecordBatch? {
    let start = bytes.startIndex + position
    guard let header = try nextHeader() else { return nil }
    return RecordBatch(header, bytes[start..<start + header.batchSize])
  }

  /// The header of the next whole batch, and on to the one after it.
  package mutating func nextHeader() throws(RecordError) -> RecordBatchHeader? {
    let start = bytes.startIndex + position
    let rest = bytes.endIndex - start
    guard rest > RecordFormat.Field.magic else {
      truncatedSize = rest
      return nil
    }
    let header: RecordBatchHeader
    do {
      header = try RecordBatchHeader(bytes[start...])
    } catch .truncatedBatch {
      truncatedSize = rest
      return nil
    }
    guard header.batchSize <= rest else {
      truncatedSize = rest
      return nil
    }
    position += header.batchSize
    return header
  }
}
