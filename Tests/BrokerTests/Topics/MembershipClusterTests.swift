import Broker
import Bytes
import KafkaWire
import Testing

/// Nodes with replicas of a few groups, and a controller that moves among them.
///
/// Of Raft there is as much as matters here: who may lead by which membership, what a majority has,
/// and what a leader reports. Nodes take the controller's decisions in at their own pace, and
/// reports arrive late, twice, and at a controller that is not there any more.
private struct ModelCluster {
  struct Replica {
    var length = 0
    var incarnation: UInt64
    var isDamaged = false
    /// A damaged one was outside of the group: it begins anew when it is in again.
    var wasOut = false
  }

  struct Node {
    var isAlive = true
    var incarnation: UInt64
    /// How much of the controller's log it has taken in.
    var applied = 0
    var state = MetadataState()
    var replicas: [GroupKey: Replica] = [:]
  }

  struct Group {
    var leader: Int32?
    var epoch: Int32 = 0
    /// Of the highest version under which this leader has committed.
    var committedUnder: Int64 = 0
    /// What was said to be committed, ever.
    var committed = 0
  }

  var random: SeededGenerator
  var nodes: [Int32: Node] = [:]
  let ids: [Int32] = [1, 2, 3, 4]
  var groups: [GroupKey: Group] = [:]
  var controller: Controller
  var log: [MetadataRecord] = []
  var appended: [MetadataRecord] = []
  /// Reports on their way.
  var mail: [GroupReport] = []
  /// Of this controller: the versions that were said to hold.
  var held: [GroupKey: Int64] = [:]
  var nextIncarnation: UInt64 = 100
  var now: Int64 = 0
  var notices: [String] = []

  init(seed: UInt64) throws {
    random = SeededGenerator(seed: seed)
    controller = try Controller(nodeId: 1)
    for id in ids { nodes[id] = Node(incarnation: UInt64(id)) }
    var records = ids.map { id in
      MetadataRecord.nodeRegistered(
        RegisteredNode(id: id, incarnation: UInt64(id), host: "h\(id)", port: 1))
    }
    records.append(
      .membershipChanged(
        .metadata,
        GroupMembership(
          version: 1, voters: [1, 2, 3].map { NodeIncarnation(node: $0, incarnation: UInt64($0)) }))
    )
    for (number, replicas) in [[1, 2, 3], [2, 3, 4, 4, 1, 2], [1]].enumerated() {
      records.append(
        .topicCreated(
          TopicState(
            id: UUID16(high: 1, low: UInt64(number + 1)), name: "t\(number)",
            replicationFactor: min(3, replicas.count), replicas: replicas.map { Int32($0) })))
    }
    commit(records)
    for group in allGroups { groups[group] = Group() }
    takeOver()
  }

  var allGroups: [GroupKey] {
    [.metadata]
      + controller.state.names.compactMap { controller.state.topic(named: $0) }.flatMap { topic in
        (0..<topic.partitionsCount).map { GroupKey(topic: topic.id, partition: $0) }
      }
  }

  // MARK: The controller

  mutating func step(_ input: Controller.Input) {
    var effects: [Controller.Effect] = []
    controller.step(input, into: &effects)
    for effect in effects {
      switch effect {
      case .append(let records, _):
        appended += records
        for case .membershipChanged(let group, let membership) in records {
          #expect(held[group] == membership.version - 1, "\(group) \(membership)")
        }
      case .transferLeadership(let group, let node): transfer(group, to: node)
      case .notice(let text): notices.append(text)
      default: break
      }
    }
  }

  mutating func commit(_ records: [MetadataRecord]) {
    for record in records {
      if case .membershipChanged(let group, let next) = record,
        let before = controller.state.membership(of: group)
      {
        #expect(next.version == before.version + 1)
        let voters = Set(next.voters).symmetricDifference(before.voters)
        #expect(voters.count <= 1)
      }
    }
    log += records
    step(.committed(records))
  }

  mutating func commitSome() {
    let count = Int.random(in: 0...appended.count, using: &random)
    let records = Array(appended.prefix(count))
    appended.removeFirst(count)
    if !records.isEmpty { commit(records) }
  }

  /// Another node decides from here on, with what is committed.
  mutating func takeOver() {
    // What was appended is lost, or some of it is in the log all the same.
    let rest = appended.prefix(Int.random(in: 0...appended.count, using: &random))
    appended = []
    do {
      let snapshot = try MetadataState(decoding: controller.state.encoded()[...])
      controller = try Controller(nodeId: 1, isLeading: false, snapshot: snapshot)
    } catch {
      Issue.record("\(error)")
    }
    commit(Array(rest))
    held = [:]
    step(.lead)
    for id in ids where nodes[id]?.isAlive == true { see(id) }
  }

