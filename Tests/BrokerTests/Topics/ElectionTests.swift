import Broker
import KafkaWire
import Testing

private func elect(
  _ topics: [(String, [Int32])]?, type: Int8 = 0, timeout: Int32 = 1000
) -> ControllerRequest {
  .electLeaders(
    .with {
      $0.electionType = type
      $0.timeoutMs = timeout
      $0.topicPartitions = topics.map { topics in
        topics.map { name, partitions in
          .with {
            $0.topic = name
            $0.partitions = partitions
          }
        }
      }
    })
}

@Suite struct `ElectLeaders` {
  /// Three nodes, a topic of three partitions with preferred leaders 1, 2 and 3; 1 leads all.
  private func harness() throws -> (ControllerHarness, [GroupKey]) {
    var harness = try ControllerHarness(brokers: 3)
    harness.leadership = .init(leader: 1, epoch: 7, inSync: [1, 2, 3])
    let id = try harness.created("t", partitions: 3, factor: 3).topicId
    return (harness, (0..<3).map { GroupKey(topic: id, partition: $0) })
  }

  private func outcomes(_ effects: [Controller.Effect]) -> [ElectLeadersResponse.Partition] {
    guard case .reply(_, .electLeaders(let response)) = effects.last else { return [] }
    #expect(response.errorCode == .none)
    return response.replicaElectionResults.flatMap(\.partitionResult)
  }

  @Test func `the answer waits until the leaders have changed`() throws {
    var (harness, groups) = try harness()
    let asked = harness.send(elect([("t", [0, 1, 2])]), version: 2)
    #expect(
      asked == [.transferLeadership(groups[1], to: 2), .transferLeadership(groups[2], to: 3)])
    #expect(harness.step(.leaderReported(groups[1], 2)).isEmpty)
    #expect(harness.step(.leaderReported(groups[2], nil)).isEmpty)
    #expect(harness.step(.leaderReported(groups[2], 1)).isEmpty)
    let outcomes = outcomes(harness.step(.leaderReported(groups[2], 3)))
    #expect(outcomes.map(\.partitionId) == [0, 1, 2])
    #expect(outcomes.map(\.errorCode) == [.electionNotNeeded, .none, .none])
    #expect(outcomes[0].errorMessage == "Leader election not needed for topic partition.")
    #expect(outcomes[1].errorMessage == nil)
  }

  @Test func `it does not wait for ever`() throws {
    var (harness, groups) = try harness()
    _ = harness.send(elect([("t", [1, 2])], timeout: 500), version: 2)
    #expect(harness.step(.tick(now: 100)).isEmpty)
    #expect(harness.step(.leaderReported(groups[1], 2)).isEmpty)
    #expect(harness.step(.tick(now: 599)).isEmpty)
    let outcomes = outcomes(harness.step(.tick(now: 600)))
    #expect(outcomes.map(\.errorCode) == [.none, .requestTimedOut])
    #expect(harness.step(.leaderReported(groups[2], 3)).isEmpty)
  }

  @Test func `asked for all, those that are well are not told of`() throws {
    var (harness, groups) = try harness()
    _ = try harness.created("u")
    #expect(harness.send(elect(nil), version: 2).count == 2)
    _ = harness.step(.leaderReported(groups[1], 2))
    let outcomes = outcomes(harness.step(.leaderReported(groups[2], 3)))
    #expect(outcomes.map(\.partitionId) == [1, 2])
  }

  @Test func `what cannot be is said`() throws {
    var (harness, _) = try harness()
    harness.dead = [2]
    harness.leadership.inSync = [1, 2]
    let outcomes = outcomes(
      harness.send(elect([("t", [1, 2, 3, -1]), ("nope", [0])]), version: 2))
    #expect(
      outcomes.map(\.errorCode) == [
        .preferredLeaderNotAvailable, .preferredLeaderNotAvailable, .unknownTopicOrPartition,
        .unknownTopicOrPartition, .unknownTopicOrPartition,
      ])
    #expect(outcomes[2].errorMessage == "No such partition as t-3")
    #expect(outcomes[4].errorMessage == "No such topic as nope")
    let wrong = harness.send(elect([("t", [0])], type: 9), version: 2)
    guard case .reply(_, .electLeaders(let response)) = wrong.first else { return }
    #expect(response.errorCode == .invalidRequest)
  }

  @Test func `nobody is elected who may lack records`() throws {
    var (harness, _) = try harness()
    var refused = outcomes(harness.send(elect([("t", [0])], type: 1), version: 2))
    #expect(refused.map(\.errorCode) == [.electionNotNeeded])
    harness.leadership.leader = nil
    refused = outcomes(harness.send(elect([("t", [0])], type: 1), version: 2))
    #expect(refused.map(\.errorCode) == [.eligibleLeadersNotAvailable])
    #expect(refused[0].errorMessage?.contains("may lack committed records") == true)
  }

  @Test func `who resigns answers all who wait`() throws {
    var (harness, _) = try harness()
    _ = harness.send(elect([("t", [1])]), version: 2)
    let effects = harness.step(.resign(.notController))
    guard case .reply(_, .electLeaders(let response)) = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(response.errorCode == .notController)
    #expect(effects.count == 1)
  }
}

