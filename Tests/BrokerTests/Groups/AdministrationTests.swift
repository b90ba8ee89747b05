import Broker
import KafkaWire
import Testing

@Suite struct `An administrator` {
  private func deleteOffsets(
    _ talk: inout Conversation, _ topic: String, _ partitions: [Int32], group: String = "g"
  ) -> OffsetDeleteResponse? {
    var request = OffsetDeleteRequest()
    request.groupId = group
    var entry = OffsetDeleteRequest.Topic()
    entry.name = topic
    entry.partitions = partitions.map { index in .with { $0.partitionIndex = index } }
    request.topics = [entry]
    let token = talk.ask(.offsetDelete(request), version: 0)
    if case .offsetDelete(let response)? = talk.replies[token] { return response }
    return nil
  }

  private func delete(_ talk: inout Conversation, _ groups: [String]) -> ReplyToken {
    var request = DeleteGroupsRequest()
    request.groupsNames = groups
    return talk.ask(.deleteGroups(request), version: 2)
  }

  private func deleted(_ talk: Conversation, _ token: ReplyToken) -> [ErrorCode]? {
    guard case .deleteGroups(let response)? = talk.replies[token] else { return nil }
    return response.results.map(\.errorCode)
  }

  private func list(
    _ talk: inout Conversation, states: [String] = [], types: [String] = []
  ) -> [String] {
    var request = ListGroupsRequest()
    request.statesFilter = states
    request.typesFilter = types
    let token = talk.ask(.listGroups(request), version: 5)
    guard case .listGroups(let response)? = talk.replies[token] else { return ["no answer"] }
    if response.errorCode != .none { return [response.errorCode.description] }
    return response.groups.map {
      "\($0.groupId) \($0.protocolType) \($0.groupState) \($0.groupType)"
    }
  }

  @Test func `sees groups with their members`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    let stable = talk.describe()
    #expect(stable?.groupState == "Stable")
    #expect(stable?.protocolType == "consumer")
    #expect(stable?.protocolData == "range")
    #expect(stable?.members.map(\.memberId) == members)
    #expect(stable?.members.first?.clientId == "c")
    #expect(stable?.members.first?.clientHost == "/10.0.0.1")
    #expect(stable?.members.first?.memberMetadata == subscription("t")[...])
    #expect(stable?.members.first?.memberAssignment == ArraySlice(members[0].utf8))
    _ = talk.join()
    let preparing = talk.describe()
    #expect(preparing?.groupState == "PreparingRebalance")
    #expect(preparing?.protocolData == "")
    #expect(preparing?.members.first?.memberMetadata == [])
  }

  @Test func `is told of a group that is not there as each version says it`() {
    var talk = Conversation()
    let old = talk.describe("nobody", version: 5)
    #expect(old?.groupState == "Dead")
    #expect(old?.errorCode == ErrorCode.none)
    #expect(old?.errorMessage == nil)
    let new = talk.describe("nobody", version: 6)
    #expect(new?.groupState == "Dead")
    #expect(new?.errorCode == .groupIdNotFound)
    #expect(new?.errorMessage == "Group nobody not found.")
  }

  @Test func `lists groups, in order, by state and type`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)], group: "z")
    _ = talk.stableGroup(of: 1, group: "b")
    _ = talk.join(group: "a", type: "connect")
    let a = "a connect PreparingRebalance classic"
    let b = "b consumer Stable classic"
    let z = "z  Empty classic"
    #expect(list(&talk) == [a, b, z])
    #expect(list(&talk, states: ["stable", "EMPTY"]) == [b, z])
    #expect(list(&talk, types: ["Classic"]) == [a, b, z])
    #expect(list(&talk, types: ["consumer"]) == [])
  }

  @Test func `deletes groups without members, with their offsets`() {
    var talk = Conversation()
    _ = talk.stableGroup(of: 1, group: "busy")
    _ = talk.commit([("t", 0, 5)], group: "a")
    _ = talk.commit([("t", 0, 5)], group: "b")
    talk.commitsAtOnce = false
    let underWay = talk.commit([("t", 1, 6)], group: "a")
    let token = delete(&talk, ["a", "busy", "nobody", "b", "a"])
    #expect(deleted(talk, token) == nil)
    // Dead already.
    #expect(talk.describe("a")?.errorCode == .groupIdNotFound)
    let late = talk.commit([("t", 0, 7)], group: "a")
    #expect(talk.committed(late) == [.coordinatorNotAvailable])
    let join = talk.join(group: "a")
    #expect(talk.joined(join)?.errorCode == .coordinatorNotAvailable)
    talk.commit()
    #expect(talk.committed(underWay) == [.none])
    #expect(deleted(talk, token) == [.none, .nonEmptyGroup, .groupIdNotFound, .none])
    #expect(talk.coordinator.summaries.map(\.id) == ["busy"])
    #expect(talk.restarted().coordinator.summaries.map(\.id) == ["busy"])
  }

  @Test func `keeps the group where deleting it failed`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)])
    talk.commitsAtOnce = false
    let token = delete(&talk, ["g"])
    talk.commit(.notEnoughReplicas)
    #expect(deleted(talk, token) == [.coordinatorNotAvailable])
    #expect(talk.fetch() == ["t/0 5"])
    #expect(talk.summary?.state == "Empty")
  }

  @Test func `deletes offsets of topics that nobody reads`() {
    var talk = Conversation()
    #expect(deleteOffsets(&talk, "t", [0])?.errorCode == .groupIdNotFound)
    #expect(deleteOffsets(&talk, "t", [0], group: "")?.errorCode == .invalidGroupId)
    let members = talk.stableGroup(of: 1)
    _ = talk.commit([("t", 0, 5), ("u", 0, 6)], member: members[0], generation: 1)
    let refused = deleteOffsets(&talk, "t", [0])
    #expect(refused?.topics.first?.partitions.map(\.errorCode) == [.groupSubscribedToTopic])
    let done = deleteOffsets(&talk, "u", [0, 1])
    #expect(done?.errorCode == ErrorCode.none)
    #expect(done?.topics.first?.partitions.map(\.errorCode) == [.none, .none])
    #expect(talk.fetch() == ["t/0 5"])
    _ = talk.leave([(members[0], nil)])
    _ = deleteOffsets(&talk, "t", [0])
    #expect(talk.fetch() == [])
  }

  @Test func `cannot delete offsets where it is not known what is read`() {
    var connect = Conversation()
    _ = connect.join(type: "connect")
    connect.pass(3_000)
    #expect(deleteOffsets(&connect, "t", [0])?.errorCode == .nonEmptyGroup)

    var broken = Conversation()
    let members = broken.stableGroup(of: 1, protocols: [("range", [0])])
    _ = broken.commit([("t", 0, 5)], member: members[0], generation: 1)
    let refused = deleteOffsets(&broken, "t", [0])
    #expect(refused?.topics.first?.partitions.map(\.errorCode) == [.groupSubscribedToTopic])
  }
}
