internal import Bytes

/// A node may have thousands of groups, of which few are busy. One that has nothing to say falls
/// quiet: its replicas are not ticked, and the nodes' own heartbeats vouch for all of them.
///
/// (1) A leader whose peers have everything says so in its heartbeats. A follower that finds it
///     true is quiet (`isStill`) and says that; when all have, the leader is quiet too. Lost peers
///     are not waited for.
/// (2) Whatever happens to a quiet replica but time wakes it. One that did not hear it from its
///     leader tells the leader that it is awake, or would miss its heartbeats.
/// (3) A quiet leader dies: its peers lose it (`peerLost`), and stand at once. Its peers die, or it
///     is cut off from them: it loses them, and steps down without a majority. It stops leading and
///     lives: it is awake, stands itself or, if it may not, says that it has resigned, until
///     somebody leads.
/// (4) A restart is a loss, however short. So who is quiet knows the leader that the others are
///     quiet for, or one that somebody awake replaces.
extension Raft {
  /// Time changes nothing: it need not be ticked.
  package var isQuiet: Bool {
    guard resigning == nil else { return false }
    if isFenced { return true }
    switch role {
    case .follower(nil): return !isVoter
    case .follower: return isStill
    case .preCandidate, .candidate: return false
    case .leader:
      guard let context = leadership.quietContext else { return false }
      return leadership.peers.allSatisfy {
        $0.quietContext >= context || isGone($0) || plants(.quietTooEarly)
      }
    }
  }

  /// It was lost, and says nothing either.
  func isGone(_ progress: Progress) -> Bool {
    !progress.isActive && lostPeers.contains(progress.peer)
  }

  /// Begins to fall quiet, if nobody who is there lacks anything and that has lasted for a while.
  mutating func hush() {
    let owesNothing =
      isReady && committed == end && durable == end && leadership.transfer == nil
      && leadership.reads.isEmpty && leadership.waitingReads.isEmpty
      && leadership.idleTicks >= options.electionTicks
      && leadership.peers.allSatisfy { progress in
        let hasAll =
          progress.match == end && progress.inFlight.isEmpty
          && progress.version >= membership.version && !progress.isResetting
        return !progress.isSending && (hasAll || isGone(progress) || plants(.quietTooEarly))
      }
    guard owesNothing else { return leadership.quietContext = nil }
    guard leadership.quietContext == nil else { return }
    leadership.context += 1
    leadership.quietContext = leadership.context
  }

  mutating func wake(by input: Input, into effects: inout [Effect]) {
    switch input {
    case .tick, .sent, .peerLost, .peerFound, .yields: return
    case .read: if !isLeader { return }
    case .received(let message):
      switch message.body {
      // These say themselves whether there is more to come.
      case .heartbeat, .heartbeatAnswer: return
      default: break
      }
      if isStill, message.from == leader { return rouse() }
    default: break
    }
    if isLeader { return stir() }
    guard isStill, let leader else { return }
    rouse()
    effects.append(message(.heartbeatAnswer(context: 0, isQuiet: false), to: leader))
  }

  /// A follower expects its leader to say something again.
  private mutating func rouse() {
    isStill = false
    rearm()
  }

  /// A leader has something to do.
  mutating func stir() {
    leadership.idleTicks = 0
    guard leadership.quietContext != nil else { return }
    leadership.quietContext = nil
    leadership.heartbeatTicks = options.heartbeatTicks
    leadership.quorumTicks = 0
    for index in leadership.peers.indices {
      leadership.peers[index].isActive = !lostPeers.contains(leadership.peers[index].peer)
    }
  }

  // MARK: Resigning

  mutating func resign(into effects: inout [Effect]) {
    guard !plants(.leaveSilently) else { return }
    resigning = epoch
    ticks = 0
    sayResigned(into: &effects)
  }

  mutating func resignAgain(into effects: inout [Effect]) {
    guard let resigned = resigning else { return }
    guard resigned == epoch, leader == nil else { return resigning = nil }
    if isFenced { ticks += 1 }
    if ticks % options.heartbeatTicks == 0 { sayResigned(into: &effects) }
  }

  private func sayResigned(into effects: inout [Effect]) {
    for peer in membership.voters where peer != id {
      effects.append(message(.resigned, to: peer))
    }
  }
}
