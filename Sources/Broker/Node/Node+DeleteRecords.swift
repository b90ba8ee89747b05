internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// A DeleteRecords request whose new log starts are on their way to the disks.
final class DeleteRecordsOperation {
  let request: Request
  var response = DeleteRecordsResponse()
  var outstanding = 0
  var isComplete = false

  init(request: Request) { self.request = request }
}

/// A log's new start, which is to be on the disks of a majority before somebody is told of it: who
/// leads next would begin lower otherwise.
struct StartInFlight {
  var operation: DeleteRecordsOperation
  var topic: Int
  var partition: Int
  var log: LogID
  var epoch: LeaderEpoch
  var start: Offset
  /// On this node's disk when so many frames of the store are.
  var frame: UInt64
  /// Others that have it on theirs.
  var kept: [Int32] = []
}

extension Node {
  func deleteRecords(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(DeleteRecordsRequest.self)
    let operation = DeleteRecordsOperation(request: request)
    for (number, topic) in body.topics.enumerated() {
      var answered = DeleteRecordsResponse.Topic()
      answered.name = topic.name
      for (index, asked) in topic.partitions.enumerated() {
        var part = DeleteRecordsResponse.Partition()
        part.partitionIndex = asked.partitionIndex
        part.lowWatermark = -1
        part.errorCode = deleteRecords(topic.name, asked, operation, number, index, &part)
        answered.partitions.append(part)
      }
      operation.response.topics.append(answered)
    }
    operation.isComplete = true
    if operation.outstanding == 0 { reply(request, operation.response) }
  }

  private func deleteRecords(
    _ name: String, _ asked: DeleteRecordsRequest.Partition, _ operation: DeleteRecordsOperation,
    _ topicNumber: Int, _ index: Int, _ part: inout DeleteRecordsResponse.Partition
  ) -> ErrorCode {
    guard let topic = topics[name], topic.has(asked.partitionIndex) else {
      return .unknownTopicOrPartition
    }
    guard let partition = topic.partition(asked.partitionIndex), partition.isReady,
      let replica = replicas[partition.log]
    else { return .notLeaderOrFollower }
    guard !topic.isInternal else { return .invalidTopicException }
    guard topic.config.isDeleted else { return .policyViolation }
    do throws(LogError) {
      let bounds = try store.bounds(of: partition.log)
      let offset = asked.offset == -1 ? bounds.highWatermark : Offset(asked.offset)
      guard offset.rawValue >= 0, offset <= bounds.highWatermark else { return .offsetOutOfRange }
      part.lowWatermark = max(offset, bounds.start).rawValue
      if offset > bounds.start {
        try store.advanceStart(partition.log, to: offset)
        startAdvanced(replica, to: offset)
      }
      // Also if it is so here already: others may not have it, and somebody may wait for that.
      operation.outstanding += 1
      startsInFlight.append(
        StartInFlight(
          operation: operation, topic: topicNumber, partition: index, log: partition.log,
          epoch: replica.raft.epoch, start: offset, frame: replica.startFrame))
      // The others are to hear of it now.
      step(replica, .announce)
      askForStarts(of: replica)
      return .none
    } catch {
      part.lowWatermark = -1
      return errorCode(for: error)
    }
  }

  /// This node's log of the replica begins there from now on.
  func startAdvanced(_ replica: Replica, to offset: Offset) {
    replica.startFrame = store.frames.added
    step(replica, .startAdvanced(offset))
  }

  // MARK: What is kept

  /// Answers for the starts that a majority has on disk, and those that this node leads no more.
  func settleStarts() {
    guard !startsInFlight.isEmpty else { return }
    let durable = store.frames.durable
    var left: [StartInFlight] = []
    let all = startsInFlight
    startsInFlight = []
    for start in all {
      guard let replica = replicas[start.log], replica.leads, replica.raft.epoch == start.epoch
      else {
        deleted(start, .notLeaderOrFollower)
        continue
      }
      let voters = replica.raft.membership.voters
      let count = voters.count { voter in
        voter.rawValue == options.id
          ? start.frame <= durable : start.kept.contains(voter.rawValue)
      }
      if count > voters.count / 2 { deleted(start, nil) } else { left.append(start) }
    }
    startsInFlight = left + startsInFlight
  }

  /// At every tick, for as long as it is not known: a question or its answer may be lost.
  func askForStarts() {
    for log in startsInFlight.map(\.log) {
      if let replica = replicas[log], replica.leads { askForStarts(of: replica) }
    }
  }

  private func askForStarts(of replica: Replica) {
    guard let start = startsInFlight.last(where: { $0.log == replica.log })?.start else { return }
    for voter in replica.raft.membership.voters where voter.rawValue != options.id {
      peers.send(.askStart(replica.group, start), to: voter.rawValue)
    }
  }

  func askedStart(_ group: GroupID, _ offset: Offset, by peer: Int32) {
    guard let replica = replicasByGroup[group], !replica.raft.isFenced, !replica.isStuck,
      replica.startFrame <= store.frames.durable,
      let start = try? store.bounds(of: replica.log).start, start >= offset
    else { return }
    peers.send(.startIsKept(group, offset), to: peer)
  }

  func startIsKept(_ group: GroupID, _ offset: Offset, by peer: Int32) {
    guard let log = replicasByGroup[group]?.log else { return }
    for index in startsInFlight.indices
    where startsInFlight[index].log == log && startsInFlight[index].start <= offset
      && !startsInFlight[index].kept.contains(peer)
    {
      startsInFlight[index].kept.append(peer)
    }
    settleStarts()
  }

  private func deleted(_ start: StartInFlight, _ error: ErrorCode?) {
    let operation = start.operation
    operation.outstanding -= 1
    if let error {
      operation.response.topics[start.topic].partitions[start.partition].errorCode = error
    }
    if operation.isComplete, operation.outstanding == 0 {
      reply(operation.request, operation.response)
    }
  }
}