  mutating func see(_ id: Int32) {
    guard let node = nodes[id] else { return }
    step(
      .nodeSeen(
        RegisteredNode(id: id, incarnation: node.incarnation, host: "h\(id)", port: 1)))
  }

  mutating func deliver(_ index: Int, again: Bool) {
    let report = again ? mail[index] : mail.remove(at: index)
    if report.hasCommittedUnderVersion, report.isAdoptedByMajority {
      held[report.group] = max(held[report.group] ?? 0, report.version)
    }
    step(.report(report))
  }

  // MARK: Nodes

  mutating func apply(_ id: Int32, all: Bool = false) {
    guard var node = nodes[id], node.isAlive else { return }
    let count = all ? log.count : min(log.count, node.applied + random.below(3))
    while node.applied < count {
      try? node.state.load(log[node.applied])
      node.applied += 1
      for group in groups.keys { take(&node, id, group) }
    }
    if node.replicas.isEmpty { for group in groups.keys { take(&node, id, group) } }
    nodes[id] = node
  }

  /// The node's replica of the group is as its membership says.
  private func take(_ node: inout Node, _ id: Int32, _ group: GroupKey) {
    guard let membership = node.state.membership(of: group) else { return }
    let entry = membership.voter(id) ?? membership.learner(id)
    let isIn = entry?.incarnation == node.incarnation
    if !isIn {
      if node.replicas[group]?.isDamaged == true { node.replicas[group]?.wasOut = true }
      if node.replicas[group]?.isDamaged != true { node.replicas[group] = nil }
    } else if node.replicas[group] == nil || node.replicas[group]?.wasOut == true {
      node.replicas[group] = Replica(incarnation: node.incarnation)
    }
  }

  private func isGood(_ member: NodeIncarnation, _ group: GroupKey) -> Bool {
    guard let node = nodes[member.node], node.isAlive, let replica = node.replicas[group] else {
      return false
    }
    return node.incarnation == member.incarnation && !replica.isDamaged
      && replica.incarnation == member.incarnation
  }

  private func membership(_ id: Int32, _ group: GroupKey) -> GroupMembership? {
    nodes[id]?.state.membership(of: group)
  }

  private func length(_ id: Int32, _ group: GroupKey) -> Int {
    nodes[id]?.replicas[group]?.length ?? 0
  }

  // MARK: Raft

  mutating func work(on key: GroupKey) {
    guard let group = groups[key] else { return }
    guard let leader = group.leader, let membership = membership(leader, key),
      let own = membership.voter(leader), isGood(own, key)
    else { return elect(key) }
    let good = membership.voters.filter { isGood($0, key) }
    guard good.count >= membership.voters.count / 2 + 1 else {
      groups[key]?.leader = nil
      return
    }
    // Some get what there is.
    nodes[leader]?.replicas[key]?.length += 1
    let end = length(leader, key)
    for member in membership.voters + membership.learners
    where isGood(member, key) && !random.oneIn(4) {
      nodes[member.node]?.replicas[key]?.length = end
    }
    let reached = membership.voters.count { isGood($0, key) && length($0.node, key) >= end }
    if reached >= membership.voters.count / 2 + 1 {
      groups[key]?.committed = end
      groups[key]?.committedUnder = membership.version
    }
    report(key, leader, membership)
  }

  private mutating func report(_ key: GroupKey, _ leader: Int32, _ membership: GroupMembership) {
    guard let group = groups[key] else { return }
    let end = length(leader, key)
    let adopted = membership.voters.count {
      isGood($0, key) && (self.membership($0.node, key)?.version ?? 0) >= membership.version
    }
    mail.append(
      GroupReport(
        group: key, leader: leader, epoch: group.epoch, version: membership.version,
        hasCommittedUnderVersion: group.committedUnder == membership.version,
        isAdoptedByMajority: adopted >= membership.voters.count / 2 + 1,
        caughtUp: membership.learners.filter { isGood($0, key) && length($0.node, key) >= end }
          .map(\.node),
        inSync: membership.voters.filter { isGood($0, key) && length($0.node, key) >= end }
          .map(\.node)))
  }

  private mutating func elect(_ key: GroupKey) {
    guard let candidate = ids.randomElement(using: &random) else { return }
    lead(key, candidate)
  }

