import Broker
import Bytes
import KafkaWire
import Testing

private let id = UUID16(high: 3, low: 4)

private func group(_ partition: Int32) -> GroupKey { GroupKey(topic: id, partition: partition) }

private func node(_ id: Int32, _ incarnation: UInt64) -> MetadataRecord {
  .nodeRegistered(RegisteredNode(id: id, incarnation: incarnation, host: "h", port: 1))
}

private func members(_ pairs: KeyValuePairs<Int32, UInt64>) -> [NodeIncarnation] {
  pairs.map { NodeIncarnation(node: $0, incarnation: $1) }
}

private func changed(
  _ partition: Int32, _ version: Int64, _ voters: KeyValuePairs<Int32, UInt64>,
  _ learners: KeyValuePairs<Int32, UInt64> = [:]
) -> MetadataRecord {
  .membershipChanged(
    group(partition),
    GroupMembership(version: version, voters: members(voters), learners: members(learners)))
}

private func state(_ records: [MetadataRecord]) throws -> MetadataState {
  var state = MetadataState()
  for record in records { try state.load(record) }
  return state
}

private func topic(_ replicas: [Int32], factor: Int = 3) -> MetadataRecord {
  .topicCreated(
    TopicState(id: id, name: "t", replicationFactor: factor, replicas: replicas))
}

private func snapshotIsWhole(_ state: MetadataState) throws -> Bool {
  let bytes = state.encoded()
  let read = try MetadataState(decoding: bytes[...])
  return read == state && read.encoded() == bytes
}

@Suite struct `Who is in a group` {
  @Test func `the replicas vote, as the nodes were when the partition was made`() throws {
    var state = try state([
      node(1, 11), node(2, 12), node(3, 13), topic([3, 1, 2]), node(2, 22),
      .partitionsAdded(topic: id, first: 1, replicas: [2, 3, 1]),
    ])
    #expect(
      state.membership(of: group(0))
        == GroupMembership(version: 1, voters: members([1: 11, 2: 12, 3: 13])))
    #expect(
      state.membership(of: group(1))
        == GroupMembership(version: 1, voters: members([1: 11, 2: 22, 3: 13])))
    #expect(state.membership(of: group(2)) == nil)
    #expect(state.membership(of: .metadata) == nil)
    #expect(try snapshotIsWhole(state))
    try state.load(.topicDeleted(id))
    #expect(state.membership(of: group(0)) == nil)
    #expect(try snapshotIsWhole(state))
  }

  @Test func `what was open is the first incarnation, never one with another disk`() throws {
    var state = try state([topic([1], factor: 1)])
    #expect(state.membership(of: group(0))?.voters == members([1: 0]))
    try state.load(node(1, 7))
    #expect(state.membership(of: group(0))?.voters == members([1: 7]))
    try state.load(node(1, 8))
    #expect(state.membership(of: group(0))?.voters == members([1: 7]))
    #expect(try snapshotIsWhole(state))
    #expect(state.node(1)?.incarnation == 8)
  }

  @Test func `a snapshot of an older program is read`() throws {
    let state = try state([topic([1, 1], factor: 1)])
    var bytes = state.encoded()
    // No array, one topic without births and without other replicas, nothing changed, no node.
    bytes.removeLast(5)
    bytes[8] = 0
    bytes.replaceSubrange(4..<8, with: [0, 0, 0, 0])
    let sum = CRC32C.of(bytes[8...])
    bytes.replaceSubrange(4..<8, with: withUnsafeBytes(of: sum.bigEndian) { Array($0) })
    #expect(try MetadataState(decoding: bytes[...]) == state)
  }

  @Test func `versions follow one another, and differ by one voter`() throws {
    var state = try state([node(1, 11), node(2, 12), node(3, 13), topic([1, 2, 3]), node(3, 23)])
    let before = state
    for wrong in [
      changed(0, 1, [1: 11, 2: 12]), changed(0, 3, [1: 11, 2: 12]), changed(0, 2, [1: 11]),
      changed(0, 2, [1: 11, 2: 12, 3: 23]), changed(0, 2, [:]), changed(1, 2, [1: 11, 2: 12]),
      changed(0, 2, [1: 11, 2: 12], [2: 12]),
    ] {
      #expect(throws: MetadataError.self) { try state.load(wrong) }
    }
    #expect(state == before)
    for record in [
      changed(0, 2, [1: 11, 2: 12]), changed(0, 3, [1: 11, 2: 12], [3: 23]),
      changed(0, 4, [1: 11, 2: 12, 3: 23]),
    ] {
      try state.load(record)
      #expect(try snapshotIsWhole(state))
    }
    #expect(state.membership(of: group(0))?.version == 4)
  }

  @Test func `what was asked for is there when the voters are those`() throws {
    var state = try state([topic([1, 2, 3, 2, 3, 1]), .reassigned(group(1), target: [1])])
    #expect(state.target(of: group(1)) == [1])
    #expect(state.preferredLeader(of: group(1)) == 1)
    #expect(state.preferredLeader(of: group(0)) == 1)
    #expect(state.preferredLeader(of: .metadata) == nil)
    #expect(try snapshotIsWhole(state))
    // Cancelled: the voters are the old ones.
    var cancelled = state
    try cancelled.load(.reassigned(group(1), target: nil))
    #expect(cancelled.target(of: group(1)) == [2, 3, 1])
    try state.load(changed(1, 2, [1: 0, 2: 0]))
    try state.load(changed(1, 3, [1: 0]))
    try state.load(.reassigned(group(1), target: nil))
    #expect(state.topic(named: "t")?.replicas(ofPartition: 0) == [1, 2, 3])
    #expect(state.topic(named: "t")?.replicas(ofPartition: 1) == [1])
    #expect(state.topic(named: "t")?.replicationFactor == 3)
    #expect(try snapshotIsWhole(state))
    // When all have as few, the topic has.
    try state.load(.reassigned(group(0), target: [2]))
    try state.load(changed(0, 2, [2: 0, 3: 0]))
    try state.load(changed(0, 3, [2: 0]))
    try state.load(.reassigned(group(0), target: nil))
    #expect(state.topic(named: "t")?.replicationFactor == 1)
    #expect(state.topic(named: "t")?.replicas == [2, 1])
    #expect(try snapshotIsWhole(state))
    try state.load(.topicDeleted(id))
    #expect(try snapshotIsWhole(state))
    #expect(state.reassignments.isEmpty)
  }

  @Test func `only the order of replicas may be asked for, too`() throws {
    let state = try state([
      topic([1, 2, 3]), .reassigned(group(0), target: [3, 1, 2]),
      .reassigned(group(0), target: nil),
    ])
    #expect(state.topic(named: "t")?.replicas == [3, 1, 2])
  }

  @Test func `owners hear of nodes and members`() throws {
    var harness = try ControllerHarness()
    let records = [node(1, 11), topic([1], factor: 1), changed(0, 2, [1: 11], [2: 5])]
    var effects = harness.step(.committed(records))
    guard case .createPartition(_, _, 0, [1], _, let membership) = effects.remove(at: 1) else {
      Issue.record("\(effects)")
      return
    }
    #expect(membership == GroupMembership(version: 1, voters: members([1: 11])))
    #expect(
      effects == [
        .nodeRegistered(RegisteredNode(id: 1, incarnation: 11, host: "h", port: 1)),
        .membershipChanged(
          group(0),
          GroupMembership(version: 2, voters: members([1: 11]), learners: members([2: 5]))),
      ])
  }
}
