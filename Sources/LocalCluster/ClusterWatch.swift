/// What is known of the nodes of a cluster, and what has happened: a value that is told what
/// becomes of the nodes' processes and what their pages say, with the time of each.
///
/// ```
/// starting ──(takes clients)──▶ up ──(no answer for a second)──▶ silent ──(an answer)──▶ up
///    ▲                          │
///    └──(started again)── down ◀┴──(its process ends, in any state)
/// ```
///
/// (1) A failover is over when every other node that answers has lost the node from sight and
///     reaches a leader of all that it has. Its time is from the end of the process to the last of
///     the answers that say so first. When a process stood still is not known: it is at most from
///     its last answer on.
/// (2) A node has caught up when it takes clients, counts wherever it is to, and no leader misses
///     anybody. While another node is away that cannot be told, and is told later.
///
/// Times are milliseconds of a clock that only goes forward.
package struct ClusterWatch: Sendable {
  package enum Input: Sendable {
    case started(node: Int32, process: Int32)
    case ended(node: Int32, status: Int32)
    case seen(node: Int32, NodeGlance)
    /// It was asked and did not answer.
    case unanswered(node: Int32)
  }

  package enum State: String, Sendable {
    case starting, up, silent, down, restarting, replacing
    case catchingUp = "catching up"
  }

  /// What there is to see of a node.
  package struct Row: Equatable, Sendable {
    package var node: Int32
    package var address: String
    package var state: State
    package var leads: Int?
    package var follows: Int?
    /// Records that it is behind, as the leaders see it.
    package var lag: Int64?
    package var process: Int32?
    package var restarts: Int

    package init(
      node: Int32, address: String, state: State, leads: Int? = nil, follows: Int? = nil,
      lag: Int64? = nil, process: Int32? = nil, restarts: Int = 0
    ) {
      self.node = node
      self.address = address
      self.state = state
      self.leads = leads
      self.follows = follows
      self.lag = lag
      self.process = process
      self.restarts = restarts
    }
  }

  /// From when a node was lost until it has caught up.
  private struct Absence: Sendable {
    var since: Int64
    var leads: Int
    /// Its process was there, and silent.
    var isSilent: Bool
    var hasMoved = false
  }

  private enum Phase { case down, starting, up, silent }

  private struct Member: Sendable {
    let node: Int32
    let address: String
    var phase = Phase.down
    var process: Int32?
    var starts = 0
    var startedAt: Int64 = 0
    var glance: NodeGlance?
    var seenAt: Int64 = 0
    /// What it led when it last reached each other node.
    var leadsWith: [Int32: Int] = [:]
    /// Since when it does not reach a node and reaches leaders of everything all the same.
    var settledWithout: [Int32: Int64] = [:]
    /// Since when it takes clients.
    var upAt: Int64 = 0
    var absence: Absence?
  }

  /// A node that says nothing for so long is shown as silent.
  package static let silenceMilliseconds: Int64 = 1000
  /// After so long a failover is not waited for any more as if it were about to be over.
  private static let hurryMilliseconds: Int64 = 10_000

  /// Leaderships that did not change for so long are told of: on their way they come one by one.
  private static let steadyMilliseconds: Int64 = 1000

  private var members: [Member]
  /// Who leads how many, since when, and what of that was told.
  private var spread: [ClusterEvent.Share] = []
  private var spreadSince: Int64 = 0
  private var toldSpread: [ClusterEvent.Share] = []

  /// Nodes by their ids and where clients reach them.
  package init(_ nodes: [(id: Int32, address: String)]) {
    members = nodes.map { Member(node: $0.id, address: $0.address) }
  }

  package mutating func take(_ input: Input, at now: Int64) -> [ClusterEvent] {
    switch input {
    case .started(let node, let process): return update(node) { Self.started(&$0, process, now) }
    case .ended(let node, let status):
      lose(node, since: now, isSilent: false)
      return update(node) { member in
        member.phase = .down
        member.process = nil
        member.glance = nil
        return [.ended(node: node, status: status)]
      }
    case .seen(let node, let glance):
      return update(node) { Self.seen(&$0, glance, now) } + judge(at: now)
        + lookAtSpread(at: now)
    case .unanswered(let node):
      guard let member = member(node), member.phase == .up,
        now - member.seenAt >= Self.silenceMilliseconds
      else { return [] }
      lose(node, since: member.seenAt, isSilent: true)
      return update(node) { member in
        member.phase = .silent
        member.glance = nil
        return [.silent(node: node)]
      }
    }
  }

  private func member(_ node: Int32) -> Member? { members.first { $0.node == node } }

  private mutating func update(
    _ node: Int32, _ change: (inout Member) -> [ClusterEvent]
  ) -> [ClusterEvent] {
    guard let index = members.firstIndex(where: { $0.node == node }) else { return [] }
    return change(&members[index])
  }

  // MARK: Nodes

  private static func started(
    _ member: inout Member, _ process: Int32, _ now: Int64
  ) -> [ClusterEvent] {
    member.phase = .starting
    member.process = process
    member.starts += 1
    member.startedAt = now
    return [.started(node: member.node, process: process)]
  }

  private static func seen(
    _ member: inout Member, _ glance: NodeGlance, _ now: Int64
  ) -> [ClusterEvent] {
    // What it said before it ended may come later.
    guard member.phase != .down else { return [] }
    member.glance = glance
    member.seenAt = now
    for (peer, isConnected) in glance.isConnected {
      if isConnected { member.leadsWith[peer] = glance.leads }
      let isSettled = !isConnected && glance.leaderless == 0
      member.settledWithout[peer] = isSettled ? member.settledWithout[peer] ?? now : nil
    }
    guard glance.hasStarted else { return [] }
    defer { member.phase = .up }
    switch member.phase {
    case .starting:
      member.upAt = now
      let after = member.starts > 1 ? now - member.startedAt : nil
      return [.serves(node: member.node, after: after)]
    case .silent:
      member.upAt = now
      return [.answers(node: member.node)]
    case .up, .down: return []
    }
  }

  private mutating func lose(_ node: Int32, since: Int64, isSilent: Bool) {
    _ = update(node) { member in
      // One that is lost again while its leaderships are on their way is still the same loss.
      guard member.absence?.hasMoved != false, let glance = member.glance else { return [] }
      member.absence = Absence(
        since: since, leads: glance.leads, isSilent: isSilent, hasMoved: glance.leads == 0)
      return []
    }
  }

  // MARK: Failovers

  private mutating func judge(at now: Int64) -> [ClusterEvent] {
    var events: [ClusterEvent] = []
    for index in members.indices {
      guard let absence = members[index].absence else { continue }
      if !absence.hasMoved, let end = moved(members[index], absence) {
        members[index].absence?.hasMoved = true
        events.append(
          .moved(
            from: members[index].node, count: absence.leads, to: takers(members[index].node),
            milliseconds: end - absence.since, isAtMost: absence.isSilent))
      }
      if hasCaughtUp(members[index]) {
        members[index].absence = nil
        events.append(
          .caughtUp(node: members[index].node, milliseconds: now - absence.since))
      }
    }
    return events
  }

  /// (1); when it was over, if it is.
  private func moved(_ lost: Member, _ absence: Absence) -> Int64? {
    let others = members.filter { $0.node != lost.node && $0.phase == .up }
    var end: Int64?
    for other in others {
      var settled = other.settledWithout[lost.node]
      // It may be back before anybody was asked.
      if settled == nil, lost.phase == .up, other.glance?.leaderless == 0 { settled = other.seenAt }
      guard let settled, settled >= absence.since else { return nil }
      end = max(end ?? settled, settled)
    }
    return end
  }

  private func takers(_ lost: Int32) -> [ClusterEvent.Share] {
    members.compactMap { member in
      guard let now = member.glance?.leads, let before = member.leadsWith[lost], now > before
      else { return nil }
      return ClusterEvent.Share(node: member.node, count: now - before)
    }
  }

  /// Who leads how many, if that is new, nobody is missed, and it stays so.
  private mutating func lookAtSpread(at now: Int64) -> [ClusterEvent] {
    let current = members.compactMap { member in
      member.glance.map { ClusterEvent.Share(node: member.node, count: $0.leads) }
    }
    if current != spread || !isWhole {
      spread = current
      spreadSince = now
    }
    let told = spread.filter { $0.count > 0 }
    guard now - spreadSince >= Self.steadyMilliseconds, told != toldSpread else { return [] }
    toldSpread = told
    return told.isEmpty ? [] : [.spread(told)]
  }

  /// (2)
  private func hasCaughtUp(_ member: Member) -> Bool {
    guard member.phase == .up, let own = member.glance, own.learns == 0,
      member.absence?.hasMoved == true
    else { return false }
    return members.allSatisfy { other in
      guard other.node != member.node else { return own.underReplicated == 0 }
      guard other.phase == .up, let glance = other.glance, other.seenAt > member.upAt else {
        return false
      }
      return glance.underReplicated == 0 && glance.leaderless == 0
        && glance.isConnected[member.node] == true
    }
  }

  /// Something is about to happen whose time is to be known: look often.
  package func isUnsettled(at now: Int64) -> Bool {
    members.contains { member in
      guard let absence = member.absence else { return false }
      return !absence.hasMoved && now - absence.since < Self.hurryMilliseconds
    }
  }

  /// All take clients, and nobody is behind.
  package var isWhole: Bool {
    members.allSatisfy { member in
      guard member.phase == .up, member.absence == nil, let glance = member.glance else {
        return false
      }
      return glance.leaderless == 0 && glance.learns == 0 && glance.underReplicated == 0
    }
  }

  // MARK: To be shown

  package var rows: [Row] {
    members.map { member in
      let lag = members.compactMap { $0.phase == .up ? $0.glance?.lags[member.node] : nil }.max()
      return Row(
        node: member.node, address: member.address, state: state(member),
        leads: member.glance?.leads, follows: member.glance?.follows,
        lag: member.phase == .down ? nil : lag, process: member.process,
        restarts: max(0, member.starts - 1))
    }
  }

  private func state(_ member: Member) -> State {
    switch member.phase {
    case .down: return member.starts > 0 ? .down : .starting
    case .starting: return member.starts > 1 ? .restarting : .starting
    case .silent: return .silent
    case .up:
      if (member.glance?.learns ?? 0) > 0 { return .replacing }
      return member.absence == nil ? .up : .catchingUp
    }
  }

  /// Partitions that have a leader, and the nodes' sum of those that miss one.
  package var leads: Int { members.reduce(0) { $0 + ($1.glance?.leads ?? 0) } }
  package var leaderless: Int { members.map { $0.glance?.leaderless ?? 0 }.max() ?? 0 }
  package var underReplicated: Int { members.reduce(0) { $0 + ($1.glance?.underReplicated ?? 0) } }
}
