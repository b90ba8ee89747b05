internal import Bytes
internal import KafkaWire
package import Records

/// Reading partitions from one offset to another, without a group: for whoever comes back and looks
/// at what it wrote.
extension Client {
  private static let readMilliseconds: Int64 = 60_000
  private static let fetchBytes: Int32 = 4 << 20
  /// An answer without records before the end: files may lag behind for a moment.
  private static let emptyFetchesMax = 500

  /// The first offset of each partition and the one after its last.
  package func offsetsBlocking(
    of partitions: [TopicPartition]
  ) throws(ClientError) -> [TopicPartition: Range<Int64>] {
    let starts = try offsets(partitions, -2)
    let ends = try endsBlocking(of: partitions)
    var ranges: [TopicPartition: Range<Int64>] = [:]
    for partition in partitions {
      let start = starts[partition] ?? 0
      ranges[partition] = start..<max(start, ends[partition] ?? 0)
    }
    return ranges
  }

  /// The offset after the last of each partition.
  package func endsBlocking(
    of partitions: [TopicPartition]
  ) throws(ClientError) -> [TopicPartition: Int64] {
    try offsets(partitions, -1)
  }

  private func offsets(
    _ partitions: [TopicPartition], _ place: Int64
  ) throws(ClientError) -> [TopicPartition: Int64] {
    let wanted = Dictionary(uniqueKeysWithValues: partitions.map { ($0, place) })
    return try blocking { (operation: Operation<[TopicPartition: Int64]>) in
      perform(operation) { network in
        network.listOffsets(wanted, until: network.now + Self.readMilliseconds) { result in
          operation.complete(result.map { $0.mapValues(\.offset) })
        }
      }
    }
  }

  /// Gives every record with an offset in `range` to `take`, in order, until it says no. For
  /// threads that may block.
  package func readBlocking(
    _ partition: TopicPartition, _ range: Range<Int64>, _ take: (Record) throws -> Bool
  ) throws {
    var decompressor = Decompressor()
    var next = range.lowerBound
    var emptyCount = 0
    while next < range.upperBound {
      let bytes = try fetch(partition, next)
      let before = next
      var batches = RecordBatches(bytes)
      while next < range.upperBound, let batch = try batches.next() {
        let from = next
        next = max(next, batch.header.nextOffset.rawValue)
        guard !batch.header.attributes.isControl else { continue }
        try batch.checkCRC()
        for record in try batch.records(&decompressor)
        where record.offset.rawValue >= from && record.offset.rawValue < range.upperBound {
          guard try take(record) else { return }
        }
      }
      emptyCount = next == before ? emptyCount + 1 : 0
      guard emptyCount < Self.emptyFetchesMax else {
        throw ClientError(
          .corruptData,
          "\(partition) gives no records from \(next) on, and ends at \(range.upperBound)")
      }
    }
  }

  private func fetch(
    _ partition: TopicPartition, _ offset: Int64
  ) throws(ClientError) -> ArraySlice<UInt8> {
    try blocking { (operation: Operation<ArraySlice<UInt8>>) in
      perform(operation) { network in
        network.retry(until: network.now + Self.readMilliseconds) { attempt in
          network.fetch(
            partition, from: offset, bytesMax: Self.fetchBytes, lane: .general, attempt)
        } _: { (result: Result<FetchResponse.Partition, ClientError>) in
          operation.complete(
            result.map { answer in
              guard case .bytes(let bytes)? = answer.records else { return [] }
              return bytes
            })
        }
      }
    }
  }
}