  @discardableResult
  private mutating func lead(_ key: GroupKey, _ candidate: Int32) -> Bool {
    guard let membership = membership(candidate, key), let own = membership.voter(candidate),
      isGood(own, key)
    else { return false }
    let votes = membership.voters.count { voter in
      isGood(voter, key) && length(voter.node, key) <= length(candidate, key)
        && (self.membership(voter.node, key)?.version ?? 0) <= membership.version
    }
    guard votes >= membership.voters.count / 2 + 1, let group = groups[key] else { return false }
    #expect(length(candidate, key) >= group.committed, "\(key) lost what was committed")
    groups[key] = Group(leader: candidate, epoch: group.epoch + 1, committed: group.committed)
    step(.leaderReported(key, candidate))
    return true
  }

  private mutating func transfer(_ key: GroupKey, to node: Int32) {
    guard !random.oneIn(3) else { return }
    lead(key, node)
  }

  // MARK: Faults

  mutating func fault() {
    guard let id = ids.randomElement(using: &random), let node = nodes[id] else { return }
    switch random.below(10) {
    case 0, 1, 2:
      guard node.isAlive else { return }
      nodes[id]?.isAlive = false
      step(.nodeLost(id))
    case 3, 4, 5: revive(id)
    case 6, 7: takeOver()
    case 8:
      // One disk at a time: a second one before the first is mended may be more than there is.
      guard isMended else { return }
      nextIncarnation += 1
      nodes[id] = Node(isAlive: true, incarnation: nextIncarnation)
      apply(id, all: true)
      see(id)
    default:
      guard isMended, let key = groups.keys.sorted().randomElement(using: &random),
        membership(id, key)?.voters.count ?? 0 > 1
      else { return }
      nodes[id]?.replicas[key]?.isDamaged = true
    }
  }

  mutating func revive(_ id: Int32) {
    guard nodes[id]?.isAlive == false else { return }
    nodes[id]?.isAlive = true
    apply(id, all: true)
    see(id)
  }

  mutating func reassign() {
    let groups = groups.keys.sorted().filter { $0 != .metadata }
    guard let key = groups.randomElement(using: &random) else { return }
    let count = random.oneIn(3) ? 1 : 3
    let target: [Int32]? =
      random.oneIn(3) ? nil : Array(ids.shuffled(using: &random).prefix(count))
    guard controller.isLeading, let topic = controller.state.topic(key.topic) else { return }
    let request = AlterPartitionReassignmentsRequest.with {
      $0.topics = [
        .with {
          $0.name = topic.name
          $0.partitions = [
            .with {
              $0.partitionIndex = key.partition
              $0.replicas = target
            }
          ]
        }
      ]
    }
    let cluster = ClusterView(
      brokers: ids.map { ClusterView.Broker(id: $0, host: "h", port: 1) }, controllerId: 1,
      leadership: { _, _ in .none })
    step(
      .request(
        .init(
          .alterPartitionReassignments(request), version: 1, token: ReplyToken(1), cluster: cluster)
      ))
  }

  /// Every group has the members it is to have, none of them without its disk or damaged.
  var isMended: Bool { groups.keys.sorted().allSatisfy { isMended($0) || isLost($0) } }

  func isMended(_ key: GroupKey) -> Bool {
    guard appended.isEmpty, let now = controller.state.membership(of: key), now.learners.isEmpty,
      controller.state.reassignments[key] == nil
    else { return false }
    let target = controller.state.target(of: key) ?? [1, 2, 3, 4]
    let nodes = Set(now.voters.map(\.node))
    return nodes.isSubset(of: target) && nodes.count == (key == .metadata ? 3 : target.count)
      && now.voters.allSatisfy {
        self.nodes[$0.node]?.incarnation == $0.incarnation
          && self.nodes[$0.node]?.replicas[key]?.isDamaged != true
      }
  }

  /// Its only replica went with a disk, or is damaged.
  func isLost(_ key: GroupKey) -> Bool {
    guard let now = controller.state.membership(of: key), now.voters.count == 1 else {
      return false
    }
    let node = nodes[now.voters[0].node]
    return node?.incarnation != now.voters[0].incarnation
      || node?.replicas[key]?.isDamaged == true
  }