@Suite struct `Reassignments asked for` {
  private func alter(
    _ harness: inout ControllerHarness, _ wishes: [(String, Int32, [Int32]?)],
    mayResize: Bool = true
  ) throws -> [AlterPartitionReassignmentsResponse.Partition] {
    let request = AlterPartitionReassignmentsRequest.with {
      $0.allowReplicationFactorChange = mayResize
      $0.topics = wishes.map { name, index, replicas in
        .with {
          $0.name = name
          $0.partitions = [
            .with {
              $0.partitionIndex = index
              $0.replicas = replicas
            }
          ]
        }
      }
    }
    guard
      case .alterPartitionReassignments(let response) = try harness.answer(
        .alterPartitionReassignments(request), version: 1)
    else { throw ControllerHarness.HarnessError.noAnswer }
    _ = try Frame.response(response, version: 1, correlationId: 1)
    return response.responses.flatMap(\.partitions)
  }

  private func list(
    _ harness: inout ControllerHarness, _ topics: [(String, [Int32])]?
  ) throws -> [ListPartitionReassignmentsResponse.Topic] {
    let request = ListPartitionReassignmentsRequest.with {
      $0.topics = topics.map { topics in
        topics.map { name, indexes in
          .with {
            $0.name = name
            $0.partitionIndexes = indexes
          }
        }
      }
    }
    guard
      case .listPartitionReassignments(let response) = try harness.answer(
        .listPartitionReassignments(request), version: 0)
    else { throw ControllerHarness.HarnessError.noAnswer }
    return response.topics
  }

  @Test(arguments: [
    (
      "nope", Int32(0), [1] as [Int32]?, ErrorCode.unknownTopicOrPartition,
      "Unable to find a topic named nope."
    ),
    ("t", 9, [1], .unknownTopicOrPartition, "Unable to find partition t:9."),
    ("t", -1, [1], .unknownTopicOrPartition, "Unable to find partition t:-1."),
    ("t", 0, nil, .noReassignmentInProgress, "No partition reassignment is in progress."),
    (
      "t", 0, [], .invalidReplicaAssignment,
      "The manual partition assignment includes an empty replica list."
    ),
    (
      "t", 0, [1, 2, 1], .invalidReplicaAssignment,
      "The manual partition assignment includes the broker 1 more than once."
    ),
    (
      "t", 0, [7, 2, 1], .invalidReplicaAssignment,
      "The manual partition assignment includes broker 7, but no such broker is registered."
    ),
    (
      "t", 0, [1, 2], .invalidReplicationFactor,
      "Replication factor 2 is even: records are kept by a majority, and a majority of 2 survives "
        + "no more failures than one of 1. Use an odd number."
    ),
  ])
  func `that cannot be are refused in Kafka's words`(
    name: String, index: Int32, replicas: [Int32]?, code: ErrorCode, message: String
  ) throws {
    var harness = try ControllerHarness(brokers: 4)
    _ = try harness.created("t", factor: 3)
    let committed = harness.log.count
    let outcome = try alter(&harness, [(name, index, replicas)])
    #expect(outcome.map(\.errorCode) == [code])
    #expect(outcome.map(\.errorMessage) == [message])
    #expect(harness.log.count == committed)
  }

