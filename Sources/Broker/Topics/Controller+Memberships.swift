internal import KafkaWire

// Groups get the members they are to have: see `MembershipStep` for the order, `MembershipChanges`
// for how many at once. All of it happens only where group 0 is led.

extension Controller {
  /// Group 0 has at most so many voters.
  static let metadataVotersMax = 5

  /// A node said what disk it has and where it is. Its own word, heard by the leader of group 0.
  mutating func nodeSeen(_ node: RegisteredNode, into effects: inout [Effect]) {
    if !changes.alive.contains(node.id) {
      changes.alive.append(node.id)
      changes.alive.sort()
    }
    if isLeading, decided.node(node.id) != node { propose([.nodeRegistered(node)], into: &effects) }
  }

  mutating func nodeLost(_ node: Int32) { changes.alive.removeAll { $0 == node } }

  mutating func reported(_ report: GroupReport, into effects: inout [Effect]) {
    elections.reported(report.group, report.leader, into: &effects)
    guard isLeading, state.membership(of: report.group) != nil else { return }
    if let known = changes.reports[report.group],
      (known.epoch, known.version) > (report.epoch, report.version)
    {
      return
    }
    changes.reports[report.group] = report
    if changes.activeIndex(report.group) != nil { advance(report.group, into: &effects) }
  }

  /// What is known of the group may not hold under another leader.
  mutating func led(_ group: GroupKey, by leader: Int32?) {
    guard let leader, let report = changes.reports[group], report.leader != leader else { return }
    changes.reports[group] = nil
  }

  /// The node found its replica damaged when the group had this version.
  mutating func replicaDamaged(_ group: GroupKey, _ node: Int32, version: Int64) {
    // Said of an older version, it may have been mended since: who is still damaged says it again.
    guard isLeading, let membership = state.membership(of: group), membership.version == version,
      membership.voter(node) != nil || membership.learner(node) != nil,
      changes.damaged[group]?.contains(node) != true
    else { return }
    changes.damaged[group, default: []].append(node)
    changes.enqueue(group)
  }

  /// Something was committed that may change what is to be done.
  mutating func noteForMemberships(_ change: MetadataState.Change) {
    guard isLeading else { return }
    switch change {
    case .nodeRegistered: changes.rescan()
    case .membershipChanged(let group, let membership):
      changes.damaged[group]?.removeAll {
        membership.voter($0) == nil && membership.learner($0) == nil
      }
      if changes.damaged[group]?.isEmpty == true { changes.damaged[group] = nil }
      changes.enqueue(group)
    case .reassigned(let group): changes.enqueue(group)
    case .topicDeleted(let topic):
      for index in topic.partitions {
        let group = GroupKey(topic: topic.id, partition: index)
        changes.reports[group] = nil
        changes.damaged[group] = nil
        changes.untell(group)
      }
    case .none, .topicCreated, .partitionsAdded, .topicConfigured, .brokerConfigured: break
    }
  }

  mutating func changeMemberships(_ now: Int64, into effects: inout [Effect]) {
    self.now = now
    guard isLeading else { return }
    for group in changes.scan(state) {
      guard let facts = facts(of: group), needsWork(group, facts) else { continue }
      changes.enqueue(group)
    }
    // Group 0 waits for no place: without it nothing else can be mended.
    if changes.activeIndex(.metadata) == nil, let facts = facts(of: .metadata),
      needsWork(.metadata, facts)
    {
      changes.activate(.metadata, version: facts.membership.version, now: now)
    }
    for entry in changes.active { advance(entry.group, into: &effects) }
    var tries = min(changes.queuedCount, MembershipChanges.triedMax)
    while tries > 0, changes.active.count < MembershipChanges.activeMax,
      let group = changes.dequeue()
    {
      tries -= 1
      guard let facts = facts(of: group), needsWork(group, facts) else {
        changes.untell(group)
        continue
      }
      switch facts.step() {
      case .done, .change, .transfer, .wait(.catchingUp):
        changes.activate(group, version: facts.membership.version, now: now)
        advance(group, into: &effects)
      case .wait(.report), .wait(.nodes): changes.enqueue(group)
      case .lost(let bad):
        tellLost(group, bad, into: &effects)
        changes.enqueue(group)
      }
    }
  }

