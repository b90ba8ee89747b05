import Broker
import KafkaWire
import Testing

@Suite struct `Joining a group` {
  @Test func `a dynamic member gets an id first, from version 4 on`() {
    var talk = Conversation()
    let first = talk.join(version: 5)
    #expect(talk.joined(first)?.errorCode == .memberIdRequired)
    #expect(talk.joined(first)?.memberId == "c-id1")
    #expect(talk.joined(first)?.generationId == -1)
    #expect(talk.summary?.memberIDs == [])

    let second = talk.join("c-id1", version: 5)
    talk.pass(3_000)
    #expect(talk.joined(second)?.errorCode == ErrorCode.none)
    #expect(talk.joined(second)?.generationId == 1)
    #expect(talk.joined(second)?.leader == "c-id1")
    #expect(talk.joined(second)?.protocolName == "range")
    #expect(talk.joined(second)?.protocolType == "consumer")
    #expect(talk.joined(second)?.members.map(\.memberId) == ["c-id1"])
  }

  @Test func `an id nobody comes back with is forgotten after the session timeout`() {
    var talk = Conversation()
    _ = talk.join(version: 5, session: 6_000)
    talk.pass(5_999)
    #expect(talk.summary != nil)
    talk.pass(1)
    #expect(talk.summary == nil)
    let late = talk.join("c-id1", version: 5)
    #expect(talk.joined(late)?.errorCode == .unknownMemberId)
  }

  @Test func `older clients and static members join at once`() {
    var talk = Conversation()
    let old = talk.join(version: 3)
    let fixed = talk.join(instance: "i", version: 9)
    #expect(talk.joined(old) == nil)
    talk.pass(6_000)
    #expect(talk.joined(old)?.memberId == "c-id1")
    #expect(talk.joined(fixed)?.memberId == "i-id2")
    #expect(talk.joined(old)?.members.map(\.groupInstanceId) == [nil, "i"])
    #expect(talk.joined(fixed)?.members == [])
  }

  @Test(arguments: [
    (5_999 as Int32, ErrorCode.invalidSessionTimeout), (6_000, .memberIdRequired),
    (1_800_000, .memberIdRequired), (1_800_001, .invalidSessionTimeout),
  ])
  func `session timeouts have bounds`(timeout: Int32, outcome: ErrorCode) {
    var talk = Conversation()
    let token = talk.join(version: 5, session: timeout)
    #expect(talk.joined(token)?.errorCode == outcome)
  }

  @Test func `what makes no sense is refused, and leaves no group behind`() {
    var talk = Conversation()
    let nameless = talk.join(group: "")
    #expect(talk.joined(nameless)?.errorCode == .invalidGroupId)
    let unknown = talk.join("somebody")
    #expect(talk.joined(unknown)?.errorCode == .unknownMemberId)
    #expect(talk.joined(unknown)?.memberId == "somebody")
    let mute = talk.join(protocols: [])
    #expect(talk.joined(mute)?.errorCode == .inconsistentGroupProtocol)
    #expect(talk.joined(mute)?.protocolName == "")
    let modern = talk.join(version: 9, type: "")
    #expect(talk.joined(modern)?.errorCode == .inconsistentGroupProtocol)
    #expect(talk.joined(modern)?.protocolName == nil)
    #expect(talk.coordinator.summaries == [])
    #expect(talk.coordinator.nextDeadline == nil)
  }

  @Test func `members must have a type and a protocol in common with all others`() {
    var talk = Conversation()
    _ = talk.stableGroup(of: 2, protocols: [("range", []), ("sticky", [])])
    let worker = talk.join(protocols: [("range", [])], type: "connect")
    #expect(talk.joined(worker)?.errorCode == .inconsistentGroupProtocol)
    let stranger = talk.join(protocols: [("roundrobin", [])])
    #expect(talk.joined(stranger)?.errorCode == .inconsistentGroupProtocol)
    #expect(talk.summary?.state == "Stable")
    let friend = talk.join(protocols: [("sticky", [])])
    #expect(talk.joined(friend) == nil)
    #expect(talk.summary?.state == "PreparingRebalance")
  }

