import KafkaWire

// Becoming the coordinator of a partition's groups, and ceasing to be.
extension GroupCoordinator {
  mutating func elected(_ partition: Int32) {
    resigned(partition)
    partitions[Int(partition)] = .loading(deletedTopics: [])
  }

  /// One record of the log. A later one replaces what an earlier one with its key said.
  ///
  /// What cannot be read is passed over and counted: it was written by a newer program, or by a
  /// faulty one, and refusing the whole partition for it would stop every other group in it.
  mutating func load(
    _ partition: Int32, key: ArraySlice<UInt8>, value: ArraySlice<UInt8>?
  ) {
    precondition(isLoading(partition), "partition \(partition) is not being loaded")
    do throws(WireError) {
      switch try GroupRecordKey.decode(key) {
      case .offsetCommit(let key):
        let value = try value.map { (bytes) throws(WireError) in
          try OffsetCommitValue.decode(value: bytes)
        }
        loadOffset(
          partition, group: ExactString(key.group),
          OffsetKey(topic: ExactString(key.topic), partition: key.partition),
          value.map(CommittedOffset.init))
      case .groupMetadata(let key):
        let decoded = try value.map { (bytes) throws(WireError) in
          try GroupMetadataValue.decode(value: bytes)
        }
        loadGroup(partition, ExactString(key.group), decoded, value)
      case .unknown: break
      }
    } catch { unreadableRecordCount += 1 }
  }

  private mutating func loadOffset(
    _ partition: Int32, group id: ExactString, _ key: OffsetKey, _ value: CommittedOffset?
  ) {
    guard belongs(id, to: partition) else { return }
    if groups[id] == nil {
      // Bounds are not for the past: what is in the log was let in once.
      if value == nil { return }
      groups[id] = Group(id: id, partition: partition, now: outbox.wall)
    }
    groups[id]?.offsets.replay(key, value)
  }

  private mutating func loadGroup(
    _ partition: Int32, _ id: ExactString, _ value: GroupMetadataValue?,
    _ encoded: ArraySlice<UInt8>?
  ) {
    guard belongs(id, to: partition) else { return }
    let offsets = groups[id]?.offsets ?? OffsetTable()
    var group = Group(id: id, partition: partition, now: outbox.wall)
    if let value {
      guard
        let loaded = Group(
          id: id, partition: partition, loaded: value, now: outbox.wall)
      else {
        unreadableRecordCount += 1
        return
      }
      group = loaded
    }
    group.offsets = offsets
    group.recorded = encoded.map(Array.init)
    groups[id] = group
  }

  /// A group found in another's partition was hashed over another number of partitions. It cannot
  /// be asked for here.
  private mutating func belongs(_ id: ExactString, to partition: Int32) -> Bool {
    if id.coordinatorPartition(of: options.partitionCount) == partition { return true }
    unreadableRecordCount += 1
    return false
  }

  /// All is read: the members have a full session timeout to make themselves heard.
  mutating func loaded(_ partition: Int32) {
    guard case .loading(let deletedTopics) = partitions[Int(partition)] else {
      preconditionFailure("partition \(partition) is not being loaded")
    }
    partitions[Int(partition)] = .active
    let ids = ids(in: partition)
    for id in ids {
      update(id) { group, outbox in
        group.scheduleExpiry(isFirst: true, &outbox)
        for member in group.members.inOrder { group.renewSession(of: member.id, &outbox) }
        // The limit was lowered: members rejoin until it is reached.
        if group.members.count > outbox.options.membersMax { group.rebalance(&outbox) }
      }
    }
    for topic in deletedTopics { forget(topic, in: ids) }
  }

  /// Whatever was under way is for the next coordinator to decide.
  mutating func resigned(_ partition: Int32) {
    partitions[Int(partition)] = .elsewhere
    while let append = outbox.appends.pop(partition: partition) {
      switch append.change {
      case .offsets(_, let answer?): outbox.answer(answer, .notCoordinator)
      case .deletion(let token?): finishDeletion(of: append.group, .notCoordinator, token)
      case .none, .assignments, .staticMember, .offsets, .deletion: break
      }
    }
    for id in ids(in: partition) {
      for member in groups[id]?.members.inOrder ?? [] {
        groups[id]?.remove(member.id, .notCoordinator, &outbox)
      }
      drop(id)
    }
  }

  private func isLoading(_ partition: Int32) -> Bool {
    if case .loading = partitions[Int(partition)] { true } else { false }
  }

  /// In order.
  func ids(in partition: Int32) -> [ExactString] {
    groups.values.filter { $0.partition == partition }.map(\.id).sorted()
  }
}
