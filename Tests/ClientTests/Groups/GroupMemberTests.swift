import Client
import KafkaWire
import Testing

/// A conversation with a `GroupMember`: what it wants is named in short.
private struct GroupConversation {
  var member: GroupMember
  var now: Int64 = 0

  init(_ assignors: [Assignor], instance: String? = nil) {
    var settings = GroupMember.Settings()
    settings.groupID = "g"
    settings.assignors = assignors
    settings.instanceID = instance
    member = GroupMember(settings)
    member.subscribe(["t"], now: 0)
  }

  mutating func wants() -> [String] {
    member.takeEffects().map { effect in
      switch effect {
      case .findCoordinator: "find"
      case .join(let request): "join \(request.memberId)"
      case .count: "count"
      case .sync(let request): "sync \(request.generationId) of \(request.assignments.count)"
      case .heartbeat(let request): "heartbeat \(request.generationId)"
      case .leave(let request): "leave \(request.members.first?.memberId ?? "")"
      case .revoke(let partitions, let isLost):
        "\(isLost ? "lost" : "revoke") \(partitions.map(\.partition))"
      case .assigned(let all, let added):
        "have \(all.map(\.partition)) new \(added.map(\.partition))"
      case .failed(let error): "failed \(error.code)"
      }
    }
  }

  mutating func joined(
    _ generation: Int32, leader: String = "other", protocolName: String = "range",
    error: ErrorCode = .none, memberID: String = "me"
  ) {
    var response = JoinGroupResponse()
    response.errorCode = error
    response.generationId = generation
    response.leader = leader
    response.memberId = memberID
    response.protocolName = protocolName
    if leader == "me" {
      var subscription = ConsumerProtocolSubscription()
      subscription.topics = ["t"]
      let bytes = (try? subscription.embedded(version: 1)) ?? []
      response.members = ["me", "you"].map { id in
        .with {
          $0.memberId = id
          $0.metadata = bytes[...]
        }
      }
    }
    member.joined(.success(response), now: now)
  }

  mutating func synced(_ partitions: [Int32], error: ErrorCode = .none) {
    var assignment = ConsumerProtocolAssignment()
    assignment.assignedPartitions = [
      .with {
        $0.topic = "t"
        $0.partitions = partitions
      }
    ]
    var response = SyncGroupResponse()
    response.errorCode = error
    response.assignment = ((try? assignment.embedded(version: 3)) ?? [])[...]
    member.synced(.success(response), now: now)
  }

  /// Through to membership with these partitions.
  mutating func settle(_ partitions: [Int32]) {
    member.pollBegan(now: now)
    member.coordinatorFound(.success(()), now: now)
    joined(1)
    synced(partitions)
    _ = wants()
  }

  func partitions(_ numbers: Int32...) -> [TopicPartition] {
    numbers.map { TopicPartition("t", $0) }
  }
}

@Suite struct `A member of a group` {
  @Test func `joins with the first poll, by the id that it is given, and leads if it must`() {
    var talk = GroupConversation([.range])
    #expect(talk.wants() == [])
    talk.member.pollBegan(now: 0)
    #expect(talk.wants() == ["find"])
    talk.member.coordinatorFound(.success(()), now: 0)
    #expect(talk.wants() == ["join "])
    talk.joined(-1, error: .memberIdRequired)
    #expect(talk.wants() == ["join me"])
    talk.joined(1, leader: "me")
    #expect(talk.wants() == ["count"])
    talk.member.counted(.success(["t": 3]), now: 0)
    #expect(talk.wants() == ["sync 1 of 2"])
    talk.synced([0, 1])
    #expect(talk.wants() == ["have [0, 1] new [0, 1]"])
    #expect(talk.member.isMember)
  }

  @Test func `eager members give up everything before they join again, and only while polled`() {
    var talk = GroupConversation([.range, .cooperativeSticky])
    talk.settle([0, 1])
    talk.member.pollEnded(now: 0)
    talk.now = 3000
    talk.member.tick(talk.now)
    #expect(talk.wants() == ["heartbeat 1"])
    talk.member.heartbeatAnswered(.success(.rebalanceInProgress), now: talk.now)
    talk.member.tick(3100)
    #expect(talk.wants() == [])
    talk.member.pollBegan(now: 3200)
    #expect(talk.wants() == ["revoke [0, 1]"])
    talk.member.revoked(talk.partitions(0, 1), now: 3300)
    #expect(talk.wants() == ["join me"])
    talk.joined(2)
    talk.synced([1])
    #expect(talk.wants() == ["sync 2 of 0", "have [1] new [1]"])
  }

  @Test func `cooperative members keep what they have, give up what is taken, and join again`() {
    var talk = GroupConversation([.cooperativeSticky])
    talk.settle([0, 1, 2])
    talk.member.heartbeatAnswered(.success(.rebalanceInProgress), now: 0)
    #expect(talk.wants() == ["join me"])
    talk.joined(2, protocolName: "cooperative-sticky")
    talk.synced([0, 3])
    #expect(talk.wants() == ["sync 2 of 0", "revoke [1, 2]"])
    talk.member.revoked(talk.partitions(1, 2), now: 0)
    #expect(talk.wants() == ["have [0, 3] new [3]", "join me"])
    talk.joined(3, protocolName: "cooperative-sticky")
    talk.synced([0, 3])
    #expect(talk.wants() == ["sync 3 of 0", "have [0, 3] new []"])
  }

