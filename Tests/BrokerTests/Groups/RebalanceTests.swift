import Broker
import KafkaWire
import Testing

@Suite struct `A rebalance` {
  @Test func `begins when a member joins, and ends when all have rejoined`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    let newcomer = talk.join()
    #expect(talk.heartbeat(members[0], 1) == .rebalanceInProgress)
    let first = talk.join(members[0])
    #expect(talk.joined(first) == nil)
    let second = talk.join(members[1])
    #expect(talk.joined(second)?.generationId == 2)
    #expect(talk.joined(first)?.leader == members[0])
    #expect(talk.joined(first)?.members.map(\.memberId) == members + ["c-id3"])
    #expect(talk.joined(newcomer)?.members == [])
    #expect(talk.joined(newcomer)?.leader == members[0])
  }

  @Test func `goes on without the member that died, and with the one that came`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 3)
    for _ in 0..<4 {
      talk.pass(4_000)
      _ = talk.heartbeat(members[0], 1)
      _ = talk.heartbeat(members[1], 1)
    }
    // The third was silent for longer than 10 s.
    #expect(talk.summary?.memberIDs == [members[0], members[1]])
    #expect(talk.summary?.state == "PreparingRebalance")
    _ = talk.join()
    _ = talk.join(members[1])
    let leader = talk.join(members[0])
    #expect(talk.joined(leader)?.generationId == 2)
    #expect(talk.joined(leader)?.members.map(\.memberId) == [members[0], members[1], "c-id4"])
    let waiting = talk.sync("c-id4", 2)
    _ = talk.sync(members[0], 2, [("c-id4", [4])])
    #expect(talk.synced(waiting)?.assignment == [4])
    #expect(talk.summary?.state == "Stable")
    #expect(talk.heartbeat(members[2], 1) == .unknownMemberId)
  }

  @Test func `leaves behind who does not rejoin in time`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 3, session: 100_000, rebalance: 20_000)
    let first = talk.join(members[1], session: 100_000, rebalance: 20_000)
    let again = talk.join(members[1], protocols: [("range", subscription("u"))])
    #expect(talk.joined(first)?.generationId == 1)
    #expect(talk.joined(again) == nil)
    talk.pass(60_000)
    #expect(talk.joined(again)?.generationId == 2)
    // The leader was among them.
    #expect(talk.joined(again)?.leader == members[1])
    #expect(talk.summary?.memberIDs == [members[1]])
  }

  @Test func `keeps static members that do not rejoin until their sessions end`() {
    var talk = Conversation()
    let fixed = talk.join(instance: "i", session: 50_000, rebalance: 20_000)
    let loose = talk.join(session: 50_000, rebalance: 20_000)
    talk.pass(6_000)
    let ids = [fixed, loose].compactMap { talk.joined($0)?.memberId }
    _ = talk.sync(ids[1], 1)
    _ = talk.sync(ids[0], 1)
    #expect(talk.summary?.state == "Stable")
    let again = talk.join(ids[1], protocols: [("range", subscription("u"))], rebalance: 20_000)
    talk.pass(20_000)
    #expect(talk.joined(again)?.leader == ids[1])
    #expect(talk.joined(again)?.members.map(\.memberId) == ids)
  }

  @Test func `is not begun by a member that only repeats itself`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    let follower = talk.join(members[1])
    #expect(talk.joined(follower)?.generationId == 1)
    #expect(talk.joined(follower)?.members == [])
    #expect(talk.summary?.state == "Stable")
    // A leader asks because it wants one.
    let leader = talk.join(members[0])
    #expect(talk.joined(leader) == nil)
    #expect(talk.summary?.state == "PreparingRebalance")
  }

  @Test func `while assignments are awaited, repeats the answer to who lost it`() {
    var talk = Conversation()
    let tokens = [talk.join(), talk.join()]
    talk.pass(6_000)
    let ids = tokens.compactMap { talk.joined($0)?.memberId }
    let leader = talk.join(ids[0])
    #expect(talk.joined(leader)?.members.map(\.memberId) == ids)
    let changed = talk.join(ids[1], protocols: [("range", subscription("u"))])
    #expect(talk.joined(changed) == nil)
    #expect(talk.summary?.state == "PreparingRebalance")
  }

  @Test func `answers the first of two requests of one member when the second comes`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    let first = talk.join(members[0])
    let second = talk.join(members[0])
    #expect(talk.joined(first)?.errorCode == .rebalanceInProgress)
    #expect(talk.joined(first)?.memberId == members[0])
    #expect(talk.joined(second) == nil)
    _ = talk.join(members[1])
    #expect(talk.joined(second)?.generationId == 2)
  }

  @Test func `waits for who was given an id and has not come back`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    let leader = talk.join(members[0])
    #expect(talk.joined(leader)?.generationId == 2)
    _ = talk.join(version: 5, session: 6_000)
    let again = talk.join(members[0], protocols: [("range", subscription("u"))])
    #expect(talk.joined(again) == nil)
    talk.pass(6_000)
    #expect(talk.joined(again)?.generationId == 3)
  }

  @Test func `gives up a new member whose client went away, after five minutes`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1, session: 1_000_000, rebalance: 1_000_000)
    let lost = talk.join(rebalance: 1_000_000)
    talk.pass(299_999)
    #expect(talk.joined(lost) == nil)
    talk.pass(1)
    #expect(talk.joined(lost)?.errorCode == .unknownMemberId)
    #expect(talk.summary?.memberIDs == members)
  }

  @Test func `leaves an empty generation when the last member goes`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    #expect(talk.leave([(members[0], nil)])?.errorCode == ErrorCode.none)
    #expect(talk.summary?.state == "Empty")
    #expect(talk.summary?.generation == 2)
    #expect(talk.summary?.leader == nil)
    let late = talk.join(members[0])
    #expect(talk.joined(late)?.errorCode == .unknownMemberId)
  }

  @Test func `shrinks a group whose limit was lowered`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 3)
    var restarted = Conversation(loading: false) {
      $0 = talk.coordinator.options
      $0.membersMax = 2
    }
    restarted.now = talk.now
    restarted.load(talk.log)
    #expect(restarted.summary?.state == "PreparingRebalance")
    let tokens = members.map { restarted.join($0) }
    #expect(restarted.joined(tokens[2])?.errorCode == .groupMaxSizeReached)
    #expect(restarted.joined(tokens[0])?.generationId == 2)
    #expect(restarted.summary?.memberIDs == [members[0], members[1]])
  }
}