  private func needsWork(_ group: GroupKey, _ facts: MembershipStep.Facts) -> Bool {
    !facts.isDone || decided.reassignments[group] != nil
  }

  /// Does the next step of an active group, if it can be done.
  private mutating func advance(_ group: GroupKey, into effects: inout [Effect]) {
    guard let index = changes.activeIndex(group) else { return }
    guard let facts = facts(of: group), needsWork(group, facts) else {
      changes.untell(group)
      return changes.deactivate(group)
    }
    // What was decided last is not in force yet.
    guard state.membership(of: group) == decided.membership(of: group),
      state.reassignments[group] == decided.reassignments[group]
    else { return }
    let now = now
    if changes.active[index].version != facts.membership.version {
      changes.update(index) {
        $0.version = facts.membership.version
        $0.since = now
      }
    }
    let step = facts.step()
    switch step {
    case .done: propose([.reassigned(group, target: nil)], into: &effects)
    case .change(let membership):
      propose([.membershipChanged(group, membership)], into: &effects)
    case .transfer(let node):
      let pause = MembershipChanges.askAgainMilliseconds
      if let asked = changes.active[index].askedAt, now - asked < pause { return }
      changes.update(index) { $0.askedAt = now }
      effects.append(.transferLeadership(group, to: node))
    case .wait(.catchingUp): break
    case .wait(.report):
      let isLate = now - changes.active[index].since >= MembershipChanges.patienceMilliseconds
      if isLate { giveUpPlace(group) }
    case .wait(.nodes): giveUpPlace(group)
    case .lost(let bad):
      tellLost(group, bad, into: &effects)
      giveUpPlace(group)
    }
  }

  private mutating func giveUpPlace(_ group: GroupKey) {
    changes.deactivate(group)
    changes.enqueue(group)
  }

  private mutating func tellLost(
    _ group: GroupKey, _ bad: [NodeIncarnation], into effects: inout [Effect]
  ) {
    guard changes.tell(group) else { return }
    let name = state.topic(group.topic).map { "\($0.name)-\(group.partition)" } ?? "\(group)"
    let nodes = bad.map { "\($0.node)" }.joined(separator: ", ")
    effects.append(
      .notice(
        "\(name) is lost: its replicas on node \(nodes) are damaged or went with their disks, and "
          + "those left are no majority. Start the node with its old data directory, or delete the "
          + "topic."))
  }

  /// What the next step of the group goes by; nil if there is no such group any more.
  private func facts(of group: GroupKey) -> MembershipStep.Facts? {
    guard let membership = decided.membership(of: group),
      let nodes = group == .metadata ? metadataNodes(membership) : decided.target(of: group)
    else { return nil }
    let target = nodes.map { node in
      decided.node(node)?.current ?? NodeIncarnation(node: node, incarnation: 0)
    }
    let current = (membership.voters + membership.learners).compactMap {
      decided.node($0.node)?.current
    }
    return MembershipStep.Facts(
      membership: membership, target: target, current: current,
      damaged: changes.damaged[group] ?? [], alive: changes.alive, report: changes.reports[group])
  }

  /// Where group 0 is to be: on the nodes it is on, and others until there are enough.
  private func metadataNodes(_ membership: GroupMembership) -> [Int32] {
    let registered = decided.nodes.map(\.id)
    let most = min(Self.metadataVotersMax, registered.count)
    let wanted = max(1, most.isMultiple(of: 2) ? most - 1 : most)
    var nodes: [Int32] = []
    for node in (membership.voters + membership.learners).map(\.node) + registered
    where nodes.count < wanted && !nodes.contains(node) {
      nodes.append(node)
    }
    return nodes
  }
}
