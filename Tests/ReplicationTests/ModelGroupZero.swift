import Bytes
import Replication

/// Who decides memberships, as a list that never loses anything, and tells everybody by and by.
final class ModelGroupZero {
  struct Version {
    var membership: Membership
    /// Of each node the life that is a member, or -1: a node that lost its log is another.
    var lives: [Int]
    /// When it became one.
    var joined: [Int64]
  }

  private(set) var versions: [Version] = []
  /// Changes for their own sake, not only repairs.
  var isRestless = false
  /// Turns between changes, about; none if zero.
  var changeEvery = 0
  /// Turns for which a node may be told nothing.
  var deafTurns = 0
  /// What some leader has reported: it may have gone by now.
  private var settled: Int64 = 0

  var latest: Version { versions[versions.count - 1] }

  func issue(_ membership: Membership, _ cluster: ModelCluster) {
    let before = versions.last
    var lives = [Int](repeating: -1, count: cluster.replicas.count)
    var joined = [Int64](repeating: 0, count: cluster.replicas.count)
    for node in membership.voters + membership.learners {
      let index = Int(node.rawValue) - 1
      guard index < lives.count else { continue }
      let known = before?.lives[index] ?? -1
      // Who is in stays who it is.
      lives[index] = known >= 0 ? known : cluster.replicas[index].life
      joined[index] = known >= 0 ? before?.joined[index] ?? 0 : membership.version
    }
    versions.append(Version(membership: membership, lives: lives, joined: joined))
  }

  func turn(_ cluster: ModelCluster) {
    for replica in cluster.replicas where replica.isUp && replica.known < versions.count - 1 {
      if deafTurns > 0, cluster.random.oneIn(100) { replica.deafUntil = cluster.now + deafTurns }
      guard cluster.now >= replica.deafUntil, cluster.random.oneIn(15) else { continue }
      replica.known = cluster.random.oneIn(8) ? versions.count - 1 : replica.known + 1
      cluster.adopt(versions[replica.known], replica)
    }
    for replica in cluster.replicas where replica.isHere && replica.raft.isMembershipSettled {
      guard cluster.random.oneIn(5) else { continue }
      settled = max(settled, replica.raft.membership.version)
    }
    guard changeEvery > 0, cluster.random.oneIn(changeEvery) else { return }
    change(cluster)
  }

  // MARK: Changes

  private func isLost(_ node: NodeID, _ cluster: ModelCluster) -> Bool {
    let replica = cluster[node]
    return replica.isDamaged || replica.life != latest.lives[Int(node.rawValue) - 1]
  }

  func lostVoters(_ cluster: ModelCluster) -> Int {
    latest.membership.voters.filter { isLost($0, cluster) }.count
  }

  /// Whether the group survives that one more is lost.
  func mayLose(_ node: NodeID, _ cluster: ModelCluster) -> Bool {
    let voters = latest.membership.voters
    guard voters.contains(node) else { return true }
    return !isLost(node, cluster) && lostVoters(cluster) + 1 <= (voters.count - 1) / 2
  }

  private func change(_ cluster: ModelCluster) {
    let now = latest.membership
    guard settled == now.version || cluster.mistakes.contains(.changeUnsettled) else { return }
    var next = now
    next.version += 1
    guard isRestless && cluster.random.oneIn(2) ? disturb(&next, cluster) : mend(&next, cluster)
    else { return }
    issue(next, cluster)
  }

  /// The step that is next on the way to all nodes being voters.
  private func mend(_ next: inout Membership, _ cluster: ModelCluster) -> Bool {
    if next.voters.count > 1, let lost = next.voters.first(where: { isLost($0, cluster) }) {
      next.voters.removeAll { $0 == lost }
      return true
    }
    if let lost = next.learners.first(where: { isLost($0, cluster) }) {
      next.learners.removeAll { $0 == lost }
      return true
    }
    let ready = cluster.replicas.flatMap { $0.isHere ? $0.raft.caughtUp : [] }
    if let learner = next.learners.first(where: { ready.contains($0) }) {
      next.learners.removeAll { $0 == learner }
      next = Membership(
        version: next.version, voters: next.voters + [learner], learners: next.learners)
      return true
    }
    let members = next.voters + next.learners
    let outside = cluster.replicas.first {
      !members.contains($0.id) && $0.isUp && !$0.isDamaged && $0.known == versions.count - 1
    }
    guard let outside else { return false }
    next = Membership(
      version: next.version, voters: next.voters, learners: next.learners + [outside.id])
    return true
  }

  private func disturb(_ next: inout Membership, _ cluster: ModelCluster) -> Bool {
    let left = next.voters.count - 1
    let one = next.voters[cluster.random.below(next.voters.count)]
    guard left >= 1, lostVoters(cluster) <= (left - 1) / 2 else { return false }
    next.voters.removeAll { $0 == one }
    return true
  }
}

// MARK: - What nodes do with it

extension ModelCluster {
  func adopt(_ version: ModelGroupZero.Version, _ replica: ModelReplica) {
    let index = Int(replica.id.rawValue) - 1
    let isMember = version.lives[index] == replica.life
    if !isMember, replica.isDamaged || replica.isPresent && random.oneIn(2) {
      replica.loseLog()
    } else if replica.isPresent {
      step(replica, .membership(version.membership))
    } else if isMember {
      join(version, replica)
      for peer in liveness.lost(by: replica.id) { step(replica, .peerLost(peer)) }
    }
  }

  private func join(_ version: ModelGroupZero.Version, _ replica: ModelReplica) {
    let joined = version.joined[Int(replica.id.rawValue) - 1]
    replica.begin(version.membership, joined: joined, seed: random.next())
    if replica.isDamaged { step(replica, .fenced) }
    step(replica, .began)
  }

  /// It has asked what is committed in group 0 before it does anything.
  func restart(_ replica: ModelReplica) {
    guard !replica.isUp else { return }
    replica.isUp = true
    replica.isPresent = false
    replica.known = groupZero.versions.count - 1
    liveness.restarted(replica.id, at: now)
    let version = groupZero.latest
    if version.lives[Int(replica.id.rawValue) - 1] == replica.life {
      join(version, replica)
    } else if replica.isDamaged {
      replica.loseLog()
    }
  }

  /// All its files are gone, and with them who it was.
  func loseDisk(_ replica: ModelReplica) {
    guard groupZero.mayLose(replica.id, self) else { return }
    crash(replica)
    replica.loseLog()
  }

  /// One log of it is damaged.
  func damage(_ replica: ModelReplica) {
    guard groupZero.mayLose(replica.id, self), replica.isHere else { return }
    replica.isDamaged = true
    step(replica, .fenced)
  }
}
