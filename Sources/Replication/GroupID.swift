/// Which replicated log a message is about: a topic's id and one of its partitions.
package struct GroupID: Hashable, Comparable, Sendable {
  package var high: UInt64
  package var low: UInt64
  package var partition: Int32

  package init(high: UInt64, low: UInt64, partition: Int32) {
    self.high = high
    self.low = low
    self.partition = partition
  }

  /// Group 0: what the cluster knows of itself.
  package static let metadata = GroupID(high: 0, low: 0, partition: 0)

  package static func < (a: GroupID, b: GroupID) -> Bool {
    (a.high, a.low, a.partition) < (b.high, b.low, b.partition)
  }
}
