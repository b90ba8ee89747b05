import KafkaWire

extension Outbox {
  mutating func refuseJoin(_ held: HeldRequest, _ error: ErrorCode, memberID: String) {
    var response = JoinGroupResponse()
    response.errorCode = error
    response.memberId = memberID
    response.protocolName = held.version >= 7 ? nil : ""
    reply(held.token, .joinGroup(response))
  }

  mutating func refuseSync(_ held: HeldRequest, _ error: ErrorCode) {
    var response = SyncGroupResponse()
    response.errorCode = error
    reply(held.token, .syncGroup(response))
  }

  mutating func answerHeartbeat(_ token: ReplyToken, _ error: ErrorCode) {
    var response = HeartbeatResponse()
    response.errorCode = error
    reply(token, .heartbeat(response))
  }

  mutating func answer(_ answer: OffsetAnswer, _ outcome: ErrorCode) {
    switch answer {
    case .commit(let token, var response):
      if outcome != .none {
        for topic in response.topics.indices {
          for partition in response.topics[topic].partitions.indices {
            response.topics[topic].partitions[partition].errorCode = outcome.asAnswer
          }
        }
      }
      reply(token, .offsetCommit(response))
    case .delete(let token, var response):
      if outcome != .none {
        response.topics = []
        response.errorCode = outcome.asAnswer
      }
      reply(token, .offsetDelete(response))
    }
  }
}

extension ErrorCode {
  /// What a client is told when an append failed with this: something it knows how to act on.
  var asAnswer: ErrorCode {
    switch self {
    case .unknownTopicOrPartition, .notEnoughReplicas, .notEnoughReplicasAfterAppend,
      .requestTimedOut:
      .coordinatorNotAvailable
    case .notLeaderOrFollower, .kafkaStorageError: .notCoordinator
    case .messageTooLarge, .recordListTooLarge, .invalidFetchSize: .unknownServerError
    default: self
    }
  }
}