  mutating func turn() {
    now += 100
    for id in ids { apply(id) }
    for key in groups.keys.sorted() { work(on: key) }
    for _ in 0..<random.below(12) where !mail.isEmpty {
      deliver(random.below(mail.count), again: random.oneIn(8))
    }
    if mail.count > 60 { mail.removeFirst(mail.count - 60) }
    for id in ids {
      for (key, replica) in (nodes[id]?.replicas ?? [:]).sorted(by: { $0.key < $1.key })
      where replica.isDamaged && !replica.wasOut {
        step(.replicaDamaged(key, node: id, version: membership(id, key)?.version ?? 0))
      }
    }
    step(.tick(now: now))
    commitSome()
  }
}

@Suite struct `A cluster whose members change` {
  @Test(arguments: 0..<60 as Range<UInt64>)
  func `comes to what it is to be, and loses nothing on the way`(seed: UInt64) throws {
    var cluster = try ModelCluster(seed: seed)
    for turn in 0..<800 {
      cluster.turn()
      if turn > 20, cluster.random.oneIn(6) { cluster.fault() }
      if cluster.random.oneIn(30) { cluster.reassign() }
    }
    for id in cluster.ids { cluster.revive(id) }
    var turns = 0
    while !cluster.isMended, turns < 3000 {
      cluster.turn()
      turns += 1
    }
    #expect(cluster.isMended, "seed \(seed)")
    #expect(cluster.log.count > 30)
    for key in cluster.groups.keys.sorted() where cluster.isLost(key) {
      #expect(!cluster.notices.isEmpty, "seed \(seed)")
    }
  }
}

@Suite struct `Many groups` {
  @Test func `change their members a few at a time`() throws {
    var harness = try ControllerHarness(brokers: 3)
    for id in 1...3 as ClosedRange<Int32> { harness.register(id, UInt64(id)) }
    _ = try harness.created("t", partitions: 40, factor: 3)
    let id = try #require(harness.controller.state.topic(named: "t")?.id)
    let groups = (0..<40 as Range<Int32>).map { GroupKey(topic: id, partition: $0) }
    for node in 1...3 as ClosedRange<Int32> {
      _ = harness.step(
        .nodeSeen(
          RegisteredNode(
            id: node, incarnation: node == 3 ? 33 : UInt64(node), host: "h", port: 9000 + node)))
    }
    _ = harness.commit()

    func learning() -> [GroupKey] {
      groups.filter { harness.controller.state.membership(of: $0)?.learners.isEmpty == false }
    }
    func report(_ group: GroupKey, isCaughtUp: Bool) {
      guard let membership = harness.controller.state.membership(of: group) else { return }
      _ = harness.step(
        .report(
          GroupReport(
            group: group, leader: 1, epoch: 1, version: membership.version,
            hasCommittedUnderVersion: true, isAdoptedByMajority: true,
            caughtUp: isCaughtUp ? membership.learners.map(\.node) : [],
            inSync: membership.voters.map(\.node).filter { $0 != 3 })))
    }
    var most = 0
    for turn in 0..<200 {
      // One of those that catch up has done so, now and then.
      let lucky = learning().first
      for group in groups { report(group, isCaughtUp: group == lucky && turn % 3 == 0) }
      _ = harness.step(.tick(now: Int64(turn) * 100))
      if !harness.waiting.isEmpty { _ = harness.commit() }
      most = max(most, learning().count)
    }
    #expect(most == 16)
    for group in groups {
      #expect(
        harness.controller.state.membership(of: group)?.voters
          == [(1, 1), (2, 2), (3, 33)].map { NodeIncarnation(node: $0, incarnation: $1) })
    }
    #expect(harness.controller.state.membership(of: groups[0])?.version == 4)
  }

  @Test func `take no room for members that never changed`() throws {
    var state = MetadataState()
    for id in 1...3 as ClosedRange<Int32> {
      try state.load(
        .nodeRegistered(RegisteredNode(id: id, incarnation: .max, host: "h", port: 1)))
    }
    for number in 0..<20 {
      try state.load(
        .topicCreated(
          TopicState(
            id: UUID16(high: 1, low: UInt64(number + 1)), name: "t\(number)", replicationFactor: 3,
            replicas: (0..<10_000).flatMap { _ in [1, 2, 3] as [Int32] })))
    }
    #expect(state.partitionsCount == Controller.partitionsMax)
    // A byte for each replica, and a little for each topic.
    let bytes = state.encoded()
    #expect(bytes.count < 3 * Controller.partitionsMax + 20 * 100)
    #expect(
      state.membership(of: UUID16(high: 1, low: 20), 9999)?.voters.map(\.incarnation)
        == [.max, .max, .max])
  }
}
