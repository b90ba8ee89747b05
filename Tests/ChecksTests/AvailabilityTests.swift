import Bytes
import Checks
import Testing

@Suite struct `Who judges availability` {
  private static let second: UInt64 = 1_000_000_000

  /// Writes, and a second is taken by this fault.
  private func script(nodes: Int, away: [Int32], heals: Bool = true) -> HistoryScript {
    var script = HistoryScript()
    script.by(0, .cluster(nodes: nodes))
    script.write(1, 1, at: 0)
    let operation = script.begin(1, 2)
    script.by(0, .faultBegan(fault: 1, kind: "kill", nodes: away))
    script.wait(Self.second)
    if heals { script.by(0, .faultEnded(fault: 1)) }
    script.acknowledge(1, operation, at: 1)
    script.end([1, 2])
    return script
  }

  @Test func `C18: a gap is blamed if a majority was well`() {
    let half = Self.second / 2
    #expect(script(nodes: 3, away: [1]).judged(longestGapMax: half).violated == [18])
    #expect(script(nodes: 3, away: [1]).judged(longestGapMax: 2 * Self.second).violated == [])
    #expect(script(nodes: 3, away: [1]).judged().violated == [])
    #expect(script(nodes: 3, away: [1, 2]).judged(longestGapMax: half).violated == [])
    #expect(script(nodes: 1, away: [1]).judged(longestGapMax: half).violated == [])
  }

  @Test func `C18: figures by kind`() {
    let report = script(nodes: 3, away: [1]).judged()
    let kill = report.availability.first { $0.kind == "kill" }
    #expect(kill?.count == 1)
    #expect(kill?.failovers.count == 1)
    #expect((kill?.longest ?? 0) >= Self.second)
    #expect(kill?.failover(0.5) == kill?.failovers.first)
    let all = script(nodes: 3, away: [1, 2]).judged().availability.first { $0.kind == "kill" }
    #expect((all?.longest ?? 0) >= Self.second)
    // Its own time is from the end of the fault.
    #expect((all?.failovers.first ?? .max) < Self.second)
  }

  @Test func `C18: only what was led where it struck has a failover`() {
    var script = HistoryScript()
    script.by(0, .cluster(nodes: 3))
    for partition in [Int32(0), 1, 2] {
      script.by(0, .led(partition: partition, LeaderEpoch(1), node: partition + 1))
      script.write(1, UInt64(1 + partition), at: 0, in: partition, epoch: 1)
    }
    // An answer that comes late tells of an older leader.
    script.by(0, .led(partition: 1, LeaderEpoch(0), node: 1))
    let waiting = (Int32(0)..<3).map { ($0, script.begin(1, UInt64(10 + $0), in: $0)) }
    script.by(0, .faultBegan(fault: 1, kind: "kill", nodes: [1]))
    script.by(0, .faultBegan(fault: 2, kind: "clock", nodes: []))
    script.wait(Self.second)
    script.by(0, .led(partition: 0, LeaderEpoch(2), node: 2))
    for (partition, operation) in waiting {
      script.acknowledge(1, operation, at: 1, epoch: 2)
      script.end([UInt64(1 + partition), UInt64(10 + partition)], in: partition)
    }
    let report = script.judged()
    let kill = report.availability.first { $0.kind == "kill" }
    #expect(kill?.failovers.count == 1)
    #expect(report.availability.first { $0.kind == "clock" }?.failovers.count == 3)
    #expect(kill?.buckets.map(\.milliseconds) == [2000])
    #expect(kill?.buckets.map(\.count) == [1])
    #expect(report.text.contains("\n  1 gaps, ms: < 2000: 1\n"))
    #expect(report.json.contains("\"buckets\":[[2000000000,1]]"))
  }

  @Test func `C18: nobody asks, nobody waits`() {
    var script = HistoryScript()
    script.by(0, .cluster(nodes: 3))
    script.write(1, 1, at: 0)
    script.wait(10 * Self.second)
    script.write(1, 2, at: 1)
    script.end([1, 2])
    #expect(script.judged(longestGapMax: Self.second).violated == [])
  }

  @Test func `C18: what is never acknowledged is a gap too`() {
    var script = HistoryScript()
    _ = script.begin(1, 1)
    script.wait(10 * Self.second)
    script.end([])
    #expect(script.judged(longestGapMax: Self.second).violated == [18])
  }

  @Test func `C18: a gap before a majority went counts`() {
    var script = HistoryScript()
    script.by(0, .cluster(nodes: 3))
    let operation = script.begin(1, 1)
    script.wait(10 * Self.second)
    script.by(0, .faultBegan(fault: 1, kind: "kill", nodes: [1, 2]))
    script.by(0, .faultEnded(fault: 1))
    script.acknowledge(1, operation, at: 0)
    script.end([1])
    #expect(script.judged(longestGapMax: Self.second).violated == [18])
  }
}