  @Test func `another number of replicas may be forbidden`() throws {
    var harness = try ControllerHarness(brokers: 4)
    _ = try harness.created("t", factor: 3)
    let outcome = try alter(&harness, [("t", 0, [1])], mayResize: false)
    #expect(outcome.map(\.errorCode) == [.invalidReplicationFactor])
    #expect(outcome[0].errorMessage == "The replication factor is changed from 3 to 1")
  }

  @Test func `are kept, listed, and given up`() throws {
    var harness = try ControllerHarness(brokers: 5)
    let id = try harness.created("t", partitions: 2, factor: 3).topicId
    _ = try harness.created("u", partitions: 1, factor: 3)
    let target: [Int32] = [5, 4, 1]
    #expect(try alter(&harness, [("t", 0, target)]).map(\.errorCode) == [.none])
    #expect(
      harness.controller.state.reassignments == [GroupKey(topic: id, partition: 0): target])
    for listed in [
      try list(&harness, nil), try list(&harness, [("t", [0, 1, 7]), ("u", [0]), ("nope", [0])]),
    ] {
      #expect(listed.map(\.name) == ["t"])
      #expect(listed[0].partitions.map(\.partitionIndex) == [0])
      #expect(listed[0].partitions[0].replicas == [5, 4, 1, 2, 3])
      #expect(listed[0].partitions[0].addingReplicas == [4, 5])
      #expect(listed[0].partitions[0].removingReplicas == [2, 3])
    }
    #expect(try alter(&harness, [("t", 0, nil)]).map(\.errorCode) == [.none])
    #expect(harness.controller.state.reassignments.isEmpty)
    // What there is already is nothing to do.
    let committed = harness.log.count
    #expect(try alter(&harness, [("t", 0, [1, 2, 3])]).map(\.errorCode) == [.none])
    #expect(harness.log.count == committed)
  }
}

@Suite struct `DescribeQuorum` {
  private func ask(
    _ topics: [(String, [Int32])], quorum: QuorumStatus?, version: Int16 = 2, isLeading: Bool = true
  ) throws -> DescribeQuorumResponse {
    var controller = try Controller(nodeId: 1, isLeading: isLeading)
    let request = DescribeQuorumRequest.with {
      $0.topics = topics.map { name, partitions in
        .with {
          $0.topicName = name
          $0.partitions = partitions.map { index in .with { $0.partitionIndex = index } }
        }
      }
    }
    var effects: [Controller.Effect] = []
    let cluster = ClusterView(
      brokers: [.init(id: 1, host: "h", port: 9092)], controllerId: 1,
      leadership: { _, _ in .none })
    controller.step(
      .request(
        .init(
          .describeQuorum(request), version: version, token: ReplyToken(1), cluster: cluster,
          quorum: quorum)), into: &effects)
    guard case .reply(_, .describeQuorum(let response)) = effects.first else {
      throw ControllerHarness.HarnessError.noAnswer
    }
    _ = try Frame.response(response, version: version, correlationId: 1)
    return response
  }

  private let quorum = QuorumStatus(
    leader: 1, epoch: 4, highWatermark: 90,
    voters: [
      .init(.init(node: 1, incarnation: 11), logEnd: 100, lastFetch: 5, lastCaughtUp: 5),
      .init(.init(node: 2, incarnation: 12), logEnd: 90, lastFetch: 5, lastCaughtUp: 4),
    ], learners: [.init(.init(node: 3, incarnation: 13), logEnd: 7)])

