import Client
import KafkaWire
import Platform
import Testing

@Suite struct `What a producer decides` {
  private func describe(_ batches: [ProducerBatch]) throws -> [String] {
    try batches.map(ProducerConversation.describe)
  }

  @Test func `five batches of a partition are on their way, numbered without gaps`() throws {
    let talk = ProducerConversation()
    for number in 1...7 { talk.add(number) }
    let sent = talk.take()
    #expect(try describe(sent) == ["1@0:1", "2@0:2", "3@0:3", "4@0:4", "5@0:5"])
    talk.answer(sent[0], .appended(baseOffset: 10, logAppendTime: -1))
    #expect(try describe(talk.take()) == ["6@0:6"])
    #expect(talk.finished() == ["1=10"])
  }

  @Test func `a batch that failed goes before all newer ones, alone until it is done`() throws {
    let talk = ProducerConversation()
    for number in 1...6 { talk.add(number) }
    let sent = talk.take()
    talk.refuse(sent[0], .notLeaderOrFollower)
    #expect(talk.core.takeNeedsMetadata())
    // Those behind it are refused because of the gap; one more is not sent in between.
    for batch in sent[1...] { talk.refuse(batch, .outOfOrderSequenceNumber) }
    #expect(try describe(talk.take()) == [])
    talk.now += 2000
    var order: [String] = []
    while true {
      let next = talk.take()
      guard !next.isEmpty else { break }
      order += try describe(next)
      for batch in next {
        talk.answer(batch, .appended(baseOffset: Int64(batch.sequence ?? -1), logAppendTime: -1))
      }
      talk.now += 2000
    }
    #expect(order == ["1@0:1", "2@0:2", "3@0:3", "4@0:4", "5@0:5", "6@0:6"])
    #expect(talk.finished() == ["1=1", "2=2", "3=3", "4=4", "5=5", "6=6"])
  }

  @Test func `a connection that ends makes everything go again in its order`() throws {
    let talk = ProducerConversation()
    for number in 1...3 { talk.add(number) }
    for batch in talk.take().reversed() { talk.lose(batch) }
    talk.now += 2000
    var order: [String] = []
    for _ in 1...3 {
      let next = talk.take()
      order += try describe(next)
      // The broker had it all: each is a duplicate, which is success.
      for batch in next { talk.refuse(batch, .duplicateSequenceNumber) }
      talk.now += 2000
    }
    #expect(order == ["1@0:1", "2@0:2", "3@0:3"])
    #expect(talk.finished() == ["1=-1", "2=-1", "3=-1"])
  }

  @Test func `without idempotence one batch is on its way at a time`() throws {
    let talk = ProducerConversation { options in
      options.isIdempotent = false
      options.acknowledgement = .leader
    }
    for number in 1...3 { talk.add(number) }
    let first = talk.take()
    #expect(try describe(first) == ["1@-1:-1"])
    talk.lose(first[0])
    talk.now += 2000
    #expect(try describe(talk.take()) == ["1@-1:-1"])
  }

  @Test func `a batch that was rejected leaves no gap in the sequence`() throws {
    let talk = ProducerConversation()
    for number in 1...3 { talk.add(number) }
    let sent = talk.take()
    talk.refuse(sent[0], .invalidRecord)
    #expect(talk.finished() == ["1=broker(87)"])
    talk.refuse(sent[1], .outOfOrderSequenceNumber)
    talk.refuse(sent[2], .outOfOrderSequenceNumber)
    talk.now += 2000
    let second = talk.take()
    #expect(try describe(second) == ["2@0:1"])
    talk.answer(second[0], .appended(baseOffset: 1, logAppendTime: -1))
    #expect(try describe(talk.take()) == ["3@0:2"])
  }

  @Test func `a gap that nothing explains begins a new epoch, in the same order`() throws {
    let talk = ProducerConversation()
    for number in 1...3 { talk.add(number) }
    let sent = talk.take()
    let sendings = sent.map(\.sendings)
    talk.refuse(sent[0], .outOfOrderSequenceNumber)
    talk.now += 2000
    let again = talk.take()
    #expect(try describe(again) == ["1@1:0", "2@1:1", "3@1:2"])
    // Late answers to what was sent in the old epoch mean nothing.
    talk.refuse(again[1], .outOfOrderSequenceNumber, sending: sendings[1])
    talk.answer(again[2], .appended(baseOffset: 99, logAppendTime: -1), sending: sendings[2])
    for (index, batch) in again.enumerated() {
      talk.answer(batch, .appended(baseOffset: Int64(index + 1), logAppendTime: -1))
    }
    #expect(talk.finished() == ["1=1", "2=2", "3=3"])
  }

  @Test(arguments: [ErrorCode.producerFenced, .invalidProducerEpoch])
  func `who was shut out stops for good`(code: ErrorCode) throws {
    let talk = ProducerConversation { $0.transactionalID = "x" }
    for number in 1...3 { talk.add(number) }
    let sent = talk.take()
    talk.refuse(sent[0], code)
    #expect(talk.finished() == ["1=fenced", "2=fenced", "3=fenced"])
    talk.add(4)
    #expect(talk.take().isEmpty)
    #expect(talk.finished() == ["4=fenced"])
  }

