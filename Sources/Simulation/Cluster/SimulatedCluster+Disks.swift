internal import Broker
internal import Bytes
internal import LogStore
internal import Replication

/// A node's files as they were, and what of its journal may be in them.
struct DiskCopy {
  var member: SimulatedNode
  var disk: VirtualDisk
  var storeID: UInt64
  var journalGroup: UInt64
}

/// Disks that are full, and disks that are older than they were.
extension SimulatedCluster {
  /// Nothing more fits on the node's disk, and perhaps on others', but a little.
  func fillDisks(_ first: SimulatedNode, _ time: Int64) {
    for member in nodes where member.id == first.id || random.oneIn(4) {
      let left = random.below(64 << 10)
      say("the disk of node \(member.id) has \(left) bytes left")
      member.disk.capacity = Int64(member.disk.usedBytes + left)
      member.shortages += 1
      let shortage = member.shortages
      mendLater(time) { [unowned self] in
        guard member.shortages == shortage, member.disk.capacity != nil else { return }
        say("the disk of node \(member.id) has room again")
        member.disk.capacity = nil
      }
    }
  }

  /// Nil where a copy is none that a start would ask others about: while the node has the metadata
  /// for itself, it begins alone.
  func copyFiles(of member: SimulatedNode) -> DiskCopy? {
    guard let node = member.node, node.hasStarted, let store = member.store,
      store.checkpoints.started == store.checkpoints.done
    else { return nil }
    var isAlone = true
    node.glance { if $0.group == .metadata, $0.voters > 1 { isAlone = false } }
    guard !isAlone else { return nil }
    say("the files of node \(member.id) are copied")
    // What was under way may be in it.
    return DiskCopy(
      member: member, disk: member.disk.image(), storeID: store.id,
      journalGroup: store.journalGroup + 1)
  }

  /// At the next moment at which nobody needs what the node has got since, and all others know that
  /// it had more: this is what they promise to notice as long as they live.
  func putBack(_ copy: DiskCopy, _ time: Int64) {
    guard !isMending else { return }
    let member = copy.member
    guard member.node != nil, member.stop == nil, member.store?.id == copy.storeID,
      canLose(member), nodes.allSatisfy({ isAheadOf(copy, $0) })
    else {
      return after(milliseconds(10)) { [unowned self] in putBack(copy, time) }
    }
    diskFaultTime = now
    member.isRotten = true
    member.isBehind = true
    rolledBack = member
    end(member, .rollback(copy.disk))
    startLater(member, time)
    count(.rollback)
    awaitRepair(of: member, storeID: copy.storeID)
  }

  private func isAheadOf(_ copy: DiskCopy, _ other: SimulatedNode) -> Bool {
    guard other.id != copy.member.id else { return true }
    return areConnected(other.id, copy.member.id)
      && hasHeard(other, of: copy.member, past: copy.journalGroup)
  }

  /// It is up, and knows that the member's journal had more.
  private func hasHeard(_ other: SimulatedNode, of member: SimulatedNode, past group: UInt64)
    -> Bool
  {
    guard other.stop == nil, other.pausedUntil <= now else { return false }
    return other.node?.journalGroupHeard(of: member.id).map { $0 > group } ?? false
  }

  /// All others know how far its journal goes: a bit that flips in the last group looks like a
  /// write that was cut off by the end, and only they can tell the one from the other.
  func isJournalKnown(of member: SimulatedNode) -> Bool {
    guard let store = member.store, store.journalGroup > 0, nodes.count > 1 else { return false }
    return nodes.allSatisfy {
      $0.id == member.id || hasHeard($0, of: member, past: store.journalGroup - 1)
    }
  }

  /// A bit of its journal has flipped, and it is down.
  func journalIsRotten(of member: SimulatedNode, storeID: UInt64) {
    rolledBack = member
    awaitRepair(of: member, storeID: storeID)
  }

  /// Until all is repaired, the others stay up.
  private func awaitRepair(of member: SimulatedNode, storeID: UInt64) {
    after(milliseconds(20)) { [unowned self] in
      guard member.node != nil, canLose(member) else {
        return awaitRepair(of: member, storeID: storeID)
      }
      say("node \(member.id) is repaired")
      rolledBack = nil
      guard member.isBehind, !member.knowsRollback, member.store?.id == storeID else { return }
      violated("node \(member.id) has come back with older files, and nobody has said so\n\(state)")
    }
  }

  /// While a node with older files is repaired, nobody else ends.
  func maySuffer(_ member: SimulatedNode, _ fault: SimulatedFault) -> Bool {
    guard let rolledBack else { return true }
    switch fault {
    case .powerCutOfAll: return false
    case .kill, .powerCut, .plannedEnd, .failingSync: return member.id == rolledBack.id
    default: return true
    }
  }
}
