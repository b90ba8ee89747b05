import Broker
import KafkaWire
import Testing

@Suite struct `Committed offsets` {
  @Test func `need no members`() {
    var talk = Conversation()
    let token = talk.commit([("t", 0, 5), ("t", 1, 6), ("u", 0, 7)])
    #expect(talk.committed(token) == [.none, .none, .none])
    #expect(talk.fetch() == ["t/0 5", "t/1 6", "u/0 7"])
    #expect(talk.fetch([("u", [0, 1]), ("v", [0])]) == ["u/0 7", "u/1 -1", "v/0 -1"])
    #expect(talk.fetch(group: "unknown", [("t", [0])]) == ["t/0 -1"])
    #expect(talk.fetch(group: "unknown") == [])
    #expect(talk.summary?.state == "Empty")
  }

  @Test func `may be of the group without a name`() {
    var talk = Conversation()
    let token = talk.commit([("t", 0, 5)], group: "")
    #expect(talk.committed(token) == [.none])
    #expect(talk.fetch(group: "") == ["t/0 5"])
  }

  @Test func `are answered when they are in the log, and seen from then on`() {
    var talk = Conversation()
    talk.commitsAtOnce = false
    let token = talk.commit([("t", 0, 5)])
    #expect(talk.committed(token) == nil)
    #expect(talk.fetch([("t", [0])]) == ["t/0 -1"])
    #expect(talk.fetch([("t", [0])], stable: true) == ["t/0 -1 UNSTABLE_OFFSET_COMMIT(88)"])
    #expect(talk.fetch() == [])
    talk.commit()
    #expect(talk.committed(token) == [.none])
    #expect(talk.fetch(stable: true) == ["t/0 5"])
  }

  @Test(arguments: [
    (ErrorCode.notEnoughReplicas, ErrorCode.coordinatorNotAvailable),
    (.requestTimedOut, .coordinatorNotAvailable), (.notLeaderOrFollower, .notCoordinator),
    (.kafkaStorageError, .notCoordinator), (.messageTooLarge, .unknownServerError),
  ])
  func `that cannot be written leave nothing behind`(outcome: ErrorCode, answer: ErrorCode) {
    var talk = Conversation()
    talk.commitsAtOnce = false
    let token = talk.commit([("t", 0, 5)])
    talk.commit(outcome)
    #expect(talk.committed(token) == [answer])
    #expect(talk.coordinator.summaries == [])
  }

  @Test func `take effect in the order of the log, in whatever order it is reported`() {
    var talk = Conversation()
    talk.commitsAtOnce = false
    let tokens = (1...3).map { talk.commit([("t", 0, $0)]) }
    let appends = talk.appends
    talk.appends = []
    talk.tell(.appended(appends[2].token, .none))
    talk.tell(.appended(appends[2].token, .requestTimedOut))
    #expect(talk.committed(tokens[2]) == nil)
    talk.tell(.appended(appends[0].token, .none))
    #expect(talk.committed(tokens[0]) == [.none])
    #expect(talk.fetch() == ["t/0 1"])
    talk.tell(.appended(appends[1].token, .notEnoughReplicas))
    #expect(talk.committed(tokens[1]) == [.coordinatorNotAvailable])
    #expect(talk.committed(tokens[2]) == [.none])
    #expect(talk.fetch() == ["t/0 3"])
  }