  @Test func `who fences stops with the first record that fails`() throws {
    let talk = ProducerConversation { $0.transactionalID = "x" }
    for number in 1...2 { talk.add(number) }
    let sent = talk.take()
    talk.refuse(sent[0], .invalidRecord)
    #expect(talk.finished().sorted() == ["1=broker(87)", "2=broker(87)"])
    #expect(talk.core.fatalError != nil)
  }

  @Test func `a batch whose time is over takes the numbered ones behind it along`() throws {
    let talk = ProducerConversation { $0.deliveryTimeoutMilliseconds = 1000 }
    for number in 1...6 { talk.add(number) }
    let sent = talk.take()
    #expect(sent.count == 5)
    talk.now = 500
    talk.add(7)
    talk.now = 1001
    talk.core.expire(talk.now)
    #expect(
      talk.finished() == [
        "1=timedOut", "2=timedOut", "3=timedOut", "4=timedOut", "5=timedOut", "6=timedOut",
      ])
    // An answer that comes now changes nothing, and what was never sent begins a new sequence.
    talk.answer(sent[0], .appended(baseOffset: 5, logAppendTime: -1))
    #expect(talk.finished() == [])
    #expect(try describe(talk.take()) == ["7@1:0"])
  }

  @Test func `a batch that lingers waits for company, one that is full does not`() throws {
    let talk = ProducerConversation { options in
      options.lingerMilliseconds = 20
      options.batchBytesMax = 1700
    }
    talk.now = 100
    talk.core.isFlushing = true
    for batch in talk.take() { talk.answer(batch, .appended(baseOffset: 0, logAppendTime: -1)) }
    talk.core.isFlushing = false
    _ = talk.finished()
    talk.add(1)
    talk.add(2)
    #expect(talk.take().isEmpty)
    #expect(talk.core.nextDue(talk.now) == 120)
    talk.now = 120
    #expect(try describe(talk.take()) == ["1+2@0:1"])
    for number in 3...6 { talk.add(number) }
    #expect(try describe(talk.take()) == ["3+4+5@0:3"])
  }

  @Test func `a batch too large for its topic is cut in two, in order`() throws {
    let talk = ProducerConversation { $0.batchBytesMax = 3000 }
    for number in 1...4 { talk.add(number) }
    talk.add(5)
    let sent = talk.take()
    #expect(try describe(sent) == ["1+2+3+4+5@0:1"])
    talk.refuse(sent[0], .messageTooLarge)
    let first = talk.take()
    #expect(try describe(first) == ["1+2@0:1"])
    talk.answer(first[0], .appended(baseOffset: 1, logAppendTime: -1))
    let second = talk.take()
    #expect(try describe(second) == ["3+4+5@0:3"])
    talk.answer(second[0], .appended(baseOffset: 3, logAppendTime: -1))
    #expect(talk.finished() == ["1=1", "2=2", "3=3", "4=4", "5=5"])
  }

  @Test func `a record too large for its topic is named by whatever it was sent with`() throws {
    let talk = ProducerConversation { $0.batchBytesMax = 3000 }
    let errors = Condition<[ClientError]>([])
    let delivery = Delivery(count: 2, wantsMetadata: false) { result in
      if case .failure(let error) = result { errors.withLock { $0.append(error) } }
    }
    let records = [10, 600].map { size in
      ProducerRecord(
        topic: "t", partition: 0, key: Array("k\(size)".utf8),
        value: [UInt8](repeating: 7, count: size))
    }
    talk.core.add(records, delivery, now: talk.now, wallClock: 1000)
    let sent = talk.take()
    #expect(sent.map(\.count) == [2])
    talk.refuse(sent[0], .messageTooLarge)
    talk.answer(talk.take()[0], .appended(baseOffset: 1, logAppendTime: -1))
    let alone = talk.take()
    talk.refuse(alone[0], .messageTooLarge)
    for delivery in talk.core.takeFinished() { delivery.complete() }
    let error = try #require(errors.withLock { $0.first })
    #expect(
      error.oversized
        == OversizedRecord(
          partition: TopicPartition("t", 0), key: Array("k600".utf8), size: alone[0].bytes.count))
  }

  @Test func `every byte that was taken is given back`() throws {
    let talk = ProducerConversation { $0.deliveryTimeoutMilliseconds = 1000 }
    let before = talk.core.takeFreedBytes()
    #expect(before > 0)
    for number in 1...8 { talk.add(number) }
    let sent = talk.take()
    talk.answer(sent[0], .appended(baseOffset: 1, logAppendTime: -1))
    talk.refuse(sent[1], .invalidRecord)
    talk.add(9, partition: 55)
    talk.now = 5000
    talk.core.expire(talk.now)
    #expect(talk.core.takeFreedBytes() == 9 * before)
    #expect(talk.core.isIdle)
  }

  @Test func `records wait for a topic that is not known yet, in order`() throws {
    let talk = ProducerConversation(isKnown: false)
    talk.add(1)
    talk.add(2)
    #expect(talk.take().isEmpty)
    #expect(talk.core.takeNewTopics() == ["t"])
    talk.core.know("t", partitionCount: 1, available: [0], now: 0)
    #expect(try describe(talk.take()) == ["1@0:0", "2@0:1"])
  }
}
