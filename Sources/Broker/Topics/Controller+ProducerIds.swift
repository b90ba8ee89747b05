internal import Bytes
internal import KafkaWire

// InitProducerId: a producer's identity (KIP-98).
//
// Without a transactional id every request gets an id of its own. With one, the producer of that
// name gets the same id with its epoch raised, which fences whoever used it before. Epochs end at
// 32766; the next request gets a new id, with epoch 0.
//
// A producer may send its request again with the identity it has (KIP-360): the one it had before
// says that the answer was lost, and gets the same answer.

extension Controller {
  /// The last epoch that is handed out; the one above it is kept for fencing, as in Kafka.
  static let producerEpochMax: Int16 = .max - 1

  mutating func decide(_ request: InitProducerIdRequest, version: Int16) -> Decision {
    guard (request.producerId == -1) == (request.producerEpoch == -1) else {
      return refuse(.invalidRequest)
    }
    guard let name = request.transactionalId else {
      var records: [MetadataRecord] = []
      let producer = takeProducerId(&records)
      return grant(producer, ProducerEpoch(0), records)
    }
    let id = Array(name.utf8)
    guard !id.isEmpty, id.count <= Self.transactionalIdBytesMax else {
      return refuse(.invalidRequest)
    }
    let timeoutMax = brokerConfigs(in: decided).number("transaction.max.timeout.ms")
    guard request.transactionTimeoutMs > 0, Int64(request.transactionTimeoutMs) <= timeoutMax else {
      return refuse(.invalidTransactionTimeout)
    }
    guard let producer = decided.producer(ofTransactionalId: id) else { return admit(id) }
    let given =
      request.producerId == -1
      ? nil : (ProducerID(request.producerId), ProducerEpoch(request.producerEpoch))
    return raise(producer, of: id, given: given, version: version)
  }

  /// A transactional id that was not seen before.
  private mutating func admit(_ id: [UInt8]) -> Decision {
    var records: [MetadataRecord] = []
    if decided.transactionalIdsCount >= Self.transactionalIdsMax,
      let oldest = decided.transactionalIdOldest
    {
      records.append(.transactionalIdGone(oldest))
    }
    let producer = TransactionalProducer(
      id: takeProducerId(&records), epoch: ProducerEpoch(0))
    records.append(.producerFenced(transactionalId: id, producer))
    return grant(producer.id, producer.epoch, records)
  }

  private mutating func raise(
    _ producer: TransactionalProducer, of id: [UInt8],
    given: (id: ProducerID, epoch: ProducerEpoch)?, version: Int16
  ) -> Decision {
    if let given, given != (producer.id, producer.epoch) {
      // Its request before this one was answered, but it did not hear of it.
      guard given == (producer.lastID, producer.lastEpoch) else {
        return refuse(version >= 4 ? .producerFenced : .invalidProducerEpoch)
      }
      return grant(producer.id, producer.epoch, [])
    }
    var records: [MetadataRecord] = []
    var next = TransactionalProducer(id: producer.id, epoch: ProducerEpoch(0))
    if producer.epoch.rawValue < Self.producerEpochMax {
      next.epoch = ProducerEpoch(producer.epoch.rawValue + 1)
    } else {
      next.id = takeProducerId(&records)
    }
    if given != nil {
      next.lastID = producer.id
      next.lastEpoch = producer.epoch
    }
    records.append(.producerFenced(transactionalId: id, next))
    return grant(next.id, next.epoch, records)
  }

  /// The next id of the block, and the record that takes another block when it is used up.
  private mutating func takeProducerId(_ records: inout [MetadataRecord]) -> ProducerID {
    if producerIdsLeft.isEmpty {
      let first = decided.nextProducerId.rawValue
      let (end, overflow) = first.addingReportingOverflow(Int64(Self.producerIdsBlock))
      precondition(!overflow, "2^63 producer ids are enough")
      producerIdsLeft = first..<end
      records.append(.producerIdsTaken(first: ProducerID(first), count: Self.producerIdsBlock))
    }
    return ProducerID(producerIdsLeft.removeFirst())
  }

  private func grant(
    _ id: ProducerID, _ epoch: ProducerEpoch, _ records: [MetadataRecord]
  ) -> Decision {
    var response = InitProducerIdResponse()
    response.producerId = id.rawValue
    response.producerEpoch = epoch.rawValue
    return Decision(records: records, outcome: .reply(.initProducerId(response)))
  }

  private func refuse(_ code: ErrorCode) -> Decision {
    Decision(outcome: .reply(.initProducerId(.refused(code))))
  }
}
