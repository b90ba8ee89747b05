package import KafkaWire

// Nodes, and who is in which group.
//
// Most partitions keep the voters they were made with: membership 1, their replicas, in the
// incarnations the nodes had then. That is not kept for each partition. A topic has a `Birth` for
// each time it got partitions, with the incarnations of all nodes at that time; topics that were
// made between two registrations share one array of them. What was changed is in `memberships`.
//
// A node that was never registered has no incarnation when a partition is made: its entry is zero,
// for any. When it is registered, its first incarnation is what the zero has meant; a later one,
// with an empty disk, is somebody else.

extension MetadataState {
  /// Partitions that were made together.
  struct Birth: Equatable, Sendable {
    var first: Int32
    /// Of all nodes there were, ascending by node.
    var incarnations: [NodeIncarnation]
  }

  /// Who is in the group. Nil if there is no such partition, and of group 0 while nothing was said
  /// about it: then a node is alone.
  package func membership(of group: GroupKey) -> GroupMembership? {
    if let changed = memberships[group] { return changed.resolved(firstIncarnation) }
    guard group.topic != .zero, let topic = topic(group.topic),
      topic.partitions.contains(group.partition)
    else { return nil }
    let incarnations =
      births[topic.id]?.last { $0.first <= group.partition }?.incarnations ?? []
    let voters = topic.replicas(ofPartition: group.partition).map { node in
      incarnations.first { $0.node == node }
        ?? NodeIncarnation(node: node, incarnation: firstIncarnation(node))
    }
    return GroupMembership(version: 1, voters: voters)
  }

  package func membership(of topic: UUID16, _ partition: Int32) -> GroupMembership? {
    membership(of: GroupKey(topic: topic, partition: partition))
  }

  /// The brokers that the partition is to have: what it has, or what was asked for.
  package func target(of group: GroupKey) -> [Int32]? {
    if let target = reassignments[group] { return target }
    guard let topic = topic(group.topic), topic.partitions.contains(group.partition) else {
      return nil
    }
    return Array(topic.replicas(ofPartition: group.partition))
  }

  /// Who is to lead the partition when nothing is wrong. While it is reassigned, the first of those
  /// that are wanted: leadership is not to go back to one that leaves.
  package func preferredLeader(of group: GroupKey) -> Int32? { target(of: group)?.first }

  package func node(_ id: Int32) -> RegisteredNode? {
    let index = place(ofNode: id)
    return index < nodes.count && nodes[index].id == id ? nodes[index] : nil
  }

  private func firstIncarnation(_ node: Int32) -> UInt64 { firstIncarnations[node] ?? 0 }

  private func place(ofNode id: Int32) -> Int { nodes.firstIndex { $0.id >= id } ?? nodes.count }

  // MARK: Applying

  mutating func register(_ node: RegisteredNode) -> Change {
    let index = place(ofNode: node.id)
    if index < nodes.count, nodes[index].id == node.id {
      guard nodes[index] != node else { return .none }
      nodes[index] = node
    } else {
      nodes.insert(node, at: index)
    }
    var open: [GroupKey] = []
    if firstIncarnations[node.id] == nil {
      open = groups.filter { isOpen($0, node.id) }
      firstIncarnations[node.id] = node.incarnation
    }
    incarnations = nodes.map(\.current)
    return .nodeRegistered(node, opened: open)
  }

  /// All that have members: group 0 first, then partitions by the name of their topic.
  var groups: [GroupKey] {
    [.metadata]
      + names.compactMap { topics[$0] }.flatMap { topic in
        topic.partitions.map { GroupKey(topic: topic.id, partition: $0) }
      }
  }

  private func isOpen(_ group: GroupKey, _ node: Int32) -> Bool {
    guard let membership = membership(of: group),
      let member = membership.voter(node) ?? membership.learner(node)
    else { return false }
    return member.incarnation == 0
  }

  /// The topic got partitions, from `first` on.
  mutating func noteBirth(_ topic: UUID16, from first: Int32) {
    // Where the earlier ones were made with the same nodes, they say it already.
    guard births[topic]?.last?.incarnations ?? [] != incarnations else { return }
    births[topic, default: []].append(Birth(first: first, incarnations: incarnations))
  }

  mutating func change(
    _ group: GroupKey, _ membership: GroupMembership
  ) throws(MetadataError) -> Change {
    let current = self.membership(of: group)
    guard current != nil || group == .metadata else {
      throw .inconsistent("there is no \(group) to have members")
    }
    guard membership.isSound, membership.version == (current?.version ?? 0) + 1,
      current.map({ $0.votersDiffering(from: membership) <= 1 }) ?? true
    else {
      throw .inconsistent(
        "membership \(membership.version) of \(group) does not follow \(current?.version ?? 0)")
    }
    memberships[group] = membership
    return .membershipChanged(group, membership)
  }

