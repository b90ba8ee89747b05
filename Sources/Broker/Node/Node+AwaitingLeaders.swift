internal import Bytes
internal import KafkaWire
internal import Replication

/// A Metadata request of somebody who would be told of a partition without a leader.
struct AwaitingLeaders {
  let request: Request
  let body: MetadataRequest
  /// Milliseconds of the steady clock.
  let deadline: Int64
}

/// Whoever loses a connection asks at once who leads now, and a client that is told of nobody asks
/// again after a pause of its own: librdkafka and Kafka's own after 100 ms, and later each time. An
/// election takes a tenth of that, so the answer waits for it.
extension Node {
  /// Some elections long. What the client sent after it on the same connection is answered after
  /// it.
  private static let leadersMilliseconds: Int64 = 50
  /// More than these are answered at once.
  private static let awaitingLeadersMax = 100

  func mustAwaitLeaders(_ body: MetadataRequest, _ request: Request) -> Bool {
    guard !options.cluster.isAlone, request.origin.forwardedBy == nil,
      awaitingLeaders.count < Self.awaitingLeadersMax, isBeingElected(body)
    else { return false }
    awaitingLeaders.append(
      AwaitingLeaders(
        request: request, body: body, deadline: now + Self.leadersMilliseconds))
    return true
  }

  /// Answers those whose partitions are led, or who have waited long enough.
  func advanceAwaitingLeaders(all: Bool = false) {
    guard !awaitingLeaders.isEmpty else { return }
    let waiting = awaitingLeaders
    awaitingLeaders = []
    for one in waiting {
      if !all, one.deadline > now, isBeingElected(one.body) {
        awaitingLeaders.append(one)
      } else {
        ask(.metadata(one.body), one.request)
      }
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
        let voters = controller.state.membership(of: topic.id, index)?.voters
      else { return false }
      let here = voters.count { $0.node == options.id || peers.connected.contains($0.node) }
      return voters.count > 1 && 2 * here > voters.count
    }
  }
}
