internal import Broker
internal import Bytes
internal import Checks
internal import LogStore
internal import Replication

/// What breaks, and when it is mended.
extension SimulatedCluster {
  func scheduleFault() {
    after(around(milliseconds(options.faultPause))) { [unowned self] in
      guard !isMending else { return }
      breakSomething()
      scheduleFault()
    }
  }

  private func anyRunning() -> SimulatedNode? {
    let running = nodes.filter { $0.node != nil }
    return running.isEmpty ? nil : running[random.below(running.count)]
  }

  private func breakSomething() {
    let fault = options.faults[random.below(options.faults.count)]
    let time = milliseconds(5) + around(milliseconds(options.faultTime))
    guard let member = anyRunning(), maySuffer(member, fault) else { return }
    mix(UInt64(member.id))
    switch fault {
    case .kill, .powerCut:
      end(member, fault == .kill ? .kill : .powerCut)
      startLater(member, time)
    case .powerCutOfAll:
      say("the power is cut")
      for member in nodes {
        end(member, .powerCut)
        startLater(member, milliseconds(5) + around(milliseconds(options.faultTime)))
      }
    case .pause: guard pause(member, time) else { return }
    case .partition: guard cutOff(member, time) else { return }
    case .clog:
      say("node \(member.id) is reached slowly")
      slowness[Int(member.id) - 1] = 1 + Int64(random.below(100))
      mendLater(time) { [unowned self] in slowness[Int(member.id) - 1] = 1 }
    case .slowDisk:
      say("the disk of node \(member.id) is slow")
      member.disk.faults.slowness = options.diskSlowness * Int64(2 + random.below(100))
      mendLater(time) { [unowned self] in
        member.disk.faults.slowness = options.diskSlowness
      }
    case .stalledDisk:
      say("the disk of node \(member.id) stalls")
      member.disk.faults.stallsUntil = now + time
      diskChanged(member)
    case .failingSync:
      say("syncs of node \(member.id) fail")
      member.disk.faults.failsSyncs = ""
      let life = member.life
      mendLater(time) { [unowned self] in
        guard member.life == life, member.node != nil else { return }
        end(member, .kill)
        startLater(member, milliseconds(5))
      }
    case .lostDisk, .bitRot:
      // One at most: what one node has lost the others are to have.
      guard !hasLostDisk else { return }
      hasLostDisk = true
      return breakDisk(fault, time)
    case .rollback:
      guard !hasLostDisk, let copy = copyFiles(of: member) else { return }
      hasLostDisk = true
      return after(milliseconds(200) + around(milliseconds(1000))) { [unowned self] in
        putBack(copy, time)
      }
    case .fullDisk: fillDisks(member, time)
    case .plannedEnd: stop(member, time)
    case .clockJump:
      member.wallOffset += Int64(random.below(200_000) - 100_000)
    case .transfer:
      say("node \(member.id) gives leaderships away")
      deliver(to: member, member.life) { node, time in node.giveLeadershipsAway(now: time) }
    }
    count(fault)
  }

  func count(_ fault: SimulatedFault) { faults[fault, default: 0] += 1 }

  /// At the next moment at which nobody needs what is lost.
  private func breakDisk(_ fault: SimulatedFault, _ time: Int64) {
    guard !isMending else { return }
    guard let member = anyRunning(), canLose(member) else {
      return after(milliseconds(10)) { [unowned self] in breakDisk(fault, time) }
    }
    diskFaultTime = now
    guard fault == .bitRot else {
      end(member, .lostDisk)
      startLater(member, time)
      return count(fault)
    }
    let mayBeJournal = isJournalKnown(of: member)
    let storeID = member.store?.id ?? 0
    end(member, .kill)
    startLater(member, time)
    // Most bytes are the journal's, which nobody looks at twice.
    let places = ["logs/", "logs/", mayBeJournal ? "journal/" : "logs/", "checkpoint"]
    let place = places[random.below(places.count)]
    let rot = member.disk.rot(&random) { $0.hasPrefix(place) }
    say("a bit of node \(member.id) flips: \(rot.map { "\($0.path) at \($0.byte)" } ?? "none")")
    guard rot != nil else { return }
    member.isRotten = true
    if place == "journal/" { journalIsRotten(of: member, storeID: storeID) }
    count(fault)
  }

