import Broker
import KafkaWire
import Simulation
import Testing

@Suite struct `The topic of the offsets, made by a client` {
  private static let name = "__consumer_offsets"

  private func harness() throws -> NodeHarness {
    try NodeHarness(settings: []) { $0.groups.partitionCount = 50 }
  }

  @Test func `has groups at once, and after a restart`() throws {
    let harness = try harness()
    #expect(try harness.createTopic("t") == .none)
    #expect(try harness.createTopic(Self.name, partitions: 3) == .none)
    for number in 0..<10 { #expect(try harness.commit("g\(number)", "t", 5) == .none) }
    let next = try NodeHarness(harness.disk.afterKill { _ in true }, now: harness.now)
    for number in 0..<10 { #expect(try next.committed("g\(number)", "t") == 5) }
  }

  @Test func `is compacted, and stays so`() throws {
    let harness = try harness()
    #expect(
      try harness.createTopic(Self.name, configs: ["cleanup.policy": "delete"]) == .policyViolation)
    #expect(try harness.createTopic(Self.name, partitions: 1) == .none)
    #expect(harness.node.topicConfig(Self.name)?.isDeleted == false)
    for value in ["delete", "compact,delete"] {
      let change = IncrementalAlterConfigsRequest.with {
        $0.resources = [
          .with {
            $0.resourceType = 2
            $0.resourceName = Self.name
            $0.configs = [
              .with {
                $0.name = "cleanup.policy"
                $0.value = value
              }
            ]
          }
        ]
      }
      let answer = try harness.call(change, version: 1)
      #expect(answer.responses[0].errorCode == .policyViolation)
    }
    // All settings replaced by none, which would be the broker's.
    let replacing = AlterConfigsRequest.with {
      $0.resources = [
        .with {
          $0.resourceType = 2
          $0.resourceName = Self.name
        }
      ]
    }
    #expect(try harness.call(replacing, version: 2).responses[0].errorCode == .policyViolation)
    let deletion = DeleteRecordsRequest.with {
      $0.topics = [
        .with {
          $0.name = Self.name
          $0.partitions = [.with { $0.offset = -1 }]
        }
      ]
    }
    let answer = try harness.call(deletion, version: 2)
    #expect(answer.topics[0].partitions[0].errorCode == .invalidTopicException)
  }
}
