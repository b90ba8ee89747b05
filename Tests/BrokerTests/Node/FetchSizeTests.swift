import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Simulation
import Testing

@Suite struct `How much a fetch is given` {
  /// All partitions of a topic from their beginnings.
  private func fetch(
    partitions: Range<Int32>, bytesMax: Int32, partitionBytesMax: Int32
  ) -> FetchRequest {
    var request = Requests.fetch("t")
    request.maxBytes = bytesMax
    request.topics[0].partitions = partitions.map { partition in
      var asked = request.topics[0].partitions[0]
      asked.partition = partition
      asked.partitionMaxBytes = partitionBytesMax
      return asked
    }
    return request
  }

  @Test(arguments: [(Int32(50 << 20), Int32(10_000)), (40_000, 1 << 20), (10_000, 1 << 20)])
  func `each partition gets whole batches or nothing, and the first one something`(
    bytesMax: Int32, partitionBytesMax: Int32
  ) throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t", partitions: 3) == .none)
    let text = String(repeating: "v", count: 30_000)
    for partition in 0..<3 as Range<Int32> {
      try harness.produce("t", [text], partition: partition)
    }
    let request = fetch(
      partitions: 0..<3, bytesMax: bytesMax, partitionBytesMax: partitionBytesMax)
    let parts = try harness.call(request, version: 12).responses[0].partitions
    #expect(try parts[0].values() == [text])
    for part in parts.dropFirst() {
      #expect(part.errorCode == .none)
      #expect((part.records?.count ?? 0) == 0)
      #expect(part.highWatermark == 1)
    }
  }

  @Test func `who asks for more than it may be given does not wait for it`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t") == .none)
    for _ in 0..<100 { try harness.produce("t", [String(repeating: "v", count: 1000)]) }
    var request = Requests.fetch("t", maxWait: 60_000, minBytes: 1_000_000)
    request.maxBytes = 50_000
    #expect(try harness.call(request, version: 12).values().count > 40)
  }

  @Test func `the end of a segment is not waited at`() throws {
    let harness = try NodeHarness()
    #expect(try harness.createTopic("t", configs: ["segment.bytes": "1048576"]) == .none)
    for _ in 0..<40 { try harness.produce("t", [String(repeating: "v", count: 40_000)]) }
    var request = Requests.fetch("t", maxWait: 60_000, minBytes: 1_500_000)
    request.topics[0].partitions[0].partitionMaxBytes = 10_000_000
    let count = try harness.call(request, version: 12).values().count
    #expect((20..<40).contains(count))
    // In the last segment there is something to wait for.
    request = Requests.fetch("t", from: Int64(count), maxWait: 60_000, minBytes: 1_500_000)
    let origin = try harness.send(request, version: 12)
    #expect(try harness.response(to: origin, FetchRequest.self, version: 12) == nil)
  }
}