@Suite struct `Getting assignments` {
  @Test func `waits until the leader's are committed`() {
    var talk = Conversation()
    let tokens = [talk.join(), talk.join(), talk.join()]
    talk.pass(6_000)
    let ids = tokens.compactMap { talk.joined($0)?.memberId }
    talk.commitsAtOnce = false
    let early = talk.sync(ids[1], 1)
    let leader = talk.sync(
      ids[0], 1, version: 5, type: "consumer", name: "range",
      [
        (ids[0], [0]), (ids[1], [1]), ("nobody", [9]),
      ])
    #expect(talk.synced(early) == nil)
    #expect(talk.synced(leader) == nil)
    #expect(talk.summary?.state == "CompletingRebalance")
    #expect(talk.heartbeat(ids[0], 1) == ErrorCode.none)
    talk.commit()
    #expect(talk.summary?.state == "Stable")
    #expect(talk.synced(early)?.assignment == [1])
    #expect(talk.synced(leader)?.assignment == [0])
    #expect(talk.synced(leader)?.protocolType == "consumer")
    #expect(talk.synced(leader)?.protocolName == "range")
    let late = talk.sync(ids[2], 1)
    // The leader has forgotten it.
    #expect(talk.synced(late)?.assignment == [])
    #expect(talk.synced(late)?.errorCode == ErrorCode.none)
  }

  @Test func `is refused to who does not belong`() {
    var talk = Conversation()
    #expect(talk.syncError("a", 1) == .unknownMemberId)
    #expect(talk.syncError("a", 1, group: "") == .invalidGroupId)
    let members = talk.stableGroup(of: 2)
    #expect(talk.syncError("a", 1) == .unknownMemberId)
    #expect(talk.syncError(members[1], 0) == .illegalGeneration)
    for (type, name) in [("connect", "range"), ("consumer", "sticky")] {
      let token = talk.sync(members[1], 1, version: 5, type: type, name: name)
      #expect(talk.synced(token)?.errorCode == .inconsistentGroupProtocol)
    }
    _ = talk.join()
    let token = talk.sync(members[1], 1)
    #expect(talk.synced(token)?.errorCode == .rebalanceInProgress)
  }

  @Test func `ends for all when the leader dies before it assigned`() {
    var talk = Conversation()
    let tokens = [talk.join(), talk.join()]
    talk.pass(6_000)
    let ids = tokens.compactMap { talk.joined($0)?.memberId }
    let waiting = talk.sync(ids[1], 1)
    talk.pass(9_999)
    #expect(talk.synced(waiting) == nil)
    talk.pass(1)
    #expect(talk.synced(waiting)?.errorCode == .rebalanceInProgress)
    let again = talk.join(ids[1])
    #expect(talk.joined(again)?.leader == ids[1])
    #expect(talk.joined(again)?.generationId == 2)
  }

