import Bytes
import LogStore
import Records

/// What the model knows of one producer.
struct ModelProducer: Equatable {
  struct Batch: Equatable {
    var firstSequence: Int32
    var lastSequence: Int32
    var firstOffset: Int64
    var lastOffset: Int64
  }

  var epoch: Int16
  var batches: [Batch]

  /// As `ProducerStates+Coding` says, written here anew.
  static func encoded(_ producers: [ProducerID: ModelProducer]) -> [UInt8] {
    var bytes: [UInt8] = []
    func put(_ value: Int64, _ count: Int) {
      for index in (0..<count).reversed() {
        bytes.append(UInt8(truncatingIfNeeded: value >> Int64(8 * index)))
      }
    }
    put(Int64(producers.count), 4)
    for (id, producer) in producers.sorted(by: { $0.key < $1.key }) {
      put(id.rawValue, 8)
      put(Int64(producer.epoch), 2)
      put(0, 8)
      put(Int64(producer.batches.count), 4)
      for batch in producer.batches {
        put(Int64(batch.firstSequence), 4)
        put(Int64(batch.lastSequence), 4)
        put(batch.firstOffset, 8)
        put(batch.lastOffset, 8)
        put(-1, 8)
      }
    }
    return bytes
  }

  static func decoded(_ bytes: [UInt8]) throws -> [ProducerID: ModelProducer] {
    var reader = ByteReader(bytes)
    var producers: [ProducerID: ModelProducer] = [:]
    for _ in 0..<(try reader.uint32()) {
      let id = ProducerID(try reader.int64())
      var producer = ModelProducer(epoch: try reader.int16(), batches: [])
      _ = try reader.int64()
      for _ in 0..<(try reader.uint32()) {
        producer.batches.append(
          Batch(
            firstSequence: try reader.int32(), lastSequence: try reader.int32(),
            firstOffset: try reader.int64(), lastOffset: try reader.int64()))
        _ = try reader.int64()
      }
      // One without is the highest that was forgotten.
      if !producer.batches.isEmpty { producers[id] = producer }
    }
    return producers
  }
}

extension StoreHarness.LogState {
  /// Adds a batch that has its offset and epoch.
  mutating func add(_ batch: [UInt8]) {
    guard let header = try? RecordBatchHeader(batch[...]) else { return }
    end = header.nextOffset.rawValue
    batches.append(batch)
    begin(header.partitionLeaderEpoch.rawValue, at: header.baseOffset)
    fold(header, into: &producers)
  }

  private func fold(
    _ header: RecordBatchHeader, into producers: inout [ProducerID: ModelProducer]
  ) {
    guard header.hasProducer, header.lastOffset.rawValue >= producersThrough else { return }
    let epoch = header.producerEpoch.rawValue
    var known = producers[header.producerID] ?? ModelProducer(epoch: epoch, batches: [])
    if known.epoch != epoch { known = ModelProducer(epoch: epoch, batches: []) }
    known.batches.append(
      ModelProducer.Batch(
        firstSequence: header.baseSequence, lastSequence: header.lastSequence,
        firstOffset: header.baseOffset.rawValue, lastOffset: header.lastOffset.rawValue))
    known.batches = known.batches.suffix(5)
    producers[header.producerID] = known
  }

  /// Forgets committed batches, but not what they said of their producers.
  mutating func forgetBatches(where isGone: ([UInt8]) -> Bool) {
    for batch in batches where isGone(batch) {
      guard let header = try? RecordBatchHeader(batch[...]) else { continue }
      fold(header, into: &producersBefore)
    }
    batches.removeAll(where: isGone)
  }

  /// After some are gone again.
  mutating func foldProducersAgain() {
    producers = producersBefore
    for batch in batches {
      guard let header = try? RecordBatchHeader(batch[...]) else { continue }
      fold(header, into: &producers)
    }
  }
}
