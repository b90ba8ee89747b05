/// What the other nodes are known to have had on their disks: who comes back with less has
/// forgotten votes and records that it promised to keep, as after a disk that was restored from a
/// copy.
///
/// (1) A node's frames carry the last durable group of its journal, so whatever it has acknowledged
///     was in a group no later than the highest one heard.
/// (2) Who comes back with less is told, and not heard, until it says that it counts on nothing it
///     had (`forgotten`): then it is taken in again as a learner.
///
/// Known as long as the process lives: it takes one node that stayed up to notice.
struct RollbackWatch {
  private struct Heard {
    var incarnation: UInt64
    var boot: UInt64
    var group: UInt64
    var isBehind = false
  }

  private var heard: [Int32: Heard] = [:]

  /// The latest that is known of the node.
  func group(of node: Int32) -> UInt64? { heard[node]?.group }

  /// A frame came from the node. False if it is not to be heard.
  mutating func hears(_ node: Int32, group: UInt64) -> Bool {
    guard let known = heard[node], !known.isBehind else { return false }
    if group > known.group { heard[node]?.group = group }
    return true
  }

  /// What a node says of itself. If it has come back with less than it had, the group that it had.
  mutating func judge(
    _ node: Int32, incarnation: UInt64, boot: UInt64, group: UInt64, forgotten: UInt64
  ) -> UInt64? {
    let begins = Heard(incarnation: incarnation, boot: boot, group: group)
    guard let known = heard[node], known.incarnation == incarnation else {
      heard[node] = begins
      return nil
    }
    let isSameLife = known.boot == boot
    if isSameLife, !known.isBehind { return nil }
    guard isSameLife || group < known.group, forgotten < known.group else {
      heard[node] = begins
      return nil
    }
    heard[node]?.boot = boot
    heard[node]?.isBehind = true
    return known.group
  }
}
