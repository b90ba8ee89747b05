internal import Bytes
internal import LogStore
internal import Replication

/// The log of the metadata, which a node may have to make anew: its own may be lost with its disk,
/// or be damaged.
///
/// (1) Who begins anew has forgotten what it promised. So it comes in as a learner, and takes
///     nothing from who knows an older membership, in which it is another or still has everything.
/// (2) From which version on that is, it must know also after a crash, before it can read it in the
///     log: the name of the log says so.
extension Node {
  static let metadataLogName = "@metadata"

  /// What the others have to know of this node's log, as it says in its hello.
  enum MetadataStanding: UInt8 {
    case whole
    /// It has nothing of any cluster.
    case fresh
    /// It has to be without it.
    case damaged
  }

  var metadataStanding: MetadataStanding {
    if isMetadataDamaged { return .damaged }
    return replicas[metadataLog] == nil && isFresh ? .fresh : .whole
  }

  /// There are others who have it, and what is here is not whole.
  var isMetadataDamaged: Bool {
    guard !options.cluster.isAlone, failure == nil else { return false }
    if replicas[metadataLog]?.raft.isFenced == true { return true }
    do throws(LogError) {
      return try store.failure(of: metadataLog) != nil
    } catch {
      return false
    }
  }

  /// All there are, the newest last: a crash may leave the one before, too.
  static func metadataLogs(in store: LogStore) -> [(log: LogID, joined: Int64)] {
    store.logIDs.compactMap { log -> (log: LogID, joined: Int64)? in
      guard let name = try? store.name(of: log) else { return nil }
      if name == metadataLogName { return (log, 0) }
      guard name.hasPrefix(metadataLogName + "-") else { return nil }
      return Int64(name.dropFirst(metadataLogName.count + 1)).map { (log, $0) }
    }.sorted { $0.joined < $1.joined }
  }

  /// Takes part in the group of the metadata as its newest learner: who leads it says so.
  func joinMetadata(invitedAt version: Int64, by peer: Int32) {
    guard !options.cluster.isAlone, isMetadataDamaged || isFresh && replicas[metadataLog] == nil
    else { return }
    let old = metadataLog
    // What was acknowledged under that version was in the log that is damaged now: whoever leads
    // next is not to count that for the new one.
    guard version > max(metadataJoined, replicas[old]?.raft.membership.version ?? 0) else {
      if isMetadataDamaged { peers.send(.damaged(.metadata, version: version), to: peer) }
      return
    }
    do throws(LogError) {
      let name = "\(Self.metadataLogName)-\(version)"
      // An earlier invitation came as far as this.
      var made = store.log(named: name)
      if made == nil {
        var vote = try store.vote(of: old)
        // Epochs that it followed in are in the old log only.
        if let epoch = replicas[old]?.raft.epoch, epoch > vote.epoch {
          vote = Vote(epoch: epoch, candidate: -1)
        }
        made = try store.createLog(
          named: name, options: Self.metadataLogOptions, vote: vote)
      }
      guard let log = made else { return }
      metadataLog = log
    } catch {
      // The next invitation finds more room.
      return
    }
    if replicas[old] != nil {
      tell("the log of the cluster's metadata is damaged; it is read from the other nodes")
    }
    metadataJoined = version
    machineLogs[old] = nil
    machineLogs[metadataLog] = MachineLog(kind: .metadata)
    removeReplica(of: old)
    metadataParts.interrupt()
    logsToSetAside.append(old)
    setLogsAside()
    _ = try? makeReplica(
      .metadata, metadataLog, .metadata, learner(since: version), joinedVersion: version)
  }

  /// Tells nodes that have nothing, or nothing whole, that they are in the group of the metadata
  /// now. Whoever leads it says so until they know: nothing else could tell them from which version
  /// on they are.
  func inviteLearners() {
    guard isController, let membership = controller.state.membership(of: .metadata) else { return }
    let progress = replicas[metadataLog]?.raft.status.peers ?? []
    for learner in membership.learners {
      guard let known = peers.hellos[learner.node], known.standing != .whole,
        known.hello.incarnation == learner.incarnation
      else { continue }
      let match = progress.first { $0.node.rawValue == learner.node }?.match
      guard match == nil || known.standing != .damaged else {
        // It had something since it is a learner, and has to come in once more.
        step(
          Controller.Input.replicaDamaged(
            .metadata, node: learner.node, version: membership.version))
        continue
      }
      peers.send(.invitation(version: membership.version), to: learner.node)
    }
  }

  /// A voter whose log of the metadata is damaged cannot say under which version: it hears of none.
  func reportDamagedMetadata() {
    guard isController, let membership = controller.state.membership(of: .metadata) else { return }
    for voter in membership.voters {
      guard let known = peers.hellos[voter.node], known.standing == .damaged,
        known.hello.incarnation == voter.incarnation
      else { continue }
      step(
        Controller.Input.replicaDamaged(.metadata, node: voter.node, version: membership.version))
    }
  }
}
