import Broker
import KafkaWire
import LogStore
import Platform
import Simulation
import Testing

@Suite struct `A node on a full disk` {
  private static let kept: Int64 = 1 << 20

  /// A node whose topic `a` has filled the disk.
  private func filled(_ settings: [(String, String)] = []) throws -> NodeHarness {
    let disk = VirtualDisk()
    var options = NodeHarness.storeOptions
    options.freeSpaceMin = Self.kept
    let harness = try NodeHarness(disk, settings: settings, storeOptions: options)
    for topic in ["a", "b"] {
      #expect(
        try harness.createTopic(topic, configs: ["segment.bytes": "1048576"]) == .none)
    }
    harness.wait(1000)
    guard case .count(let free) = try disk.perform(.freeSpace) else { return harness }
    disk.capacity = Int64.max / 2 - free + Self.kept + (12 << 20)
    let value = String(repeating: "x", count: 40_000)
    var refused: ErrorCode?
    for _ in 0..<2000 where refused == nil {
      do { try harness.produce("a", [value]) } catch let code as ErrorCode { refused = code }
      harness.wait(100)
    }
    #expect(refused == .kafkaStorageError)
    return harness
  }

  private func full(_ harness: NodeHarness) -> [String] {
    harness.notices.filter { $0.contains("the disk is full") }
  }

  private func room(_ harness: NodeHarness) -> [String] {
    harness.notices.filter { $0.contains("room again") }
  }

  @Test func `says so once, and takes what makes space`() throws {
    let harness = try filled()
    #expect(full(harness).count == 1)
    #expect(full(harness).first?.contains("delete topics") == true)
    #expect(try harness.createTopic("c") == .kafkaStorageError)
    #expect(throws: ErrorCode.kafkaStorageError) { try harness.produce("b", ["1"]) }
    harness.wait(5000)
    #expect(full(harness).count == 1)
    #expect(room(harness) == [])
    let deleted = try harness.call(Requests.deleteTopic("a"), version: 5)
    #expect(deleted.responses.map(\.errorCode) == [.none])
    harness.wait(1000)
    #expect(room(harness).count == 1)
    #expect(try harness.produce("b", ["1"]) == 0)
    #expect(try harness.createTopic("c") == .none)
    // The deletion is as durable as any other.
    let again = try NodeHarness(harness.disk.afterKill { _ in true })
    #expect(throws: ErrorCode.unknownTopicOrPartition) { try again.produce("a", ["1"]) }
    #expect(try again.produce("b", ["2"]) == 1)
  }

  @Test func `has room again soon after retention is lowered`() throws {
    let harness = try filled()
    var request = IncrementalAlterConfigsRequest()
    var resource = IncrementalAlterConfigsRequest.Resource()
    resource.resourceType = 2
    resource.resourceName = "a"
    var config = IncrementalAlterConfigsRequest.Config()
    config.name = "retention.bytes"
    config.value = "1048576"
    resource.configs = [config]
    request.resources = [resource]
    #expect(try harness.call(request, version: 1).responses.map(\.errorCode) == [.none])
    harness.wait(3000)
    #expect(room(harness).count == 1)
    #expect(try harness.produce("a", ["1"]) > 100)
  }
}
