import Bytes
import Client
import KafkaWire
import Records

/// A conversation with a `ProducerCore`: records in, batches out, answers in; one topic "t" of one
/// partition on node 1, unless said otherwise.
final class ProducerConversation {
  let core: ProducerCore
  var now: Int64 = 0
  /// Calls that are done: number, or the failure's code.
  private(set) var done: [String] = []

  init(
    partitions: Int = 1, isKnown: Bool = true, _ adjust: (inout Producer.Options) -> Void = { _ in }
  ) {
    var options = Producer.Options()
    options.lingerMilliseconds = 0
    // Smaller than any record of the tests, so that each has a batch of its own.
    options.batchBytesMax = 256
    adjust(&options)
    core = ProducerCore(ProducerCore.Settings(options: options), seed: 7)
    if options.isIdempotent {
      core.setIdentity(ProducerIdentity(id: ProducerID(9), epoch: ProducerEpoch(0)))
    }
    if isKnown {
      add(-1)
      core.know(
        "t", partitionCount: partitions, available: (0..<Int32(partitions)).map { $0 }, now: 0)
      for batch in take() { answer(batch, .appended(baseOffset: 0, logAppendTime: -1)) }
      _ = finished()
    }
  }

  private final class Note: @unchecked Sendable {
    var text: String?
  }
  private var notes: [ObjectIdentifier: (Note, Int)] = [:]

  /// Adds a record of 500 bytes that carries a number.
  func add(_ number: Int, partition: Int32? = 0) {
    let note = Note()
    let delivery = Delivery(count: 1, wantsMetadata: true) { result in
      switch result {
      case .success(let metadata): note.text = "\(metadata[0].offset)"
      case .failure(let error): note.text = "\(error.code)"
      }
    }
    notes[ObjectIdentifier(delivery)] = (note, number)
    let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 500)
    let record = ProducerRecord(topic: "t", partition: partition, value: value)
    core.add([record], delivery, now: now, wallClock: 1000)
  }

  /// Everything that may be sent now.
  func take(leader: Int32? = 1) -> [ProducerBatch] {
    var batches: [ProducerBatch] = []
    while let request = core.takeRequest(now, leader: { _ in leader }) {
      batches += request.batches
    }
    return batches
  }

  func answer(_ batch: ProducerBatch, _ outcome: ProducerCore.Outcome, sending: Int? = nil) {
    core.answered(batch, sending: sending ?? batch.sendings, outcome, now: now)
  }

  func refuse(_ batch: ProducerBatch, _ code: ErrorCode, sending: Int? = nil) {
    answer(batch, .refused(code, logStartOffset: 0, message: nil), sending: sending)
  }

  func lose(_ batch: ProducerBatch) {
    answer(batch, .unknown(ClientError(.disconnected, "gone")))
  }

  /// What has been decided since the last call: "number=offset" or "number=code".
  func finished() -> [String] {
    var texts: [String] = []
    for delivery in core.takeFinished() {
      delivery.complete()
      guard let (note, number) = notes[ObjectIdentifier(delivery)] else { continue }
      texts.append("\(number)=\(note.text ?? "?")")
    }
    return texts
  }

  /// The number that a batch's record carries, and where the batch stands in the sequence.
  static func describe(_ batch: ProducerBatch) throws -> String {
    var decompressor = Decompressor()
    let parsed = try RecordBatch(batch.bytes)
    try parsed.checkCRC()
    let values = try parsed.records(&decompressor).map { "\($0.value?.first ?? 0)" }
    let header = parsed.header
    return
      "\(values.joined(separator: "+"))@\(header.producerEpoch.rawValue):\(header.baseSequence)"
  }
}