  mutating func reassign(
    _ group: GroupKey, _ target: [Int32]?
  ) throws(MetadataError) -> Change {
    guard var topic = topic(group.topic), topic.partitions.contains(group.partition) else {
      throw .inconsistent("there is no \(group) to reassign")
    }
    if let target {
      guard !target.isEmpty, Set(target).count == target.count else {
        throw .inconsistent("\(group) is to be on \(target)")
      }
      reassignments[group] = target
    } else if let done = reassignments.removeValue(forKey: group),
      let voters = membership(of: group)?.voters, voters.map(\.node) == done.sorted()
    {
      // The voters are those that were asked for: what was asked for is what there is.
      placement.remove(topic.replicas(ofPartition: group.partition))
      placement.add(done[...])
      topic.set(done, ofPartition: group.partition)
      topics[topic.name] = topic
    }
    return .reassigned(group)
  }

  /// The topic is gone.
  mutating func forgetGroups(of topic: TopicState) {
    births[topic.id] = nil
    guard !memberships.isEmpty || !reassignments.isEmpty else { return }
    for partition in topic.partitions {
      let group = GroupKey(topic: topic.id, partition: partition)
      memberships[group] = nil
      reassignments[group] = nil
    }
  }
}

extension TopicState {
  package var partitions: Range<Int32> { 0..<partitionsCount }

  /// Gives the partition other brokers, and the topic its replication factor when all its
  /// partitions have the same again.
  mutating func set(_ replicas: [Int32], ofPartition index: Int32) {
    guard replicas.count != replicationFactor else {
      let first = Int(index) * replicationFactor
      self.replicas.replaceSubrange(first..<first + replicationFactor, with: replicas)
      otherwise[index] = nil
      return
    }
    otherwise[index] = replicas
    let count = partitionsCount
    guard otherwise.count == Int(count),
      (0..<count).allSatisfy({ otherwise[$0]?.count == replicas.count })
    else { return }
    self.replicas = (0..<count).flatMap { otherwise[$0] ?? [] }
    replicationFactor = replicas.count
    otherwise = [:]
  }
}

// MARK: - Snapshot

// Behind the fencings, what records would not give back:
//
//   count of arrays of incarnations, each a count of members
//   for each topic, by name, a count of its births, each varint first index, and which array: a
//   count; then a count of partitions with another number of replicas, each varint index, replicas
//   count of memberships, each group, membership; by group
//   count of reassignments, each group, replicas; by group
//   for each node, ascending, u64 first incarnation

extension MetadataState {
  func putGroups(into fields: inout MetadataFields) {
    var arrays: [[NodeIncarnation]] = []
    // Few: one for each registration of which topics are left.
    for name in names {
      for birth in births(of: name) where !arrays.contains(birth.incarnations) {
        arrays.append(birth.incarnations)
      }
    }
    fields.put(count: arrays.count)
    for array in arrays { fields.put(array) }
    for name in names {
      let births = births(of: name)
      fields.put(count: births.count)
      for birth in births {
        fields.put(birth.first)
        fields.put(count: arrays.firstIndex(of: birth.incarnations) ?? 0)
      }
      let otherwise = (topics[name]?.otherwise ?? [:]).sorted { $0.key < $1.key }
      fields.put(count: otherwise.count)
      for (index, replicas) in otherwise {
        fields.put(index)
        fields.put(replicas)
      }
    }
    fields.put(count: memberships.count)
    for (group, membership) in memberships.sorted(by: { $0.key < $1.key }) {
      fields.put(group)
      fields.put(membership)
    }
    fields.put(count: reassignments.count)
    for (group, target) in reassignments.sorted(by: { $0.key < $1.key }) {
      fields.put(group)
      fields.put(target)
    }
    for node in nodes { fields.put(fixed: firstIncarnation(node.id)) }
  }

  private func births(of name: String) -> [Birth] {
    topics[name].flatMap { births[$0.id] } ?? []
  }

  /// After the records.
  mutating func restoreGroups(
    _ fields: inout MetadataFieldReader
  ) throws(MetadataError) {
    var arrays: [[NodeIncarnation]] = []
    for _ in 0..<(try fields.count(ofSize: 1)) { arrays.append(try fields.members()) }
    births = [:]
    for name in names {
      guard var topic = topics[name] else { continue }
      for _ in 0..<(try fields.count(ofSize: 2)) {
        let first = try fields.varint(0...topic.partitionsCount, "first partition")
        let array = try fields.number()
        guard array < arrays.count else { throw .notASnapshot }
        births[topic.id, default: []].append(Birth(first: first, incarnations: arrays[array]))
      }
      for _ in 0..<(try fields.count(ofSize: 2)) {
        let index = try fields.varint(0...topic.partitionsCount - 1, "partition")
        let replicas = try fields.replicas()
        placement.remove(topic.replicas(ofPartition: index))
        placement.add(replicas[...])
        topic.otherwise[index] = replicas
        topics[name] = topic
      }
    }
    for _ in 0..<(try fields.count(ofSize: 1)) {
      let group = try fields.group()
      memberships[group] = try fields.membership()
    }
    for _ in 0..<(try fields.count(ofSize: 1)) {
      let group = try fields.group()
      reassignments[group] = try fields.replicas()
    }
    for node in nodes { firstIncarnations[node.id] = try fields.uint64() }
  }
}