  @Test func `what an assignment takes away is given up with the next poll, not in between`() {
    var talk = GroupConversation([.cooperativeSticky])
    talk.settle([0, 1])
    talk.member.heartbeatAnswered(.success(.rebalanceInProgress), now: 0)
    talk.joined(2, protocolName: "cooperative-sticky")
    talk.member.pollEnded(now: 0)
    talk.synced([0])
    #expect(talk.wants() == ["join me", "sync 2 of 0"])
    talk.member.pollBegan(now: 1)
    #expect(talk.wants() == ["revoke [1]"])
  }

  @Test func `a member that the group no longer knows has lost its partitions and joins as new`() {
    var talk = GroupConversation([.cooperativeSticky])
    talk.settle([0, 1])
    talk.member.heartbeatAnswered(.success(.unknownMemberId), now: 0)
    #expect(talk.wants() == ["lost [0, 1]"])
    #expect(!talk.member.isMember)
    talk.member.revoked(talk.partitions(0, 1), now: 0)
    #expect(talk.wants() == ["join "])
  }

  @Test func `a wrong generation keeps the member's id`() {
    var talk = GroupConversation([.range])
    talk.settle([0])
    talk.member.heartbeatAnswered(.success(.illegalGeneration), now: 0)
    #expect(talk.wants() == ["lost [0]"])
    talk.member.revoked(talk.partitions(0), now: 0)
    #expect(talk.wants() == ["join me"])
  }

  @Test func `an application that does not poll leaves the group, and joins when it comes back`() {
    var talk = GroupConversation([.range])
    talk.settle([0])
    talk.member.pollEnded(now: 0)
    talk.member.heartbeatAnswered(.success(.none), now: 299_000)
    talk.member.tick(300_001)
    #expect(talk.wants() == ["leave me"])
    talk.member.pollBegan(now: 400_000)
    #expect(talk.wants() == ["lost [0]"])
    talk.member.revoked(talk.partitions(0), now: 400_000)
    #expect(talk.wants() == ["join "])
  }

  @Test func `silence of the coordinator for a session ends membership`() {
    var talk = GroupConversation([.range])
    talk.settle([0])
    talk.member.tick(45_001)
    #expect(talk.wants() == ["lost [0]"])
    talk.member.revoked(talk.partitions(0), now: 45_001)
    #expect(talk.wants() == ["find"])
  }

  @Test func `a coordinator that moved is found again, without losing anything`() {
    var talk = GroupConversation([.range])
    talk.settle([0])
    talk.member.heartbeatAnswered(.success(.notCoordinator), now: 0)
    #expect(talk.wants() == ["find"])
    talk.member.coordinatorFound(.success(()), now: 0)
    talk.member.tick(3000)
    #expect(talk.wants() == ["heartbeat 1"])
    #expect(talk.member.owned == talk.partitions(0))
  }

  @Test func `a static member is fenced for good, and goes without a word`() {
    var talk = GroupConversation([.range], instance: "one")
    talk.settle([0])
    talk.member.leave()
    #expect(talk.wants() == [])
    var other = GroupConversation([.range], instance: "one")
    other.settle([0])
    other.member.heartbeatAnswered(.success(.fencedInstanceId), now: 0)
    #expect(other.wants() == ["failed fenced"])
    other.member.pollBegan(now: 1)
    #expect(other.wants() == [])
  }

  @Test func `a rebalance while syncing, or a coordinator that loads, is waited out`() {
    var talk = GroupConversation([.range])
    talk.member.pollBegan(now: 0)
    talk.member.coordinatorFound(.success(()), now: 0)
    talk.joined(1)
    talk.synced([], error: .rebalanceInProgress)
    #expect(talk.wants() == ["find", "join ", "sync 1 of 0"])
    talk.member.tick(50)
    #expect(talk.wants() == [])
    talk.member.tick(100)
    #expect(talk.wants() == ["join me"])
    talk.joined(-1, error: .coordinatorLoadInProgress)
    talk.member.tick(250)
    #expect(talk.wants() == ["join me"])
  }

  @Test func `new partitions make the leader rebalance`() {
    var talk = GroupConversation([.range])
    talk.member.pollBegan(now: 0)
    talk.member.coordinatorFound(.success(()), now: 0)
    talk.joined(1, leader: "me")
    talk.member.counted(.success(["t": 3]), now: 0)
    talk.synced([0])
    _ = talk.wants()
    talk.member.counted(.success(["t": 3]), now: 0)
    #expect(talk.wants() == [])
    talk.member.counted(.success(["t": 4]), now: 0)
    #expect(talk.wants() == ["revoke [0]"])
  }
}
