internal import Bytes
internal import LogStore
internal import Replication

/// This node's files are older than what it has told others: see `RollbackWatch`.
///
/// (1) What it has of groups with other members is failed, for good, before it says that it knows:
///     then it is repaired as any damage is.
/// (2) What nobody else has is kept.
/// (3) Logs that were made since are missing: which they are the metadata says when it is copied,
///     and until then that is kept in mind, also over starts.
extension Node {
  /// What was forgotten, and which checkpoint keeps that in mind.
  struct Rollback {
    var through: UInt64
    var checkpoint: UInt64
    /// That checkpoint is written.
    var isKept = false
  }

  /// The latest group of the other node's journal that this node has heard of; for tests.
  package func journalGroupHeard(of peer: Int32) -> UInt64? { rollbackWatch.group(of: peer) }

  /// As it says in its hello, behind its standing.
  var forgottenGroup: UInt64? { rollback.flatMap { $0.isKept ? $0.through : nil } }

  func rolledBack(from group: UInt64, saidBy peer: Int32) {
    guard !options.cluster.isAlone, failure == nil else { return }
    guard rollback == nil else {
      if let known = rollback, group > known.through { rollback?.through = group }
      return
    }
    tell(
      "this node's files are older than what node \(peer) has heard it had (journal group "
        + "\(startGroup), it had \(group)): they were replaced or restored from a copy; everything "
        + "that other nodes have is copied from them")
    let onlyHere = logsOnlyHere
    for log in store.logIDs where (try? store.name(of: log)).map(onlyHere.contains) != true {
      try? store.failAsCutShort(log, "this node's files are older than what it acknowledged")
    }
    for log in replicaLogs {
      if let replica = replicas[log] { damaged(replica, "it is older than what it acknowledged") }
    }
    store.mayMissLogs = true
    rollback = Rollback(through: group, checkpoint: store.checkpoints.started)
    advanceRollback()
  }

  /// The names of the logs that nobody else has, as far as this node knows. Membership only.
  private var logsOnlyHere: Set<String> {
    var names: Set<String> = []
    for topic in controller.state.names.compactMap({ controller.state.topic(named: $0) }) {
      for index in 0..<topic.partitionsCount
      where controller.state.membership(of: topic.id, index)?.voters.map(\.node) == [options.id] {
        names.insert(Self.logName(topic.id, index))
      }
    }
    return names
  }

  /// Those that come back at once need nobody who remembers, and a checkpoint would be in the way
  /// of those that take over from them.
  private static let notedMilliseconds: Int64 = 1000

  /// Keeps in mind what the nodes that are away had; who ends, also of those that have just gone.
  func noteLostPeers() {
    guard !options.cluster.isAlone else { return }
    let isEnding = handOverUntil != nil
    let lost = peers.nodes.filter { node in
      !peers.connected.contains(node)
        && (isEnding || peersLostAt[node].map { now - $0 >= Self.notedMilliseconds } ?? true)
    }
    store.notes = rollbackWatch.notes(of: lost)
    if !store.areNotesKept { store.startCheckpoint() }
  }

  /// Says what it knows once a checkpoint has it: a crash before that finds out anew. The last one
  /// may have it: that of a copy that was made when it was known.
  func advanceRollback() {
    guard let known = rollback, !known.isKept else { return }
    if store.checkpoints.done > known.checkpoint || !store.isAheadOfCheckpoint {
      rollback?.isKept = true
    } else {
      store.startCheckpoint()
    }
  }
}