  @Test func `the protocol that most members prefer is chosen, if all offer it`() {
    var talk = Conversation()
    let a = talk.join(protocols: [("x", [1]), ("y", [2]), ("z", [3])])
    _ = talk.join(protocols: [("only", []), ("y", [4]), ("z", [5])])
    _ = talk.join(protocols: [("z", [6]), ("y", [7])])
    let d = talk.join(protocols: [("z", [8]), ("y", [9])])
    #expect(talk.joined(a)?.errorCode == nil)
    talk.pass(10_000)
    // Two for y, two for z; the first member prefers y.
    #expect(talk.joined(a)?.protocolName == "y")
    #expect(talk.joined(a)?.members.map { Array($0.metadata) } == [[2], [4], [7], [9]])
    #expect(talk.joined(d)?.protocolName == "y")
  }

  @Test func `a group has so many members and no more`() {
    var talk = Conversation { $0.membersMax = 2 }
    let members = talk.stableGroup(of: 2)
    let third = talk.join(version: 3)
    #expect(talk.joined(third)?.errorCode == .groupMaxSizeReached)
    #expect(talk.summary?.memberIDs == members)
    #expect(talk.heartbeat(members[1], 1) == ErrorCode.none)
  }

  @Test func `ids that are handed out are limited, and so are groups`() {
    var talk = Conversation {
      $0.pendingMembersMax = 1
      $0.groupsMax = 1
    }
    _ = talk.join(version: 5)
    let second = talk.join(version: 5)
    #expect(talk.joined(second)?.errorCode == .groupMaxSizeReached)
    let other = talk.join(group: "other", version: 5)
    #expect(talk.joined(other)?.errorCode == .policyViolation)
  }

  @Test func `protocols and metadata are limited`() {
    var talk = Conversation {
      $0.protocolsMax = 2
      $0.memberMetadataBytesMax = 10
    }
    let many = talk.join(protocols: [("a", []), ("b", []), ("c", [])])
    #expect(talk.joined(many)?.errorCode == .inconsistentGroupProtocol)
    let large = talk.join(protocols: [("a", Array(repeating: 0, count: 11))])
    #expect(talk.joined(large)?.errorCode == .messageTooLarge)
  }

  @Test func `a client's name is cut where a member id would be too long`() {
    var talk = Conversation()
    let client = String(repeating: "é", count: 300)
    let token = talk.join(version: 5, client: client)
    #expect(talk.joined(token)?.memberId == String(repeating: "é", count: 127) + "-id1")
  }

  @Test func `group ids that only look the same are two groups`() {
    var talk = Conversation()
    _ = talk.join(group: "caf\u{e9}", version: 5)
    _ = talk.join(group: "cafe\u{301}", version: 5)
    #expect(talk.coordinator.summaries.count == 2)
  }
}

@Suite struct `The initial rebalance` {
  @Test func `waits for more members as long as some come, up to the rebalance timeout`() {
    var talk = Conversation()
    let first = talk.join(rebalance: 8_000)
    talk.pass(2_000)
    let second = talk.join(rebalance: 8_000)
    talk.pass(1_000)
    #expect(talk.joined(first) == nil)
    talk.pass(2_999)
    #expect(talk.joined(first) == nil)
    let third = talk.join(rebalance: 8_000)
    talk.pass(1)
    #expect(talk.joined(first) == nil)
    // 8 s from the first: two delays of 3 s, then what is left.
    talk.pass(1_999)
    #expect(talk.joined(first) == nil)
    talk.pass(1)
    for token in [first, second, third] { #expect(talk.joined(token)?.generationId == 1) }
    #expect(talk.joined(first)?.members.count == 3)
  }

  @Test func `can be without delay`() {
    var talk = Conversation { $0.initialRebalanceDelayMs = 0 }
    let token = talk.join()
    #expect(talk.joined(token)?.generationId == 1)
  }

  @Test func `of a group that all have left ends with an empty generation`() {
    var talk = Conversation()
    let token = talk.join(instance: "i")
    #expect(talk.leave([("", "i")])?.members.map(\.errorCode) == [ErrorCode.none])
    #expect(talk.joined(token)?.errorCode == .unknownMemberId)
    talk.pass(3_000)
    #expect(talk.summary?.state == "Empty")
    #expect(talk.summary?.generation == 1)
  }
}
