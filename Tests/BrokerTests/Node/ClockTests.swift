import Broker
import KafkaWire
import Testing

@Suite struct `When somebody sets the clock` {
  private static let hour: Int64 = 3_600_000

  @Test(arguments: [-hour, hour])
  func `a fetch waits as long as it was to wait`(step: Int64) throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    let origin = try harness.send(Requests.fetch("t", maxWait: 1000), version: 12)
    harness.clockStep += step
    harness.wait(900)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) == nil)
    harness.wait(200)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) != nil)
  }

  @Test(arguments: [-hour, hour])
  func `a member of a group is lost when it was silent, not before`(step: Int64) {
    var talk = Conversation()
    let id = talk.stableGroup(of: 1)[0]
    talk.clockStep = step
    talk.pass(5000)
    #expect(talk.heartbeat(id, 1) == ErrorCode.none)
    talk.pass(3_600_000)
    #expect(talk.heartbeat(id, 1) == .unknownMemberId)
  }

  @Test func `records are stamped by the wall clock, and offsets expire by it`() throws {
    let harness = try NodeHarness()
    #expect(
      try harness.createTopic("t", configs: ["message.timestamp.type": "LogAppendTime"]) == .none)
    harness.clockStep += Self.hour
    try harness.produce("t", ["a"])
    let largest = ListOffsetsRequest.with {
      $0.topics = [
        .with {
          $0.name = "t"
          $0.partitions = [.with { $0.timestamp = -3 }]
        }
      ]
    }
    let response = try harness.call(largest, version: 7)
    #expect(response.topics[0].partitions[0].timestamp == harness.now)

    var talk = Conversation { $0.offsetsRetentionMs = 24 * Self.hour }
    _ = talk.commit([("t", 0, 5)])
    talk.clockStep = 25 * Self.hour
    // The next look at what has expired.
    talk.pass(Self.hour)
    #expect(talk.fetch([("t", [0])]) == ["t/0 -1"])
  }
}
