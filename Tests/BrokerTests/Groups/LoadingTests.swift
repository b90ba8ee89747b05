import Broker
import KafkaWire
import Testing

@Suite struct `After a restart` {
  @Test func `members, generation and assignments are as they were`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    _ = talk.commit([("t", 0, 5)], member: members[0], generation: 1)
    var restarted = talk.restarted()
    #expect(restarted.coordinator.summaries == talk.coordinator.summaries)
    #expect(restarted.describe() == talk.describe())
    #expect(restarted.fetch() == ["t/0 5"])
    // A full session timeout from now.
    restarted.pass(9_999)
    #expect(restarted.heartbeat(members[0], 1) == ErrorCode.none)
    restarted.pass(1)
    #expect(restarted.heartbeat(members[0], 1) == .rebalanceInProgress)
    #expect(restarted.heartbeat(members[1], 1) == .unknownMemberId)
    let sync = restarted.join(members[0])
    #expect(restarted.joined(sync)?.generationId == 2)
  }

  @Test func `a rebalance that was under way begins anew`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    let again = talk.join(members[0])
    #expect(talk.joined(again)?.generationId == 2)
    var restarted = talk.restarted()
    #expect(restarted.summary?.generation == 1)
    #expect(restarted.heartbeat(members[0], 2) == .illegalGeneration)
    let rejoin = restarted.join(members[0])
    #expect(restarted.joined(rejoin)?.generationId == 2)
  }

  @Test func `static members come back to their places`() {
    var talk = Conversation()
    let token = talk.join(instance: "i", version: 9)
    talk.pass(3_000)
    let id = talk.joined(token)?.memberId ?? ""
    _ = talk.sync(id, 1, instance: "i", [(id, [7])])
    _ = talk.join(instance: "i", version: 9)
    var restarted = talk.restarted()
    #expect(restarted.heartbeat(id, 1, instance: "i") == .fencedInstanceId)
    #expect(restarted.heartbeat("i-id2", 1, instance: "i") == ErrorCode.none)
    let sync = restarted.sync("i-id2", 1, instance: "i")
    #expect(restarted.synced(sync)?.assignment == [7])
  }

  @Test func `a group that was left is empty, since then`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    _ = talk.commit([("t", 0, 5)], member: members[0], generation: 1)
    _ = talk.leave([(members[0], nil)])
    talk.pass(604_800_000 - 1_000)
    var restarted = talk.restarted()
    #expect(restarted.summary?.state == "Empty")
    #expect(restarted.summary?.generation == 2)
    restarted.pass(700_000)
    #expect(restarted.coordinator.summaries == [])
  }
}

@Suite struct `A partition of the coordinator` {
  @Test func `is not asked before it is elected and loaded`() {
    var talk = Conversation(loading: false)
    for (state, error) in [("", ErrorCode.notCoordinator), ("l", .coordinatorLoadInProgress)] {
      if state == "l" {
        for partition in 0..<4 { talk.tell(.elected(partition: Int32(partition))) }
      }
      let join = talk.join(version: 5)
      #expect(talk.joined(join)?.errorCode == error)
      #expect(talk.syncError("a", 1) == error)
      #expect(talk.leave([("a", nil)])?.errorCode == error)
      let commit = talk.commit([("t", 0, 5)])
      #expect(talk.committed(commit) == [error])
      #expect(talk.fetch() == [error.description])
      #expect(talk.describe()?.errorCode == error)
      // While loading, the member is given the benefit of the doubt.
      #expect(talk.heartbeat("a", 1) == (state == "l" ? ErrorCode.none : error))
    }
    var request = OffsetFetchRequest()
    request.groupId = "g"
    request.topics = [.with { $0.name = "t" }]
    request.topics?[0].partitionIndexes = [3]
    let old = talk.ask(.offsetFetch(request), version: 1)
    if case .offsetFetch(let response)? = talk.replies[old] {
      let partition = response.topics.first?.partitions.first
      #expect(partition?.errorCode == .coordinatorLoadInProgress)
      #expect(partition?.partitionIndex == 3)
    }
    let list = talk.ask(.listGroups(ListGroupsRequest()), version: 4)
    if case .listGroups(let response)? = talk.replies[list] {
      #expect(response.errorCode == .coordinatorLoadInProgress)
    }
  }

