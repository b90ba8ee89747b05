/// Gives partitions back to those who are to lead them. Each leader has one, for what it leads.
///
/// The first of a partition's replicas is the one that is to lead, and those are spread evenly when
/// partitions are placed. After a node was away, others lead its partitions. Leadership goes back
/// when that node has been caught up for a while, a few partitions at a time: a node that comes and
/// goes takes nothing with it, and the moment without a leader is not one of all partitions. One
/// that did not take over is asked again after twice the time.
package struct LeaderBalance: Sendable {
  /// Leaderships that are given back in one tick.
  package static let transfersMax = 8
  /// The longest time that is waited, as a multiple of the first.
  package static let patienceMax: Int64 = 64

  /// A group that this node leads and another should.
  package struct Candidate: Equatable, Sendable {
    package var group: GroupKey
    /// `MetadataState.preferredLeader`.
    package var preferred: Int32
    /// It is a voter, alive, has all that is committed, and room for more.
    package var isReady: Bool

    package init(group: GroupKey, preferred: Int32, isReady: Bool) {
      self.group = group
      self.preferred = preferred
      self.isReady = isReady
    }
  }

  private struct Wait: Sendable {
    var preferred: Int32
    var since: Int64
    /// How many times the interval it has to be ready.
    var patience: Int64
  }

  private var waits: [GroupKey: Wait] = [:]

  package init() {}

  /// To be called about once a second with all such groups. Says which are to be handed over to
  /// their preferred leader.
  package mutating func tick(
    now: Int64, _ candidates: [Candidate], configs: BrokerConfigs
  ) -> [Candidate] {
    guard configs.value("auto.leader.rebalance.enable") == "true" else {
      waits = [:]
      return []
    }
    // Above it a product would overflow; it is for ever anyway.
    let seconds = min(configs.number("leader.imbalance.check.interval.seconds"), 1 << 40)
    let milliseconds = seconds * 1000
    var next: [GroupKey: Wait] = [:]
    var due: [(since: Int64, candidate: Candidate)] = []
    for candidate in candidates {
      var wait =
        waits[candidate.group] ?? Wait(preferred: candidate.preferred, since: now, patience: 1)
      if wait.preferred != candidate.preferred {
        wait = Wait(preferred: candidate.preferred, since: now, patience: 1)
      }
      if !candidate.isReady { wait.since = now }
      if candidate.isReady, now - wait.since >= milliseconds * wait.patience {
        due.append((wait.since, candidate))
      }
      next[candidate.group] = wait
    }
    // Those that are not candidates any more are forgotten.
    waits = next
    due.sort { ($0.since, $0.candidate.group) < ($1.since, $1.candidate.group) }
    let chosen = due.prefix(Self.transfersMax).map(\.candidate)
    for candidate in chosen {
      guard var wait = waits[candidate.group] else { continue }
      wait.since = now
      wait.patience = min(wait.patience * 2, Self.patienceMax)
      waits[candidate.group] = wait
    }
    return chosen
  }
}
