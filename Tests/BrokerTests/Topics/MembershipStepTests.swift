import Broker
import Bytes
import KafkaWire
import Testing

private func members(_ pairs: KeyValuePairs<Int32, UInt64>) -> [NodeIncarnation] {
  pairs.map { NodeIncarnation(node: $0, incarnation: $1) }
}

/// All nodes have incarnation 1.
private func nodes(_ ids: [Int32]) -> [NodeIncarnation] {
  ids.map { NodeIncarnation(node: $0, incarnation: 1) }
}

private func report(
  _ leader: Int32, version: Int64 = 1, caughtUp: [Int32] = [], inSync: [Int32]
) -> GroupReport {
  GroupReport(
    group: GroupKey(topic: UUID16(high: 1, low: 1), partition: 0), leader: leader, epoch: 1,
    version: version, hasCommittedUnderVersion: true, isAdoptedByMajority: true,
    caughtUp: caughtUp, inSync: inSync)
}

/// Brings a group to its goal while all are well, as a list of its members: "1 2 +3" has a learner.
private func path(
  from voters: [NodeIncarnation], to target: [NodeIncarnation], leader: Int32,
  damaged: [Int32] = []
) -> [String] {
  var membership = GroupMembership(version: 1, voters: voters)
  var leader = leader
  var damaged = damaged
  var path: [String] = []
  for _ in 0..<30 {
    let alive = Set((membership.voters + membership.learners + target).map(\.node)).sorted()
    let facts = MembershipStep.Facts(
      membership: membership, target: target, current: target, damaged: damaged, alive: alive,
      report: report(
        leader, version: membership.version, caughtUp: membership.learners.map(\.node),
        inSync: membership.voters.map(\.node)))
    switch facts.step() {
    case .done: return path
    case .change(let next):
      membership = next
      damaged.removeAll { next.voter($0) == nil && next.learner($0) == nil }
      path.append(
        (next.voters.map { "\($0.node)" } + next.learners.map { "+\($0.node)" }).joined(
          separator: " "))
    case .transfer(let node):
      leader = node
      path.append("to \(node)")
    case .wait(let reason): return path + ["waits: \(reason)"]
    case .lost(let bad): return path + ["lost: \(bad.map(\.node))"]
    }
  }
  return path + ["…"]
}

