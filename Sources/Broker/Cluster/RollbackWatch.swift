/// What the other nodes are known to have had on their disks: who comes back with less has
/// forgotten votes and records that it promised to keep, as after a disk that was restored from a
/// copy.
///
/// (1) A node's frames carry the last durable group of its journal, so whatever it has acknowledged
///     was in a group no later than the highest one heard.
/// (2) Who comes back with less is told, and not heard, until it says that it counts on nothing it
///     had (`forgotten`): then it is taken in again as a learner.
///
/// (3) What is known of those that are away is in the store's notes: it takes one node that was
///     there when they were lost, and not that it stayed up. Of those that are there nothing is
///     kept: copies of all nodes that were made one after another, while the others went on, would
///     accuse each other.
///
///     notes   u8 1, a count of (varint node, u64 incarnation, u64 boot, u64 group)
///
///     The boot is 0 of who has come back with less: it is to be judged again.
struct RollbackWatch {
  private struct Heard {
    var incarnation: UInt64
    var boot: UInt64
    var group: UInt64
    var isBehind = false
  }

  private var heard: [Int32: Heard] = [:]

  init() {}

  /// What was kept of these nodes. Notes that cannot be read are as good as none.
  init(notes: [UInt8], of nodes: [Int32]) {
    var fields = MetadataFieldReader(notes[...])
    guard (try? fields.uint8()) == 1, let count = try? fields.count(ofSize: 25) else { return }
    for _ in 0..<count {
      guard let node = try? fields.varint(0 ... .max, "node"),
        let incarnation = try? fields.uint64(), let boot = try? fields.uint64(),
        let group = try? fields.uint64()
      else { return }
      guard nodes.contains(node) else { continue }
      heard[node] = Heard(incarnation: incarnation, boot: boot, group: group)
    }
  }

  /// What is to be kept of these nodes.
  func notes(of nodes: [Int32]) -> [UInt8] {
    let kept = nodes.compactMap { node in heard[node].map { (node, $0) } }
    guard !kept.isEmpty else { return [] }
    var fields = MetadataFields()
    fields.put(byte: 1)
    fields.put(count: kept.count)
    for (node, heard) in kept {
      fields.put(node)
      fields.put(fixed: heard.incarnation)
      fields.put(fixed: heard.isBehind ? 0 : heard.boot)
      fields.put(fixed: heard.group)
    }
    return fields.bytes
  }

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
