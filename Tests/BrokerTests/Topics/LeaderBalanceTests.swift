import Broker
import KafkaWire
import Testing

@Suite struct `Leaderships go back` {
  private func candidates(
    _ partitions: Range<Int32>, preferred: Int32 = 2, isReady: Bool = true
  ) -> [LeaderBalance.Candidate] {
    partitions.map {
      LeaderBalance.Candidate(
        group: GroupKey(topic: UUID16(high: 1, low: 1), partition: $0), preferred: preferred,
        isReady: isReady)
    }
  }

  private func configs(_ values: KeyValuePairs<String, String> = [:]) -> BrokerConfigs {
    BrokerConfigs(file: ConfigValues(values))
  }

  @Test func `when the preferred leader has been ready for a while`() {
    var balance = LeaderBalance()
    let ready = candidates(0..<1)
    #expect(balance.tick(now: 0, ready, configs: configs()).isEmpty)
    #expect(balance.tick(now: 4000, ready, configs: configs()).isEmpty)
    // Behind for a moment: the time begins anew.
    #expect(
      balance.tick(now: 4500, candidates(0..<1, isReady: false), configs: configs()).isEmpty)
    #expect(balance.tick(now: 9000, ready, configs: configs()).isEmpty)
    #expect(balance.tick(now: 9500, ready, configs: configs()) == ready)
  }

  @Test func `a few at a time, who waits longest first`() {
    var balance = LeaderBalance()
    let all = candidates(0..<20)
    _ = balance.tick(now: 0, Array(all[10...]), configs: configs())
    _ = balance.tick(now: 100, all, configs: configs())
    let first = balance.tick(now: 6000, all, configs: configs())
    #expect(first == Array(all[10..<18]))
    // They are led by others now.
    let left = all.filter { !first.contains($0) }
    #expect(
      balance.tick(now: 7000, left, configs: configs())
        == Array(all[18...]) + Array(all[..<6]))
  }

  @Test func `who does not take over is asked again, less and less often`() {
    var balance = LeaderBalance()
    let ready = candidates(0..<1)
    var asked: [Int64] = []
    for second in 0..<2000 as Range<Int64>
    where !balance.tick(now: second * 1000, ready, configs: configs()).isEmpty {
      asked.append(second)
    }
    #expect(asked == [5, 15, 35, 75, 155, 315, 635, 955, 1275, 1595, 1915])
    // Once it has led, all is forgotten.
    _ = balance.tick(now: 2_000_000, [], configs: configs())
    _ = balance.tick(now: 2_001_000, ready, configs: configs())
    #expect(balance.tick(now: 2_006_000, ready, configs: configs()) == ready)
  }

  @Test func `another preferred leader begins anew`() {
    var balance = LeaderBalance()
    _ = balance.tick(now: 0, candidates(0..<1), configs: configs())
    #expect(balance.tick(now: 5000, candidates(0..<1, preferred: 3), configs: configs()).isEmpty)
    #expect(
      balance.tick(now: 10_000, candidates(0..<1, preferred: 3), configs: configs()).count == 1)
  }

  @Test func `not where that is switched off, and in the time that is set`() {
    var balance = LeaderBalance()
    let off = configs(["auto.leader.rebalance.enable": "false"])
    let slow = configs(["leader.imbalance.check.interval.seconds": "60"])
    let never = configs(["leader.imbalance.check.interval.seconds": "9223372036854775807"])
    let ready = candidates(0..<1)
    _ = balance.tick(now: 0, ready, configs: off)
    #expect(balance.tick(now: 50_000, ready, configs: off).isEmpty)
    #expect(balance.tick(now: 50_000, ready, configs: slow).isEmpty)
    #expect(balance.tick(now: 109_999, ready, configs: slow).isEmpty)
    #expect(balance.tick(now: 110_000, ready, configs: slow).count == 1)
    #expect(balance.tick(now: 1_000_000_000, ready, configs: never).isEmpty)
  }
}
