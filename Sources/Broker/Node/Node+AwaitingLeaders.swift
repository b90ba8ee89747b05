internal import Bytes
internal import KafkaWire
internal import Replication

/// Whoever loses a connection asks at once who leads now, and a client that is told of nobody asks
/// again after a pause of its own: librdkafka and Kafka's own after 100 ms, and later each time. An
/// election takes a tenth of that, so the answer waits for it.
///
/// Whoever has made a topic writes to it at once, and would be refused: the answer to that waits
/// for the elections, too, at the node whose client it is. It is the one that is asked for leaders
/// next.
extension Node {
  /// The answer to a request that made partitions.
  struct MadePartitions {
    let topics: [String]
    let content: NodeAnswer.Content
  }

  /// Some elections long. What the client sent after it on the same connection is answered after
  /// it.
  private static let leadersMilliseconds: Int64 = 50
  /// Replicas of many partitions take longer to be made than one takes to elect.
  private static let newLeadersMilliseconds: Int64 = 500
  /// More than these are answered at once.
  private static let awaitingLeadersMax = 100

  func mustAwaitLeaders(_ body: MetadataRequest, _ request: Request) -> Bool {
    guard !options.cluster.isAlone, awaitingLeaders.count < Self.awaitingLeadersMax,
      isBeingElected(body)
    else { return false }
    awaitingLeaders.add(request, body, until: now + Self.leadersMilliseconds)
    return true
  }

  func mustAwaitNewLeaders(_ request: Request, _ content: NodeAnswer.Content) -> Bool {
    guard !options.cluster.isAlone, awaitingNewLeaders.count < Self.awaitingLeadersMax,
      let (topics, timeout) = partitionsToMake(request), lackLeaders(topics)
    else { return false }
    awaitingNewLeaders.add(
      request, MadePartitions(topics: topics, content: content),
      until: now + min(Int64(max(0, timeout)), Self.newLeadersMilliseconds))
    return true
  }

  private func partitionsToMake(_ request: Request) -> (topics: [String], timeout: Int32)? {
    switch request.frame.api {
    case .createTopics:
      guard let body = try? request.frame.decode(CreateTopicsRequest.self), !body.validateOnly
      else { return nil }
      return (body.topics.map(\.name), body.timeoutMs)
    case .createPartitions:
      guard let body = try? request.frame.decode(CreatePartitionsRequest.self), !body.validateOnly
      else { return nil }
      return (body.topics.map(\.name), body.timeoutMs)
    default: return nil
    }
  }

  /// Answers those whose partitions are led, or who have waited long enough.
  func advanceAwaitingLeaders(all: Bool = false) {
    for one in awaitingLeaders.take(where: {
      all || $0.deadline <= now || !isBeingElected($0.wanted)
    }) {
      ask(.metadata(one.wanted), one.request)
    }
    for one in awaitingNewLeaders.take(where: {
      all || $0.deadline <= now || !lackLeaders($0.wanted.topics)
    }) {
      deliver(one.request, one.wanted.content)
    }
  }

  /// A partition that is asked for has no leader, and enough of its voters are there to have one.
  private func isBeingElected(_ body: MetadataRequest) -> Bool {
    let state = controller.state
    guard let wanted = body.topics else {
      return state.names.contains { state.topic(named: $0).map(isBeingElected) ?? false }
    }
    return wanted.contains { topic in
      let known = topic.name.map { state.topic(named: $0) } ?? state.topic(topic.topicId)
      return known.map(isBeingElected) ?? false
    }
  }

  private func isBeingElected(_ topic: TopicState) -> Bool {
    (0..<topic.partitionsCount).contains { index in
      guard leader(of: GroupID(topic: topic.id, index: index)) == nil,
        let voters = votersToElect(topic, index)
      else { return false }
      return voters > 1
    }
  }

  /// One of their partitions has nobody yet who takes records and is read from, and may have.
  private func lackLeaders(_ topics: [String]) -> Bool {
    topics.compactMap { controller.state.topic(named: $0) }.contains { topic in
      (0..<topic.partitionsCount).contains { index in
        guard let leader = leader(of: GroupID(topic: topic.id, index: index))?.leader else {
          return votersToElect(topic, index) != nil
        }
        return leader == options.id && self.topics[topic.name]?.partition(index)?.isReady != true
      }
    }
  }

  /// How many voters the partition has, if enough of them are there to elect somebody.
  private func votersToElect(_ topic: TopicState, _ index: Int32) -> Int? {
    guard let voters = controller.state.membership(of: topic.id, index)?.voters else { return nil }
    let here = voters.count { $0.node == options.id || peers.connected.contains($0.node) }
    return 2 * here > voters.count ? voters.count : nil
  }
}
