package import Bytes

/// The one record of a control batch. Its key is a version and a type, 16 bits each; consumers
/// never see it. Control batches are never compressed.
package enum ControlRecord: Hashable, Sendable {
  /// The transaction's records are to be dropped. Carries the epoch of the coordinator that
  /// decided, so that a deposed coordinator's marker is known for what it is.
  case abort(coordinatorEpoch: Int32)
  case commit(coordinatorEpoch: Int32)
  /// KRaft's, of Kafka's metadata log: recognised, its value not read.
  case leaderChange
  /// To be ignored, whatever it is.
  case unknown(type: Int16)

  package init(key: ArraySlice<UInt8>?, value: ArraySlice<UInt8>?) throws(RecordError) {
    do {
      var key = ByteReader(key ?? [])
      let version = try key.int16()
      let type = try key.int16()
      guard version >= 0 else { throw RecordError.malformedControlRecord }
      switch type {
      case 0, 1:
        var value = ByteReader(value ?? [])
        guard try value.int16() >= 0 else { throw RecordError.malformedControlRecord }
        let epoch = try value.int32()
        self = type == 0 ? .abort(coordinatorEpoch: epoch) : .commit(coordinatorEpoch: epoch)
      case 2: self = .leaderChange
      default: self = .unknown(type: type)
      }
    } catch {
      throw .malformedControlRecord
    }
  }

  /// The batch that ends a transaction in one partition: 78 bytes, one offset, no sequence.
  package static func endMarker(
    commit: Bool, producerID: ProducerID, producerEpoch: ProducerEpoch, coordinatorEpoch: Int32,
    timestamp: Timestamp, baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .none
  ) -> [UInt8] {
    let key = unsafe ByteWriter.array(4) { writer in
      unsafe writer.integer(Int16(0))
      unsafe writer.integer(Int16(commit ? 1 : 0))
    }
    let value = unsafe ByteWriter.array(6) { writer in
      unsafe writer.integer(Int16(0))
      unsafe writer.integer(coordinatorEpoch)
    }
    var builder = RecordBatchBuilder(
      baseOffset: baseOffset, leaderEpoch: leaderEpoch,
      producer: .init(id: producerID, epoch: producerEpoch, baseSequence: -1),
      attributes: [.transactional, .control])
    do {
      try builder.append(key: key[...], value: value[...], timestamp: timestamp)
    } catch {
      preconditionFailure("a marker of 78 bytes fits any batch: \(error)")
    }
    return builder.buildUncompressed()
  }
}

extension RecordBatch {
  /// The control record, or nil: not a control batch, or one that compaction has emptied.
  package func controlRecord(
    _ decompressor: inout Decompressor
  ) throws(RecordError) -> ControlRecord? {
    guard header.attributes.isControl else { return nil }
    guard let record = try records(&decompressor).first else { return nil }
    return try ControlRecord(key: record.key, value: record.value)
  }
}