  /// Why the replicas are not equal yet; nil if they are.
  func unequal() -> String? {
    var ends: [GroupID: (end: LogPosition, start: Offset, node: Int32)] = [:]
    var (holders, members): ([GroupID: Int], [GroupID: Int]) = ([:], [:])
    var leaders: Set<GroupID> = []
    var why: String?
    for member in nodes {
      guard let node = member.node else { return "node \(member.id) is down" }
      guard node.hasStarted else { return "node \(member.id) has not started" }
      node.glance { replica in
        if replica.isReady { leaders.insert(replica.group) }
        if replica.isFenced { why = "a replica of node \(member.id) is fenced" }
        if !replica.isVoter { why = "node \(member.id) has a replica that does not vote" }
        if replica.committed != replica.end || replica.durable != replica.end {
          why = "a replica of node \(member.id) has more than is committed"
        }
        if let other = ends[replica.group] {
          // Where records were deleted, a leader that was may begin later than the others.
          let sameStarts = options.deleters > 0 || other.start == replica.start
          if other.end != replica.end || !sameStarts {
            why = "nodes \(member.id) and \(other.node) do not have the same"
          }
        }
        ends[replica.group] = (replica.end, replica.start, member.id)
        holders[replica.group, default: 0] += 1
        members[replica.group] = max(members[replica.group] ?? 0, replica.members)
      }
    }
    for (group, count) in members where holders[group] != count {
      why = "a group of \(count) is on \(holders[group] ?? 0) nodes"
    }
    for partition in 0..<options.partitions {
      let count = nodes.count { $0.node?.log(of: Self.topic, partition) != nil }
      if count != options.replicas { why = "partition \(partition) is on \(count) nodes" }
    }
    if leaders.count < ends.count { return "\(ends.count - leaders.count) groups have no leader" }
    return why
  }

  func mendLater(_ time: Int64, _ action: @escaping () -> Void) { after(time, action) }

  func startLater(_ member: SimulatedNode, _ time: Int64) {
    guard member.node == nil, !member.isToStart else { return }
    member.isToStart = true
    after(time) { [unowned self] in start(member) }
  }

  /// False if there is nobody else.
  private func cutOff(_ member: SimulatedNode, _ time: Int64) -> Bool {
    let others = nodes.filter { $0.id != member.id }
    guard !others.isEmpty else { return false }
    var pairs: [(Int32, Int32)] = []
    let isOnlyOne = random.oneIn(3)
    let chosen = isOnlyOne ? [others[random.below(others.count)]] : others
    let direction = random.below(4)
    for other in chosen {
      if direction != 1 { pairs.append((member.id, other.id)) }
      if direction != 2 { pairs.append((other.id, member.id)) }
    }
    for (from, to) in pairs { block(from, to) }
    mendLater(time) { [unowned self] in
      for (from, to) in pairs { unblock(from, to) }
    }
    return true
  }

  /// Everything is well from now on.
  func mendAll() {
    isMending = true
    say("everything is mended")
    for a in nodes {
      slowness[Int(a.id) - 1] = 1
      a.disk.faults.stallsUntil = .min
      a.disk.faults.slowness = 1
      a.disk.capacity = nil
      diskChanged(a)
      for b in nodes where b.id != a.id { unblock(a.id, b.id) }
      if a.node?.failure != nil || a.disk.faults.failsSyncs != nil {
        if a.node != nil { end(a, .kill) }
        a.disk.faults.failsSyncs = nil
        a.isToStart = false
        startLater(a, milliseconds(5))
      } else if a.node == nil {
        a.isToStart = false
        startLater(a, milliseconds(5) + around(milliseconds(50)))
      }
    }
  }
}