  @Test func `is for those that ask: others are removed after the rebalance timeout`() {
    var talk = Conversation()
    let tokens = [talk.join(rebalance: 20_000), talk.join(rebalance: 20_000)]
    talk.pass(6_000)
    let ids = tokens.compactMap { talk.joined($0)?.memberId }
    _ = talk.sync(ids[0], 1)
    for _ in 0..<4 {
      talk.pass(4_999)
      for id in ids { #expect(talk.heartbeat(id, 1) == ErrorCode.none) }
    }
    talk.pass(4)
    #expect(talk.summary?.memberIDs == [ids[0]])
    #expect(talk.heartbeat(ids[1], 1) == .unknownMemberId)
    #expect(talk.heartbeat(ids[0], 1) == .rebalanceInProgress)
  }

  @Test func `fails when they cannot be written, and all join again`() {
    var talk = Conversation()
    let token = talk.join()
    talk.pass(3_000)
    let id = talk.joined(token)?.memberId ?? ""
    talk.commitsAtOnce = false
    let sync = talk.sync(id, 1, [(id, [1])])
    talk.commit(.notEnoughReplicas)
    #expect(talk.synced(sync)?.errorCode == .coordinatorNotAvailable)
    #expect(talk.summary?.state == "PreparingRebalance")
  }

  @Test func `of an old generation, committed late, changes nothing`() {
    var talk = Conversation()
    let token = talk.join()
    talk.pass(3_000)
    let id = talk.joined(token)?.memberId ?? ""
    talk.commitsAtOnce = false
    let sync = talk.sync(id, 1, [(id, [1])])
    let twice = talk.sync(id, 1, [(id, [2])])
    #expect(talk.synced(sync)?.errorCode == .rebalanceInProgress)
    #expect(talk.appends.count == 1)
    let again = talk.join(id, protocols: [("range", subscription("u"))])
    #expect(talk.synced(twice)?.errorCode == .rebalanceInProgress)
    #expect(talk.joined(again)?.generationId == 2)
    talk.commit()
    #expect(talk.summary?.state == "CompletingRebalance")
    let late = talk.sync(id, 2, [(id, [3])])
    talk.commit()
    #expect(talk.synced(late)?.assignment == [3])
  }

  @Test func `has a limit in size`() {
    var talk = Conversation { $0.assignmentsBytesMax = 3 }
    let token = talk.join()
    talk.pass(3_000)
    let id = talk.joined(token)?.memberId ?? ""
    let sync = talk.sync(id, 1, [(id, [1, 2, 3, 4])])
    #expect(talk.synced(sync)?.errorCode == .messageTooLarge)
  }
}

@Suite struct `Staying and leaving` {
  @Test func `heartbeats keep a member in, silence does not`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    for _ in 0..<10 {
      talk.pass(9_999)
      #expect(talk.heartbeat(members[0], 1) == ErrorCode.none)
    }
    #expect(talk.heartbeat(members[0], 0) == .illegalGeneration)
    #expect(talk.heartbeat("a", 1) == .unknownMemberId)
    #expect(talk.heartbeat("a", 1, group: "h") == .unknownMemberId)
    #expect(talk.heartbeat("a", 1, group: "") == .invalidGroupId)
    talk.pass(10_000)
    #expect(talk.heartbeat(members[0], 1) == .unknownMemberId)
    #expect(talk.summary?.state == "Empty")
  }

  @Test func `who leaves while it waits is answered`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    let token = talk.join(members[0])
    #expect(talk.leave([(members[0], nil)], version: 2)?.errorCode == ErrorCode.none)
    #expect(talk.joined(token)?.errorCode == .unknownMemberId)
    #expect(talk.leave([(members[0], nil)], version: 2)?.errorCode == .unknownMemberId)
    #expect(talk.leave([(members[0], nil)], version: 2)?.members == [])
  }

  @Test func `many leave at once, each with its outcome`() {
    var talk = Conversation()
    _ = talk.join(instance: "i")
    _ = talk.join(instance: "j")
    let dynamic = talk.join()
    talk.pass(6_000)
    let pending = talk.join(version: 5)
    let id = talk.joined(dynamic)?.memberId ?? ""
    let outcome = talk.leave([
      ("", "i"), ("", "nobody"), ("x", "j"), (id, nil), (talk.joined(pending)?.memberId ?? "", nil),
    ])
    #expect(outcome?.errorCode == ErrorCode.none)
    #expect(
      outcome?.members.map(\.errorCode) == [
        .none, .unknownMemberId, .fencedInstanceId, .none, .none,
      ])
    #expect(outcome?.members.map(\.groupInstanceId) == ["i", "nobody", "j", nil, nil])
    #expect(talk.summary?.memberIDs == ["j-id2"])
  }

  @Test func `of a group that is not there fails as each version says it`() {
    var talk = Conversation()
    let single = talk.leave([("a", nil)], version: 2)
    #expect(single?.errorCode == .unknownMemberId)
    let batch = talk.leave([("a", nil), ("", "i")], version: 5)
    #expect(batch?.errorCode == ErrorCode.none)
    #expect(batch?.members.map(\.errorCode) == [.unknownMemberId, .unknownMemberId])
    #expect(talk.leave([("a", nil)], group: "")?.errorCode == .invalidGroupId)
  }
}
