package import Bytes
internal import Records

/// One call's records, and who waits for them. Used on the client's thread only, once enqueued.
package final class Delivery {
  package typealias Completion = @Sendable (Result<[RecordMetadata], ClientError>) -> Void

  /// Of `Producer.flush`: what was enqueued between two flushes shares it.
  package var flushEpoch = 0
  private var left: Int
  private var metadata: [RecordMetadata]
  private let wantsMetadata: Bool
  package private(set) var error: ClientError?
  private let completion: Completion

  package init(count: Int, wantsMetadata: Bool, _ completion: @escaping Completion) {
    left = count
    self.wantsMetadata = wantsMetadata
    self.completion = completion
    metadata =
      wantsMetadata
      ? [RecordMetadata](
        repeating: RecordMetadata(topic: "", partition: -1, offset: -1, timestamp: -1),
        count: count) : []
  }

  /// True when these were the last records.
  package func acknowledge(_ count: Int) -> Bool {
    left -= count
    return left == 0
  }

  package func place(_ index: Int, _ make: () -> RecordMetadata) {
    if wantsMetadata { metadata[index] = make() }
  }

  package func fail(_ count: Int, _ error: ClientError) -> Bool {
    if self.error == nil { self.error = error }
    left -= count
    return left == 0
  }

  package func complete() {
    completion(error.map { .failure($0) } ?? .success(metadata))
  }
}

/// Who a batch is from, as the broker knows it (KIP-98).
package struct ProducerIdentity: Hashable {
  package var id: ProducerID
  package var epoch: ProducerEpoch

  package init(id: ProducerID, epoch: ProducerEpoch) {
    self.id = id
    self.epoch = epoch
  }

  package static let none = ProducerIdentity(id: .none, epoch: .none)
}

/// Records of one partition that are sent together, from the first record to the answer.
package final class ProducerBatch {
  /// Records of one call that lie next to each other, here and there.
  package struct Run {
    package let delivery: Delivery
    package let firstIndex: Int
    package var count: Int
  }

  package let partition: TopicPartition
  /// When its first record came, in milliseconds of the monotonic clock.
  package let createdAt: Int64
  private var builder: RecordBatchBuilder?
  package private(set) var bytes: [UInt8] = []
  package private(set) var runs: [Run]
  package private(set) var timestamps: [Int64]
  /// What its records count for against the buffer's bound.
  package private(set) var bufferedSize = 0
  /// Its place in its producer's sequence; nil until it is first sent, or without idempotence.
  package var sequence: Int32?
  package var identity = ProducerIdentity.none
  /// What it was last sent with: differs from `sequence` after one before it was rejected.
  package var sentSequence: Int32?
  package var attempts = 0
  /// How often it left, whatever was forgotten since: tells an answer from a late one.
  package var sendings = 0
  /// Answered for, one way or the other. An answer that comes later is of no interest.
  package var isDone = false

  /// An empty batch, to be filled.
  package init(
    _ partition: TopicPartition, now: Int64, codec: Codec, level: Int?, bytesMax: Int
  ) {
    self.partition = partition
    createdAt = now
    builder = RecordBatchBuilder(codec: codec, level: level, bytesMax: bytesMax)
    runs = []
    timestamps = []
  }

  /// A part of a batch that was too large for its topic.
  private init(
    of batch: ProducerBatch, _ builder: RecordBatchBuilder, _ runs: [Run], _ timestamps: [Int64],
    bufferedSize: Int
  ) {
    partition = batch.partition
    createdAt = batch.createdAt
    self.builder = builder
    self.runs = runs
    self.timestamps = timestamps
    self.bufferedSize = bufferedSize
  }

  package var count: Int { timestamps.count }
  /// Before compression while it is open, as sent afterwards.
  package var size: Int { builder?.size ?? bytes.count }
  package var isSealed: Bool { builder == nil }

  /// False if it is full.
  package func append(
    _ record: borrowing ProducerRecord, timestamp: Int64, _ delivery: Delivery, index: Int
  ) -> Bool {
    do throws(RecordError) {
      try builder?.append(
        key: record.key.map { $0[...] }, value: record.value.map { $0[...] },
        headers: record.headers, timestamp: Timestamp(timestamp))
    } catch {
      return false
    }
    timestamps.append(timestamp)
    bufferedSize += record.bufferedSize
    if let last = runs.indices.last, runs[last].delivery === delivery,
      runs[last].firstIndex + runs[last].count == index
    {
      runs[last].count += 1
    } else {
      runs.append(Run(delivery: delivery, firstIndex: index, count: 1))
    }
    return true
  }

  /// Makes the batch's bytes; nothing can be appended any more.
  package func seal(_ compressor: inout Compressor) {
    guard let builder else { return }
    bytes = builder.build(&compressor)
    self.builder = nil
  }

  /// Writes identity and sequence into the bytes.
  package func number() {
    guard let sequence, sentSequence != sequence || attempts == 0 else { return }
    sentSequence = sequence
    unsafe bytes.withUnsafeMutableBytes { memory in
      unsafe RecordBatchHeader.patch(
        memory, producer: .init(id: identity.id, epoch: identity.epoch, baseSequence: sequence))
    }
  }

  /// Forgets its number: it will be sent as if for the first time.
  package func unnumber() {
    sequence = nil
    sentSequence = nil
    attempts = 0
  }

  /// Two batches with the same records; nil if there is only one record.
  package func halves(
    codec: Codec, level: Int?, _ decompressor: inout Decompressor
  ) -> (ProducerBatch, ProducerBatch)? {
    guard count > 1, let records = try? RecordBatch(bytes).records(&decompressor),
      records.count == count
    else { return nil }
    let middle = count / 2
    let parts = [0..<middle, middle..<count].map { range in
      var builder = RecordBatchBuilder(codec: codec, level: level, bytesMax: Int(Int32.max))
      for index in range {
        let record = records[index]
        try? builder.append(
          key: record.key, value: record.value, headers: record.headers,
          timestamp: record.timestamp)
      }
      // The buffer is freed as a whole: by the second part, which ends later.
      return ProducerBatch(
        of: self, builder, runs(in: range), Array(timestamps[range]),
        bufferedSize: range.lowerBound == 0 ? 0 : bufferedSize)
    }
    return (parts[0], parts[1])
  }

  /// Its only record, which is too large.
  package func oversized(_ decompressor: inout Decompressor) -> OversizedRecord? {
    guard count == 1, let records = try? RecordBatch(bytes).records(&decompressor),
      let record = records.first
    else { return nil }
    return OversizedRecord(
      partition: partition, key: record.key.map { Array($0) }, size: bytes.count)
  }

  private func runs(in range: Range<Int>) -> [Run] {
    var found: [Run] = []
    var start = 0
    for run in runs {
      let overlap = range.clamped(to: start..<start + run.count)
      if !overlap.isEmpty {
        found.append(
          Run(
            delivery: run.delivery, firstIndex: run.firstIndex + overlap.lowerBound - start,
            count: overlap.count))
      }
      start += run.count
    }
    return found
  }
}
