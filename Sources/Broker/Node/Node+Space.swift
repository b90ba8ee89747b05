internal import LogStore
internal import Replication

/// What a full disk means for what this node leads, and what people are told of it.
extension Node {
  private static let leavingMilliseconds: Int64 = 1000

  /// Who takes no records is not to lead where another with room can. Looked at again and again:
  /// others come back, catch up, and have room again. Where there is nobody it goes on leading, and
  /// refuses.
  func leaveLeadershipsWhileFull() {
    guard store.isFullOfRecords, !options.cluster.isAlone,
      lastLeaving.map({ now >= $0 + Self.leavingMilliseconds }) ?? true
    else { return }
    lastLeaving = now
    for log in replicaLogs {
      guard let replica = replicas[log], replica.leads, !replica.raft.isTransferring,
        let next = successor(of: replica)
      else { continue }
      step(replica, .transfer(next))
    }
  }

  /// Nor is it to stand for what another with room can lead: it would hand that over at once.
  /// Called when that may have changed.
  func yieldElections() {
    guard store.isFullOfRecords || hasYielded, !options.cluster.isAlone else { return }
    hasYielded = store.isFullOfRecords
    for log in replicaLogs {
      if let replica = replicas[log] { yieldElections(of: replica) }
    }
  }

  func yieldElections(of replica: Replica) {
    let yields =
      store.isFullOfRecords
      && replica.raft.membership.voters.contains {
        peers.connected.contains($0.rawValue) && !peers.isFull($0.rawValue)
      }
    guard replica.raft.isYielding != yields else { return }
    step(replica, .yields(yields))
  }

  /// Who could lead instead: of those that are in sync and have room, the one that is least behind.
  func successor(of replica: Replica) -> NodeID? {
    let able = inSync(replica)
    return replica.raft.status.peers
      .filter { able.contains($0.node) && !peers.isFull($0.node.rawValue) }
      .min { ($0.lag, $0.node) < ($1.lag, $1.node) }?.node
  }

  /// What to know of a full disk; nil while there is room.
  var fullText: String? {
    guard store.isFullOfRecords else { return nil }
    let refused =
      options.cluster.isAlone
      ? "produced records, committed offsets and new topics are refused"
      : "nodes that have room lead what this one led, and where there are none records are refused"
    return "the disk is full (\(whyFull)): \(refused) until there is room; free space, lower "
      + "retention or delete topics"
  }

  private var whyFull: String {
    guard let free = store.freeSpace else { return "a write was refused" }
    let kept = "\(store.freeSpaceMin >> 20) MiB are kept for what was accepted"
    return free < store.freeSpaceMin
      ? "\(free >> 20) MiB are free, and \(kept)"
      : "a write was refused though \(free >> 20) MiB are free: a quota, or too many open files"
  }

  /// When it begins, and when it is over.
  func tellSpace() {
    tell(fullText ?? "the disk has room again\(freeText): records are taken")
  }

  private var freeText: String {
    store.freeSpace.map { " (\($0 >> 20) MiB are free)" } ?? ""
  }
}
