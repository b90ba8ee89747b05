import Broker
import Bytes
import KafkaWire
import Testing

@Suite struct `Producer ids` {
  @Test func `every idempotent producer gets an id of its own, from blocks`() throws {
    var harness = try ControllerHarness()
    for id in 0..<2500 as Range<Int64> {
      let response = try harness.identify(nil, timeout: 0)
      #expect(response.producerId == id)
      #expect(response.producerEpoch == 0)
    }
    #expect(harness.log.count == 3)
    // What the node had left of its block is never handed out.
    var after = try ControllerHarness()
    for record in harness.log { try after.controller.load(record) }
    #expect(try after.identify(nil).producerId == 3000)
  }

  @Test func `a transactional id keeps its producer id and raises the epoch`() throws {
    var harness = try ControllerHarness()
    #expect(try harness.identify("t").producerEpoch == 0)
    let second = try harness.identify("t")
    #expect(second.producerId == 0)
    #expect(second.producerEpoch == 1)
    #expect(try harness.identify("u").producerId == 1)
  }

  @Test func `ids that are canonically equivalent are two`() throws {
    var harness = try ControllerHarness()
    #expect(try harness.identify("\u{e9}").producerId == 0)
    #expect(try harness.identify("e\u{301}").producerId == 1)
  }

  @Test func `when the epoch is used up there is a new id`() throws {
    var harness = try ControllerHarness()
    for epoch in 0...Int16.max - 1 {
      let response = try harness.identify("t")
      guard response.producerId == 0, response.producerEpoch == epoch else {
        Issue.record("\(response) at \(epoch)")
        return
      }
    }
    let next = try harness.identify("t")
    #expect(next.producerId == 1)
    #expect(next.producerEpoch == 0)
  }

  @Test func `a request sent twice gets one answer, an old producer is fenced`() throws {
    var harness = try ControllerHarness()
    _ = try harness.identify("t")
    #expect(try harness.identify("t", producer: 0, epoch: 0).producerEpoch == 1)
    #expect(try harness.identify("t", producer: 0, epoch: 0).producerEpoch == 1)
    #expect(try harness.identify("t", producer: 0, epoch: 1).producerEpoch == 2)
    #expect(try harness.identify("t", producer: 0, epoch: 0).errorCode == .producerFenced)
    #expect(
      try harness.identify("t", producer: 5, epoch: 0, version: 3).errorCode
        == .invalidProducerEpoch)
    _ = try harness.identify("t")
    #expect(try harness.identify("t", producer: 0, epoch: 2).errorCode == .producerFenced)
  }

  @Test(arguments: [
    ("", Int32(1000), ErrorCode.invalidRequest), ("t", 0, .invalidTransactionTimeout),
    ("t", -1, .invalidTransactionTimeout), ("t", 900_001, .invalidTransactionTimeout),
    ("t", 900_000, .none), (String(repeating: "x", count: 1025), 1000, .invalidRequest),
  ])
  func `bad requests are refused`(id: String, timeout: Int32, code: ErrorCode) throws {
    var harness = try ControllerHarness()
    #expect(try harness.identify(id, timeout: timeout).errorCode == code)
    #expect(try harness.identify(id, producer: 3, epoch: -1).errorCode == .invalidRequest)
  }

  @Test func `beyond the bound the id used least recently is forgotten`() throws {
    var state = MetadataState()
    let producer = TransactionalProducer(
      id: ProducerID(0), epoch: ProducerEpoch(4), lastID: .none, lastEpoch: .none)
    var records: [MetadataRecord] = []
    for number in 0..<Controller.transactionalIdsMax {
      records.append(.producerFenced(transactionalId: Array("\(number)".utf8), producer))
    }
    // The first is used again, so that the second is the oldest.
    records.append(records[0])
    for record in records { try state.load(record) }
    var harness = try ControllerHarness()
    harness.controller = try Controller(nodeId: 1, snapshot: state)
    #expect(try harness.identify("new").errorCode == .none)
    #expect(harness.log.contains(.transactionalIdGone(Array("1".utf8))))
    #expect(harness.controller.state.transactionalIdsCount == Controller.transactionalIdsMax)
    #expect(try harness.identify("0").producerEpoch == 5)
  }
}
