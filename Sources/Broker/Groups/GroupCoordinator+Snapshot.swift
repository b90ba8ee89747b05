import KafkaWire

// What a partition's records add up to, as records: so that the log below them can go.
extension GroupCoordinator {
  /// The records a partition adds up to, in one order: of each key the last committed one, unless
  /// it is a tombstone. Left out is what a record under way will say: that record is in the log
  /// behind what is committed, where the log will begin.
  ///
  /// Empty for a partition that is not active here.
  package func snapshot(of partition: Int32) -> [GroupRecord] {
    guard case .active = partitions[Int(partition)] else { return [] }
    var records: [GroupRecord] = []
    for id in ids(in: partition) {
      guard let group = groups[id], group.state != .dead else { continue }
      if let recorded = group.recorded, group.recordsUnderWay == 0 {
        records.append(.metadata(id, encoded: recorded))
      }
      for key in group.offsets.keys {
        guard let entry = group.offsets[key], let value = entry.value, entry.pendingCount == 0
        else { continue }
        records.append(.offset(id, key, value))
      }
    }
    return records
  }
}