  @Test(arguments: [0, 1, 2] as [Int16])
  func `group 0 goes by the name of Kafka's`(version: Int16) throws {
    let response = try ask([("__cluster_metadata", [0])], quorum: quorum, version: version)
    let partition = try #require(response.topics.first?.partitions.first)
    #expect(partition.leaderId == 1)
    #expect(partition.leaderEpoch == 4)
    #expect(partition.highWatermark == 90)
    #expect(partition.currentVoters.map(\.replicaId) == [1, 2])
    #expect(partition.currentVoters.map(\.logEndOffset) == [100, 90])
    #expect(partition.observers.map(\.replicaId) == [3])
    #expect(response.nodes.count == (version >= 2 ? 1 : 0))
  }

  @Test func `nothing else has one, and only its leader tells`() throws {
    for topics in [[("t", [0])], [("__cluster_metadata", [1])]] as [[(String, [Int32])]] {
      let response = try ask(topics, quorum: quorum)
      #expect(response.topics[0].partitions[0].errorCode == .unknownTopicOrPartition)
    }
    let unknown = try ask([("__cluster_metadata", [0])], quorum: nil)
    #expect(unknown.topics[0].partitions[0].errorCode == .notLeaderOrFollower)
    let other = try ask([("__cluster_metadata", [0])], quorum: nil, isLeading: false)
    #expect(other.errorCode == .notController)
  }
}

@Suite struct `DescribeTopicPartitions` {
  private func ask(
    _ harness: inout ControllerHarness, _ names: [String], limit: Int32 = 2000,
    cursor: (String, Int32)? = nil
  ) throws -> DescribeTopicPartitionsResponse {
    let request = DescribeTopicPartitionsRequest.with {
      $0.topics = names.map { name in .with { $0.name = name } }
      $0.responsePartitionLimit = limit
      $0.cursor = cursor.map { name, index in
        .with {
          $0.topicName = name
          $0.partitionIndex = index
        }
      }
    }
    guard
      case .describeTopicPartitions(let response) = try harness.answer(
        .describeTopicPartitions(request), version: 0)
    else { throw ControllerHarness.HarnessError.noAnswer }
    _ = try Frame.response(response, version: 0, correlationId: 1)
    return response
  }

  @Test(arguments: [1, 2, 3, 4, 7, 100] as [Int32])
  func `pages put together are all partitions, by name`(limit: Int32) throws {
    var harness = try ControllerHarness(brokers: 3)
    for (name, count) in [("c", Int32(3)), ("a", 2), ("b", 1)] {
      _ = try harness.created(name, partitions: count, factor: 3)
    }
    var seen: [String] = []
    var cursor: (String, Int32)?
    for _ in 0..<20 {
      let page = try ask(&harness, [], limit: limit, cursor: cursor)
      #expect(page.topics.reduce(0) { $0 + $1.partitions.count } <= Int(limit))
      for topic in page.topics {
        for partition in topic.partitions {
          seen.append("\(topic.name ?? "")-\(partition.partitionIndex)")
          #expect(partition.replicaNodes.count == 3)
          // Null makes the Java client fail.
          #expect(partition.eligibleLeaderReplicas == [] && partition.lastKnownElr == [])
        }
      }
      cursor = page.nextCursor.map { ($0.topicName, $0.partitionIndex) }
      if cursor == nil { break }
    }
    #expect(seen == ["a-0", "a-1", "b-0", "c-0", "c-1", "c-2"])
  }

  @Test func `what there is not is said, and a cursor must be one`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    let response = try ask(&harness, ["t", "nope", "b d", "t"])
    #expect(response.topics.map(\.name) == ["b d", "nope", "t"])
    #expect(
      response.topics.map(\.errorCode) == [.invalidTopicException, .unknownTopicOrPartition, .none])
    for cursor in [("u", Int32(0)), ("t", -1)] {
      #expect(
        try ask(&harness, ["t"], cursor: cursor).topics.map(\.errorCode) == [.invalidRequest])
    }
    // Behind the last partition, which may have been there.
    #expect(try ask(&harness, ["t"], cursor: ("t", 9)).topics.map(\.partitions.count) == [0])
  }
}