@Suite struct `Members change` {
  @Test func `a node comes in for another: as learner, as voter, then the other goes`() {
    #expect(
      path(from: nodes([1, 2, 3]), to: nodes([1, 2, 4]), leader: 1)
        == ["1 2 3 +4", "1 2 3 4", "1 2 4"])
  }

  @Test func `all may be others, and there are never more than one too many`() {
    #expect(
      path(from: nodes([1, 2, 3]), to: nodes([4, 5, 6]), leader: 1) == [
        "1 2 3 +4 +5 +6", "1 2 3 4 +5 +6", "1 3 4 +5 +6", "1 3 4 5 +6", "1 4 5 +6", "1 4 5 6",
        "to 4", "4 5 6",
      ])
  }

  @Test func `one replica becomes three, and three one`() {
    #expect(
      path(from: nodes([1]), to: nodes([1, 2, 3]), leader: 1) == ["1 +2 +3", "1 2 +3", "1 2 3"])
    #expect(
      path(from: nodes([1, 2, 3]), to: nodes([2]), leader: 1) == ["1 2", "to 2", "2"])
  }

  @Test func `one replica moves`() {
    #expect(path(from: nodes([1]), to: nodes([2]), leader: 1) == ["1 +2", "1 2", "to 2", "2"])
  }

  @Test func `a lost disk: out, in as learner, then voter`() {
    #expect(
      path(from: nodes([1, 2, 3]), to: members([1: 1, 2: 1, 3: 9]), leader: 1)
        == ["1 2", "1 2 +3", "1 2 3"])
  }

  @Test func `a damaged replica likewise; if it leads, it hands over first`() {
    #expect(
      path(from: nodes([1, 2, 3]), to: nodes([1, 2, 3]), leader: 1, damaged: [2])
        == ["1 3", "1 3 +2", "1 2 3"])
    #expect(
      path(from: nodes([1, 2, 3]), to: nodes([3, 1, 2]), leader: 1, damaged: [1])
        == ["to 3", "2 3", "2 3 +1", "1 2 3"])
  }

  @Test func `what has no majority left is lost, and stays as it is`() {
    #expect(path(from: nodes([1]), to: members([1: 2]), leader: 1) == ["lost: [1]"])
    #expect(path(from: nodes([1]), to: nodes([1]), leader: 1, damaged: [1]) == ["lost: [1]"])
    #expect(
      path(from: nodes([1, 2, 3]), to: members([1: 2, 2: 2, 3: 1]), leader: 3) == ["lost: [1, 2]"])
  }

  private func step(
    _ voters: [Int32], learners: [Int32] = [], target: [Int32], alive: [Int32],
    _ report: GroupReport?
  ) -> MembershipStep {
    MembershipStep.Facts(
      membership: GroupMembership(version: 1, voters: nodes(voters), learners: nodes(learners)),
      target: nodes(target), current: nodes(voters + learners), alive: alive, report: report
    ).step()
  }

  @Test func `nothing follows a version that does not hold yet`() {
    var report = report(1, inSync: [1, 2, 3])
    let wait = MembershipStep.wait(.report)
    func next(_ report: GroupReport?) -> MembershipStep {
      step([1, 2, 3], target: [1, 2, 4], alive: [1, 2, 3, 4], report)
    }
    #expect(next(report) != wait)
    #expect(next(nil) == wait)
    report.hasCommittedUnderVersion = false
    #expect(next(report) == wait)
    report.hasCommittedUnderVersion = true
    report.isAdoptedByMajority = false
    #expect(next(report) == wait)
    report.isAdoptedByMajority = true
    report.version = 2
    #expect(next(report) == wait)
    report.version = 0
    #expect(next(report) == wait)
  }

  @Test func `one replica does not become two while the third is away`() {
    let one = report(1, caughtUp: [2], inSync: [1])
    #expect(
      step([1], learners: [2], target: [1, 2, 3], alive: [1, 2], one) == .wait(.nodes))
    #expect(
      step([1], learners: [2, 3], target: [1, 2, 3], alive: [1, 2, 3], one) == .wait(.catchingUp))
  }

  @Test func `who is needed for a majority stays`() {
    // 3, which stays, is dead: without 1 there were one of two.
    #expect(
      step([1, 3], target: [3], alive: [1], report(1, inSync: [1])) == .wait(.nodes))
    #expect(
      step([1, 2, 3], target: [3], alive: [1, 2], report(1, inSync: [1, 2])) == .wait(.nodes))
    // 1 is dead and goes first.
    guard
      case .change(let next) = step(
        [1, 2, 3, 4], target: [3, 4, 5], alive: [2, 3, 4], report(2, inSync: [2, 3, 4]))
    else {
      Issue.record("nobody goes")
      return
    }
    #expect(next.voters.map(\.node) == [2, 3, 4])
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `whatever the facts are, a step keeps the rules`(tens: UInt64) {
    for seed in tens * 2000..<(tens + 1) * 2000 { tryFacts(seed: seed) }
  }

  private func tryFacts(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    func some(_ count: ClosedRange<Int>, of ids: [Int32]) -> [Int32] {
      Array(ids.shuffled(using: &random).prefix(Int.random(in: count, using: &random)))
    }
    let all: [Int32] = [1, 2, 3, 4, 5, 6]
    let voters = some(1...5, of: all)
    let learners = some(0...2, of: all.filter { !voters.contains($0) })
    let membership = GroupMembership(
      version: 3, voters: nodes(voters), learners: nodes(learners))
    let current = all.map { NodeIncarnation(node: $0, incarnation: random.oneIn(8) ? 2 : 1) }
    let wanted = some(1...5, of: all)
    let target = wanted.flatMap { id in current.filter { $0.node == id } }
    let damaged = some(0...1, of: all)
    let alive = some(2...6, of: all).sorted()
    let leader = voters.randomElement(using: &random) ?? 1
    let report = GroupReport(
      group: .metadata, leader: leader, epoch: 1, version: 3, hasCommittedUnderVersion: true,
      isAdoptedByMajority: true, caughtUp: some(0...6, of: learners),
      inSync: some(0...6, of: voters))
    let facts = MembershipStep.Facts(
      membership: membership, target: target, current: current, damaged: damaged, alive: alive,
      report: report)
    func isBad(_ member: NodeIncarnation) -> Bool {
      damaged.contains(member.node) || !current.contains(member)
    }
    let good = membership.voters.filter {
      !isBad($0) && alive.contains($0.node) && report.inSync.contains($0.node)
    }
    switch facts.step() {
    case .change(let next):
      #expect(alive.contains(leader))
      #expect(next.version == 4)
      let gone = membership.voters.filter { !next.voters.contains($0) }
      let come = next.voters.filter { !membership.voters.contains($0) }
      #expect(gone.count + come.count <= 1)
      #expect(next != GroupMembership(version: 4, voters: nodes(voters), learners: nodes(learners)))
      #expect(!gone.contains { $0.node == leader })
      for member in come {
        #expect(learners.contains(member.node) && report.caughtUp.contains(member.node))
        #expect(target.contains(member))
      }
      for member in next.learners where !membership.learners.contains(member) {
        #expect(target.contains(member) && alive.contains(member.node))
      }
      // Bad ones go whatever the others are; all else leaves a majority.
      guard gone.isEmpty || !isBad(gone[0]), !(gone + come).isEmpty else { return }
      let serving = good.count { !gone.contains($0) } + come.count
      #expect(serving >= next.voters.count / 2 + 1)
    case .transfer(let node):
      #expect(node != leader && good.contains { $0.node == node })
    case .done:
      #expect(Set(voters) == Set(wanted) && learners.isEmpty)
    case .wait: break
    case .lost(let bad): #expect(voters.count - bad.count < voters.count / 2 + 1)
    }
  }
}
