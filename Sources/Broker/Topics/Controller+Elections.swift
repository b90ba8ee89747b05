internal import KafkaWire

// ElectLeaders. The preferred leader is the first of a partition's replicas. Leadership is handed
// over by whoever has it; the answer waits until it is heard where it went, or long enough.

/// Requests whose outcome is not known yet.
struct Elections: Sendable {
  /// A leader hands over within milliseconds, or not at all.
  static let waitMillisecondsMax: Int32 = 10_000

  struct Election: Sendable {
    var token: ReplyToken
    var request: ElectLeadersRequest
    var response: ElectLeadersResponse
    /// Who is to lead.
    var waiting: [GroupKey: Int32]
    /// Where in the response each stands.
    var places: [GroupKey: (topic: Int, partition: Int)]
    /// Nil until a clock was seen.
    var deadline: Int64?
  }

  var open: [Election] = []

  /// Answers what waited for no more than this. What goes elsewhere may still come.
  mutating func reported(
    _ group: GroupKey, _ leader: Int32?, into effects: inout [Controller.Effect]
  ) {
    for index in open.indices where leader != nil && open[index].waiting[group] == leader {
      open[index].settle(group, .none, nil)
    }
    finish(into: &effects)
  }

  mutating func tick(_ now: Int64, into effects: inout [Controller.Effect]) {
    for index in open.indices {
      let wait = min(open[index].request.timeoutMs, Self.waitMillisecondsMax)
      guard let deadline = open[index].deadline else {
        open[index].deadline = now + Int64(max(0, wait))
        continue
      }
      guard deadline <= now else { continue }
      for group in open[index].waiting.keys.sorted() {
        open[index].settle(group, .requestTimedOut, "The request timed out.")
      }
    }
    finish(into: &effects)
  }

  mutating func drop(_ code: ErrorCode, into effects: inout [Controller.Effect]) {
    for election in open {
      effects.append(
        .reply(election.token, ControllerRequest.electLeaders(election.request).refused(code, nil)))
    }
    open = []
  }

  private mutating func finish(into effects: inout [Controller.Effect]) {
    guard open.contains(where: \.waiting.isEmpty) else { return }
    for election in open where election.waiting.isEmpty {
      effects.append(.reply(election.token, .electLeaders(election.response)))
    }
    open.removeAll(where: \.waiting.isEmpty)
  }
}

extension Elections.Election {
  mutating func settle(_ group: GroupKey, _ code: ErrorCode, _ message: String?) {
    guard waiting.removeValue(forKey: group) != nil, let place = places[group] else { return }
    response.replicaElectionResults[place.topic].partitionResult[place.partition].errorCode = code
    response.replicaElectionResults[place.topic].partitionResult[place.partition].errorMessage =
      message
  }
}

extension Controller {
  private enum ElectionType {
    static let preferred: Int8 = 0
    static let unclean: Int8 = 1
  }

  mutating func elect(
    _ request: ElectLeadersRequest, _ submission: Submission, into effects: inout [Effect]
  ) {
    guard [ElectionType.preferred, ElectionType.unclean].contains(request.electionType) else {
      let refusal = ControllerRequest.electLeaders(request).refused(
        .invalidRequest, "Unknown election type \(request.electionType)")
      return effects.append(.reply(submission.token, refusal))
    }
    var election = Elections.Election(
      token: submission.token, request: request, response: ElectLeadersResponse(), waiting: [:],
      places: [:])
    for topic in wanted(request) {
      var entry = ElectLeadersResponse.Topic()
      entry.topic = topic.topic
      for index in topic.partitions {
        let outcome = outcome(topic.topic, index, request.electionType, submission.cluster)
        // Asked for all, Kafka tells of those that were not as they should be.
        if request.topicPartitions == nil, outcome.code == .electionNotNeeded { continue }
        if let (group, leader) = outcome.transfer, election.places[group] == nil {
          election.waiting[group] = leader
          election.places[group] = (
            election.response.replicaElectionResults.count, entry.partitionResult.count
          )
          effects.append(.transferLeadership(group, to: leader))
        }
        entry.partitionResult.append(.outcome(index, outcome.code, outcome.message))
      }
      election.response.replicaElectionResults.append(entry)
    }
    guard !election.waiting.isEmpty else {
      return effects.append(.reply(submission.token, .electLeaders(election.response)))
    }
    elections.open.append(election)
  }

  private func wanted(_ request: ElectLeadersRequest) -> [ElectLeadersRequest.Topic] {
    request.topicPartitions
      ?? state.names.compactMap { state.topic(named: $0) }.map { topic in
        var entry = ElectLeadersRequest.Topic()
        entry.topic = topic.name
        entry.partitions = Array(topic.partitions)
        return entry
      }
  }

  private struct ElectionOutcome {
    var code: ErrorCode
    var message: String?
    /// What has to happen first.
    var transfer: (GroupKey, Int32)?

    init(_ code: ErrorCode, _ message: String? = nil, transfer: (GroupKey, Int32)? = nil) {
      self.code = code
      self.message = message
      self.transfer = transfer
    }
  }

  private func outcome(
    _ name: String, _ index: Int32, _ type: Int8, _ cluster: ClusterView
  ) -> ElectionOutcome {
    guard let topic = state.topic(named: name) else {
      return ElectionOutcome(.unknownTopicOrPartition, "No such topic as \(name)")
    }
    guard topic.partitions.contains(index) else {
      return ElectionOutcome(.unknownTopicOrPartition, "No such partition as \(name)-\(index)")
    }
    let group = GroupKey(topic: topic.id, partition: index)
    let seen = PartitionView(group, state, cluster)
    let isUnclean = type == ElectionType.unclean
    let preferred = seen.replicas.first
    if isUnclean ? seen.leader != nil : seen.leader == preferred {
      return ElectionOutcome(
        .electionNotNeeded, "Leader election not needed for topic partition.")
    }
    guard !isUnclean else {
      return ElectionOutcome(
        .eligibleLeadersNotAvailable,
        "No leader is elected that may lack committed records: the partition has one again when a "
          + "majority of its replicas is back.")
    }
    guard let preferred, seen.leader != nil, cluster.isAlive(preferred),
      seen.inSync.contains(preferred), state.membership(of: group)?.voter(preferred) != nil
    else {
      return ElectionOutcome(
        .preferredLeaderNotAvailable, "The preferred leader was not available.")
    }
    return ElectionOutcome(.none, transfer: (group, preferred))
  }
}

extension ElectLeadersResponse.Partition {
  static func outcome(_ index: Int32, _ code: ErrorCode, _ message: String?) -> Self {
    var entry = Self()
    entry.partitionId = index
    entry.errorCode = code
    entry.errorMessage = message
    return entry
  }
}