  @Test func `answers all that waits when it is resigned, and forgets the rest`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    talk.commitsAtOnce = false
    let commit = talk.commit([("t", 0, 5)], member: members[1], generation: 1)
    let join = talk.join(members[0])
    let partition = talk.coordinator.partition(of: "g")
    let token = talk.appends[0].token
    talk.tell(.resigned(partition: partition))
    #expect(talk.committed(commit) == [.notCoordinator])
    #expect(talk.joined(join)?.errorCode == .notCoordinator)
    #expect(talk.coordinator.summaries == [])
    #expect(talk.coordinator.nextDeadline == nil)
    // What the log still has to say comes too late.
    talk.tell(.elected(partition: partition))
    talk.tell(.loaded(partition: partition))
    talk.tell(.appended(token, .none))
    #expect(talk.coordinator.summaries == [])
    talk.appends = []
    let next = talk.commit([("t", 0, 6)])
    talk.commit()
    #expect(talk.committed(next) == [.none])
  }

  @Test func `answers a deletion that waits when it is resigned`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)])
    talk.commitsAtOnce = false
    var request = DeleteGroupsRequest()
    request.groupsNames = ["g"]
    let token = talk.ask(.deleteGroups(request), version: 2)
    talk.tell(.resigned(partition: talk.coordinator.partition(of: "g")))
    if case .deleteGroups(let response)? = talk.replies[token] {
      #expect(response.results.map(\.errorCode) == [.notCoordinator])
    } else {
      Issue.record("no answer")
    }
  }

  @Test func `passes over what it cannot read`() {
    var talk = Conversation(loading: false)
    let partition = talk.coordinator.partition(of: "g")
    talk.tell(.elected(partition: partition))
    let key = GroupMetadataKey.with { $0.group = "g" }
    let metadataKey = (try? GroupRecordKey.groupMetadata(key).encoded()) ?? []
    talk.tell(.load(partition: partition, key: [], value: nil))
    talk.tell(.load(partition: partition, key: [0, 9, 1], value: [1]))
    talk.tell(.load(partition: partition, key: metadataKey[...], value: [0, 99]))
    talk.tell(.load(partition: partition, key: metadataKey[...], value: [0, 3, 0, 1]))
    var value = GroupMetadataValue()
    value.members = [.with { $0.memberId = "a" }, .with { $0.memberId = "a" }]
    talk.tell(
      .load(
        partition: partition, key: metadataKey[...], value: (try? value.value(version: 3))?[...]))
    talk.tell(.loaded(partition: partition))
    #expect(talk.coordinator.unreadableRecordCount == 4)
    #expect(talk.coordinator.summaries == [])
  }

  @Test func `hears of a topic that is deleted while it is loaded`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5), ("u", 0, 6)])
    var restarted = Conversation(loading: false)
    restarted.now = talk.now
    let partition = talk.coordinator.partition(of: "g")
    restarted.tell(.elected(partition: partition))
    restarted.tell(.topicDeleted("t"))
    for entry in talk.log {
      restarted.tell(
        .load(partition: partition, key: entry.record.key[...], value: entry.record.value?[...]))
    }
    restarted.tell(.loaded(partition: partition))
    #expect(restarted.fetch() == ["u/0 6"])
  }
}

@Suite struct `Records of __consumer_offsets` {
  private func hex(_ bytes: [UInt8]?) -> String? {
    bytes?.map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }

  @Test func `of offsets are Kafka's, byte for byte`() {
    var talk = Conversation()
    talk.now = 0x0102_0304_0506
    _ = talk.commit([("t", 1, 5)], metadata: "m")
    _ = talk.commit([("t", 1, 5)], metadata: "m", retention: 1, version: 2)
    // Type 1, group, topic, partition.
    #expect(
      talk.log.map { hex($0.record.key) }
        == Array(repeating: "0001000167000174" + "00000001", count: 2))
    // Version 3: offset, leader epoch, metadata, commit time. Version 1: no epoch, time of expiry.
    #expect(
      hex(talk.log[0].record.value) == "0003" + "0000000000000005" + "ffffffff" + "00016d"
        + "0000010203040506")
    #expect(
      hex(talk.log[1].record.value) == "0001" + "0000000000000005" + "00016d" + "0000010203040506"
        + "0000010203040507")
  }

  @Test func `of groups are Kafka's, byte for byte`() throws {
    var talk = Conversation { $0.initialRebalanceDelayMs = 0 }
    talk.now = 1
    let token = talk.join(instance: "i", protocols: [("p", [0xaa])], type: "x", client: "c")
    let id = talk.joined(token)?.memberId ?? ""
    _ = talk.sync(id, 1, instance: "i", [(id, [0xbb])])
    let record = try #require(talk.log.first?.record)
    #expect(hex(record.key) == "0002000167")
    let member = "0005" + "692d696431"
    #expect(
      hex(record.value) == "0003" + "000178" + "00000001" + "000170" + member + "0000000000000001"
        + "00000001" + member + "000169" + "000163" + "0009" + "2f31302e302e302e31" + "0000ea60"
        + "00002710" + "00000001aa" + "00000001bb")
  }

  @Test func `are tombstones for what is deleted, offsets first`() {
    var talk = Conversation()
    _ = talk.commit([("t", 1, 5), ("t", 0, 5)])
    let count = talk.log.count
    var request = DeleteGroupsRequest()
    request.groupsNames = ["g"]
    _ = talk.ask(.deleteGroups(request), version: 2)
    let tombstones = talk.log[count...]
    #expect(
      tombstones.map { hex($0.record.key) } == [
        "000100016700017400000000", "000100016700017400000001", "0002000167",
      ])
    #expect(tombstones.allSatisfy { $0.record.value == nil })
  }
}
