import Broker
import KafkaWire
import Testing

@Suite struct `A static member` {
  /// Two static members i and j, stable; i leads.
  private func pair() -> (Conversation, [String]) {
    var talk = Conversation()
    let tokens = [talk.join(instance: "i", version: 9), talk.join(instance: "j", version: 9)]
    talk.pass(6_000)
    let ids = tokens.compactMap { talk.joined($0)?.memberId }
    _ = talk.sync(ids[1], 1, instance: "j")
    _ = talk.sync(ids[0], 1, instance: "i", [(ids[0], [0]), (ids[1], [1])])
    return (talk, ids)
  }

  @Test func `restarts without a rebalance, and gets its assignment back`() {
    var (talk, ids) = pair()
    let again = talk.join(instance: "j", version: 9)
    let response = talk.joined(again)
    #expect(response?.memberId == "j-id3")
    #expect(response?.generationId == 1)
    #expect(response?.skipAssignment == false)
    #expect(response?.leader == ids[0])
    #expect(response?.members == [])
    #expect(talk.summary?.state == "Stable")
    let sync = talk.sync("j-id3", 1, instance: "j")
    #expect(talk.synced(sync)?.assignment == [1])
    #expect(talk.heartbeat("j-id3", 1, instance: "j") == ErrorCode.none)
  }

  @Test func `that leads is told to leave the assignment alone, from version 9 on`() {
    var (talk, ids) = pair()
    let again = talk.join(instance: "i", version: 9)
    #expect(talk.joined(again)?.skipAssignment == true)
    #expect(talk.joined(again)?.leader == "i-id3")
    #expect(talk.joined(again)?.members.map(\.memberId) == ["i-id3", ids[1]])

    var (older, olderIDs) = pair()
    let token = older.join(instance: "i", version: 8)
    #expect(older.joined(token)?.skipAssignment == false)
    #expect(older.joined(token)?.leader == olderIDs[0])
    #expect(older.joined(token)?.members == [])
    #expect(older.summary?.leader == "i-id3")
  }

  @Test func `fences its former self everywhere`() {
    var (talk, ids) = pair()
    _ = talk.join(instance: "j", version: 9)
    #expect(talk.heartbeat(ids[1], 1, instance: "j") == .fencedInstanceId)
    #expect(talk.heartbeat(ids[1], 1) == .unknownMemberId)
    #expect(talk.heartbeat("x", 1, instance: "nobody") == .unknownMemberId)
    let join = talk.join(ids[1], instance: "j")
    #expect(talk.joined(join)?.errorCode == .fencedInstanceId)
    let sync = talk.sync(ids[1], 1, instance: "j")
    #expect(talk.synced(sync)?.errorCode == .fencedInstanceId)
    let commit = talk.commit([("t", 0, 5)], member: ids[1], generation: 1, instance: "j")
    #expect(talk.committed(commit) == [.fencedInstanceId])
    #expect(talk.leave([(ids[1], "j")])?.members.map(\.errorCode) == [.fencedInstanceId])
    #expect(talk.heartbeat("j-id3", 1, instance: "j") == ErrorCode.none)
  }

  @Test func `answers its former self, if that waits to join or to sync`() {
    var talk = Conversation()
    let first = talk.join(instance: "i")
    let second = talk.join(instance: "i")
    #expect(talk.joined(first)?.errorCode == .fencedInstanceId)
    #expect(talk.joined(first)?.memberId == "i-id1")
    let other = talk.join(instance: "j")
    talk.pass(6_000)
    #expect(talk.joined(second)?.generationId == 1)
    let waiting = talk.sync(talk.joined(other)?.memberId ?? "", 1, instance: "j")
    let again = talk.join(instance: "j")
    #expect(talk.synced(waiting)?.errorCode == .fencedInstanceId)
    // The leader may assign to the id that is gone: all must join again.
    #expect(talk.summary?.state == "PreparingRebalance")
    #expect(talk.joined(again) == nil)
  }

  @Test func `that comes back with other topics or another protocol causes a rebalance`() {
    for protocols in [[("range", subscription("u"))], [("sticky", []), ("range", [1])]] {
      var (talk, _) = pair()
      let again = talk.join(instance: "j", version: 9, protocols: protocols)
      #expect(talk.joined(again) == nil)
      #expect(talk.summary?.state == "PreparingRebalance")
    }
  }

  @Test func `is answered when its new id is committed, not before`() {
    var (talk, ids) = pair()
    talk.commitsAtOnce = false
    let again = talk.join(instance: "j", version: 9)
    #expect(talk.joined(again) == nil)
    talk.commit(.notLeaderOrFollower)
    #expect(talk.joined(again)?.errorCode == .notCoordinator)
    #expect(talk.heartbeat(ids[1], 1, instance: "j") == ErrorCode.none)
    #expect(talk.summary?.memberIDs == ids)

    let next = talk.join(instance: "j", version: 9)
    let newcomer = talk.join()
    talk.commit()
    // A rebalance began in the meantime: it answers.
    #expect(talk.joined(next) == nil)
    _ = talk.join(ids[0], instance: "i")
    #expect(talk.joined(next)?.generationId == 2)
    #expect(talk.joined(newcomer)?.generationId == 2)
  }

  @Test func `dies like any other when its session ends`() {
    var (talk, ids) = pair()
    for _ in 0..<2 {
      talk.pass(6_000)
      _ = talk.heartbeat(ids[0], 1, instance: "i")
    }
    #expect(talk.summary?.memberIDs == [ids[0]])
  }

  @Test func `cannot take an id that was handed out to a dynamic one`() {
    var talk = Conversation()
    let token = talk.join(version: 5)
    let id = talk.joined(token)?.memberId ?? ""
    let join = talk.join(id, instance: "i", version: 5)
    #expect(talk.joined(join)?.errorCode == .invalidRequest)
  }
}