  @Test func `of a group with members are theirs alone`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    func outcome(_ token: ReplyToken) -> [ErrorCode]? { talk.committed(token) }
    let mine = talk.commit([("t", 0, 5)], member: members[0], generation: 1)
    #expect(outcome(mine) == [.none])
    let old = talk.commit([("t", 0, 6)], member: members[0], generation: 0)
    #expect(outcome(old) == [.illegalGeneration])
    let strange = talk.commit([("t", 0, 6)], member: "a", generation: 1)
    #expect(outcome(strange) == [.unknownMemberId])
    let simple = talk.commit([("t", 0, 6)])
    #expect(outcome(simple) == [.unknownMemberId])
    #expect(talk.fetch() == ["t/0 5"])
  }

  @Test func `of a member need its group, which older clients know by another error`() {
    var talk = Conversation()
    let old = talk.commit([("t", 0, 5)], member: "a", generation: 1, version: 8)
    #expect(talk.committed(old) == [.illegalGeneration])
    let new = talk.commit([("t", 0, 5)], member: "a", generation: 1, version: 9)
    #expect(talk.committed(new) == [.groupIdNotFound])
  }

  @Test func `are welcome while a rebalance is prepared, not while it completes`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 2)
    _ = talk.join(members[0])
    let during = talk.commit([("t", 0, 5)], member: members[1], generation: 1)
    #expect(talk.committed(during) == [.none])
    _ = talk.join(members[1])
    let after = talk.commit([("t", 0, 6)], member: members[1], generation: 2)
    #expect(talk.committed(after) == [.rebalanceInProgress])
    let late = talk.commit([("t", 0, 6)], member: members[1], generation: 1)
    #expect(talk.committed(late) == [.illegalGeneration])
  }

  @Test func `keep the member's session`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1)
    for offset in 1...5 {
      talk.pass(9_000)
      let token = talk.commit([("t", 0, Int64(offset))], member: members[0], generation: 1)
      #expect(talk.committed(token) == [.none])
    }
  }

  @Test func `have metadata of at most 4096 units`() {
    var talk = Conversation()
    let long = String(repeating: "é", count: 4_096)
    let fits = talk.commit([("t", 0, 5)], metadata: long)
    #expect(talk.committed(fits) == [.none])
    let exceeds = talk.commit([("t", 0, 6)], metadata: long + "x")
    #expect(talk.committed(exceeds) == [.offsetMetadataTooLarge])
    let none = talk.commit([("t", 1, 6)], metadata: nil)
    #expect(talk.committed(none) == [.none])
    #expect(talk.fetch() == ["t/0 5", "t/1 6"])
  }

  @Test func `are limited in number, and so is what is under way`() {
    var talk = Conversation {
      $0.offsetsMax = 2
      $0.appendsInFlightMax = 1
    }
    let token = talk.commit([("t", 0, 5), ("t", 1, 5), ("t", 2, 5)])
    #expect(talk.committed(token) == [.none, .none, .invalidCommitOffsetSize])
    talk.commitsAtOnce = false
    _ = talk.commit([("t", 0, 6)])
    let busy = talk.commit([("t", 0, 7)])
    #expect(talk.committed(busy) == [.coordinatorLoadInProgress])
  }

  @Test func `are fetched in the older versions too`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)], metadata: "m")
    var request = OffsetFetchRequest()
    request.groupId = "g"
    request.topics = nil
    let token = talk.ask(.offsetFetch(request), version: 7)
    guard case .offsetFetch(let response)? = talk.replies[token] else {
      Issue.record("no answer")
      return
    }
    #expect(response.topics.first?.partitions.first?.committedOffset == 5)
    #expect(response.topics.first?.partitions.first?.metadata == "m")
    #expect(response.groups == [])
  }

  @Test func `of deleted topics are forgotten, also those under way`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5), ("u", 0, 6)])
    talk.commitsAtOnce = false
    _ = talk.commit([("t", 1, 7)])
    talk.tell(.topicDeleted("t"))
    talk.commit()
    #expect(talk.fetch() == ["u/0 6"])
    var restarted = talk.restarted()
    #expect(restarted.fetch() == ["u/0 6"])
  }
}

@Suite struct `Offsets expire` {
  private static let week: Int64 = 10_080 * 60_000

  @Test func `a week after the commit, where there are no members; then the group is gone`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)])
    talk.pass(3_600_000)
    _ = talk.commit([("t", 1, 6)])
    talk.pass(Self.week - 3_600_001)
    #expect(talk.fetch() == ["t/0 5", "t/1 6"])
    talk.pass(600_001)
    #expect(talk.fetch() == ["t/1 6"])
    talk.pass(3_600_000)
    #expect(talk.coordinator.summaries == [])
    #expect(talk.restarted().coordinator.summaries == [])
  }

  @Test func `a week after the group became empty, where there were members`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1, session: 1_800_000)
    _ = talk.commit([("t", 0, 5)], member: members[0], generation: 1)
    for _ in 0..<1_000 {
      talk.pass(1_000_000)
      _ = talk.heartbeat(members[0], 1)
    }
    #expect(talk.fetch() == ["t/0 5"])
    _ = talk.leave([(members[0], nil)])
    talk.pass(Self.week - 1)
    #expect(talk.fetch() == ["t/0 5"])
    talk.pass(600_001)
    #expect(talk.coordinator.summaries == [])
  }

  @Test func `under members that have turned to other topics`() {
    var talk = Conversation()
    let members = talk.stableGroup(of: 1, session: 1_800_000)
    _ = talk.commit([("t", 0, 5), ("old", 0, 6)], member: members[0], generation: 1)
    for _ in 0..<700 {
      talk.pass(1_000_000)
      _ = talk.heartbeat(members[0], 1)
    }
    #expect(talk.fetch() == ["t/0 5"])
    #expect(talk.summary?.state == "Stable")
  }

  @Test func `when the commit said so`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)], retention: 1_000_000, version: 3)
    _ = talk.commit([("t", 1, 5)], retention: .max, version: 3)
    talk.pass(999_999)
    #expect(talk.fetch() == ["t/0 5", "t/1 5"])
    talk.pass(600_001)
    #expect(talk.fetch() == ["t/1 5"])
  }

  @Test func `not while a commit of them is under way`() {
    var talk = Conversation()
    _ = talk.commit([("t", 0, 5)])
    talk.pass(Self.week - 1_000)
    talk.commitsAtOnce = false
    let token = talk.commit([("t", 0, 6)])
    talk.pass(700_000)
    talk.commit()
    #expect(talk.committed(token) == [.none])
    #expect(talk.fetch() == ["t/0 6"])
  }
}
