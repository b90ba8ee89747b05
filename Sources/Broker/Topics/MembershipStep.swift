/// How a group is, as its leader says.
package struct GroupReport: Equatable, Sendable {
  package var group: GroupKey
  package var leader: Int32
  package var epoch: Int32
  /// The membership that the leader goes by.
  package var version: Int64
  /// The leader has committed something of its own epoch, counted under this version.
  package var hasCommittedUnderVersion: Bool
  /// A majority of this version's voters goes by it.
  package var isAdoptedByMajority: Bool
  /// The learners that have all that is committed, but for what came just now.
  package var caughtUp: [Int32]
  /// The voters that do, the leader among them.
  package var inSync: [Int32]

  package init(
    group: GroupKey, leader: Int32, epoch: Int32, version: Int64,
    hasCommittedUnderVersion: Bool, isAdoptedByMajority: Bool, caughtUp: [Int32], inSync: [Int32]
  ) {
    self.group = group
    self.leader = leader
    self.epoch = epoch
    self.version = version
    self.hasCommittedUnderVersion = hasCommittedUnderVersion
    self.isAdoptedByMajority = isAdoptedByMajority
    self.caughtUp = caughtUp
    self.inSync = inSync
  }
}

/// What is to be done next to bring a group's members to where they are to be.
///
/// The goal is the nodes of `target`, each with the disk it has now. A voter whose disk was lost,
/// or whose log is damaged, is *bad*: it can do nothing for the group until it has left and come
/// back as a learner. A voter of another node than those is *surplus*.
///
/// (1) A version is followed by another only when the leader has committed under it, and a majority
///     of its voters goes by it: so a majority of any two that are in use have somebody in common.
/// (2) Who votes has what is committed: learners catch up before.
/// (3) The group keeps serving: after a step, as many voters are in sync as make a majority, if
///     there were before. Bad ones go first, which never makes it worse: the majority gets smaller
///     and they were not of it.
/// (4) There is an even number of voters only in passing, because one more of them makes a group
///     weaker: from odd to even only if the next step can follow at once.
/// (5) The leader does not leave before it has handed over.
package enum MembershipStep: Equatable, Sendable {
  /// The group is as it is to be.
  case done
  case change(GroupMembership)
  /// The leader has to go first.
  case transfer(to: Int32)
  case wait(Reason)
  /// As many voters as a majority have lost their logs: nothing is left to repair it from.
  case lost([NodeIncarnation])

  package enum Reason: Equatable, Sendable {
    /// For the leader to say that the present version holds.
    case report
    case catchingUp
    /// For nodes that are dead, or replicas that are behind.
    case nodes
  }

  /// What `step` goes by.
  package struct Facts: Sendable {
    package var membership: GroupMembership
    /// In the order of preference.
    package var target: [NodeIncarnation]
    /// The incarnations that the voters' and learners' nodes have now; those of unknown nodes are
    /// not in it.
    package var current: [NodeIncarnation]
    /// Nodes whose replica of this group is damaged.
    package var damaged: [Int32]
    /// Ascending.
    package var alive: [Int32]
    package var report: GroupReport?

    package init(
      membership: GroupMembership, target: [NodeIncarnation], current: [NodeIncarnation],
      damaged: [Int32] = [], alive: [Int32], report: GroupReport?
    ) {
      self.membership = membership
      self.target = target
      self.current = current
      self.damaged = damaged
      self.alive = alive
      self.report = report
    }
  }
}

extension MembershipStep.Facts {
  func isBad(_ member: NodeIncarnation) -> Bool {
    damaged.contains(member.node)
      || current.contains { $0.node == member.node && !$0.matches(member) }
  }

  func isWanted(_ member: NodeIncarnation) -> Bool {
    target.contains { $0.node == member.node }
  }

  var bad: [NodeIncarnation] { membership.voters.filter(isBad) }
  var surplus: [NodeIncarnation] { membership.voters.filter { !isWanted($0) } }
  /// Learners that will not become voters.
  var idle: [NodeIncarnation] { membership.learners.filter { isBad($0) || !isWanted($0) } }
  var missing: [NodeIncarnation] {
    target.filter { membership.voter($0.node) == nil && membership.learner($0.node) == nil }
  }

  package var isDone: Bool {
    bad.isEmpty && surplus.isEmpty && membership.learners.isEmpty && missing.isEmpty
  }

  /// (1)
  private var holds: GroupReport? {
    guard let report, report.version == membership.version, report.hasCommittedUnderVersion,
      report.isAdoptedByMajority, alive.contains(report.leader),
      membership.voter(report.leader) != nil
    else { return nil }
    return report
  }

