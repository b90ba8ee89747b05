internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// A request whose answer is to be as new as its question: a node that was stopped and goes on
/// would otherwise answer as the leader that it was (ReadIndex: dissertation, 6.4).
final class ConfirmedRead {
  fileprivate var outstanding: Int
  fileprivate let answer: () -> Void

  fileprivate init(outstanding: Int, answer: @escaping () -> Void) {
    self.outstanding = outstanding
    self.answer = answer
  }
}

extension Node {
  /// Goes on once a majority of each log's group has said that this node leads it still, or once
  /// that cannot be: then this node does not lead it any more, and whoever looks sees that.
  ///
  /// Bounded by the requests that are open.
  func whenConfirmed(_ logs: [LogID], _ answer: @escaping () -> Void) {
    let led = logs.compactMap { replicas[$0] }.filter { $0.leads && !isSole($0) }
    guard !led.isEmpty, !plants(.endWithoutQuorum) else { return answer() }
    let read = ConfirmedRead(outstanding: led.count, answer: answer)
    for replica in led {
      let token = freshNumber()
      confirmedReads[token] = read
      step(replica, .read(token))
    }
  }

  /// What a group's machine says of a read: nil if it cannot tell.
  func readAnswered(_ token: UInt64, _ offset: Offset?) {
    if fencesAnswered(token, offset) { return }
    if let (peer, token) = peerReads.removeValue(forKey: token) {
      peers.send(.committed(token: token, offset), to: peer)
    } else if let read = confirmedReads.removeValue(forKey: token) {
      read.outstanding -= 1
      if read.outstanding == 0 { read.answer() }
    }
  }

  /// The logs that the offsets of these groups are in, where they are led here.
  func logs(ofGroups ids: [String]) -> [LogID] {
    guard let topic = topics[Self.offsetsTopic], !topic.partitions.isEmpty else { return [] }
    var logs: [LogID] = []
    for id in ids {
      let index = ExactString(id).coordinatorPartition(of: options.groups.partitionCount)
      guard let log = topic.partition(index)?.log, !logs.contains(log) else { continue }
      logs.append(log)
    }
    return logs
  }
}
