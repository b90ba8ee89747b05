import Broker
import Testing

@Suite struct `Group ids` {
  @Test(arguments: [
    ("g1", 3242 as Int32, 42 as Int32), ("my-group", -1_906_497_762, 12),
    ("console-consumer-12345", 158_455_506, 6), ("tx1", 115_245, 45), ("", 0, 0),
  ])
  func `hash to Kafka's partitions`(id: String, hash: Int32, partition: Int32) {
    #expect(ExactString(id).javaHash == hash)
    #expect(ExactString(id).coordinatorPartition(of: 50) == partition)
  }

  @Test func `of the one hash that has no absolute value land in partition 0`() {
    #expect(ExactString("polygenelubricants").javaHash == .min)
    #expect(ExactString("polygenelubricants").coordinatorPartition(of: 50) == 0)
  }

  @Test func `are equal by bytes, not by what they look like`() {
    let composed = "caf\u{e9}"
    let decomposed = "cafe\u{301}"
    #expect(composed == decomposed)
    #expect(ExactString(composed) != ExactString(decomposed))
    #expect(Set([ExactString(composed), ExactString(decomposed)]).count == 2)
    #expect(ExactString(decomposed) < ExactString(composed))
  }
}