  /// What is to be done next.
  package func step() -> MembershipStep {
    guard !isDone else { return .done }
    let bad = bad
    let voters = membership.voters
    guard voters.count - bad.count >= voters.count / 2 + 1 else {
      // A damaged majority may still be led, and a node that comes back may have its disk again.
      return .lost(bad)
    }
    guard let report = holds else { return .wait(.report) }
    if let leaver = bad.first(where: { $0.node != report.leader }) {
      return .change(without(leaver))
    }
    if let leader = bad.first { return handOver(from: leader, report) }
    guard idle.isEmpty else { return .change(withoutIdleLearners) }
    let comers = missing.filter { alive.contains($0.node) }
    guard comers.isEmpty else { return .change(withLearners(comers)) }
    return promotion(report) ?? removal(report) ?? .wait(reason(report))
  }

  // MARK: Voters in and out

  private func inSync(_ report: GroupReport) -> [NodeIncarnation] {
    membership.voters.filter {
      report.inSync.contains($0.node) && alive.contains($0.node) && !isBad($0)
    }
  }

  /// (2), (3), (4)
  private func promotion(_ report: GroupReport) -> MembershipStep? {
    let ready = target.compactMap { membership.learner($0.node) }.filter {
      report.caughtUp.contains($0.node) && alive.contains($0.node)
    }
    guard let first = ready.first, mayPromote(ready.count, report),
      inSync(report).count + 1 >= (membership.voters.count + 1) / 2 + 1
    else { return nil }
    return .change(with(first))
  }

  /// (4). Up to the number that is wanted, two at a time; then one comes and one goes.
  private func mayPromote(_ readyCount: Int, _ report: GroupReport) -> Bool {
    let count = membership.voters.count
    guard !count.isMultiple(of: 2) else {
      return count < target.count || removal(report) == nil
    }
    return readyCount > 1 || count + 1 == target.count
      || (count >= target.count && !surplus.isEmpty)
  }

  /// (3), (4), (5)
  private func removal(_ report: GroupReport) -> MembershipStep? {
    let count = membership.voters.count
    let isComplete = target.allSatisfy { membership.voter($0.node) != nil }
    guard isComplete || (count.isMultiple(of: 2) && count > target.count) else { return nil }
    if let leaver = leaver(report) { return .change(without(leaver)) }
    guard let leader = surplus.first(where: { $0.node == report.leader }),
      serves(without: leader, report)
    else { return nil }
    return handOver(from: leader, report)
  }

  /// Who is behind goes first.
  private func leaver(_ report: GroupReport) -> NodeIncarnation? {
    let able = surplus.filter { $0.node != report.leader && serves(without: $0, report) }
    let inSync = inSync(report)
    return able.first { !inSync.contains($0) } ?? able.first
  }

  private func serves(without leaver: NodeIncarnation, _ report: GroupReport) -> Bool {
    let count = membership.voters.count - 1
    return count > 0 && inSync(report).count { $0 != leaver } >= count / 2 + 1
  }

  /// To one that stays, in the order of preference.
  private func handOver(
    from leader: NodeIncarnation, _ report: GroupReport
  ) -> MembershipStep {
    let able = inSync(report).filter { $0 != leader }
    let next = target.first { wanted in able.contains { $0.node == wanted.node } }
    guard let next = next?.node ?? able.first?.node else { return .wait(.nodes) }
    return .transfer(to: next)
  }

  private func reason(_ report: GroupReport) -> MembershipStep.Reason {
    let isMoving = membership.learners.contains {
      alive.contains($0.node) && !report.caughtUp.contains($0.node)
    }
    return isMoving ? .catchingUp : .nodes
  }

  // MARK: The next version

  private func next(
    _ voters: [NodeIncarnation], _ learners: [NodeIncarnation]
  ) -> GroupMembership {
    GroupMembership(version: membership.version + 1, voters: voters, learners: learners)
  }

  private func without(_ leaver: NodeIncarnation) -> GroupMembership {
    next(membership.voters.filter { $0 != leaver }, membership.learners)
  }

  private func with(_ comer: NodeIncarnation) -> GroupMembership {
    next(membership.voters + [comer], membership.learners.filter { $0 != comer })
  }

  private var withoutIdleLearners: GroupMembership {
    let idle = idle
    return next(membership.voters, membership.learners.filter { !idle.contains($0) })
  }

  private func withLearners(_ comers: [NodeIncarnation]) -> GroupMembership {
    next(membership.voters, membership.learners + comers)
  }
}
